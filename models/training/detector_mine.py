"""Find what the detector's training should weigh otherwise.

The shipped detector looks at the boxed training pictures. Sure finds on no box that the landmark
network takes for a face, very sure ones, and rather sure ones in crowds are likely faces nobody
boxed: they shall teach nothing. Pictures with faces it misses are shown more often.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ..detector import FaceDetector
from ..landmarks import LandmarkModel
from .detector_metrics import Array, box_sizes, pairwise_iou
from .landmark_formats import AnnotationError
from .whole_files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .detector_data import Sample

LONG_SIDE = 384
WEAK, SURE, VERY_SURE = 0.2, 0.6, 0.72
PRESENT = 0.5  # to the landmark network
CROWD = 4  # boxed faces from which on others are likely forgotten
APART_IOU, SAME_IOU = 0.3, 0.4
SMALLEST_PX = 20.0  # faces below may be missed
MISSED_WEIGHT = 2.0


def unsure_places(sample: Sample, detector: FaceDetector, landmarks: LandmarkModel) -> list[Any]:
    """Return boxes (4,) of likely faces that are not boxed, px of the sample."""
    found = detector.detect(sample.luma, long_side=LONG_SIDE, min_score=WEAK)
    if not len(found):
        return []
    apart = pairwise_iou(found.boxes_xyxy_px, sample.boxes).max(1, initial=0.0) < APART_IOU
    places = []
    for row in np.flatnonzero(apart):
        box, score = found.boxes_xyxy_px[row], float(found.scores[row])
        likely = score > VERY_SURE or (score > SURE and len(sample.boxes) >= CROWD)
        if not likely:
            crop = landmarks.first_crop(box, found.keypoints_px[row])
            likely = bool(landmarks.run(sample.luma, [crop]).presence[0] > PRESENT)
        if likely:
            places.append([round(float(v), 1) for v in box])
    return places


def misses(sample: Sample, detector: FaceDetector) -> int:
    """Return how many boxed faces are not found at a middling score, at 320 px."""
    scale = 320 / max(sample.luma.shape)
    large = sample.boxes[box_sizes(sample.boxes) * scale >= SMALLEST_PX]
    if not len(large):
        return 0
    found = detector.detect(sample.luma, min_score=0.5).boxes_xyxy_px
    return int((pairwise_iou(large, found).max(1, initial=0.0) < SAME_IOU).sum())


def mine(samples: list[Sample]) -> dict[str, dict[str, Any]]:
    """Return `unsure` boxes and the number of `missed` faces by the name of the picture.

    Asks the shipped networks.
    """
    detector, landmarks = FaceDetector(), LandmarkModel()
    result = {}
    for sample in samples:
        unsure, missed = unsure_places(sample, detector, landmarks), misses(sample, detector)
        if unsure or missed:
            result[sample.name] = {"unsure": unsure, "missed": missed}
    return result


def apply(samples: list[Sample], mined: dict[str, dict[str, Any]]) -> None:
    """Fill in the samples' `unsure` and `weight`."""
    for sample in samples:
        told = mined.get(sample.name)
        if told is not None:
            sample.unsure = np.array(told["unsure"], np.float32).reshape(-1, 4)
            sample.weight = MISSED_WEIGHT if told["missed"] else 1.0


def weigh(samples: list[Sample], path: Path, say: Callable[[str], None]) -> None:
    """Mine the boxed scenes among `samples` and apply what is found, kept in `path`.

    A file that is there already is used, if it is of as many scenes. Raises AnnotationError where
    it holds something else.
    """
    scenes = [sample for sample in samples if sample.kind == "scene"]
    found = _read(path, len(scenes)) if path.is_file() else None
    if found is None:
        say(f"looking for unboxed and missed faces on {len(scenes)} pictures")
        found = mine(scenes)
        write_bytes(path, json.dumps({"scenes": len(scenes), "found": found}).encode())
    apply(scenes, found)
    places = sum(len(told["unsure"]) for told in found.values())
    missed = sum(told["missed"] for told in found.values())
    say(f"{places} places that may be faces teach nothing; {missed} missed faces count twice")


def _read(path: Path, scenes: int) -> dict[str, dict[str, Any]] | None:
    """Return what was mined on so many scenes, None where it was on others."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["scenes"] != scenes:
            return None
        rows = told["found"].items()
        return {
            str(name): {"unsure": _boxes(row["unsure"]), "missed": int(row["missed"])}
            for name, row in rows
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnnotationError(
            f"{path}: not what an earlier run kept; delete it to look again"
        ) from error


def _boxes(values: list[Any]) -> Array:
    boxes = np.array(values, np.float32).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise ValueError("a box is not finite")
    return boxes
