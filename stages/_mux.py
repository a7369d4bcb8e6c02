"""Write one output file: encode, interleave copied tracks, and name it only when it is whole."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.codec.context import Flags, ThreadType

from ..pipeline.errors import EncodeError
from ..pipeline.outputs import part_path
from ._colour import MATRIX_CODES, PRIMARY_CODES, RANGE_CODES, TRANSFER_CODES, UNSPECIFIED
from ._media import open_output
from ._planes import FULL_RANGE, picture_of
from ._tracks import CopiedTracks

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import OutputContainer

    from ..pipeline.caps import Caps
    from ..pipeline.frame import Frame
    from ..pipeline.stage import Context
    from ._formats import Container
    from ._transcode import Packet

# libx264 tells its pictures' types itself; one taken over from the decoder would be obeyed.
_ANY_TYPE, _KEY_TYPE = 0, 1
_AUDIO_AHEAD_S = 0.5
# Broadcasts count from some hour of the day; a file that shows nothing so long helps nobody.
_LATE_START_S = 600.0
# MP4 counts a frame's duration in 32 bits: finer units leave no room for a pause.
_MAX_DENOMINATOR, _COARSER = 10_000_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Encoding:
    """What to encode to: a codec with its private `options`, a key frame every so often."""

    codec: str
    options: dict[str, str]
    key_interval_s: float


def open_encoder(
    output: OutputContainer, encoding: Encoding, caps: Caps, time_base: Fraction,
    rate: Fraction,
) -> av.VideoStream:  # fmt: skip
    """Add a video stream for frames of `caps`; `rate` in frames per second may be a guess."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only: SVT-AV1 writes to the terminal by itself
    added: Any = output.add_stream(encoding.codec, rate=rate, options=dict(encoding.options))
    stream: av.VideoStream = added
    coder = stream.codec_context
    coder.width, coder.height = caps.width, caps.height
    coder.pix_fmt = _encoder_format(encoding.codec, caps)
    coder.time_base = time_base
    coder.gop_size = max(1, int(rate * Fraction(encoding.key_interval_s)))
    coder.flags |= Flags.frame_duration
    coder.thread_type = ThreadType.AUTO
    coder.sample_aspect_ratio = caps.sample_aspect
    coder.colorspace = MATRIX_CODES[caps.matrix]
    coder.color_range = RANGE_CODES[caps.color_range]
    coder.color_primaries = PRIMARY_CODES.get(caps.primaries, UNSPECIFIED)
    coder.color_trc = TRANSFER_CODES.get(caps.transfer, UNSPECIFIED)
    return stream


def _encoder_format(codec: str, caps: Caps) -> str:
    """Return FFmpeg's name: encoders of the old school want full range in the format's name."""
    name = caps.pixel_format
    if caps.color_range == "full" and name in FULL_RANGE:
        formats = av.Codec(codec, "w").video_formats or []
        if FULL_RANGE[name] in {form.name for form in formats}:
            return FULL_RANGE[name]
    return name


def encoder_time_base(frame: Frame) -> Fraction:
    """Return the unit to count the output in: `frame.time_base` is a multiple where it can be."""
    denominator = frame.time_base.denominator
    return Fraction(1, denominator if denominator <= _MAX_DENOMINATOR else _COARSER)


