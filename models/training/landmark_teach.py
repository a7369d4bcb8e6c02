"""Let a trained network label what nobody labelled, where its answers to many crops agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from ..crops import SIDE_PER_EXTENT, Crop, crop_from_landmarks, transform_points
from ..topology import topology
from .landmark_augment import cut_crop, tight_box
from .landmark_batches import images_tensor
from .landmark_cache import (
    CACHE_LOOSENESS,
    CACHE_SIZE,
    DAMAGED,
    FACE,
    LANDMARKS,
    NEGATIVE,
    FaceCache,
)
from .landmark_formats import AnnotationError
from .landmark_network import SCHEMES, LandmarkNet, soft_argmax
from .landmark_shape import shaped
from .whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from .landmark_formats import Points

LOOKS = 12
AGREEMENT = 0.02
REFINED = {"ytf68": 0.7, "helen194_extra": 0.5, "helen68": 0.25, "afw68": 0.25}


def taught(
    faces: FaceCache, net: LandmarkNet, size: int, layers: Mapping[str, Tensor]
) -> FaceCache:
    """Return the cache with the points that `net` gives to training rows that lack them.

    Each row is looked at in twelve crops, shifted, turned, scaled and mirrored; the mean is taken
    where the answers differ by less than 2 % of the inter-ocular distance (data distillation,
    Radosavovic et al. 2018). Boxed faces so labelled count as annotated from then on; other labels
    move by the share that `REFINED` says. Rows held out stay as they are.

    The mean of mirrored looks knows no side, but annotators do, so it passes through `layers`
    (`shape_layers`), and so does its mirror image: by how the two differ, the points for mirrored
    crops differ. Renders have no annotator.
    """
    points = {scheme: values.copy() for scheme, values in faces.points.items()}
    mirrored = {scheme: values.copy() for scheme, values in faces.points.items()}
    kind = faces.kind.copy()
    for row in np.flatnonzero(~faces.held_out & (faces.kind != NEGATIVE)):
        source = faces.names[row].split("/")[0]
        crop = _first_crop(faces, int(row), net, size)
        for scheme, (mean, spread) in _looks(faces.images[row], crop, net, size).items():
            layer = None if source == "render" else layers.get(scheme)
            shown, shown_mirrored = _both_sides(mean, crop, scheme, layer, size)
            values = points[scheme][row]
            if spread < AGREEMENT:
                known = np.where(np.isnan(values), shown, values)
                points[scheme][row] = known + REFINED.get(source, 0.0) * (shown - known)
            mirrored[scheme][row] = points[scheme][row] + (shown_mirrored - shown)
        if kind[row] == FACE and not any(np.isnan(points[key][row]).any() for key in SCHEMES):
            kind[row] = LANDMARKS
    return replace(faces, points=points, kind=kind, mirrored=mirrored)


def _both_sides(
    points: Points, crop: Crop, scheme: str, layer: Tensor | None, size: int
) -> tuple[Points, Points]:
    """Return points (K, 2) as the annotators place them: as they are, and in a mirrored crop."""
    if layer is None:
        return points, points
    flip = topology(scheme).flip
    inside = transform_points(crop.to_crop(size), points)
    there = shaped(np.stack((inside, _mirror(inside, flip, size))), layer, size)
    back = crop.to_picture(size)
    return transform_points(back, there[0]), transform_points(back, _mirror(there[1], flip, size))


def _mirror(points: Points, flip: NDArray[np.intp], size: int) -> Points:
    return np.stack((size - 1 - points[flip, 0], points[flip, 1]), axis=1)


def save_taught(path: Path, faces: FaceCache) -> None:
    """Write points and kinds of a taught cache in one rename."""
    mirrored = faces.mirrored or faces.points
    with whole_file(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            kind=faces.kind,
            ibug68=faces.points["ibug68"],
            helen194=faces.points["helen194"],
            ibug68_mirrored=mirrored["ibug68"],
            helen194_mirrored=mirrored["helen194"],
        )


def load_taught(path: Path, faces: FaceCache) -> FaceCache | None:
    """Return the cache as it was taught before; None where `path` holds nothing that fits."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kind, points = arrays["kind"], {scheme: arrays[scheme] for scheme in SCHEMES}
            mirrored = {scheme: arrays[f"{scheme}_mirrored"] for scheme in SCHEMES}
    except DAMAGED as error:
        raise AnnotationError(f"{path}: not a file of taught points; remove it") from error
    fits = len(kind) == len(faces.names)
    return replace(faces, points=points, kind=kind, mirrored=mirrored) if fits else None


def _first_crop(faces: FaceCache, row: int, net: LandmarkNet, size: int) -> Crop:
    """Crop an annotated face by its points, a boxed one by those found in two steps."""
    known = [v[row] for v in faces.points.values() if not np.isnan(v[row]).any()]
    if known:
        centre, extent = tight_box(known[0], -float(faces.roll[row]))
        side = SIDE_PER_EXTENT * extent * 1.02
        return Crop(float(centre[0]), float(centre[1]), side, -float(faces.roll[row]))
    middle = (CACHE_SIZE - 1) / 2
    crop = Crop(middle, middle, CACHE_SIZE / CACHE_LOOSENESS)
    regions = topology("ibug68")
    for _ in range(2):
        matrix = crop.to_crop(size)
        found = _answers(net, _cut(faces.images[row], [matrix], size))["ibug68"][0]
        found = transform_points(crop.to_picture(size), found)
        crop = crop_from_landmarks(found, regions.region("eye.left"), regions.region("eye.right"))
    return crop


def _looks(
    image: NDArray[np.uint8], crop: Crop, net: LandmarkNet, size: int
) -> dict[str, tuple[Points, float]]:
    """Return the mean points of both schemes and how far single answers lie from them."""
    rng = np.random.default_rng(0)
    mirror = np.array([[-1.0, 0, size - 1], [0, 1, 0], [0, 0, 1]])
    matrices = []
    for look in range(LOOKS):
        shift, turn = rng.uniform(-0.05, 0.05, 2) * crop.side, rng.uniform(-0.15, 0.15)
        side = crop.side * rng.uniform(0.95, 1.08)
        near = Crop(crop.centre_x + shift[0], crop.centre_y + shift[1], side, crop.angle + turn)
        matrix = np.vstack((near.to_crop(size), [0, 0, 1]))
        matrices.append((mirror @ matrix if look % 2 else matrix)[:2])
    answers = _answers(net, _cut(image, matrices, size))
    result = {}
    for scheme, found in answers.items():
        regions = topology(scheme)
        found[1::2] = found[1::2, regions.flip]
        back = (np.asarray(cv2.invertAffineTransform(matrix), float) for matrix in matrices)
        there = np.stack([transform_points(b, p) for b, p in zip(back, found, strict=True)])
        mean = there.mean(axis=0)
        apart = max(float(regions.interocular(mean)), 1.0)
        result[scheme] = mean, float(np.linalg.norm(there - mean, axis=2).mean()) / apart
    return result


def _cut(
    image: NDArray[np.uint8], matrices: list[NDArray[np.float64]], size: int
) -> NDArray[np.uint8]:
    return np.stack([cut_crop(image, matrix, size) for matrix in matrices])


def _answers(net: LandmarkNet, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    with torch.inference_mode():
        maps, _ = net.features(images_tensor(crops))
        return {key: soft_argmax(net.maps[key](maps)).numpy() for key in SCHEMES}
