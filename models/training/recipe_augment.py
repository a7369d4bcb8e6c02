"""Crops for pretraining an encoder: drawn anew each time, from wide crops kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ..crops import SIDE_PER_EXTENT, Crop, transform_points
from .recipe_data import cut_face, jitter_colour

if TYPE_CHECKING:
    from .evaluate_data import AnnotatedFace

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
WIDE, WIDE_PX = 1.4, 288  # of the usual crop's side; leaves room for shifts, turns and scales
SHIFT, SCALE, TURN_DEG = 0.12, (0.85, 1.2), 20.0
MIRRORED, GREY, COARSE, COARSEST = 0.5, 0.1, 0.3, 0.35


def wide_crop(bgr: U8, face: AnnotatedFace, size: int, _rng: np.random.Generator) -> tuple[U8, F32]:
    """Cut the surroundings of a face, (S, S, 3) RGB, and move its points there."""
    return cut_face(bgr, _around(face.points_px, WIDE), size, face.points_px)


def _around(points: F32, wide: float) -> Crop:
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (float(v) for v in (low + high) / 2)
    return Crop(x, y, wide * SIDE_PER_EXTENT * float((high - low).max()))


def vary(
    wide: U8, points: F32, size: int, flip: NDArray[np.intp], rng: np.random.Generator
) -> tuple[U8, F32]:
    """Draw a crop (size, size, 3) from a wide one and its points (K, 2); `flip` mirrors them."""
    crop = _drawn(_around(points, 1.0), rng)
    matrix = crop.to_crop(size)
    rgb, found = _sample(wide, matrix, crop.side, size), transform_points(matrix, points)
    if rng.random() < MIRRORED:
        rgb = rgb[:, ::-1]
        found = (found * np.array((-1, 1), np.float32) + np.array((size - 1, 0), np.float32))[flip]
    return _spoil(np.ascontiguousarray(rgb), rng), found


def _drawn(usual: Crop, rng: np.random.Generator) -> Crop:
    """Shift, scale and turn a crop at random."""
    shift = rng.uniform(-SHIFT, SHIFT, 2) * usual.side / SIDE_PER_EXTENT
    return Crop(
        usual.centre_x + shift[0],
        usual.centre_y + shift[1],
        usual.side * rng.uniform(*SCALE),
        float(np.radians(rng.uniform(-TURN_DEG, TURN_DEG))),
    )


def _sample(wide: U8, matrix: NDArray[np.float64], side: float, size: int) -> U8:
    """Return the crop (size, size, 3) that `matrix` cuts, `side` px wide in the picture."""
    picture = wide
    while side * picture.shape[0] / len(wide) > 1.5 * size:  # sampling alone would alias
        half = picture.shape[0] // 2
        picture = np.asarray(cv2.resize(picture, (half, half), interpolation=cv2.INTER_AREA))
    scale = len(wide) / picture.shape[0]
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ np.full(2, (scale - 1) / 2)
    moved[:, :2] *= scale
    flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    rgb = cv2.warpAffine(picture, moved, (size, size), flags=flags, borderMode=border)
    return np.asarray(rgb, np.uint8)


def _spoil(rgb: U8, rng: np.random.Generator) -> U8:
    """Change colours, and at times the resolution, as cameras do."""
    rgb = jitter_colour(rgb, rng)
    if rng.random() < GREY:
        rgb = np.repeat(rgb.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    if rng.random() < COARSE:
        size = rgb.shape[0]
        small = max(round(size * rng.uniform(COARSEST, 1.0)), 8)
        coarse = cv2.resize(rgb, (small, small), interpolation=cv2.INTER_AREA)
        rgb = np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    return rgb
