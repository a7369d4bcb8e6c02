"""Sound and subtitles of a medium that is read only once: its reader hands them to the sinks."""

from __future__ import annotations

import io
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import av
import av.error

from ._covers import covers_of
from ._media import film_facts
from ._packet_times import TrackTimes
from ._unheard import keep_unheard

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from av.container import InputContainer
    from av.stream import Stream

    from ..pipeline.stage import Context
    from ._covers import Cover
    from ._transcode import Packet

MAX_WAITING_BYTES = 32 << 20
_PACKET_BYTES = 512  # what a packet takes beside its data, roughly
_KINDS = ("audio", "subtitle", "attachment")


class PacketLane:
    """The way of packets from the thread that reads a medium to each sink that copies them.

    Until `begin` tells how many sinks there are, packets wait for them; where there are none they
    are thrown away from then on. For each sink at most `MAX_WAITING_BYTES` wait.
    """

    def __init__(self, name: str, container: InputContainer, context: Context) -> None:
        self._name, self._context = name, context
        self.inputs: list[Stream] = []  # to be demuxed beside the pictures
        self.metadata = dict(container.metadata)
        self.chapters = container.chapters()
        self.film = film_facts(container)
        self._sheet = _sheet()
        for stream in container.streams:
            if stream.type in _KINDS:
                self._admit(stream)
        self._place = {stream.index: place for place, stream in enumerate(self.inputs)}
        self._covers = {cover.index: cover for cover in covers_of(container)}
        self.inputs += [container.streams[index] for index in self._covers]
        self._lock = threading.Lock()
        self._takers = [Taker(self)]
        self._free = 0
        self._begun = False
        self._lost = 0
        self._times: dict[int, TrackTimes] = {}
        self.shift_s = 0.0  # how far the pictures' times were moved

    def _admit(self, stream: Stream) -> None:
        try:
            _copy_stream(stream, self._sheet)
        except (ValueError, av.error.FFmpegError):
            self._context.warn(f"{self._name}: a track of {stream.type} is unknown: it is left out")
        else:
            self.inputs.append(stream)

    # The reader's side

    def begin(self, sinks: int) -> None:
        """Know that `sinks` stages will call `taker`; packets of before are kept for them."""
        with self._lock:
            if not self._begun:
                self._begun = True
                first = self._takers[0]
                self._takers = [first, *(first.twin() for _ in range(sinks - 1))][:sinks]

    def sort_out(self, packets: Iterable[Packet], video: int) -> Iterator[Packet]:
        """Yield those of stream `video`, and keep the others for the sinks."""
        for packet in packets:
            if packet.stream_index == video:
                yield packet
            else:
                self.put(packet)

    def put(self, packet: Packet) -> None:
        """Hand `packet` to every sink."""
        if packet.dts is None:
            packet.dts = packet.pts
        cover = self._covers.get(packet.stream_index)
        if cover is not None and packet.size:
            self._covers[cover.index] = replace(cover, data=bytes(packet))
        place = self._place.get(packet.stream_index)
        if packet.dts is None or place is None:  # the first marks the end of a track
            return
        times = self._times.setdefault(place, TrackTimes())
        for ready in times.place(packet, self.shift_s):
            self._hand_over(place, ready)

    def _hand_over(self, place: int, packet: Packet) -> None:
        with self._lock:
            for taker in self._takers[1:]:
                taker.put(place, _copy_packet(packet))
            for taker in self._takers[:1]:
                taker.put(place, packet)

    def lags(self, until_s: float) -> bool:
        """Return whether a sound track that was heard before has not come to `until_s` yet."""
        heard = [t for place, t in self._times.items() if self.inputs[place].type == "audio"]
        return bool(self._takers) and any(times.reached_s < until_s for times in heard)

    # The sinks' side

    def taker(self) -> Taker:
        """Return the packets for one more sink."""
        with self._lock:
            if self._free == len(self._takers):  # nobody knew of this sink before
                self._takers.append(Taker(self))
            self._free += 1
            return self._takers[self._free - 1]

    def streams(self) -> list[Stream]:
        """Return tracks of the caller's own, with decoders of their own."""
        with self._lock:
            sheet = _sheet()
            return [_copy_stream(stream, sheet) for stream in self._sheet.streams]

    @property
    def covers(self) -> list[Cover]:
        """The covers that came so far: they come before the first picture."""
        return [cover for cover in self._covers.values() if cover.data]

    def overflow(self, taker: Taker) -> None:
        """Tell what `taker` lost, once all is over."""
        limit = MAX_WAITING_BYTES / (1 << 20)
        self._context.warn(
            f"{self._name}: sound came too far ahead of its pictures: {taker.lost} packets are "
            f"lost, since no more than {limit:.3g} MiB may wait"
        )
        self._lost += taker.lost
        self._context.tag("lost_packets", self._lost)


