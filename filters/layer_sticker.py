"""Layer `sticker`: a picture fixed to the face."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from .art import Art, load_art, prepare_art
from .canvas import GROUPS, Canvas, Group, chroma_site, cover, window

if TYPE_CHECKING:
    from pathlib import Path

    from ..pipeline.caps import Caps
    from ..pipeline.frame import U8, Face
    from .geometry import F64, FaceAxes, Rect
    from .spec import Sticker

SHORTEST_STRETCH = 0.05
WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
OUTSIDE, CLEAR = cv2.BORDER_CONSTANT, (0, 0, 0, 255)  # around the art there is nothing to see


class StickerPainter:
    """Draws one sticker layer on frames of one format."""

    def __init__(self, spec: Sticker, folder: Path, caps: Caps) -> None:
        kinds = tuple(group.kind for group in GROUPS[caps.pixel_format])
        self.art = prepare_art(load_art(folder, spec.image), kinds, caps)
        self.spec = spec
        centre = (self.art.width - 1) / 2, (self.art.height - 1) / 2
        self._pivot = complex(*(spec.pivot_px or centre))
        self._line = complex(*spec.end_px) - self._pivot if spec.end_px else 0j

    def draw(self, canvas: Canvas, face: Face, axes: FaceAxes | None) -> None:
        """Draw on one face; nothing where its points are unknown."""
        place = self._placement(axes) if axes is not None else None
        if place is not None:
            draw_art(canvas, self.art, place)

    def _placement(self, axes: FaceAxes) -> Affine | None:
        """Return where the art's pixels go, None where it is hidden."""
        spec, pivot = self.spec, self._pivot
        start = axes.place(spec.at, spec.offset)
        if spec.stretch_to and spec.end_px:
            goal = axes.place((spec.stretch_to,), spec.stretch_offset) - start
            outward = (goal * (start - axes.origin).conjugate()).real
            # What would run back towards the middle of the face lies behind the head.
            if outward <= 0 or abs(goal) < SHORTEST_STRETCH * axes.size:
                return None
            x, y = _stretched(self._line, goal, axes, spec.width)
        else:
            across = axes.across if spec.follow == "affine" else axes.upright_across
            scale = spec.width / self.art.width
            x, y = across * scale, axes.down * scale
        return Affine(x, y, start - pivot.real * x - pivot.imag * y)


def _stretched(
    line: complex, goal: complex, axes: FaceAxes, width: float
) -> tuple[complex, complex]:
    """Return where the art's axes go when its `line` becomes `goal`; beside it, it keeps scale.

    The art's lower side stays below, so one arm of a pair of glasses serves for both.
    """
    length = abs(line)
    side = goal / abs(goal) * 1j
    below = 1 if (side * axes.down.conjugate()).real >= 0 else -1
    thick = side * (below * width * axes.size / length)
    cos, sin = line.real / length, line.imag / length
    return goal / length * cos - thick * sin, goal / length * sin + thick * cos


class Affine(NamedTuple):
    """A map of the plane: (x, y) goes to x * `x` + y * `y` + `shift`, complex numbers all."""

    x: complex
    y: complex
    shift: complex

    @property
    def area(self) -> float:
        """How many picture px one art px covers; negative where it is mirrored."""
        return (self.x.conjugate() * self.y).imag

    def at(self, x: float, y: float) -> complex:
        """Return where (x, y) goes."""
        return x * self.x + y * self.y + self.shift

    def bounds(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[complex, complex]:
        """Return the lower and the upper corner around where this rectangle goes."""
        lows, highs = [], []
        for x, y, shift in (
            (self.x.real, self.y.real, self.shift.real),
            (self.x.imag, self.y.imag, self.shift.imag),
        ):
            near_x, far_x = (left * x, right * x) if x > 0 else (right * x, left * x)
            near_y, far_y = (top * y, bottom * y) if y > 0 else (bottom * y, top * y)
            lows.append(near_x + near_y + shift)
            highs.append(far_x + far_y + shift)
        return complex(*lows), complex(*highs)

    def inverse(self) -> Affine:
        """Return the map back; `area` must not be 0."""
        area = self.area
        x = complex(self.y.imag, -self.x.imag) / area
        y = complex(-self.y.real, self.x.real) / area
        return Affine(x, y, -self.shift.real * x - self.shift.imag * y)


def draw_art(canvas: Canvas, art: Art, place: Affine) -> None:
    """Blend `art` into the picture where `place` (art px to picture px) puts it."""
    area = abs(place.area)
    if area < 1e-9:
        return
    left, top = art.visible[:2]
    rect = canvas.between(*place.bounds(*art.visible))
    if rect is None:
        return
    x0, y0, x1, y1 = rect
    back = place.inverse()
    first = back.at(x0, y0) - complex(left, top)
    planes = canvas.begin(rect)
    for group in canvas.groups:
        step = group.step
        level = art.level(group.kind, area**0.5 / step)
        matrix = _sampling(back, first, step, level.scale, canvas.caps)
        width, height = (x1 - x0) // step, (y1 - y0) // step
        warped = canvas.scratch.take("warped", (height, width, 4))
        cv2.warpAffine(level.packed, matrix, (width, height), warped, WARP, OUTSIDE, CLEAR)
        _blend(canvas, planes, rect, group, warped)


def _sampling(
    back: Affine, first: complex, step: int, scale: tuple[float, float], caps: Caps
) -> F64:
    """Return the matrix (2, 3) from samples of a plane to px of a pyramid level.

    `first` is where, in px of the art, the picture's px lies that the plane's part begins at.
    """
    if step == 2:
        x, y = chroma_site(caps)
        first += x * back.x + y * back.y
    right, lower, (wide, high) = back.x * step, back.y * step, scale
    return np.array(
        (
            (right.real * wide, lower.real * wide, (first.real + 0.5) * wide - 0.5),
            (right.imag * high, lower.imag * high, (first.imag + 0.5) * high - 0.5),
        )
    )


def _blend(canvas: Canvas, planes: tuple[U8, ...], rect: Rect, group: Group, warped: U8) -> None:
    size = warped.shape[:2]
    parts = list(canvas.scratch.take("parts", (4, *size)))
    cv2.split(warped, parts)
    clear = parts[3]
    for index, channels in group.planes:
        target = window(planes[index], rect, group.step)
        if len(channels) == 1:
            cover(target, parts[channels[0]], clear)
            continue
        colour = canvas.scratch.take("colour", (*size, len(channels)))
        layers = [parts[c] if c < 3 else cv2.bitwise_not(clear) for c in channels]
        cv2.merge(layers, dst=colour)
        deep = canvas.scratch.take("clear", colour.shape)
        cv2.merge([clear] * len(channels), dst=deep)
        cover(target, colour, deep)
