"""Let labels move towards what another program finds on the same faces: a second opinion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..metrics import face_errors
from ..topology import topology
from .landmark_cache import DAMAGED, FaceCache
from .landmark_formats import AnnotationError
from .landmark_network import SCHEMES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .landmark_formats import Points

    Complex = NDArray[np.complex128]
    Rows = NDArray[np.intp]

# Photos whose points are neither rounded nor of a recovered scale.
FITTED_ON = {"ibug68": ("helen68", "afw68"), "helen194": ("helen68",)}
FEWEST, FOLDS = 100, 10
RIDGE = 5e-4  # for shapes of norm 1
SHARE = 0.5  # of the way; the mean of two that err apart errs least
FEWEST_LOOKS = 2 / 3
# Of the inter-ocular distance: a mesh further off is of another face, looks further apart a guess.
NEAR, AGREEMENT = 0.12, 0.03


@dataclass(frozen=True, slots=True)
class Opinion:
    """Points (L, R, M, 2) in px of the faces `rows` (R,) of a cache, NaN where none were found.

    M may be any number; L looks are averaged once they are mapped.
    """

    name: str
    points: Points
    rows: Rows


def read_opinion(path: Path, faces: FaceCache) -> Opinion:
    """Read an `.npz` of arrays `points` and `rows`; AnnotationError names one that does not fit."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            points = np.asarray(kept["points"], dtype=np.float32)
            rows = np.asarray(kept["rows"], dtype=np.intp)
    except DAMAGED as error:
        raise AnnotationError(f"{path}: not a file of another program's points") from error
    if points.ndim != 4 or points.shape[3] != 2 or rows.shape != points.shape[1:2]:
        shapes = f"points {points.shape}, rows {rows.shape}"
        raise AnnotationError(f"{path}: want points (L, R, M, 2) and rows (R,), got {shapes}")
    if len(np.unique(rows)) != len(rows) or ((rows < 0) | (rows >= len(faces.names))).any():
        count = len(faces.names)
        raise AnnotationError(f"{path}: rows must be different ones of the {count} in faces.npz")
    return Opinion(path.stem, points, rows)


def with_opinion(faces: FaceCache, opinion: Opinion) -> tuple[FaceCache, int]:
    """Return the cache with labels moved half of the way to the opinion, and how many faces were.

    Each look's points are mapped linearly to each scheme, as the labels of training photos have it;
    a photo's own label has no part in the map that judges it (ten folds). Where the looks disagree,
    or lie too far from the label, it stays, as do renders and all that is held out. A label is one
    annotator's answer and errs alone; two that err apart, averaged, teach less of either's error.
    """
    points, mirrored = ({**each} for each in (faces.points, faces.mirrored or faces.points))
    movable = np.array([not name.startswith("render/") for name in faces.names]) & ~faces.held_out
    moved = np.zeros(len(faces.names), dtype=bool)
    for scheme in SCHEMES:
        found, sure = _mapped(faces, opinion, scheme)
        labels = faces.points[scheme]
        use = movable & sure & (face_errors(found, labels, topology(scheme)) < NEAR)
        step = np.where(use[:, None, None], SHARE * (found - labels), 0).astype(np.float32)
        points[scheme], mirrored[scheme] = labels + step, mirrored[scheme] + step
        moved |= use
    return replace(faces, points=points, mirrored=mirrored), int(moved.sum())


def _mapped(faces: FaceCache, opinion: Opinion, scheme: str) -> tuple[Points, NDArray[np.bool_]]:
    """Return points (N, K, 2), NaN where there is no opinion, and which looks agree on."""
    looks = np.full((len(opinion.points), *faces.points[scheme].shape), np.nan)
    for look, points in zip(looks, opinion.points, strict=True):
        found = ~np.isnan(points).any(axis=(1, 2))
        if found.any():
            rows = opinion.rows[found]
            look[rows] = _one_look(faces, _complex(points[found]), rows, scheme)
    seen = ~np.isnan(looks[:, :, 0, 0])
    total = np.where(seen[..., None, None], looks, 0).sum(axis=0)
    mean = total / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)[:, None, None]
    apart = np.stack([face_errors(look, mean, topology(scheme)) for look in looks])
    with np.errstate(invalid="ignore"):
        spread = np.where(seen, apart, 0).sum(axis=0) / seen.sum(axis=0)
        sure = (seen.mean(axis=0) >= FEWEST_LOOKS) & (spread < AGREEMENT)
    return mean.astype(np.float32), sure


def _one_look(faces: FaceCache, mesh: Complex, rows: Rows, scheme: str) -> NDArray[np.float64]:
    """Return the points (R, K, 2) that meshes (R, M) of cache rows stand for; NaN without a map."""
    centre, turn = _pose(mesh)
    shape = (mesh - centre) / turn
    labels = _complex(faces.points[scheme][rows])
    wanted = (labels - centre) / turn
    source = np.array([faces.names[row].split("/")[0] for row in rows])
    known = np.isin(source, FITTED_ON[scheme]) & ~faces.held_out[rows] & ~np.isnan(labels[:, 0])
    if known.sum() < FEWEST:
        return np.full((len(rows), labels.shape[1], 2), np.nan)
    first = _ridge(shape[known], wanted[known], shape)
    known &= face_errors(_plane(first), _plane(wanted), topology(scheme)) < NEAR
    answer = _ridge(shape[known], wanted[known], shape)
    folds = rows % FOLDS
    for fold in range(FOLDS):
        out = known & (folds == fold)
        rest = known & (folds != fold)
        answer[out] = _ridge(shape[rest], wanted[rest], shape[out])
    return _plane(answer * turn + centre)


def _pose(mesh: Complex) -> tuple[Complex, Complex]:
    """Return centre and turn with scale (R, 1) that lay meshes (R, M) onto their mean shape."""
    centre = mesh.mean(axis=1, keepdims=True)
    flat = mesh - centre
    mean = flat[0] / np.linalg.norm(flat[0])
    for _ in range(2):
        turn = (flat @ mean.conj())[:, None]
        mean = (flat / turn).mean(axis=0)
        mean /= np.linalg.norm(mean)
    return centre, turn


def _ridge(source: Complex, wanted: Complex, asked: Complex) -> Complex:
    """Map shapes as the pairs `source`, `wanted` have it: ridge regression in its dual form."""
    origin, target = source.mean(axis=0), wanted.mean(axis=0)
    rows, columns = _real(source - origin), _real(wanted - target)
    gram = rows @ rows.T + RIDGE * np.eye(len(rows))
    weights = rows.T @ np.linalg.solve(gram, columns)
    real, imaginary = np.split(_real(asked - origin) @ weights, 2, axis=1)
    return np.asarray(real + 1j * imaginary + target, dtype=np.complex128)


def _complex(points: Points) -> Complex:
    return points[..., 0].astype(np.float64) + 1j * points[..., 1].astype(np.float64)


def _plane(points: Complex) -> NDArray[np.float64]:
    return np.stack((points.real, points.imag), axis=2)


def _real(points: Complex) -> NDArray[np.float64]:
    return np.concatenate((points.real, points.imag), axis=1)