class Taker:
    """One sink's packets: a source of tracks for `CopiedTracks`.

    What does not fit into memory is left out until half of it is free again, so that there is one
    gap and not many.
    """

    def __init__(self, lane: PacketLane) -> None:
        self._lane = lane
        self._waiting: deque[tuple[int, Packet]] = deque()
        self._lock = threading.Lock()
        self._bytes = 0
        self._full = False
        self._chosen: Collection[int] | None = None
        self.lost = 0
        self.metadata, self.film, self.chapters = lane.metadata, lane.film, lane.chapters
        self.streams: Sequence[Stream] = ()
        self.covers: Sequence[Cover] = ()

    def twin(self) -> Taker:
        """Return another one with what waits here."""
        other = Taker(self._lane)
        for place, packet in self._waiting:
            other.put(place, _copy_packet(packet))
        other.lost = self.lost
        return other

    def put(self, place: int, packet: Packet) -> None:
        """Add a packet of the track at `place`, if it is wanted and there is room."""
        with self._lock:
            if self._chosen is not None and place not in self._chosen:
                return
            limit = MAX_WAITING_BYTES // 2 if self._full else MAX_WAITING_BYTES
            self._full = self._bytes + packet.size + _PACKET_BYTES > limit
            if self._full:
                self.lost += 1
                return
            self._bytes += packet.size + _PACKET_BYTES
            self._waiting.append((place, packet))

    def open(self) -> Taker:
        """Get tracks, in the thread of the sink; returns itself."""
        self.streams, self.covers = self._lane.streams(), self._lane.covers
        return self

    def select(self, places: Collection[int]) -> None:
        """Leave out all tracks but those at `places`."""
        with self._lock:
            self._chosen = frozenset(places)
            self._waiting = deque(item for item in self._waiting if item[0] in self._chosen)
            self._bytes = sum(packet.size + _PACKET_BYTES for _, packet in self._waiting)

    def take(self) -> Packet | None:
        """Return the next packet; None where there is none yet."""
        with self._lock:
            if not self._waiting:
                return None
            place, packet = self._waiting.popleft()
            self._bytes -= packet.size + _PACKET_BYTES
        packet.stream = self.streams[place]
        return packet

    def close(self) -> None:
        """Forget what waits, and tell what was lost."""
        with self._lock:
            self._waiting.clear()
            self._bytes, self._chosen = 0, frozenset()
        if self.lost:
            self._lane.overflow(self)
            self.lost = 0


def _sheet() -> Any:
    """Return a container that holds tracks of any kind; nothing is ever written to it."""
    return av.open(io.BytesIO(), "w", format="null")


def _copy_stream(stream: Stream, sheet: Any) -> Stream:
    copy: Stream = sheet.add_stream_from_template(stream)
    copy.metadata.update(stream.metadata)
    copy.disposition = stream.disposition
    if copy.codec_context is not None:  # else a decoder that leaves samples out forgets their time
        copy.codec_context.options["pkt_timebase"] = str(stream.time_base)
    return copy


def _copy_packet(packet: Packet) -> Packet:
    """Return `packet` once more: writing one changes it."""
    copy: Packet = av.Packet(bytes(packet))
    copy.time_base, copy.pts, copy.dts = packet.time_base, packet.pts, packet.dts
    copy.duration, copy.is_keyframe = packet.duration, packet.is_keyframe
    copy.is_corrupt = packet.is_corrupt
    keep_unheard(packet)
    for extra in packet.iter_sidedata():
        copy.set_sidedata(extra)
    return copy
