"""The picture while a filter draws: planes in the frame's own format, copied on the first write."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .geometry import Rect, rect_between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..pipeline.caps import Caps
    from ..pipeline.frame import U8, Frame
    from .geometry import F64


@dataclass(frozen=True, slots=True)
class Group:
    """Planes that share one sampling grid: every `step` px; `planes` are (index, channels).

    `kind` names the components, in the order that `channels` counts them.
    """

    kind: str
    step: int
    planes: tuple[tuple[int, tuple[int, ...]], ...]


GROUPS: dict[str, tuple[Group, ...]] = {
    "yuv420p": (Group("y", 1, ((0, (0,)),)), Group("uv", 2, ((1, (0,)), (2, (1,))))),
    "nv12": (Group("y", 1, ((0, (0,)),)), Group("uv", 2, ((1, (0, 1)),))),
    "bgr24": (Group("bgr", 1, ((0, (0, 1, 2)),)),),
    "bgra": (Group("bgra", 1, ((0, (0, 1, 2, 3)),)),),
}


class Scratch:
    """Buffers reused from frame to frame, by name: the hot path allocates nothing."""

    def __init__(self) -> None:
        self._buffers: dict[str, U8] = {}

    def take(self, name: str, shape: tuple[int, ...]) -> U8:
        """Return an uninitialised contiguous array; valid until `name` is taken again."""
        size = prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size * 5 // 4, np.uint8)
        return buffer[:size].reshape(shape)


class Canvas:
    """One frame being drawn on.

    `source` are the pixels as they came, with `keep_source` also while drawing. `rects` collects
    what was drawn; everything outside them is as it came, bit for bit.
    """

    def __init__(self, frame: Frame, scratch: Scratch, keep_source: bool = False) -> None:
        self.frame, self.scratch, self.keep_source = frame, scratch, keep_source
        self.caps, self.source = frame.caps, frame.planes
        self.groups = GROUPS[frame.caps.pixel_format]
        self.rects: list[Rect] = []
        self._drawing = False

    def rect(self, points: F64, margin: float = 1.0) -> Rect | None:
        """Return the rectangle to draw on around points (N, 2), None outside the picture."""
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        return self.between(complex(*low), complex(*high))

    def between(self, low: complex, high: complex) -> Rect | None:
        """Return the rectangle to draw on between two corners, x + y j in px."""
        return rect_between(low, high, self.caps.width, self.caps.height)

    def begin(self, rect: Rect) -> tuple[U8, ...]:
        """Return the planes for writing inside `rect` only; the first call copies if needed."""
        if not self._drawing:
            frame = self.frame.shared() if self.keep_source else self.frame
            self.frame = frame.writable()
            self._drawing = True
        self.rects.append(rect)
        return self.frame.planes

    def fade(self, opacity: float, rects: Iterable[Rect]) -> None:
        """Mix `rects`, which do not overlap, with the picture as it came; needs `keep_source`."""
        for rect in rects:
            for group in self.groups:
                for index, _ in group.planes:
                    drawn = window(self.frame.planes[index], rect, group.step)
                    came = window(self.source[index], rect, group.step)
                    cv2.addWeighted(came, 1 - opacity, drawn, opacity, 0, dst=drawn)


def chroma_site(caps: Caps) -> tuple[float, float]:
    """Return where the first chroma sample lies, (x, y) in luma samples.

    Limited range has it over the left luma sample of a pair (as H.264 and MPEG-2), full range
    (JPEG) between them; both between two lines.
    """
    return (0.5 if caps.color_range == "full" else 0.0), 0.5


def window(plane: U8, rect: Rect, step: int) -> U8:
    """Return the view of `plane` inside `rect`, for a plane with one sample every `step` px."""
    x0, y0, x1, y1 = rect
    return plane[y0 // step : y1 // step, x0 // step : x1 // step]


def disjoint(rects: list[Rect]) -> list[Rect]:
    """Return rectangles that cover the same without overlap, by merging those that overlap."""
    apart: list[Rect] = []
    for rect in rects:
        while True:
            hit = next((r for r in apart if _overlap(r, rect)), None)
            if hit is None:
                break
            apart.remove(hit)
            rect = rect.around(hit)
        apart.append(rect)
    return apart


def _overlap(a: Rect, b: Rect) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


def cover(target: U8, colour: U8, clear: U8) -> None:
    """Lay premultiplied `colour` over `target` in place; `clear` is 255 where it shows through."""
    cv2.multiply(target, clear, target, 1 / 255)
    cv2.add(target, colour, target)
