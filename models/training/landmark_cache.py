"""The file that training reads its faces from: arrays of loose upright luma crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from ..crops import SIDE_PER_EXTENT
from .landmark_formats import AnnotationError
from .whole_files import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .landmark_formats import Points

CACHE_SIZE = 320  # holds a crop of 192 px at full sharpness
CACHE_LOOSENESS = 2.2 / SIDE_PER_EXTENT
NEGATIVE, FACE, LANDMARKS = 0, 1, 2
DAMAGED = (OSError, ValueError, LookupError, EOFError, TypeError, BadZipFile)


@dataclass(slots=True)
class FaceCache:
    """Arrays over samples: luma (N, 320, 320), points in its px, NaN where unlabelled.

    `mirrored` holds the points for crops that will be mirrored, where they are known to differ:
    annotators place points by side, and a mirrored photo must not teach the contrary.
    """

    images: NDArray[np.uint8]
    kind: NDArray[np.int64]
    roll: NDArray[np.float32]
    points: dict[str, Points]
    names: list[str]
    held_out: NDArray[np.bool_]
    mirrored: dict[str, Points] | None = None


def save_cache(path: Path, faces: FaceCache) -> None:
    """Write a cache as one uncompressed `.npz`, without pickled objects, in one rename."""
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(
            file,
            images=faces.images,
            kind=faces.kind,
            roll=faces.roll,
            names=np.array(faces.names),
            held_out=faces.held_out,
            ibug68=faces.points["ibug68"],
            helen194=faces.points["helen194"],
        )


def read_cache(path: Path) -> FaceCache:
    """Read what `save_cache` wrote; AnnotationError names a file that is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            points = {scheme: kept[scheme] for scheme in ("ibug68", "helen194")}
            names = [str(name) for name in kept["names"]]
            arrays = (kept["images"], kept["kind"], kept["roll"])
            faces = FaceCache(*arrays, points, names, kept["held_out"])
    except DAMAGED as error:
        raise AnnotationError(f"{path}: damaged; delete it to have it made again") from error
    if faces.images.shape[1:] != (CACHE_SIZE, CACHE_SIZE):
        raise AnnotationError(f"{path}: made with crops of another size; delete it")
    return faces
