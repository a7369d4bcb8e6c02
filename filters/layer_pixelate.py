"""Layer `pixelate`: hides heads behind a mosaic, and everything while a head is lost.

Made to err on the safe side: a face that is no longer found counts as still there, unseen, until
it is found again, it was leaving by the picture's edge, or its time is over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import hypot
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .canvas import window
from .geometry import FARTHEST_PX, Rect

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import Face, Frame
    from .canvas import Canvas
    from .geometry import FaceAxes
    from .spec import Pixelate

# Blocks come in these sizes only, so that the mosaic does not crawl as a face comes nearer.
BLOCKS_PX = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
KEPT = 1.8
# A whole picture is hidden with this many blocks along its shorter side.
PICTURE_BLOCKS = 9
# A head reaches farther above the face's points than below them, by this share of their extent.
UPWARDS = 0.2
# A face whose box ends this near to the picture's edge (share of its side) may be leaving.
EDGE = 0.05
# How far a lost face may have moved when it is found again, in head radii: at once, and per second.
NEAR, NEAR_PER_S = 2.0, 4.0
# A held region widens by this share per second: its head may move on unseen.
SPREAD_PER_S = 0.3


@dataclass(frozen=True, slots=True)
class Head:
    """A circle to hide with blocks of `block` px; `seen_s` is when the face was last found."""

    x: float
    y: float
    radius: float
    block: int
    seen_s: float
    leaving: bool


class PixelatePainter:
    """Draws one pixelate layer; remembers the faces of this run."""

    def __init__(self, spec: Pixelate) -> None:
        self.spec = spec
        self._heads: dict[int, Head] = {}
        self._last_s = float("-inf")

    def draw_all(
        self, canvas: Canvas, faces: list[tuple[Face, FaceAxes | None]], chosen: frozenset[int]
    ) -> None:
        """Hide those of all `faces` of the frame whose ids are `chosen`, and what was lost."""
        now = canvas.frame.time_s
        if now < self._last_s:
            self._heads.clear()
        found = self._found(canvas.caps, faces, now)
        lost = self._lost(canvas.frame, found, now)
        self._last_s = now
        self._heads = {**lost, **{key: head for key, head in found.items() if key in chosen}}
        if any(self._hides_all(head, now) for head in lost.values()):
            hide_picture(canvas)
            return
        for head in self._heads.values():
            if now - head.seen_s <= self.spec.hold_s:
                hide_head(canvas, self._spread(head, now))

    def _found(
        self, caps: Caps, faces: list[tuple[Face, FaceAxes | None]], now: float
    ) -> dict[int, Head]:
        heads = {face.track_id: self._head(caps, face, axes, now) for face, axes in faces}
        return {key: head for key, head in heads.items() if head is not None}

    def _head(self, caps: Caps, face: Face, axes: FaceAxes | None, now: float) -> Head | None:
        corners = face.box_xyxy_px.reshape(2, 2).astype(np.float64)
        if axes is not None:
            corners = axes.points
        if not (np.abs(corners) < FARTHEST_PX).all():
            return None
        (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        side = max(x1 - x0, y1 - y0, 2.0)
        up = -1j if axes is None else -axes.down / axes.size
        x = (x0 + x1) / 2 + up.real * UPWARDS * side
        y = (y0 + y1) / 2 + up.imag * UPWARDS * side
        near = EDGE * side
        leaving = x0 < near or y0 < near or x1 > caps.width - near or y1 > caps.height - near
        block = self._block(side / self.spec.blocks, self._heads.get(face.track_id))
        return Head(x, y, self.spec.grow * side / 2, block, now, leaving)

    def _block(self, wanted: float, before: Head | None) -> int:
        """Return a size of blocks not below `wanted`; one that still serves is kept."""
        if before is not None and wanted <= before.block <= KEPT * wanted:
            return before.block
        return next((size for size in BLOCKS_PX if size >= wanted), BLOCKS_PX[-1])

    def _lost(self, frame: Frame, found: dict[int, Head], now: float) -> dict[int, Head]:
        """Return the heads known before that are not found now and still count."""
        patience = self.spec.hold_s + self.spec.hide_s
        lost = {
            key: head
            for key, head in self._heads.items()
            if key not in found and now - head.seen_s <= patience
        }
        if frame.discontinuity and found and not found.keys() & self._heads.keys():
            return {}  # a cut: these are the people of another picture
        for key in found.keys() - self._heads.keys():
            again = self._found_again(found[key], lost, now)
            if again is not None:
                del lost[again]
        return lost

    def _found_again(self, new: Head, lost: dict[int, Head], now: float) -> int | None:
        """Return which lost face the newcomer is, if any; the tracker gave it another id."""
        gaps = {key: hypot(new.x - old.x, new.y - old.y) for key, old in lost.items()}
        for key in sorted(gaps, key=gaps.__getitem__):
            old = lost[key]
            reach = max(old.radius, new.radius) * (NEAR + NEAR_PER_S * (now - old.seen_s))
            if gaps[key] <= reach or old.seen_s == self._last_s:
                return key
        return None

    def _hides_all(self, head: Head, now: float) -> bool:
        return not head.leaving and now - head.seen_s > self.spec.hold_s

    def _spread(self, head: Head, now: float) -> Head:
        return replace(head, radius=head.radius * (1 + SPREAD_PER_S * (now - head.seen_s)))


def hide_head(canvas: Canvas, head: Head) -> None:
    """Replace a head by a mosaic whose blocks lie on a grid fixed to the picture."""
    width, height = canvas.caps.width, canvas.caps.height
    block = head.block
    reach = head.radius + block / 2
    x0, y0 = (max(int((v - reach) // block) * block, 0) for v in (head.x, head.y))
    x1 = min(-int(-(head.x + reach) // block) * block, width)
    y1 = min(-int(-(head.y + reach) // block) * block, height)
    if x0 >= x1 or y0 >= y1:
        return
    columns, rows = -(-(x1 - x0) // block), -(-(y1 - y0) // block)
    x = x0 + (np.arange(columns) + 0.5) * block - head.x
    y = y0 + (np.arange(rows) + 0.5) * block - head.y
    inside = (np.hypot(x[None, :], y[:, None]) <= reach).astype(np.uint8) * 255
    _mosaic(canvas, Rect(x0, y0, x1, y1), inside)


def hide_picture(canvas: Canvas) -> None:
    """Replace the whole picture by a mosaic too coarse to tell a face."""
    width, height = canvas.caps.width, canvas.caps.height
    block = max(min(width, height) / PICTURE_BLOCKS, 1)
    shape = (max(round(height / block), 1), max(round(width / block), 1))
    _mosaic(canvas, Rect(0, 0, width, height), np.full(shape, 255, np.uint8))


def _mosaic(canvas: Canvas, rect: Rect, inside: np.ndarray) -> None:
    """Average the blocks of `rect`, one per value of `inside` (rows, columns), where it is set."""
    cells = (inside.shape[1], inside.shape[0])
    planes = canvas.begin(rect)
    for group in canvas.groups:
        size = (rect.width // group.step, rect.height // group.step)
        mask = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
        for index, _ in group.planes:
            target = window(planes[index], rect, group.step)
            coarse = cv2.resize(target, cells, interpolation=cv2.INTER_AREA)
            cv2.copyTo(cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST), mask, target)
