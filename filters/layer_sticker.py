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


class StickerPainter:
    """Draws one sticker layer on frames of one format."""

    def __init__(self, spec: Sticker, folder: Path, caps: Caps) -> None:
        kinds = tuple(group.kind for group in GROUPS[caps.pixel_format])
        self.art = prepare_art(load_art(folder, spec.image), kinds, caps)
        self.spec = spec

    def draw(self, canvas: Canvas, face: Face, axes: FaceAxes | None) -> None:
        """Draw on one face; nothing where its points are unknown."""
        place = placement(self.spec, self.art, axes) if axes is not None else None
        if place is not None:
            draw_art(canvas, self.art, place)


def placement(spec: Sticker, art: Art, axes: FaceAxes) -> Affine | None:
    """Return where the art's pixels go, None where it is hidden."""
    start = axes.place(spec.at, spec.offset)
    pivot = complex(*(spec.pivot_px or ((art.width - 1) / 2, (art.height - 1) / 2)))
    if spec.stretch_to and spec.end_px:
        goal = axes.place((spec.stretch_to,), spec.stretch_offset) - start
        outward = (goal * (start - axes.origin).conjugate()).real
        # What would run back towards the middle of the face lies behind the head.
        if outward <= 0 or abs(goal) < SHORTEST_STRETCH * axes.size:
            return None
        x, y = _stretched(complex(*spec.end_px) - pivot, goal, axes, spec.width)
    else:
        across = axes.across if spec.follow == "affine" else axes.upright_across
        x, y = across * spec.width / art.width, axes.down * spec.width / art.width
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

    def inverse(self) -> Affine:
        """Return the map back; `area` must not be 0."""
        x = complex(self.y.imag, -self.x.imag) / self.area
        y = complex(-self.y.real, self.x.real) / self.area
        return Affine(x, y, -self.shift.real * x - self.shift.imag * y)


def draw_art(canvas: Canvas, art: Art, place: Affine) -> None:
    """Blend `art` into the picture where `place` (art px to picture px) puts it."""
    if abs(place.area) < 1e-9:
        return
    left, top, right, bottom = art.visible
    corners = [place.at(x, y) for x in (left, right) for y in (top, bottom)]
    xs, ys = [corner.real for corner in corners], [corner.imag for corner in corners]
    rect = canvas.between(complex(min(xs), min(ys)), complex(max(xs), max(ys)))
    if rect is None:
        return
    back, magnification = place.inverse(), abs(place.area) ** 0.5
    back = back._replace(shift=back.shift - complex(left, top))
    planes = canvas.begin(rect)
    for group in canvas.groups:
        level = art.level(group.kind, magnification / group.step)
        matrix = _sampling(back, rect, group.step, level.scale, canvas.caps)
        shape = (rect.height // group.step, rect.width // group.step)
        warped = canvas.scratch.take("warped", (*shape, 4))
        cv2.warpAffine(level.packed, matrix, shape[::-1], warped, WARP)
        _blend(canvas, planes, rect, group, warped)


def _sampling(back: Affine, rect: Rect, step: int, scale: tuple[float, float], caps: Caps) -> F64:
    """Return the matrix (2, 3) from samples of a plane inside `rect` to px of a pyramid level."""
    x, y = chroma_site(caps) if step == 2 else (0.0, 0.0)
    first = back.shift + (rect.x0 + x) * back.x + (rect.y0 + y) * back.y
    right, lower, (wide, high) = back.x * step, back.y * step, scale
    return np.array(
        [
            [right.real * wide, lower.real * wide, (first.real + 0.5) * wide - 0.5],
            [right.imag * high, lower.imag * high, (first.imag + 0.5) * high - 0.5],
        ]
    )


def _blend(canvas: Canvas, planes: tuple[U8, ...], rect: Rect, group: Group, warped: U8) -> None:
    size = warped.shape[:2]
    parts = list(canvas.scratch.take("parts", (4, *size)))
    cv2.split(warped, parts)
    clear = cv2.bitwise_not(parts[3], dst=parts[3])
    for index, channels in group.planes:
        target = window(planes[index], rect, group.step)
        if len(channels) == 1:
            cover(target, parts[channels[0]], clear)
            continue
        colour = canvas.scratch.take("colour", (*size, len(channels)))
        cv2.mixChannels([warped], [colour], [v for i, c in enumerate(channels) for v in (c, i)])
        deep = canvas.scratch.take("clear", colour.shape)
        cv2.merge([clear] * len(channels), dst=deep)
        cover(target, colour, deep)
