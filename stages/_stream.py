"""Frames of a network address: a live stream, or a file that lies elsewhere."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from ._av_source import MediaReader
from ._newest import NewestFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..pipeline.caps import Caps
    from ..pipeline.frame import Frame
    from ..pipeline.stage import Context

PATIENCE_S = 10.0
_MICROSECOND = Fraction(1, 1_000_000)


class StreamReader:
    """A URL; of a live stream only the newest frame is kept, of a file none is lost.

    Live pictures without times of their own, as many cameras send them, are stamped on arrival.
    """

    def __init__(self, url: str, context: Context, limit_s: float | None = None) -> None:
        self._context = context
        self._media = MediaReader(url, context, limit_s)
        self._newest = NewestFrame(url, context, PATIENCE_S)
        self._live = False

    @property
    def duration_s(self) -> float | None:
        """Length of a file, None for a live stream."""
        return None if self._live else self._media.duration_s

    def open(self) -> Caps:
        """Connect and decode the first picture; raises MediaError."""
        caps = self._media.open()
        self._live = caps.live
        if not self._live:
            return caps
        frames = self._media.frames()
        if not self._media.timed:
            caps = caps.with_(framerate=None)
            frames = _stamped(frames, caps)
        self._newest.start(frames, self._media.settle)
        return caps

    def frames(self) -> Iterator[Frame]:
        """Yield the frames."""
        if not self._live:
            return self._media.frames()
        self._media.begin()
        return self._newest.frames()

    def settle(self) -> None:
        """Read on for the sound of the last pictures; for at most a little more than a second."""
        if self._live:
            self._newest.settle()
        else:
            self._media.settle()

    def interrupt(self) -> None:
        """Wake a wait for the next frame."""
        if self._live:
            self._newest.interrupt()

    def close(self) -> None:
        """Disconnect, unless the reading thread still holds the connection."""
        if self._newest.close():
            self._media.close()


def _stamped(frames: Iterator[Frame], caps: Caps) -> Iterator[Frame]:
    """Give frames the times at which they came, from 0."""
    start_ns = None
    for frame in frames:
        start_ns = frame.captured_ns if start_ns is None else start_ns
        pts = (frame.captured_ns - start_ns) // 1000
        yield frame.with_(pts=pts, time_base=_MICROSECOND, duration=None, caps=caps)
