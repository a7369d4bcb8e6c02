"""Read frames of a video file: true times, upright, in a working format."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np
from av.codec.context import ThreadType
from av.stream import Discard, Disposition

from ..pipeline.caps import Caps
from ..pipeline.errors import DecodeError
from ..pipeline.frame import Frame
from ._colour import PRIMARIES, TRANSFERS, Plan, plan
from ._geometry import Orientation, even, fill, orientation_of
from ._media import MediaInfo, check_readable, open_container
from ._planes import planes_of
from ._timestamps import Timeline, announced_end_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from ..pipeline.frame import U8
    from ..pipeline.stage import Context
    from ._transcode import Packet

MAX_DECODER_THREADS = 4
_CLOSE_TIMEOUT_S = 0.5
_LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp", "mms", "whep"})
_NETWORK = {
    "timeout": (10.0, 10.0),
    "container_options": {"rtsp_transport": "tcp", "fflags": "nobuffer"},
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the first picture decided for all."""

    width: int
    height: int
    av_format: str
    plan: Plan
    orientation: Orientation

    def fits(self, picture: av.VideoFrame) -> bool:
        same = picture.width == self.width and picture.height == self.height
        return same and picture.format.name == self.av_format


class MediaReader:
    """One video file or network stream; `open` first, then `frames` once, then `close`.

    A stream is live where its protocol says so, or where it has no length.
    """

    def __init__(self, name: str, context: Context) -> None:
        self.name, self._context = name, context
        self.info = MediaInfo(name)
        self._live = False
        self._reading = threading.Lock()
        self._container: InputContainer | None = None
        self._damaged = 0
        self._reached_end = False

    def open(self) -> Caps:
        """Decode the first picture; raises MediaError, DecodeError."""
        scheme, remote, _ = self.name.partition("://")
        if not remote:
            check_readable(Path(self.name))
        self._container = open_container(self.name, **(_NETWORK if remote else {}))
        if remote:
            self._live = scheme in _LIVE_SCHEMES or self._container.duration is None
        self._stream = self._choose(self._container)
        self._prepare_decoder(self._stream)
        self._pictures = self._decoded()
        first = next(self._pictures, None)
        if first is None:
            raise DecodeError(f"no frame of {self.name} can be decoded")
        self._first = first
        self._layout = self._decide(first)
        self._set_times(first)
        self.caps = self._make_caps(first)
        return self.caps

    def _choose(self, container: InputContainer) -> VideoStream:
        found = [
            s
            for s in container.streams.video
            if s.codec_context is not None and not s.disposition & Disposition.attached_pic
        ]
        if found and container.format.name != "tty":  # that one makes a film of any text
            if len(found) > 1:
                self._context.info(f"{self.name} has {len(found)} video tracks: the first is used")
            return found[0]
        kinds = sorted({s.type for s in container.streams if s.type in ("audio", "subtitle")})
        only = f", only {' and '.join(kinds)}" if kinds else ""
        raise DecodeError(f"{self.name} has no video{only}")

    def _prepare_decoder(self, stream: VideoStream) -> None:
        stream.codec_context.thread_type = ThreadType.AUTO
        stream.codec_context.thread_count = min(os.cpu_count() or 1, MAX_DECODER_THREADS)
        if not self._live:
            for other in stream.container.streams:
                if other is not stream:
                    other.discard = Discard.all

    def _decide(self, first: av.VideoFrame) -> _Layout:
        chosen = plan(first, self._stream.codec_context.name)
        for remark in chosen.remarks:
            self._context.warn(f"{self.name}: {remark}")
        name = first.format.name
        if chosen.target or chosen.grey:
            self._context.tag("converted", f"{name} -> {chosen.pixel_format}")
        return _Layout(first.width, first.height, name, chosen, orientation_of(first))

    def _set_times(self, first: av.VideoFrame) -> None:
        stream = self._stream
        rate = stream.guessed_rate or stream.average_rate or Fraction(25)
        self._untimed = first.pts is None and stream.start_time is None
        if self._untimed:
            self.time_base = 1 / rate
            self._context.info(f"{self.name} has no timestamps: {float(rate):g} fps are assumed")
        else:
            self.time_base = stream.time_base or Fraction(1, av.time_base)
        # AVI stores no presentation times, and what is guessed for H.264 is out of order.
        is_avi = stream.container.format.name == "avi"
        h26x = stream.codec_context.name in ("h264", "hevc")
        self._by_dts = is_avi and h26x and first.dts is not None
        self._first_dts = (first.dts or 0) - (stream.start_time or 0)
        self.rate = rate if self._constant(stream, rate) else None
        self.info.average_rate = stream.average_rate or rate
        self._default_duration = max(1, round(1 / (rate * self.time_base)))
        self._timeline = Timeline(self.time_base, self._default_duration)

    def _constant(self, stream: VideoStream, rate: Fraction) -> bool:
        average = stream.average_rate
        return self._untimed or (average is not None and abs(average / rate - 1) < 0.001)

    def _make_caps(self, first: av.VideoFrame) -> Caps:
        layout, chosen = self._layout, self._layout.plan
        width, height = first.width, first.height
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        if layout.orientation.transpose:
            width, height, aspect = height, width, 1 / aspect
        return Caps(
            pixel_format=chosen.pixel_format,
            width=even(width),
            height=even(height),
            framerate=self.rate,
            matrix=chosen.matrix,
            color_range=chosen.color_range,
            primaries=PRIMARIES.get(first.color_primaries, "unknown"),
            transfer=TRANSFERS.get(first.color_trc, "unknown"),
            sample_aspect=aspect,
            live=self._live,
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

    def frames(self) -> Iterator[Frame]:
        """Yield all frames of the file."""
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
            return next(self._pictures, None)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Decode to the end, whatever the container's frame count says."""
        container = self._container
        if container is None:
            return
        try:
            for packet in container.demux(self._stream):
                if packet.is_corrupt:
                    self._damaged += 1
                yield from self._pictures_of(packet)
            self._reached_end = True
        except av.error.FFmpegError as exc:
            self._damaged += 1
            self._context.warn(f"{self.name} ends early: {exc.strerror or exc}")
            yield from self._pictures_of(None)

    def _pictures_of(self, packet: Packet | None) -> list[av.VideoFrame]:
        try:
            return self._stream.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self._damaged += 1
            return []

    def _frame(self, picture: av.VideoFrame, seq: int) -> Frame:
        """Wrap `picture`; on the usual path nothing is copied."""
        if not self._layout.fits(picture):
            picture = self._adapt(picture)
        if picture.interlaced_frame:
            self._context.warn(f"{self.name} is interlaced: its fields are not separated")
        duration = picture.duration
        if self._untimed:
            pts, duration = seq, 1
        else:
            pts = self._timeline.place(self._pts(picture), duration, picture.dts)
        planes, owner, exclusive = self._pixels(picture)
        return Frame(
            planes,
            pts,
            self.time_base,
            seq,
            self.caps,
            duration=duration or self._default_duration,
            captured_ns=time.monotonic_ns(),
            owner=owner,
            exclusive=exclusive,
            tags={} if self._live else {"media": self.info},
        )

    def _pts(self, picture: av.VideoFrame) -> int | None:
        if not self._by_dts:
            return picture.pts
        return self._timeline.end if picture.dts is None else picture.dts - self._first_dts

    def _adapt(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Bring a picture of another size or format to the first one's."""
        layout = self._layout
        self._context.warn(
            f"{self.name} changes to {picture.format.name} {picture.width}x{picture.height} "
            f"on the way: scaled to {layout.width}x{layout.height}"
        )
        return picture.reformat(layout.width, layout.height, layout.av_format)

    def _pixels(self, picture: av.VideoFrame) -> tuple[tuple[U8, ...], Any, bool]:
        """Return planes in the working format, what owns them, and whether nobody else does."""
        layout, caps = self._layout, self.caps
        working = layout.plan.convert(picture)
        own = working is not picture
        if layout.plan.grey:
            planes = _with_neutral_chroma(planes_of(working, "gray")[0])
        else:
            planes = planes_of(working, caps.pixel_format, writable=own)
            upright = not layout.orientation
            if upright and planes[0].shape[:2] == (caps.height, caps.width):
                return planes, working, own
        buffer, planes = fill(planes, caps, layout.orientation)
        return planes, buffer, True

    def _conclude(self, count: int) -> None:
        """Tell what was repaired, and whether the file is cut off."""
        self.info.complete = self._reached_end
        if self._timeline.repaired:
            self._context.tag("repaired_pts", self._timeline.repaired)
            self._context.warn(f"{self.name}: {self._timeline.repaired} timestamps were repaired")
        if self._damaged:
            self._context.warn(
                f"{self.name}: damaged in {self._damaged} places, {count} frames kept"
            )
        missing_s = self._missing_s()
        if missing_s:
            self._context.warn(f"{self.name} is cut off: {missing_s:.1f} s are missing at its end")
        if self._damaged or missing_s:
            self._context.tag("truncated", True)

    def _missing_s(self) -> float:
        """Return how much earlier the video ended than was announced, 0 where that is usual."""
        end = self._timeline.end
        if end is None or self._live or self._container is None:
            return 0.0
        announced_s, slack_s = announced_end_s(self._container, self._stream)
        missing_s = announced_s - float(end * self.time_base)
        usual_s = float(3 * self._default_duration * self.time_base)
        return missing_s if missing_s > max(slack_s, usual_s) else 0.0


def _with_neutral_chroma(luma: U8) -> tuple[U8, ...]:
    height, width = luma.shape
    neutral = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    return luma, neutral, neutral
