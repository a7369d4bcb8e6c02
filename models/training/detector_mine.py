"""Find what training should weigh otherwise: `detector_mine --data DIR OUT.json [--weights F]`.

A trained detector looks at the boxed training pictures. Sure finds on no box that the landmark
network takes for a face, very sure ones, and rather sure ones in crowds are likely faces nobody
boxed: they shall teach nothing. Pictures with faces it misses are shown more often.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..detector import FaceDetector
from ..landmarks import LandmarkModel
from . import detector_data
from .detector_metrics import box_sizes, pairwise_iou

if TYPE_CHECKING:
    from .detector_data import Sample

log = logging.getLogger(__name__)
LONG_SIDE = 384
WEAK, SURE, VERY_SURE = 0.4, 0.6, 0.72
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
            likely = bool(landmarks.run(sample.luma, [crop]).presence[0] > WEAK)
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


def mine(samples: list[Sample], weights: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return `unsure` boxes and the number of `missed` faces by the name of the picture."""
    detector, landmarks = FaceDetector(weights), LandmarkModel()
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


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="another detector than the shipped one")
    options = parser.parse_args()
    scenes = detector_data.drop_duplicates(list(detector_data.facedet(options.data)))
    mined = mine(detector_data.split(scenes)[0], options.weights)
    options.out.write_text(json.dumps(mined) + "\n", encoding="utf-8")
    places = sum(len(m["unsure"]) for m in mined.values())
    missed = sum(m["missed"] for m in mined.values())
    log.info("%d places that may be faces, %d faces missed", places, missed)


if __name__ == "__main__":
    main()
