"""Times of one video stream's pictures: where they come from, and what stands in where none are."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av

from ._timestamps import Timeline

if TYPE_CHECKING:
    from av.video.stream import VideoStream


class StreamTimes:
    """Give the pictures of `stream` their pts and duration, in `time_base` seconds.

    `rate` in frames per second is None where it varies; `average_rate` and `nominal_rate` are what
    the file says or seems to say. `untimed` means that the stream has no times at all.
    """

    def __init__(self, stream: VideoStream, first: av.VideoFrame) -> None:
        rate = stream.guessed_rate or stream.average_rate or Fraction(25)
        self.untimed = first.pts is None and stream.start_time is None
        self.time_base = stream.time_base or Fraction(1, av.time_base)
        if self.untimed:
            self.time_base = 1 / rate
        # AVI stores no presentation times, and what is guessed for H.264 is out of order.
        is_avi = stream.container.format.name == "avi"
        h26x = stream.codec_context.name in ("h264", "hevc")
        self._by_dts = is_avi and h26x and first.dts is not None
        self._first_dts = (first.dts or 0) - (stream.start_time or 0)
        self.nominal_rate, self.average_rate = rate, stream.average_rate or rate
        constant = self.untimed or _is_constant(stream, rate)
        self.rate = rate if constant else None
        self.default_duration = max(1, round(1 / (rate * self.time_base)))
        self._second = float(self.time_base)
        self._timeline = Timeline(self.time_base, self.default_duration)

    @property
    def repaired(self) -> int:
        """How many times had to change."""
        return self._timeline.repaired

    @property
    def shift_s(self) -> float:
        """How many seconds later pictures are placed now because their times jumped back."""
        return self._timeline.shift * self._second

    @property
    def end(self) -> int | None:
        """When the last picture ends; None before the first."""
        return self._timeline.end

    def place(self, picture: av.VideoFrame, seq: int) -> tuple[int, int]:
        """Return pts and duration of the picture that is the `seq`-th from 0."""
        if self.untimed:
            return seq, 1
        duration = picture.duration
        pts = self._timeline.place(self._pts(picture), duration, picture.dts)
        return pts, duration or self.default_duration

    def _pts(self, picture: av.VideoFrame) -> int | None:
        if not self._by_dts:
            return picture.pts
        return self._timeline.end if picture.dts is None else picture.dts - self._first_dts


def _is_constant(stream: VideoStream, rate: Fraction) -> bool:
    average = stream.average_rate
    return average is not None and abs(average / rate - 1) < 0.001
