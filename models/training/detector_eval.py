"""Judge a detector on boxed pictures; docs/evaluation.md defines every figure.

Every picture is scaled to the long side asked for; faces under the smallest size there (root of
the area) neither count nor hurt.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from .detector_data import read_boxes_csv
from .detector_metrics import Picture, box_sizes, curve, only_sizes
from .landmark_formats import read_bgr, read_luma, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ..detector import FaceDetector
    from ..yunet import YuNet

LOWEST_SCORE = 0.02
MAX_SIDE = 100_000
SIZES = ((0, 32), (32, 64), (64, 128), (128, MAX_SIDE))


def judge(
    detector: FaceDetector | YuNet,
    csv: Path,
    folder: Path,
    *,
    names: set[str] | None = None,
    long_side: int = 320,
    min_face: float = 20.0,
    progress: Callable[[float], None] = lambda _share: None,
) -> tuple[dict[str, Picture], float]:
    """Return found and true boxes in px at `long_side`, by name, and the median CPU ms.

    `names` limits the pictures. Raises AnnotationError for files that cannot be used.
    """
    cv2.setNumThreads(1)
    table = read_boxes_csv(csv)
    read = read_bgr if detector.colour else read_luma
    pictures, times = {}, []
    for name, rows in table.items():
        if names is not None and name not in names:
            continue
        picture = read(folder / name)
        start = time.thread_time()
        found = detector.detect(picture, long_side=long_side, min_score=LOWEST_SCORE)
        times.append(time.thread_time() - start)
        scale = np.float32(long_side / max(picture.shape[:2]))
        truth = np.array([r[:4] for r in rows], np.float32).reshape(-1, 4) * scale
        counted = box_sizes(truth) >= min_face
        boxes = found.boxes_xyxy_px * scale
        pictures[name] = Picture(boxes, found.scores, truth, counted, min_face)
        progress(len(pictures) / len(names or table))
    return pictures, 1e3 * float(np.median(times)) if times else 0.0


def report(pictures: Iterable[Picture], ms: float) -> dict[str, Any]:
    """Return the figures that `--json` prints."""
    pictures = list(pictures)
    at_40, at_50 = curve(pictures, 0.4), curve(pictures, 0.5)
    return {
        "pictures": len(pictures),
        "n": at_40.n,
        "ap_40": round(at_40.average_precision, 4),
        "ap_50": round(at_50.average_precision, 4),
        "recall_at_0.1_fppi": round(at_40.recall_at(0.1), 4),
        "ap_40_by_size": _by_size(pictures, 0.4),
        "ap_50_by_size": _by_size(pictures, 0.5),
        "ms": round(ms, 2),
    }


def _by_size(pictures: list[Picture], iou_limit: float) -> dict[str, float]:
    """Return the average precision in each range of sizes that occurs, in px."""
    result = {}
    for low, high in SIZES:
        chosen = only_sizes(pictures, low, high)
        if any(p.counted.any() for p in chosen):
            name = f"{low}-{high}" if high < MAX_SIDE else f"{low}-"
            result[name] = round(curve(chosen, iou_limit).average_precision, 4)
    return result


def heldout_names(path: Path) -> set[str]:
    """Return the file names of a list of `set/name` lines."""
    return {line.strip().rsplit("/", 1)[-1] for line in read_text(path).splitlines()}
