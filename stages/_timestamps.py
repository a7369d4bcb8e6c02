"""Times of a file: repaired once where frames enter the pipeline, and compared at its end."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_TIGHT_S = 0.2
_LOOSE_S, _LOOSE_SHARE = 1.0, 0.05


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
    def shift(self) -> int:
        """How much is added to times now because they jumped back."""
        return self._shift

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


def announced_end_s(container: InputContainer, stream: VideoStream) -> tuple[float, float]:
    """Return when `stream` should end by what its file says, and how much less is still usual.

    Both in seconds; 0 where nothing is said of the video itself, or where it is an estimate.
    """
    name, total = container.format.name, container.duration
    total_s = ((container.start_time or 0) + total) / av.time_base if total is not None else 0.0
    loose_s = max(_LOOSE_S, _LOOSE_SHARE * total_s)
    if name == "avi":  # its length is made to match what is left of the file
        rate = stream.average_rate or Fraction(0)
        return float(stream.frames / rate) if rate else 0.0, loose_s
    if "mpeg" in name:
        return 0.0, loose_s
    if stream.duration is not None and stream.time_base is not None:
        end = stream.duration + (stream.start_time or 0)
        return float(end * stream.time_base), _TIGHT_S
    tagged_s = _clock_s(stream.metadata.get("DURATION", ""))
    if tagged_s is not None:
        return tagged_s, _TIGHT_S
    alone = len(container.streams) == 1
    if alone or name == "flv":
        return total_s, _TIGHT_S if alone else loose_s
    return 0.0, loose_s  # it may be the sound that is so long


def _clock_s(text: str) -> float | None:
    """Parse Matroska's `HH:MM:SS.fraction`."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
