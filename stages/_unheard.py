"""Say of sound that it shall not be heard in a way that survives in any container."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from av.packet import PacketSideData, packet_sidedata_type_from_literal

if TYPE_CHECKING:
    from ._transcode import Packet

_SKIP = packet_sidedata_type_from_literal("skip_samples")


def keep_unheard(packet: Packet) -> None:
    """Have the sound of `packet` left out after decoding, if its file says it is not to be played.

    MP4 says so by an edit list, of which a packet alone keeps only a flag, that is neither copied
    nor written. As a number of samples to skip at its end FFmpeg does both; in Matroska it becomes
    DiscardPadding (RFC 9559, 5.1.3.5.7).
    """
    stream: Any = packet.stream
    if not packet.is_discard or stream.type != "audio" or not packet.duration:
        return
    samples = round(packet.duration * packet.time_base * stream.codec_context.sample_rate)
    note: Any = PacketSideData(_SKIP, 10)  # type: ignore[call-arg]  # its stub lacks the arguments
    note.update(struct.pack("<IIBB", 0, samples, 0, 0))
    packet.set_sidedata(note)