class Writer:
    """One file being written under its part name; `finish` gives it its own.

    The first frame decides times and tracks. Not safe to call from two threads at once.
    """

    def __init__(
        self, path: Path, kind: Container, encoding: Encoding, caps: Caps, context: Context,
        unit: Fraction,
    ) -> None:  # fmt: skip
        self.path, self.part = path, part_path(path)
        self._kind, self._encoding, self._caps, self._context = kind, encoding, caps, context
        self._tracks: CopiedTracks | None = None
        self._unit = unit
        self._output = open_output(self.part, kind.name, kind.options_for(unit))
        self._end_ticks = 0
        self._last_pts: int | None = None
        self.held = 0  # frames that the encoder has not given back yet

    def begin(self, frame: Frame, *, copy_tracks: bool) -> None:
        """Set up streams for `frame` and what follows it."""
        media = frame.tags.get("media")
        self._media = media
        self._tick_s = float(self._unit)
        rate = self._caps.framerate or (media and media.average_rate) or Fraction(30)
        self._usual_ticks = max(1, round(1 / (rate * self._unit)))
        self._source_base, self._ratio = frame.time_base, frame.time_base / self._unit
        self._stream = open_encoder(self._output, self._encoding, self._caps, self._unit, rate)
        self._coder = self._stream.codec_context
        self._format = str(self._coder.pix_fmt)
        # The encoder counts frames from key to key; where they are sparse, time has to decide.
        self._key_ticks = max(1, int(Fraction(self._encoding.key_interval_s) / self._unit))
        self._recent: deque[int] = deque(maxlen=self._coder.gop_size)
        self._shift_ticks = self._shift(frame)
        shift_s = self._shift_ticks * self._tick_s
        if media is not None and copy_tracks:
            self._tracks = CopiedTracks(
                media, self._output, self._kind, self._context, shift_s=shift_s,
                since_s=0.0 if self._caps.live else None,
                until_s=media.limit_s and frame.time_s - shift_s + media.limit_s,
            )  # fmt: skip
            self._tracks.describe(self._stream)

    def _shift(self, frame: Frame) -> int:
        """Return how many ticks earlier the output is than the input, whose first is `frame`."""
        if self._caps.live:  # since when somebody sent before we came is nobody's business
            return self._ticks(frame.pts)
        # Players leave out what an MP4 has before 0, and Matroska cannot say it.
        if 0 <= frame.time_s < _LATE_START_S or not frame.pts:
            return 0
        self._context.warn(f"time starts at {frame.time_s:.1f} s: {self.path} starts at 0")
        return self._ticks(frame.pts)

    def write(self, frame: Frame) -> None:
        """Encode `frame` and write what is ready."""
        if frame.time_base is not self._source_base:
            self._source_base, self._ratio = frame.time_base, frame.time_base / self._unit
        pts = self._ticks(frame.pts) - self._shift_ticks
        if self._last_pts is not None and pts <= self._last_pts:
            now, before = (float(n * self._unit) for n in (pts, self._last_pts))
            raise EncodeError(f"a frame of {now:.6f} s follows one of {before:.6f} s")
        self._last_pts = pts
        duration = self._ticks(frame.duration) if frame.duration else self._usual_ticks
        picture = picture_of(frame, self._format)
        picture.pts, picture.duration, picture.time_base = pts, duration, self._unit
        picture.pict_type = self._picture_type(pts)
        self._end_ticks = pts + duration
        self._mux(self._stream.encode(picture))
        self.held += 1

    def _ticks(self, value: int) -> int:
        """Rescale `value` from the frame's time base to the encoder's; exact where it can be."""
        ratio = self._ratio
        if ratio.denominator == 1:
            return value * ratio.numerator
        return round(value * ratio)

    def _picture_type(self, pts: int) -> int:
        recent = self._recent
        sparse = len(recent) > 0 and 2 * (pts - recent[0]) > 3 * self._key_ticks
        if sparse:
            recent.clear()
        recent.append(pts)
        return _KEY_TYPE if sparse else _ANY_TYPE

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            ticks = packet.dts  # in the encoder's unit until the muxer rescales it
            self._output.mux_one(packet)
            self.held -= 1
            if self._tracks is not None and ticks is not None:
                ahead_s = ticks * self._tick_s + _AUDIO_AHEAD_S
                self._tracks.feed(min(ahead_s, self._end_ticks * self._tick_s))

    def finish(self) -> None:
        """Drain the encoder, end all tracks and give the file its name."""
        self._mux(self._stream.encode(None))
        if self._tracks is not None:
            whole = self._media is not None and self._media.complete
            self._tracks.finish(self._end_ticks * self._tick_s, whole=whole)
        self.close()
        if self._tracks is not None:
            self._tracks.seal(self.part)
        self.part.replace(self.path)

    def close(self) -> None:
        """Close the part file as it is."""
        if self._tracks is not None:
            self._tracks.close()
        self._output.close()
