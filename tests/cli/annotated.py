"""Rendered faces written as annotated pictures of the published layouts, and their judgement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from giving import Command

from vidfilter.models.detector import hand_drawn_from_tight
from vidfilter.stages._testface import FaceScene, random_face_image


def faces(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [random_face_image(rng, 200) for _ in range(count)]


def write_pts(folder: Path, count: int = 3, header: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    for number, (picture, points) in enumerate(faces(count)):
        cv2.imwrite(str(folder / f"f{number}.png"), picture)
        lines = [f"{x + 1:.3f} {y + 1:.3f}" for x, y in points]
        if header:
            lines = ["version: 1", "n_points: 68", "{", *lines, "}"]
        (folder / f"f{number}.pts").write_text("\n".join(lines) + "\n")
    return folder


def write_csv(folder: Path, count: int = 3) -> Path:
    (folder / "train").mkdir(parents=True)
    rows = ["," + ",".join(str(i) for i in range(136))]
    for number, (picture, points) in enumerate(faces(count)):
        cv2.imwrite(str(folder / "train" / f"f{number}.png"), picture)
        rows.append(",".join([f"f{number}.png", *(f"{v:.3f}" for v in points.ravel())]))
    (folder / "train_frames_keypoints.csv").write_text("\n".join(rows) + "\n")
    return folder


def write_photos(folder: Path) -> None:
    """Write AFW's layout: `f0_1.pts` is a face of `f0.jpg`."""
    for path in write_pts(folder, 1, header=False).glob("*.png"):
        cv2.imwrite(str(path.with_suffix(".jpg")), cv2.imread(str(path)))
        path.unlink()


def write_scenes(data: Path) -> Path:
    """Write a, boxed rightly, and b, with a forgotten face and a box where there is none."""
    folder = data / "facedet"
    (folder / "images").mkdir(parents=True)
    (folder / "negatives").mkdir()
    lines = ["image,xmin,ymin,xmax,ymax,label"]
    for name, seed in (("a", 1), ("b", 2)):
        scene = FaceScene(320, 180, faces=2, seed=seed)
        cv2.imwrite(str(folder / "images" / f"{name}.png"), scene.render(1.0))
        boxes = [hand_drawn_from_tight(truth.box_xyxy_px) for truth in scene.truth(1.0)]
        boxes[1:] = [np.array([2, 2, 42, 52])] if name == "b" else boxes[1:]
        for box in boxes:
            lines.append(",".join([f"{name}.png", *(f"{v:.1f}" for v in box), "face"]))
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return data


def figures(vidfilter: Command, *args: object) -> dict[str, Any]:
    done = vidfilter("eval", "landmarks", *(str(arg) for arg in args), "--json")
    assert done.code == 0, done.err
    return dict(json.loads(done.out))
