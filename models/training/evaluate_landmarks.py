"""Judge a landmark network by the protocols of docs/evaluation.md."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..crops import SIDE_PER_EXTENT, Crop
from ..metrics import face_errors, region_errors, summarise
from ..topology import topology
from .landmark_formats import check_face, read_bgr, read_luma

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ..landmarks import LandmarkModel
    from .evaluate_data import AnnotatedFace

F32 = NDArray[np.float32]
SHIFT, SCALE, ROTATION_DEG = 0.1, (0.9, 1.15), 15.0
NOT_FOUND = 1.0


def jittered_crop(points_px: F32, rng: np.random.Generator) -> Crop:
    """Draw the crop of the crop protocol around true points (K, 2)."""
    low, high = points_px.min(axis=0), points_px.max(axis=0)
    extent = float((high - low).max())
    x, y = (low + high) / 2 + rng.uniform(-SHIFT, SHIFT, 2) * extent
    side = SIDE_PER_EXTENT * extent * rng.uniform(*SCALE)
    angle = np.radians(rng.uniform(-ROTATION_DEG, ROTATION_DEG))
    return Crop(float(x), float(y), side, float(angle))


def crop_protocol(
    model: LandmarkModel,
    faces: Sequence[AnnotatedFace],
    seed: int = 0,
    progress: Callable[[int], None] = lambda _done: None,
    coarse: bool = True,
) -> F32:
    """Return the points found (N, K, 2) in picture px, each from one jittered crop, one pass.

    Without `coarse` the network gets the crop as it is, and no coarse one sets it right.
    """
    rng, look = np.random.default_rng(seed), model.look if coarse else model.run
    found = []
    for number, face in enumerate(faces, 1):
        picture = picture_for(model, face.image)
        check_face(face, face.points_px, picture.shape)
        crop = jittered_crop(face.points_px, rng)
        found.append(look(picture, [crop]).points_px[0])
        progress(number)
    return np.stack(found).astype(np.float32)


def picture_for(model: LandmarkModel, path: Path) -> NDArray[np.uint8]:
    """Read a picture as `model` takes it: luma (H, W) or BGR (H, W, 3)."""
    return read_bgr(path) if model.colour else read_luma(path)


def nearest(face: AnnotatedFace, candidates: Iterable[F32]) -> F32:
    """Return the candidate (K, 2) nearest the truth by mean point distance, or NaN of its shape.

    One that is further off than the eyes are apart is another face: this one was not found.
    """
    truth = face.points_px
    scheme = next(name for name in ("ibug68", "helen194") if topology(name).points == len(truth))
    usable = [points for points in candidates if points.shape == truth.shape]
    missing = np.full_like(truth, np.nan)
    if not usable:
        return missing
    distances = [float(np.linalg.norm(points - truth, axis=1).mean()) for points in usable]
    best = int(np.argmin(distances))
    found = distances[best] < NOT_FOUND * float(topology(scheme).interocular(truth))
    return usable[best] if found else missing


def errors_of(faces: Sequence[AnnotatedFace], found: F32, scheme: str) -> NDArray[np.float64]:
    """Return the error (N,) of each face as a fraction of its inter-ocular distance."""
    truth = np.stack([face.points_px for face in faces])
    return face_errors(found, truth, topology(scheme))


def report(faces: Sequence[AnnotatedFace], found: F32, scheme: str) -> dict[str, Any]:
    """Return the figures that `vidfilter eval landmarks --json` prints."""
    truth = np.stack([face.points_px for face in faces])
    figures: dict[str, Any] = asdict(summarise(errors_of(faces, found, scheme)))
    seen = ~np.isnan(found[:, 0, 0])
    figures["found"] = int(seen.sum())
    regions = region_errors(found[seen], truth[seen], topology(scheme)) if seen.any() else {}
    figures["regions"] = {name: round(value, 5) for name, value in regions.items()}
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in figures.items()}
