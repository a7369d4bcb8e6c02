"""Cover pictures: how a medium holds them, and how they come into another file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.stream import Discard, Disposition

from ._media import open_container

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

    from ._formats import Container
    from ._transcode import Packet

# File extension and MIME type by FFmpeg's name of the codec.
_KINDS = {
    "mjpeg": ("jpg", "image/jpeg"),
    "png": ("png", "image/png"),
    "bmp": ("bmp", "image/bmp"),
    "gif": ("gif", "image/gif"),
    "tiff": ("tiff", "image/tiff"),
    "webp": ("webp", "image/webp"),
}
# What MP4 takes, with a format that its encoder, which is never used, would take.
_IN_MP4 = {"mjpeg": "yuvj420p", "png": "rgb24", "bmp": "bgr24"}


@dataclass(frozen=True, slots=True)
class Cover:
    """One picture of a medium: its file's bytes, and what they are; `index` is its stream's."""

    index: int
    codec: str
    size: tuple[int, int]
    name: str
    data: bytes = b""


def covers_of(container: InputContainer) -> list[Cover]:
    """Return the covers that `container` announces, still without their data."""
    covers = []
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            coder: Any = stream.codec_context
            codec, size = (coder.name, (coder.width, coder.height)) if coder else ("", (0, 0))
            covers.append(Cover(stream.index, codec, size, stream.metadata.get("filename", "")))
    return covers


def read_covers(path: str) -> list[Cover]:
    """Return the covers of a file with their data; raises DecodeError."""
    with open_container(path) as container:
        missing = {cover.index: cover for cover in covers_of(container)}
        wanted = [container.streams[index] for index in missing]
        for stream in container.streams:
            if stream not in wanted:
                stream.discard = Discard.all
        found = []
        for packet in container.demux(wanted) if wanted else ():
            if packet.size and packet.stream_index in missing:
                found.append(replace(missing.pop(packet.stream_index), data=bytes(packet)))
            if not missing:
                break
        return found


def add_cover(cover: Cover, output: OutputContainer, kind: Container) -> Packet | None:
    """Add `cover` to an output that is not begun; returns the packet to write, where there is one.

    Raises ValueError where this kind of file cannot hold it.
    """
    if kind.name == "matroska" and cover.codec in _KINDS:
        extension, mime = _KINDS[cover.codec]
        output.add_attachment(cover.name or f"cover.{extension}", mime, cover.data)
        return None
    if kind.name != "mp4" or cover.codec not in _IN_MP4:
        raise ValueError(f"{kind.name} holds no cover of {cover.codec or 'an unknown kind'}")
    added: Any = output.add_stream(cover.codec, rate=1)
    added.width, added.height = cover.size
    added.pix_fmt = _IN_MP4[cover.codec]
    added.disposition = Disposition.attached_pic
    packet: Packet = av.Packet(cover.data)
    packet.stream, packet.time_base, packet.pts, packet.dts = added, Fraction(1, 1000), 0, 0
    packet.is_keyframe = True
    return packet
