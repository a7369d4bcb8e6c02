"""Decode the pictures of one track, and see what became of the medium on the way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import av
import av.error
from av.codec.context import ThreadType
from av.stream import Discard

from ..pipeline.errors import DeviceError
from . import _media
from ._media import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

    from ._packet_lane import PacketLane
    from ._transcode import Packet

MAX_DECODER_THREADS = 4


class Decoding:
    """The pictures of `stream` to its end, whatever the container's frame count says.

    Packets of other tracks go to `lane` where there is one. `damaged` counts packets that gave no
    whole picture; `broken` says why reading failed before the end, and is usually empty.
    """

    def __init__(
        self, name: str, container: InputContainer, stream: VideoStream, lane: PacketLane | None,
        *, live: bool,
    ) -> None:  # fmt: skip
        self._name, self._stream, self._lane, self._live = name, stream, lane, live
        self.damaged, self.broken = 0, ""
        self.reached_end = False
        self._prepare()
        self._packets = self._demuxed(container)
        self._pictures = self._decoded()

    def next_picture(self) -> av.VideoFrame | None:
        """Return the next picture; None at the end. Raises DeviceError for a silent stream."""
        return next(self._pictures, None)

    def next_packet(self) -> Packet | None:
        """Read on without decoding; None at the end. Raises what FFmpeg raises."""
        return next(self._packets, None)

    def _prepare(self) -> None:
        stream = self._stream
        stream.codec_context.thread_type = ThreadType.AUTO
        stream.codec_context.thread_count = min(os.cpu_count() or 1, MAX_DECODER_THREADS)
        if not self._live:
            for other in stream.container.streams:
                if other is not stream and not (self._lane and other in self._lane.inputs):
                    other.discard = Discard.all

    def _demuxed(self, container: InputContainer) -> Iterator[Packet]:
        stream, lane = self._stream, self._lane
        if lane is None:
            return container.demux(stream)
        return lane.sort_out(container.demux([stream, *lane.inputs]), stream.index)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        try:
            for packet in self._packets:
                if packet.is_corrupt:
                    self.damaged += 1
                yield from self._pictures_of(packet)
            self.reached_end = True
        except av.error.FFmpegError as exc:
            yield from self._pictures_of(None)
            if self._live and isinstance(exc, av.error.ExitError):
                patience_s = _media.NETWORK_TIMEOUT_S[1]
                text = f"{self._name} has sent nothing for {patience_s:g} s"
                raise DeviceError(text) from None
            self.broken = reason_of(exc)

    def _pictures_of(self, packet: Packet | None) -> list[av.VideoFrame]:
        try:
            return self._stream.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self.damaged += 1
            return []
