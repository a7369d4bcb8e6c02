"""`analyze` lists every candidate: an outsider who scores them finds what `eval detect` tells."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from boxed import figures, write_scenes
from giving import Command


def outside_ap(table: Path, tracks: Path, folder: Path, iou_limit: float) -> float:
    """Score the lines of `analyze` with nothing of the project's own."""
    truth: dict[str, list[list[float]]] = {}
    for row in csv.DictReader(table.read_text().splitlines()):
        box = [float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax")]
        truth.setdefault(row["image"], []).append(box)
    finds, n = [], 0
    for line in tracks.read_text().splitlines():
        frame = json.loads(line)
        if frame["file"] not in truth:
            continue
        boxes = truth[frame["file"]]
        scale = 320 / max(cv2.imread(str(folder / frame["file"])).shape)
        open_faces = [b for b in boxes if size(b) * scale >= 20]
        small = [b for b in boxes if size(b) * scale < 20]
        n += len(open_faces)
        for face in sorted(frame["faces"], key=lambda face: -face["score"]):
            box = face["box_xyxy_px"]
            best = max(open_faces, key=lambda b: overlap(b, box), default=None)
            if best is not None and overlap(best, box) >= iou_limit:
                open_faces.remove(best)
                finds.append((face["score"], True))
            elif size(box) * scale >= 20 and all(overlap(b, box) < iou_limit for b in small):
                finds.append((face["score"], False))
    hits = np.cumsum([hit for _, hit in sorted(finds, key=lambda find: -find[0])])
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float((np.diff(hits / n, prepend=0) * precision).sum())


def size(box: list[float]) -> float:
    return float(((box[2] - box[0]) * (box[3] - box[1])) ** 0.5)


def overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (size(a) ** 2 + size(b) ** 2 - width * height)


def candidates(vidfilter: Command, folder: Path, tracks: Path) -> Path:
    """Let `analyze` list every candidate of the pictures in a folder."""
    sets = ("--set", "detect.min_score=0.02", "--set", "detect.size=320")
    done = vidfilter("analyze", str(folder), "-o", str(tracks), *sets)
    assert done.code == 0, done.err
    return tracks


def test_an_outsider_scores_the_candidates_alike(tmp_path: Path, vidfilter: Command) -> None:
    table = write_scenes(tmp_path / "scenes")
    box = "2.png,5,5,65,70,face"  # a face that nobody will find keeps the figures from being 1
    table.write_text(table.read_text() + box + "\n")
    seen = figures(vidfilter, table)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in table.parent.glob("*.png"):
        path.rename(folder / path.name)
    tracks = candidates(vidfilter, folder, tmp_path / "tracks.jsonl")
    assert 0.5 < seen["ap_40"] < 1
    for key, iou_limit in (("ap_40", 0.4), ("ap_50", 0.5)):
        assert outside_ap(table, tracks, folder, iou_limit) == pytest.approx(seen[key], abs=0.01)


def test_an_outsider_scores_real_pictures_alike(
    tmp_path: Path, vidfilter: Command, shared_data: Path
) -> None:
    names = Path(__file__).parents[2] / "models/training/heldout_detector.txt"
    held = [n.split("/")[1] for n in names.read_text().split() if n.startswith("facedet/")][::4]
    chosen = tmp_path / "names.txt"
    chosen.write_text("\n".join(held))
    source, folder = shared_data / "facedet", tmp_path / "pictures"
    folder.mkdir()
    for name in held:
        (folder / name).write_bytes((source / "images" / name).read_bytes())
    table = tmp_path / "boxes.csv"
    rows = (source / "boxes.csv").read_text().splitlines()
    table.write_text("\n".join([rows[0], *(r for r in rows if r.split(",")[0] in held)]))
    done = vidfilter("eval", "detect", str(table), "--images", str(folder), "--json")
    seen = json.loads(done.out)
    tracks = candidates(vidfilter, folder, tmp_path / "tracks.jsonl")
    # Pictures are decoded by other libraries there, so weak candidates may change places.
    assert outside_ap(table, tracks, folder, 0.4) == pytest.approx(seen["ap_40"], abs=0.03)
