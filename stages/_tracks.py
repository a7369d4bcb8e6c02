"""Copy the audio and subtitle tracks of a medium into an output, packet by packet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Protocol

import av
import av.error

from ._chapters import Chapters
from ._covers import add_cover
from ._mp4_index import tidy
from ._second_reading import SecondReading
from ._transcode import (
    TEXT_CODECS,
    AdtsUnwrapper,
    AudioTranscoder,
    Packet,
    TextTranscoder,
    Transcoder,
    is_adts,
    name_layout,
)
from ._unheard import keep_unheard

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from av.container import OutputContainer
    from av.stream import Stream

    from ..pipeline.stage import Context
    from ._covers import Cover
    from ._formats import Container
    from ._media import FilmFacts, MediaInfo


# Tags that describe the old container, or the bytes of the old video.
_STALE = ("major_brand", "minor_version", "compatible_brands", "encoder", "rotate", "vendor_id")
_STALE_PREFIXES = ("duration", "bps", "number_of_", "_statistics")


def kept_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Return what of `metadata` stays true in another file."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _STALE and not key.lower().startswith(_STALE_PREFIXES)
    }


def fits_into(stream: Stream, format_name: str) -> bool:
    """Return whether a container takes the packets of `stream`: only its header knows for sure."""
    try:
        with av.open(io.BytesIO(), "w", format=format_name) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


class TrackSource(Protocol):
    """Where tracks come from: a file that is read a second time, or the reader of the pictures."""

    @property
    def streams(self) -> Sequence[Stream]:
        """All tracks."""

    @property
    def metadata(self) -> dict[str, str]:
        """What the medium says of itself."""

    @property
    def film(self) -> FilmFacts:
        """What the medium says of its video track."""

    @property
    def covers(self) -> Sequence[Cover]:
        """The cover pictures."""

    @property
    def chapters(self) -> list[Any]:
        """The chapters, as PyAV has them."""

    def select(self, places: Collection[int]) -> None:
        """Leave out all tracks but those with these indices."""

    def take(self) -> Packet | None:
        """Return the next packet; None where there is none, or none yet."""

    def close(self) -> None:
        """Release what is held."""


def tracks_of(media: MediaInfo) -> TrackSource:
    """Return the tracks of `media` for one more sink; raises DecodeError."""
    return SecondReading(media.path) if media.lane is None else media.lane.taker().open()


class CopiedTracks:
    """The audio and subtitle tracks of `media`.

    All their times are set back by `shift_s`; what begins before `since_s`, on the new scale, is
    left out, and so are chapters from `until_s` on.
    """

    def __init__(
        self, media: MediaInfo, output: OutputContainer, kind: Container, context: Context,
        *, shift_s: float, since_s: float | None, until_s: float | None,
    ) -> None:  # fmt: skip
        self._output, self._kind, self._context = output, kind, context
        self._shift_s, self._since_s = shift_s, since_s
        self._input = tracks_of(media)
        self._targets: dict[int, Stream] = {}
        self._transcoders: dict[int, Transcoder] = {}
        self._seconds: dict[int, float] = {}
        self._refused = 0
        for stream in self._input.streams:
            if stream.type in ("audio", "subtitle"):
                self._add(stream)
            elif stream.type == "attachment" and kind.name == "matroska":  # fonts of subtitles
                output.add_stream_from_template(stream)
        self._covers = [packet for cover in self._input.covers if (packet := self._covered(cover))]
        self._covered_mp4 = bool(self._covers)
        self._input.select(self._seconds.keys())
        output.metadata.update(kept_metadata(self._input.metadata))
        chapters = self._input.chapters
        self._chapters = Chapters(chapters, output, kind, shift_s=shift_s, until_s=until_s)
        self._next: tuple[float, Packet] | None = None
        self._reached_s = 0.0

    def _covered(self, cover: Cover) -> Packet | None:
        try:
            return add_cover(cover, self._output, self._kind)
        except ValueError:
            self._context.warn("the cover picture is left out")
            return None

    def _add(self, stream: Stream) -> None:
        fits = fits_into(stream, self._kind.name)
        target = self._copied(stream) if fits else self._transcoded(stream)
        if target is None:
            return
        target.metadata.update(kept_metadata(stream.metadata))
        target.disposition = stream.disposition
        self._seconds[stream.index] = float(stream.time_base or 0)

    def _copied(self, stream: Stream) -> Stream:
        target = self._output.add_stream_from_template(stream)
        self._targets[stream.index] = target
        name_layout(target)
        if self._kind.name in ("mp4", "mov") and is_adts(stream):
            self._transcoders[stream.index] = AdtsUnwrapper(stream, target)
        return target

    def _transcoded(self, stream: Stream) -> Stream | None:
        kind, name = self._kind, stream.codec_context.name if stream.codec_context else "unknown"
        cannot = f"{kind.name} cannot hold {name} {stream.type}"
        coder: Transcoder
        if isinstance(stream, av.AudioStream) and stream.codec_context is not None:
            coder = AudioTranscoder(stream, self._output, to := kind.audio_codec)
        elif name in TEXT_CODECS:
            coder = TextTranscoder(stream, self._output, to := kind.text_codec)
        else:
            self._context.warn(f"{cannot}: it is left out")
            return None
        self._context.warn(f"{cannot}: it is converted to {to}")
        self._transcoders[stream.index] = coder
        target: Stream = coder.target
        return target

    def _take(self) -> tuple[float, Packet] | None:
        """Return the next packet with its decoding time in seconds, None where there is none."""
        while (packet := self._input.take()) is not None:
            time_s = self._place(packet)
            if self._since_s is None or time_s >= self._since_s:
                return time_s, packet
        return None

    def _place(self, packet: Packet) -> float:
        """Shift `packet` as the video is shifted; returns when it decodes, in seconds."""
        second = self._seconds[packet.stream_index]
        if self._shift_s and second:
            ticks = round(self._shift_s / second)
            packet.dts = (packet.dts or 0) - ticks
            packet.pts = None if packet.pts is None else packet.pts - ticks
        return (packet.dts or 0) * second

    def describe(self, stream: Stream) -> None:
        """Tell of `stream`, the video, what the medium told of its own."""
        film = self._input.film
        stream.metadata.update(kept_metadata(film.metadata))
        stream.disposition = film.disposition

    def feed(self, until_s: float) -> None:
        """Write the packets that decode before `until_s`, as far as they are there."""
        while self._covers:
            self._output.mux_one(self._covers.pop())
        item = self._next or self._take()
        while item is not None and item[0] < until_s:
            self._reached_s = max(self._reached_s, item[0])
            self._write(item[1])
            item = self._take()
        self._next = item

    def finish(self, film_end_s: float, *, whole: bool) -> None:
        """Write what remains, up to the film's end where it is not `whole`."""
        self.feed(float("inf") if whole else film_end_s)
        for coder in self._transcoders.values():
            for packet in coder.flush():
                self._output.mux_one(packet)
        if self._refused:
            self._context.warn(f"{self._refused} audio or subtitle packets do not fit and are lost")
        self._chapters.trim(max(film_end_s, self._reached_s), whole=whole)

    def seal(self, path: Path) -> None:
        """Correct the file at `path` after it was closed."""
        if self._chapters.stale or self._covered_mp4:
            tidy(path, chapters=self._chapters.stale)

    def _write(self, packet: Packet) -> None:
        coder = self._transcoders.get(packet.stream_index)
        if coder is not None:
            for piece in coder.packets(packet):
                self._output.mux_one(piece)
            return
        if self._kind.name == "matroska":
            keep_unheard(packet)
        packet.stream = self._targets[packet.stream_index]
        try:
            self._output.mux_one(packet)
        except (av.error.ArgumentError, av.error.InvalidDataError):  # back in time, or damaged
            self._refused += 1

    def close(self) -> None:
        """Release the file."""
        self._input.close()
