"""A last linear layer that makes points agree with each other as they do on labelled faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ..crops import SIDE_PER_EXTENT, Crop, transform_points
from .landmark_augment import cut_crop, tight_box
from .landmark_batches import images_tensor
from .landmark_cache import LANDMARKS, FaceCache
from .landmark_holdout import set_aside
from .landmark_network import SCHEMES, LandmarkNet, soft_argmax

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor

    from .landmark_formats import Points

    F32 = NDArray[np.float32]
    F64 = NDArray[np.float64]

# Photos only: their points are sharper than those of video frames, and lie a little differently.
SOURCES = {"ibug68": ("helen68", "afw68"), "helen194": ("helen68", "helen194_extra")}
# The further photos' points were scaled back by fitting, 1-2 % of the inter-ocular distance off.
TRUST = {"helen194_extra": 0.2}
CROPS, FEWEST = 3, 100
# Deviations of shift, scale and angle: a face that is followed or set right, a detector's box.
NEAR, ROUGH = (0.02, 0.03, 0.035), (0.06, 0.08, 0.2)
STRENGTHS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
BATCH = 64


def shape_layers(
    net: LandmarkNet, faces: FaceCache, size: int, *, rough: bool = False
) -> dict[str, Tensor]:
    """Return per scheme the layer (2K + 1, 2K) that `shaped` applies, the bias last.

    A ridge regression from the points found to how far off they are, on crops of training photos
    that stray as those of followed faces do, or as a detector's where they are `rough`. Heat maps
    find each point by itself; this knows what outlines look like. Photos whose points are less
    exact count less. A scheme with fewer than 100 photos has no layer.
    """
    layers = {}
    for scheme in SCHEMES:
        rows = _rows(faces, scheme)
        if len(rows) >= FEWEST:
            found, truth = _answers(net, faces, rows, scheme, size, ROUGH if rough else NEAR)
            photo = np.repeat(rows, CROPS)
            layer = _fit(found, truth, _trust(faces, photo), _judges(faces, rows)[photo])
            layers[scheme] = torch.from_numpy(layer)
    return layers


def shaped(points: F32, layer: Tensor, size: int) -> F32:
    """Return points (N, K, 2) of crops of `size` px, put right by a layer."""
    flat = (points / size - 0.5).reshape(len(points), -1)
    weight = layer.numpy()
    step = (flat @ weight[:-1] + weight[-1]) * size
    return np.asarray(points + step.reshape(points.shape), dtype=np.float32)


def _rows(faces: FaceCache, scheme: str) -> NDArray[np.intp]:
    source = np.array([name.split("/")[0] in SOURCES[scheme] for name in faces.names])
    labelled = ~np.isnan(faces.points[scheme]).any(axis=(1, 2))
    return np.flatnonzero(source & labelled & (faces.kind == LANDMARKS) & ~faces.held_out)


def _judges(faces: FaceCache, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which faces (N,) judge strengths: those set aside, whose answers no training drew.

    On photos that the network trained on, its points are righter than elsewhere and ask for less
    of a layer's caution. Where none of `rows` is set aside, every fifth judges.
    """
    aside = set_aside(faces)
    if not aside[rows].any():
        aside[rows[::5]] = True
    return aside


def _trust(faces: FaceCache, rows: NDArray[np.intp]) -> F64:
    return np.array([TRUST.get(faces.names[row].split("/")[0], 1.0) for row in rows])


def _answers(
    net: LandmarkNet,
    faces: FaceCache,
    rows: NDArray[np.intp],
    scheme: str,
    size: int,
    stray: tuple[float, float, float],
) -> tuple[F32, F32]:
    """Return what the network finds and the truth (N, K, 2), as shares of the crop from -0.5."""
    rng = np.random.default_rng(0)
    crops, truth = [], []
    for row in np.repeat(rows, CROPS):
        points = faces.points[scheme][row]
        matrix = _stray(points, float(faces.roll[row]), stray, rng).to_crop(size)
        crops.append(cut_crop(faces.images[row], matrix, size))
        truth.append(transform_points(matrix, points))
    found = []
    with torch.inference_mode():
        for start in range(0, len(crops), BATCH):
            maps, _ = net.features(images_tensor(np.stack(crops[start : start + BATCH])))
            found.append(soft_argmax(net.maps[scheme](maps)).numpy())
    shares = (np.concatenate(each) / size - 0.5 for each in (found, np.stack(truth)[None]))
    seen, wanted = (each.astype(np.float32) for each in shares)
    return seen, wanted


def _stray(points: Points, roll: float, reach: tuple[float, float, float], rng: Generator) -> Crop:
    """Draw a crop off by so much in shift (of the extent), scale (its logarithm) and angle."""
    shift, scale, turn = reach
    centre, extent = tight_box(points, -roll)
    x, y = centre + rng.normal(0, shift, 2) * extent
    side = SIDE_PER_EXTENT * extent * float(np.exp(rng.normal(0, scale)))
    return Crop(float(x), float(y), side, float(rng.normal(0, turn)) - roll)


def _fit(found: F32, truth: F32, trust: F64, judges: NDArray[np.bool_]) -> F32:
    """Fit all rows with the strength that, fitted on the others, does best on the judges."""
    flat = found.reshape(len(found), -1).astype(np.float64)
    inputs: F64 = np.hstack((flat, np.ones((len(found), 1))))
    miss: F64 = (truth - found).reshape(len(found), -1).astype(np.float64)
    rest, errors = ~judges, []
    for strength in STRENGTHS:
        layer = _ridge(inputs[rest], miss[rest], strength, trust[rest])
        left = (miss - inputs @ layer)[judges].reshape(-1, *truth.shape[1:])
        apart = np.linalg.norm(left, axis=2).mean(axis=1)
        errors.append(np.average(apart, weights=trust[judges]))
    best = STRENGTHS[int(np.argmin(errors))]
    return _ridge(inputs, miss, best, trust).astype(np.float32)


def _ridge(inputs: F64, wanted: F64, strength: float, trust: F64) -> F64:
    """Ridge regression of weighted rows whose last input, the constant, costs nothing."""
    cost = np.full(inputs.shape[1], strength * trust.sum())
    cost[-1] = 0.0
    counted = inputs.T * trust
    solved = np.linalg.solve(counted @ inputs + np.diag(cost), counted @ wanted)
    return np.asarray(solved, dtype=np.float64)
