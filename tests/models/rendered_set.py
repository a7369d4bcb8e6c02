"""Rendered faces in the published formats, to train landmark networks on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from vidfilter.stages._testface import random_face_image

CHECKPOINT = Path(__file__).parents[2] / "models/training/checkpoints/landmarks.pt"


def write_pts(path: Path, points: np.ndarray, header: bool = True) -> None:
    lines = [f"{x + 1:.3f} {y + 1:.3f}" for x, y in points]
    if header:
        lines = ["version: 1", f"n_points: {len(points)}", "{", *lines, "}"]
    path.write_text("\n".join(lines) + "\n")


def write_set(folder: Path) -> Path:
    """Write a small data set."""
    (folder / "helen68" / "train").mkdir(parents=True)
    (folder / "helen194" / "annotation").mkdir(parents=True)
    rng = np.random.default_rng(3)
    for number in range(24):
        image, points = random_face_image(rng, 160)
        path = folder / "helen68" / "train" / f"face{number}_1.jpg"
        cv2.imwrite(str(path), image)
        write_pts(path.with_suffix(".pts"), points, header=number % 2 == 0)
        rows = [f"{x} , {y}" for x, y in np.resize(points, (194, 2))]
        text = "\n".join([path.stem, *rows])
        (folder / "helen194" / "annotation" / f"{number}.txt").write_text(text)
    return folder
