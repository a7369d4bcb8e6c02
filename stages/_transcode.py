"""Turn packets of sound and text tracks into packets that another container takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import av
import av.error
from av.bitstream import BitStreamFilterContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import OutputContainer

Packet: TypeAlias = "av.Packet[Any]"
_AAC_RATES = frozenset({8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000})
# Encoders take no other arrangement of so many channels, and none that is unnamed.
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
TEXT_CODECS = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text"})


def name_layout(track: Any) -> None:
    """Give `track` the usual arrangement of its channels where it has none: mp4 asks for one."""
    if track.type == "audio" and track.codec_context is not None:
        layout = track.codec_context.layout
        if layout.name.endswith("channels") and layout.nb_channels in _LAYOUTS:
            track.codec_context.layout = _LAYOUTS[layout.nb_channels]


class Transcoder(Protocol):
    """One track on its way into another codec."""

    target: Any

    def packets(self, packet: Packet) -> Iterator[Packet]:
        """Yield what `packet` becomes."""

    def flush(self) -> Iterator[Packet]:
        """Yield what is held back."""


class AudioTranscoder:
    """Decodes, resamples and encodes one audio track."""

    def __init__(self, source: av.AudioStream, output: OutputContainer, codec: str) -> None:
        given = source.codec_context
        rate = given.sample_rate if codec == "aac" and given.sample_rate in _AAC_RATES else 48000
        layout = _LAYOUTS.get(given.layout.nb_channels, "stereo")
        added: Any = output.add_stream(codec, rate=rate, layout=layout)
        self.target: av.AudioStream = added
        context = self.target.codec_context
        context.open()
        self._source = source
        self._resampler = av.AudioResampler(
            format=context.format, layout=layout, rate=rate, frame_size=context.frame_size or None
        )

    def packets(self, packet: Packet) -> Iterator[Packet]:
        """Yield what `packet` becomes; one that is damaged becomes nothing."""
        try:
            decoded = self._source.decode(packet)
        except av.error.FFmpegError:
            return
        for frame in decoded:
            yield from self._encoded(frame)

    def flush(self) -> Iterator[Packet]:
        """Yield what decoder, resampler and encoder hold back."""
        try:
            held = self._source.decode(None)
        except av.error.FFmpegError:
            held = []
        for frame in [*held, None]:
            yield from self._encoded(frame)
        yield from self.target.encode(None)

    def _encoded(self, frame: av.AudioFrame | None) -> Iterator[Packet]:
        for piece in self._resampler.resample(frame):
            yield from self.target.encode(piece)


class AdtsUnwrapper:
    """Takes the headers of broadcast AAC off; the sound itself stays as it is.

    MP4 keeps one header for all. Its muxer would do this by itself, but not while it writes
    fragments.
    """

    def __init__(self, source: Any, target: Any) -> None:
        self.target = target
        self._filter = BitStreamFilterContext("aac_adtstoasc", source)

    def packets(self, packet: Packet) -> Iterator[Packet]:
        """Yield `packet` unwrapped; one that is damaged becomes nothing."""
        try:
            unwrapped = self._filter.filter(packet)
        except av.error.FFmpegError:
            return
        for piece in unwrapped:
            piece.stream = self.target
            yield piece

    def flush(self) -> Iterator[Packet]:
        """Yield nothing: every packet passes at once."""
        yield from ()


def is_adts(stream: Any) -> bool:
    """Return whether `stream` is AAC with a header in each packet, as in MPEG-TS."""
    context = stream.codec_context
    return context is not None and context.name == "aac" and not context.extradata_size


class TextTranscoder:
    """Rewrites the packets of one track of text subtitles."""

    def __init__(self, source: Any, output: OutputContainer, codec: str) -> None:
        added: Any = output.add_stream(codec)
        self.target = added
        self.target.time_base = added.codec_context.time_base = source.time_base
        self._source = source.codec_context
        # The decoder writes its header, the styles that texts refer to, when it opens.
        self._source.open(strict=False)
        added.codec_context.subtitle_header = self._source.subtitle_header

    def packets(self, packet: Packet) -> Iterator[Packet]:
        """Yield the packet's text; none where it only ends another."""
        try:
            text = self._source.decode2(packet)
        except av.error.FFmpegError:
            return
        if text is None or not len(text):
            return
        written = self.target.codec_context.encode_subtitle(text)
        written.stream, written.time_base = self.target, packet.time_base
        written.pts = written.dts = packet.pts
        written.duration = packet.duration
        yield written

    def flush(self) -> Iterator[Packet]:
        """Yield nothing: every text is a packet."""
        yield from ()
