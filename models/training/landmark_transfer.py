"""Give photos annotated with 194 points alone most of the 68, learned from photos with both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .landmark_cache import FaceCache

JAW = 17  # the schemes slide along the jaw by 6 % of the inter-ocular distance: not taken over
RIDGE = 0.3
FEWEST = 200


def with_inner_points(faces: FaceCache) -> FaceCache:
    """Return the cache whose training rows with 194 points alone have the 51 inner of 68 too.

    A ridge regression on faces of zero mean and unit size, fitted on the training rows that have
    both schemes; on held-out ones it is 2.2 % of the inter-ocular distance off. Unchanged where
    fewer than 200 rows have both.
    """
    dense, outline = faces.points["ibug68"], faces.points["helen194"]
    has_68, has_194 = (~np.isnan(p[:, 0, 0]) & ~faces.held_out for p in (dense, outline))
    both, alone = has_68 & has_194, has_194 & ~has_68
    if both.sum() < FEWEST or not alone.any():
        return faces
    centre, size = _frame(outline[both])
    target = ((dense[both] - centre) / size).reshape(int(both.sum()), -1)
    source = _row(outline[both])
    normal = source.T @ source + RIDGE * np.eye(source.shape[1])
    weights = np.linalg.solve(normal, source.T @ target)
    centre, size = _frame(outline[alone])
    found = (_row(outline[alone]) @ weights).reshape(-1, *dense.shape[1:]) * size + centre
    found[:, :JAW] = np.nan
    filled = dense.copy()
    filled[alone] = found
    return replace(faces, points={**faces.points, "ibug68": filled})


def _frame(points: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centre = points.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = ((points - centre) ** 2).sum(axis=2).mean(axis=1)
    return centre, np.sqrt(spread)[:, None, None]


def _row(points: NDArray[np.float32]) -> NDArray[np.float64]:
    centre, size = _frame(points)
    flat = ((points - centre) / size).reshape(len(points), -1)
    return np.concatenate((flat, np.ones((len(points), 1))), axis=1)
