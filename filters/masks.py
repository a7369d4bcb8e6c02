"""Soft-edged shapes and what is laid through them: 0 = nothing, 255 = all."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .canvas import Canvas, cover, window
from .colour import components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..pipeline.frame import U8
    from .geometry import F64, Rect

FRACTION_BITS = 4
SUBDIVISIONS = 4


@cache
def _spline_weights(count: int) -> F64:
    """Return (4 count, count): a closed Catmull-Rom curve through `count` points."""
    weights = np.zeros((count * SUBDIVISIONS, count))
    for row in range(count * SUBDIVISIONS):
        index, t = row // SUBDIVISIONS, row % SUBDIVISIONS / SUBDIVISIONS
        basis = (
            -t / 2 + t * t - t**3 / 2,
            1 - 2.5 * t * t + 1.5 * t**3,
            t / 2 + 2 * t * t - 1.5 * t**3,
            -t * t / 2 + t**3 / 2,
        )
        for step, value in enumerate(basis, -1):
            weights[row, (index + step) % count] += value
    return weights


def rounded(points: F64) -> F64:
    """Return a smooth closed outline (4 N, 2) through points (N, 2)."""
    outline: F64 = _spline_weights(len(points)) @ points
    return outline


def fixed_point(points: F64, rect: Rect, shrink: int = 1) -> NDArray[np.int32]:
    """Return points inside `rect`, at 1 / `shrink`, as cv2 draws with `shift=FRACTION_BITS`."""
    relative = (points - (rect.x0, rect.y0) + 0.5) / shrink - 0.5
    return np.rint(relative * (1 << FRACTION_BITS)).astype(np.int32)


def soft_polygon(outline: F64, rect: Rect, grow_px: float, soften_px: float) -> U8:
    """Return the mask (rect's h, w) of a polygon (N, 2), widened by `grow_px`, then blurred."""
    # A wide blur leaves nothing fine: drawn small and enlarged it looks the same, far quicker.
    shrink = max(int(soften_px / 1.5), 1)
    height, width = -(-rect.height // shrink), -(-rect.width // shrink)
    mask = np.zeros((height, width), np.uint8)
    points = [fixed_point(outline, rect, shrink)]
    cv2.fillPoly(mask, points, (255,), cv2.LINE_AA, FRACTION_BITS)
    line = min(round(2 * grow_px / shrink), 255)
    if line > 0:
        cv2.polylines(mask, points, True, (255,), line, cv2.LINE_AA, FRACTION_BITS)
    if soften_px > 0.3:
        cv2.GaussianBlur(mask, (0, 0), soften_px / shrink, mask, 0, cv2.BORDER_CONSTANT)
    if shrink == 1:
        return mask
    large = cv2.resize(mask, (width * shrink, height * shrink), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(large[: rect.height, : rect.width])


def at_step(mask: U8, step: int) -> U8:
    """Return the mask at the resolution of planes with one sample every `step` px."""
    if step == 1:
        return mask
    size = (mask.shape[1] // step, mask.shape[0] // step)
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)


def deep(mask: U8, target: U8) -> U8:
    """Return the mask with as many channels as `target`."""
    return mask if target.ndim == 2 else np.asarray(cv2.merge([mask] * target.shape[2]), np.uint8)


def mix(target: U8, source: U8, mask: U8) -> None:
    """Put `source` over `target` in place where the mask (h, w) says; 0 leaves it bit for bit."""
    mask = deep(mask, target)
    colour, clear = cv2.multiply(source, mask, scale=1 / 255), cv2.bitwise_not(mask)
    cover(target, np.asarray(colour, np.uint8), np.asarray(clear, np.uint8))


def paint(canvas: Canvas, rect: Rect, mask: U8, rgb: F64) -> None:
    """Lay one colour over the picture inside `rect` through a mask of its size."""
    planes = canvas.begin(rect)
    for group in canvas.groups:
        values = components(rgb, group.kind, canvas.caps)
        part = at_step(mask, group.step)
        for index, channels in group.planes:
            target = window(planes[index], rect, group.step)
            colour = np.empty_like(target)
            colour[:] = np.rint([values[c] for c in channels]).astype(np.uint8)
            mix(target, colour, part)
