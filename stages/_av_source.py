"""Read frames of a video file: true times, upright, in a working format."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error

from ..pipeline.errors import DecodeError
from ..pipeline.frame import Frame
from . import _media
from ._av_decoding import Decoding
from ._av_layout import Layout, layout_of
from ._av_times import StreamTimes
from ._media import MediaInfo, check_readable, films_of, open_container
from ._packet_lane import PacketLane
from ._timestamps import announced_end_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from ..pipeline.caps import Caps
    from ..pipeline.stage import Context

_CLOSE_TIMEOUT_S = 0.5
_SETTLE_S = 0.8  # less than the patience with a source that was asked to stop
_LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp", "mms", "whep"})
# No frame waits, but those looked at while opening are lost: nothing for a file.
_AT_ONCE = {"container_options": {"rtsp_transport": "tcp", "fflags": "nobuffer"}}


class MediaReader:
    """One video file or network stream; `open` first, then `frames` once, then `close`.

    A stream is live where its protocol says so, or where it has no length in time nor in bytes.
    What is no file on this machine is read only once: its sound goes to the sinks by a lane, which
    needs `begin` to be called. Who reads it wants `limit_s` of it at most.
    """

    def __init__(self, name: str, context: Context, limit_s: float | None = None) -> None:
        self.name, self._context = name, context
        self.info = MediaInfo(name, limit_s=limit_s)
        self._live = False
        self._reading = threading.Lock()
        self._container: InputContainer | None = None

    def open(self) -> Caps:
        """Decode the first picture; raises MediaError, DecodeError."""
        self._container = self._connect()
        self._stream = self._choose(self._container)
        self._decoding = Decoding(
            self.name, self._container, self._stream, self.info.lane, live=self._live
        )
        first = self._decoding.next_picture()
        if first is None:
            raise DecodeError(self._why_nothing(self._container))
        self._first = first
        self._layout = self._decide(first)
        self._times = self._decide_times(first)
        self.caps = self._layout.caps(first, self._stream, self._times.rate, live=self._live)
        return self.caps

    def _connect(self) -> InputContainer:
        """Open the medium, and find out whether it is live and whether it can be read again."""
        scheme, remote, _ = self.name.partition("://")
        if not remote and self.name != _media.STDIN:
            check_readable(Path(self.name))
        at_once = scheme in _LIVE_SCHEMES
        container = open_container(self.name, **(_AT_ONCE if at_once else {}))
        endless = remote and container.duration is None and container.size <= 0
        self._live = bool((remote and at_once) or endless)
        # On some systems a redirected standard input continues where another reader stands.
        if remote or self.name.startswith("/dev/") or not Path(self.name).is_file():
            self.info.lane = PacketLane(self.name, container, self._context)
        return container

    def _why_nothing(self, container: InputContainer) -> str:
        """Return why no picture came."""
        if self._decoding.broken and self.info.lane is not None and "mp4" in container.format.name:
            return (
                f"{self.name} has its index at its end and cannot be read as it comes: give the "
                "file itself, or move it with `ffmpeg -i IN -c copy -movflags +faststart OUT`"
            )
        return f"no frame of {self.name} can be decoded"

    def _choose(self, container: InputContainer) -> VideoStream:
        found = films_of(container)
        if found and container.format.name != "tty":  # that one makes a film of any text
            if len(found) > 1:
                self._context.info(f"{self.name} has {len(found)} video tracks: the first is used")
            return found[0]
        kinds = sorted({s.type for s in container.streams if s.type in ("audio", "subtitle")})
        only = f", only {' and '.join(kinds)}" if kinds else ""
        raise DecodeError(f"{self.name} has no video{only}")

    def _decide(self, first: av.VideoFrame) -> Layout:
        layout = layout_of(first, self._stream.codec_context.name, self.name)
        for remark in layout.plan.remarks:
            self._context.warn(f"{self.name}: {remark}")
        if layout.plan.target or layout.plan.grey:
            self._context.tag("converted", f"{layout.av_format} -> {layout.plan.pixel_format}")
        return layout

    def _decide_times(self, first: av.VideoFrame) -> StreamTimes:
        times = StreamTimes(self._stream, first)
        if times.untimed:
            rate = float(times.nominal_rate)
            self._context.info(f"{self.name} has no timestamps: {rate:g} fps are assumed")
        self.info.average_rate = times.average_rate
        return times

    @property
    def timed(self) -> bool:
        """Whether the medium holds times; otherwise a usual rate was assumed."""
        format_ = self._container and self._container.format
        return format_ is not None and av.format.Flags.no_timestamps not in av.format.Flags(
            format_.flags
        )

    @property
    def duration_s(self) -> float | None:
        """Announced length in seconds."""
        if self._container is None:
            return None
        total = self._container.duration
        return total / av.time_base if total is not None else None

    def close(self) -> None:
        """Release the file, unless a thread hangs in it: that would crash."""
        if not self._reading.acquire(timeout=_CLOSE_TIMEOUT_S):
            return
        try:
            if self._container is not None:
                self._container.close()
                self._container = None
        finally:
            self._reading.release()

    def interrupt(self) -> None:
        """Do nothing: reading a file never blocks for long."""

    def begin(self) -> None:
        """Learn who wants the sound: not known before all stages are linked."""
        if self.info.lane is not None:
            self.info.lane.begin(self._context.packet_takers)

    def settle(self) -> None:
        """Read on for the sound of the pictures already given, for less than a second."""
        lane, end = self.info.lane, self._times.end
        if lane is None or end is None or self._decoding.reached_end:
            return
        until_s, give_up = float(end * self._times.time_base), time.monotonic() + _SETTLE_S
        with self._reading, suppress(av.error.FFmpegError):
            while self._container is not None and lane.lags(until_s):
                late = time.monotonic() > give_up or self._context.aborting
                if late or self._decoding.next_packet() is None:
                    return

    def frames(self) -> Iterator[Frame]:
        """Yield all frames; of a live stream they are asked for before `begin` can be called."""
        if not self._live:
            self.begin()
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        first, seq = self._first, 0
        del self._first
        yield self._frame(first, seq)
        del first
        while (picture := self._next_picture()) is not None:
            seq += 1
            yield self._frame(picture, seq)
        if not self._context.stopping:
            self._conclude(seq + 1)

    def _next_picture(self) -> av.VideoFrame | None:
        with self._reading:
            if self._container is None or self._context.stopping:
                return None
            return self._decoding.next_picture()

    def _frame(self, picture: av.VideoFrame, seq: int) -> Frame:
        """Wrap `picture`; on the usual path nothing is copied."""
        if not self._layout.fits(picture):
            picture = self._adapt(picture)
        if picture.interlaced_frame:
            self._context.warn(f"{self.name} is interlaced: its fields are not separated")
        pts, duration = self._times.place(picture, seq)
        if self.info.lane is not None:
            self.info.lane.shift_s = self._times.shift_s
        planes, owner, claim = self._layout.pixels(picture, self.caps)
        return Frame(
            planes,
            pts,
            self._times.time_base,
            seq,
            self.caps,
            duration=duration,
            captured_ns=time.monotonic_ns(),
            owner=owner,
            exclusive=claim is None,
            claim=claim,
            tags={"media": self.info},
        )

    def _adapt(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Bring a picture of another size or format to the first one's."""
        layout = self._layout
        self._context.warn(
            f"{self.name} changes to {picture.format.name} {picture.width}x{picture.height} "
            f"on the way: scaled to {layout.width}x{layout.height}"
        )
        return picture.reformat(layout.width, layout.height, layout.av_format)

    def _conclude(self, count: int) -> None:
        """Tell what was repaired, and whether the file is cut off."""
        decoding = self._decoding
        self.info.complete = decoding.reached_end
        if self._times.repaired:
            self._context.tag("repaired_pts", self._times.repaired)
            self._context.warn(f"{self.name}: {self._times.repaired} timestamps were repaired")
        if decoding.broken:
            self._context.warn(f"{self.name} ends early: {decoding.broken}")
        if decoding.damaged:
            self._context.warn(
                f"{self.name}: damaged in {decoding.damaged} places, {count} frames kept"
            )
        missing_s = self._missing_s()
        if missing_s:
            self._context.warn(f"{self.name} is cut off: {missing_s:.1f} s are missing at its end")
        if decoding.damaged or decoding.broken or missing_s:
            self._context.tag("truncated", True)

    def _missing_s(self) -> float:
        """Return how much earlier the video ended than was announced, 0 where that is usual."""
        end = self._times.end
        if end is None or self._live or self._container is None:
            return 0.0
        announced_s, slack_s = announced_end_s(self._container, self._stream)
        missing_s = announced_s - float(end * self._times.time_base)
        usual_s = float(3 * self._times.default_duration * self._times.time_base)
        return missing_s if missing_s > max(slack_s, usual_s) else 0.0
