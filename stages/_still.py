"""Tell pictures of faces on a wall from living faces: those never move at all.

A face is remembered as it looked when it was first seen in a place, and every later look at that
place is compared with it: how far the picture moved, in widths of the face, and how much of it
changed otherwise. Measured: faces of sitting and talking people move at least 0.011 of their
width within 5 s; a portrait 20 px wide under noise of sigma 10 and JPEG 75 seems to move by
0.003, a larger one by less. Light that changes for the whole face is no motion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ._association import SAME_FACE_IOU, iou

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..pipeline.frame import F32, U8

STILL_S = 6.0
MOVED = 0.006  # widths of the face; less is the camera's noise
CHANGED = 0.35  # of the contrast; more is another picture, or somebody in front
MIN_LOOKS = 3
FORGET_S, FORGET_STILL_S = 3.0, 60.0  # without a look that showed it
MAX_PLACES = 64
SIDE = 32
_RIDGE = 1e-2 * np.eye(4, dtype=np.float32)  # a grey wall has no slopes to solve for


@dataclass(slots=True, eq=False)
class Place:
    """Where a face was seen first, `box` (4,), and how it looked."""

    box: F32
    look: Look
    since_s: float
    seen_s: float
    looks: int = 0
    still: bool = False


class Look:
    """A face as it looked in `box`, to be compared with how that box looks later.

    Motion is one step of Lucas and Kanade (1981), solved together with gain and offset, so that
    a change of light is none.
    """

    def __init__(self, luma: U8, box: F32) -> None:
        picture = _patch(luma, box)
        slope_y, slope_x = np.gradient(cv2.GaussianBlur(picture, (3, 3), 0))
        columns = (picture, np.ones_like(picture), slope_x, slope_y)
        self._basis = np.stack([np.asarray(c).ravel() for c in columns], axis=1)
        self._solve = np.linalg.solve(self._basis.T @ self._basis + _RIDGE, self._basis.T)
        self._contrast = float(picture.std()) + 1.0

    def is_same(self, luma: U8, box: F32) -> bool:
        """Return whether `box` of this picture shows the same, at the same place."""
        picture = _patch(luma, box).ravel()
        gain, offset, x, y = (solution := self._solve @ picture)
        del offset
        if not 0.25 < gain < 4:
            return False
        rest = float((picture - self._basis @ solution).std()) / (gain * self._contrast)
        return bool(np.hypot(x, y) / gain / SIDE < MOVED and rest < CHANGED)


@dataclass(slots=True)
class StillFaces:
    """The places of one scene where faces were seen, and which of them show nobody alive."""

    places: list[Place] = field(default_factory=list)

    def update(self, luma: U8, boxes: Iterable[F32], time_s: float) -> tuple[F32, ...]:
        """Take the faces found in a picture; returns the boxes (4,) of those that are pictures."""
        self.places = [p for p in self.places if time_s - p.seen_s <= _memory(p)]
        for box in boxes:
            near = [p for p in self.places if iou(p.box, box) >= SAME_FACE_IOU]
            same = [p for p in near if p.look.is_same(luma, p.box)]
            for place in same:
                place.seen_s, place.looks = time_s, place.looks + 1
                long_enough = time_s - place.since_s >= STILL_S and place.looks >= MIN_LOOKS
                place.still = place.still or long_enough
            if not same:  # somebody new, or somebody who moved; a picture behind stays known
                self.places = [p for p in self.places if p.still or p not in near]
                self.places.append(Place(box, Look(luma, box), time_s, time_s))
        self.places = sorted(self.places, key=lambda p: p.seen_s)[-MAX_PLACES:]
        return shown(luma, self.still())

    def still(self) -> tuple[Place, ...]:
        """Return the places that show a picture of a face."""
        return tuple(place for place in self.places if place.still)


def shown(luma: U8, places: Iterable[Place]) -> tuple[F32, ...]:
    """Return the boxes (4,) of those `places` that this picture shows unchanged."""
    return tuple(place.box for place in places if place.look.is_same(luma, place.box))


def _memory(place: Place) -> float:
    return FORGET_STILL_S if place.still else FORGET_S


def _patch(luma: U8, box: F32) -> F32:
    """Return the part of luma (H, W) in `box` (4,), scaled to SIDE."""
    height, width = luma.shape
    x0, y0 = (int(min(max(box[k], 0), side - 1)) for k, side in ((0, width), (1, height)))
    x1, y1 = (round(min(float(box[k]), side)) for k, side in ((2, width), (3, height)))
    part = np.ascontiguousarray(luma[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])
    method = cv2.INTER_AREA if min(part.shape) >= SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=method), np.float32)
