"""Landmark errors: normalised mean error (NME), failure rates, area under the error curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .topology import Topology

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics over faces of errors given as a fraction of the inter-ocular distance."""

    n: int
    nme_interocular: float
    median: float
    failure_8: float
    failure_10: float
    auc_8: float


def point_errors(
    found: NDArray[np.floating], truth: NDArray[np.floating], scheme: Topology
) -> Array:
    """Return distances (N, K) over the inter-ocular distance, of points (N, K, 2) in one unit."""
    distance = np.linalg.norm(np.asarray(found, dtype=float) - truth, axis=-1)
    return np.asarray(distance / scheme.interocular(truth)[:, None], dtype=np.float64)


def face_errors(
    found: NDArray[np.floating], truth: NDArray[np.floating], scheme: Topology
) -> Array:
    """Return the NME (N,) of each face; a face not found (NaN) counts as 1.0."""
    errors = point_errors(found, truth, scheme).mean(axis=1)
    return np.asarray(np.nan_to_num(errors, nan=1.0), dtype=np.float64)


def region_errors(
    found: NDArray[np.floating], truth: NDArray[np.floating], scheme: Topology
) -> dict[str, float]:
    """Return the mean error of each named region over the faces that were found."""
    errors = point_errors(found, truth, scheme)
    return {name: float(np.nanmean(errors[:, index])) for name, index in scheme.regions.items()}


def summarise(errors: NDArray[np.floating]) -> Summary:
    """Summarise the errors (N,) of faces; ValueError when there are none."""
    if len(errors) == 0:
        raise ValueError("no faces to summarise")
    return Summary(
        n=len(errors),
        nme_interocular=float(np.mean(errors)),
        median=float(np.median(errors)),
        failure_8=float(np.mean(errors > 0.08)),
        failure_10=float(np.mean(errors > 0.10)),
        auc_8=area_under_curve(errors, 0.08),
    )


def area_under_curve(errors: NDArray[np.floating], limit: float) -> float:
    """Return the area (0..1) under the cumulative share of faces below an error, up to `limit`."""
    return float(np.mean(np.clip(1.0 - np.asarray(errors) / limit, 0.0, 1.0)))
