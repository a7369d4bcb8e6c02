"""Repair presentation times once, where frames enter the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction


class Timeline:
    """Give frames strictly increasing pts; `repaired` counts those that had to change.

    A missing pts is the last one plus the frame's duration. A pts that is not larger becomes the
    last plus one tick, or, after a jump back of more than a second, starts a shifted timeline.
    """

    def __init__(self, time_base: Fraction, default_duration: int) -> None:
        self.repaired = 0
        self._default = max(1, default_duration)
        self._jump = max(1, int(1 / time_base))
        self._last: int | None = None
        self._last_duration = 0
        self._shift = 0

    @property
    def end(self) -> int | None:
        """When the last placed frame ends; None before the first."""
        return None if self._last is None else self._last + self._last_duration

    def place(self, pts: int | None, duration: int, fallback: int | None = None) -> int:
        """Return the pts to use; `fallback` is the time of a first frame that has none."""
        duration = duration if duration > 0 else self._default
        placed = self._placed(pts, fallback)
        self._last, self._last_duration = placed, duration
        return placed

    def _placed(self, pts: int | None, fallback: int | None) -> int:
        if self._last is None:
            if pts is None:
                self.repaired += 1
                return fallback or 0
            return pts
        follow = self._last + self._last_duration
        if pts is None:
            self.repaired += 1
            return follow
        shifted = pts + self._shift
        if shifted > self._last:
            return shifted
        self.repaired += 1
        if self._last - shifted < self._jump:
            return self._last + 1
        self._shift += follow - shifted
        return follow
