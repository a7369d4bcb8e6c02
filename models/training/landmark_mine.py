"""Gather what the detector takes for faces and are none: the negatives that teach presence most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..crops import crop_from_box
from ..detector import FaceDetector
from .detector_data import read_boxes_csv
from .landmark_cache import CACHE_SIZE, NEGATIVE, FaceCache, read_cache, save_cache
from .landmark_dataset import Sample, load_or_build, loose_crop
from .landmark_formats import read_luma
from .landmark_holdout import listed_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MIN_SCORE, MAX_SCORE = 0.06, 0.75  # a surer one in an annotated picture may be a forgotten face
LONG_SIDES = (320, 640)
TOUCH = 0.05
PER_PICTURE = 3


def mine(data: Path) -> Iterator[Sample]:
    """Yield false alarms of the shipped detector on the pictures of `facedet`."""
    detector = FaceDetector()
    folder = data / "facedet"
    for name, rows in read_boxes_csv(folder / "boxes.csv").items():
        faces = np.array([row[:4] for row in rows], np.float64).reshape(-1, 4)
        luma = read_luma(folder / "images" / name)
        yield from _false_alarms(f"facedet/{name}", luma, faces, detector, MAX_SCORE)
    for path in sorted((folder / "negatives").glob("*.jpg")):
        none = np.zeros((0, 4))
        yield from _false_alarms(f"negatives/{path.stem}", read_luma(path), none, detector, 1.0)


def _false_alarms(
    name: str,
    luma: NDArray[np.uint8],
    faces: NDArray[np.float64],
    detector: FaceDetector,
    max_score: float,
) -> Iterator[Sample]:
    for long_side in LONG_SIDES:
        found = detector.detect(luma, long_side=long_side, min_score=MIN_SCORE)
        rows = zip(found.boxes_xyxy_px, found.scores.tolist(), strict=True)
        wrong = [box for box, score in rows if score < max_score and not _touches(box, faces)]
        for number, box in enumerate(wrong[:PER_PICTURE]):
            image, _ = loose_crop(luma, crop_from_box(box))
            yield Sample(f"{name}#mined{long_side}-{number}", name, image, NEGATIVE)


def _touches(box: NDArray[np.float32], faces: NDArray[np.float64]) -> bool:
    """Return whether `box` covers more than a little of any face."""
    low = np.maximum(box[:2], faces[:, :2])
    high = np.minimum(box[2:], faces[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(faces[:, 2:] - faces[:, :2], axis=1)
    own = float(np.prod(box[2:] - box[:2]))
    return bool((shared > TOUCH * np.minimum(areas, own)).any())


def to_cache(samples: list[Sample]) -> FaceCache:
    """Return samples without points as a cache, the held-out pictures marked."""
    listed = listed_names()
    count = len(samples)
    return FaceCache(
        np.array([s.image for s in samples], np.uint8).reshape(count, CACHE_SIZE, CACHE_SIZE),
        np.full(count, NEGATIVE),
        np.zeros(count, np.float32),
        {
            k: np.full((count, n, 2), np.nan, np.float32)
            for k, n in (("ibug68", 68), ("helen194", 194))
        },
        [s.name for s in samples],
        np.array([s.group in listed for s in samples], dtype=bool),
    )


def training_faces(data: Path, folder: Path) -> FaceCache:
    """Return the faces of `data` and the false alarms of the shipped detector on its pictures.

    Both are built on first use and kept in `folder`, as `faces.npz` and `mined.npz`.
    """
    faces = load_or_build(data, folder)
    mined = folder / "mined.npz"
    if not mined.is_file() and (data / "facedet" / "boxes.csv").is_file():
        save_cache(mined, to_cache(list(mine(data))))
    return joined(faces, read_cache(mined)) if mined.is_file() else faces


def joined(first: FaceCache, second: FaceCache) -> FaceCache:
    """Return the samples of both caches."""
    return FaceCache(
        np.concatenate((first.images, second.images)),
        np.concatenate((first.kind, second.kind)),
        np.concatenate((first.roll, second.roll)),
        {key: np.concatenate((first.points[key], second.points[key])) for key in first.points},
        first.names + second.names,
        np.concatenate((first.held_out, second.held_out)),
    )
