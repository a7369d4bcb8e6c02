"""Tell cuts from motion, light and noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from ..pipeline.frame import F32, U8

CUT_CORRELATION = 0.62
NOTABLE = 3.0  # grey levels; less is noise
STRIPS, STAYED = 8, 2  # where so many strips stayed, something passed in front of the rest
SAME, TEXTURED = 4.0, 8.0  # grey levels; a strip with less spread can tell nothing
SHIFTED = 0.9  # correlation of what moved as a whole; of 3241 pairs of unlike scenes at most 0.87


class CutDetector:
    """Find cuts by comparing tiny copies of successive pictures.

    Correlation is used, since it hardly changes when a light goes on or people move. Of 400 pairs
    of unlike scenes none had a textured strip in common; a hand or somebody near the camera,
    though large, leaves some as they were. A camera that turns leaves none, but then the middle of
    the picture was elsewhere in the one before.
    """

    WIDTH, HEIGHT = 16, 9

    def __init__(self) -> None:
        # Ones, and two tiny pictures in turn: one product gives all the sums that are needed.
        self._rows = np.ones((3, self.HEIGHT, self.WIDTH), np.float32)
        self._flat = self._rows.reshape(3, -1)
        self._newest = 1
        self._last: tuple[float, float] | None = None
        self._sparse: U8 = np.empty((0, 0), np.uint8)

    def is_cut(self, luma: U8) -> bool:
        """Return whether luma (H, W) shows another scene than the picture before."""
        step_y = max(luma.shape[0] // (2 * self.HEIGHT), 1)
        step_x = max(luma.shape[1] // (10 * self.WIDTH), 1)
        sparse, sparse_before = luma[step_y // 2 :: step_y, ::step_x].copy(), self._sparse
        self._sparse = sparse
        size = (self.WIDTH, self.HEIGHT)
        new, old = self._newest, 3 - self._newest
        self._newest = old
        self._rows[new] = cv2.resize(sparse, size, interpolation=cv2.INTER_AREA)
        sums: list[float] = self._flat.dot(self._flat[new]).tolist()
        count = self._flat.shape[1]
        mean = sums[0] / count
        # One grey level of spread is added, so that noise in a black picture is no cut.
        spread = sums[new] + count * (1 - mean * mean)
        last, self._last = self._last, (mean, spread)
        if last is None:
            return False
        mean_before, spread_before = last
        shared = sums[old] - count * mean * mean_before
        if shared >= CUT_CORRELATION * math.sqrt(spread * spread_before):
            return False
        small, before = self._rows[new], self._rows[old]
        changed = float(np.abs(small - before - (mean - mean_before)).mean()) > NOTABLE
        if not changed or _strips_that_stayed(before, small) >= STAYED:
            return False
        return not _has_shifted(sparse_before, sparse)


def _strips_that_stayed(before: F32, small: F32) -> int:
    """Count the upright strips that show the same in both tiny copies."""
    old, new = (np.stack(np.hsplit(picture, STRIPS)) for picture in (before, small))
    same = np.abs(old - new).mean(axis=(1, 2)) < SAME
    return int((same & (old.std(axis=(1, 2)) > TEXTURED)).sum())


def _has_shifted(before: U8, now: U8) -> bool:
    """Return whether `before` shows the middle of the picture `now`, anywhere."""
    height, width = now.shape
    # Few rows but many columns are there; blurred, a column says no more than a row does.
    all_before, all_now = cv2.blur(before, (5, 1)), cv2.blur(now, (5, 1))
    middle = all_now[height // 4 : height - height // 4, width // 4 : width - width // 4]
    if before.shape != now.shape or middle.std() < TEXTURED:
        return False
    return float(cv2.matchTemplate(all_before, middle, cv2.TM_CCOEFF_NORMED).max()) > SHIFTED
