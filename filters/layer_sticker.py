"""Layer `sticker`: a picture fixed to the face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .art import Art, load_art, prepare_art
from .canvas import GROUPS, Canvas, Group, cover, window

if TYPE_CHECKING:
    from pathlib import Path

    from ..pipeline.caps import Caps
    from ..pipeline.frame import U8, Face
    from .geometry import F64, FaceAxes, Rect
    from .spec import Sticker

SHORTEST_STRETCH = 0.03
WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


class StickerPainter:
    """Draws one sticker layer on frames of one format."""

    def __init__(self, spec: Sticker, folder: Path, caps: Caps) -> None:
        kinds = tuple(group.kind for group in GROUPS[caps.pixel_format])
        self.art = prepare_art(load_art(folder, spec.image), kinds, caps)
        self.spec = spec

    def draw(self, canvas: Canvas, face: Face, axes: FaceAxes | None) -> None:
        """Draw on one face; nothing where its points are unknown."""
        matrix = placement(self.spec, self.art, axes) if axes is not None else None
        if matrix is not None:
            draw_art(canvas, self.art, matrix)


def placement(spec: Sticker, art: Art, axes: FaceAxes) -> F64 | None:
    """Return the affine matrix (2, 3) from art px to picture px, None where it is hidden."""
    start = axes.place(spec.at, spec.offset)
    pivot = np.array(spec.pivot_px or ((art.width - 1) / 2, (art.height - 1) / 2))
    if spec.stretch_to and spec.end_px:
        goal = axes.place((spec.stretch_to,), spec.stretch_offset) - start
        # What would run back towards the middle of the face lies behind the head.
        if goal @ (start - axes.origin) <= 0 or goal @ goal < (SHORTEST_STRETCH * axes.size) ** 2:
            return None
        linear = _stretched(np.array(spec.end_px) - pivot, goal, axes, spec.width)
    else:
        across = axes.across if spec.follow == "affine" else axes.upright_across
        linear = np.stack([across, axes.down], axis=1) * (spec.width / art.width)
    return np.column_stack([linear, start - linear @ pivot])


def _stretched(line: F64, goal: F64, axes: FaceAxes, width: float) -> F64:
    """Return the map (2, 2) of art `line` onto `goal`; across it the art keeps its own scale.

    The art's lower side stays below, so one arm of a pair of glasses serves for both.
    """
    length = float(np.hypot(*line))
    reach = max(float(np.hypot(*goal)), 1e-6)
    along, aside = line / length, np.array([-line[1], line[0]]) / length
    side = np.array([-goal[1], goal[0]]) / reach
    thickness = width * axes.size / length * (1.0 if side @ axes.down >= 0 else -1.0)
    linear: F64 = np.outer(goal / length, along) + np.outer(side * thickness, aside)
    return linear


def draw_art(canvas: Canvas, art: Art, matrix: F64) -> None:
    """Blend `art` into the picture where `matrix` (art px to picture px) puts it."""
    (a, b, _), (c, d, _) = matrix.tolist()
    determinant = abs(a * d - b * c)
    corners = np.array(
        [[0, 0, 1], [art.width, 0, 1], [0, art.height, 1], [art.width, art.height, 1]]
    )
    rect = canvas.rect(corners @ matrix.T, margin=0)
    if rect is None or determinant < 1e-9:
        return
    back = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    planes = canvas.begin(rect)
    for group in canvas.groups:
        level = art.level(group.kind, determinant**0.5 / group.step)
        inverse = _sampling(back, rect, group.step, level.scale, canvas.caps)
        shape = (rect.height // group.step, rect.width // group.step)
        warped = canvas.scratch.take("warped", (*shape, 4))
        cv2.warpAffine(level.packed, inverse, shape[::-1], warped, WARP)
        _blend(canvas, planes, rect, group, warped)


def _sampling(back: F64, rect: Rect, step: int, scale: tuple[float, float], caps: Caps) -> F64:
    """Return the matrix from samples of a plane inside `rect` to px of a pyramid level.

    Chroma of limited range lies above the left luma sample of each pair (as H.264 and MPEG-2
    have it), that of full range (JPEG) between them; both lie between the two lines.
    """
    x = rect.x0 + (0.5 if step == 2 and caps.color_range == "full" else 0.0)
    y = rect.y0 + (0.5 if step == 2 else 0.0)
    return np.array(
        [
            [a * step * s, b * step * s, (a * x + b * y + shift + 0.5) * s - 0.5]
            for (a, b, shift), s in zip(back.tolist(), scale, strict=True)
        ]
    )


def _blend(canvas: Canvas, planes: tuple[U8, ...], rect: Rect, group: Group, warped: U8) -> None:
    height, width = warped.shape[:2]
    clear, clear_depth = None, 0
    for index, channels in group.planes:
        depth = len(channels)
        colour = canvas.scratch.take("colour", (height, width, depth))
        cv2.mixChannels([warped], [colour], [v for i, c in enumerate(channels) for v in (c, i)])
        if clear is None or clear_depth != depth:
            clear, clear_depth = canvas.scratch.take("clear", (height, width, depth)), depth
            cv2.mixChannels([warped], [clear], [v for i in range(depth) for v in (3, i)])
            cv2.bitwise_not(clear, dst=clear)
        cover(window(planes[index], rect, group.step), colour, clear)
