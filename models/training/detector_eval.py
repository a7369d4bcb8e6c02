"""Judge a detector on boxed pictures: `python -m ...detector_eval CSV --images DIR [--json]`.

Every picture is scaled to `--long-side`; faces under `--min-face` px there (root of the area)
neither count nor hurt.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..detector import FaceDetector
from .detector_data import read_boxes_csv, read_luma
from .detector_metrics import Picture, box_sizes, curve, only_sizes

if TYPE_CHECKING:
    from collections.abc import Iterable

LOWEST_SCORE = 0.02
MAX_SIDE = 100_000  # pictures are judged as they are stored
SIZES = ((0, 32), (32, 64), (64, 128), (128, 100_000))


def judge(
    detector: FaceDetector,
    folder: Path,
    csv: Path,
    names: set[str],
    long_side: int,
    min_face: float,
) -> tuple[dict[str, Picture], float]:
    """Return found and true boxes in px at `long_side`, by name, and the median CPU ms."""
    pictures, times = {}, []
    for name, rows in read_boxes_csv(csv).items():
        if names and name not in names:
            continue
        luma, _ = read_luma(folder / name, long_side=MAX_SIDE)
        start = time.thread_time()
        found = detector.detect(luma, long_side=long_side, min_score=LOWEST_SCORE)
        times.append(time.thread_time() - start)
        scale = np.float32(long_side / max(luma.shape))
        truth = np.array([r[:4] for r in rows], np.float32).reshape(-1, 4) * scale
        counted = box_sizes(truth) >= min_face
        boxes = found.boxes_xyxy_px * scale
        pictures[name] = Picture(boxes, found.scores, truth, counted, min_face)
    return pictures, 1e3 * float(np.median(times))


def report(pictures: Iterable[Picture], ms: float) -> dict[str, Any]:
    """Return the figures that `--json` prints."""
    pictures = list(pictures)
    at_40, at_50 = curve(pictures, 0.4), curve(pictures, 0.5)
    by_size = {
        f"{low}-{high}" if high < 10_000 else f"{low}-": round(
            curve(only_sizes(pictures, low, high), 0.5).average_precision, 4
        )
        for low, high in SIZES
        if any(p.counted.any() for p in only_sizes(pictures, low, high))
    }
    return {
        "pictures": len(pictures),
        "n": at_40.n,
        "ap_40": round(at_40.average_precision, 4),
        "ap_50": round(at_50.average_precision, 4),
        "recall_at_0.1_fppi": round(at_40.recall_at(0.1), 4),
        "ap_50_by_size": by_size,
        "ms": round(ms, 2),
    }


def heldout_names(path: Path) -> set[str]:
    """Return the file names of a list of `set/name` lines."""
    return {line.rsplit("/", 1)[-1] for line in path.read_text().split()}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path, help="columns image,xmin,ymin,xmax,ymax,label")
    parser.add_argument("--images", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--only", type=Path, help="file with the names to judge, one a line")
    parser.add_argument("--weights", type=Path, help="another .onnx, its .json beside it")
    parser.add_argument("--long-side", type=int, default=320)
    parser.add_argument("--min-face", type=float, default=20.0, help="px at the long side")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    options = parse()
    cv2.setNumThreads(1)
    names = heldout_names(options.only) if options.only else set()
    pictures, ms = judge(
        FaceDetector(options.weights),
        options.images,
        options.csv,
        names,
        options.long_side,
        options.min_face,
    )
    figures = report(pictures.values(), ms)
    lines = [json.dumps(figures)] if options.json else [f"{k}: {v}" for k, v in figures.items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
