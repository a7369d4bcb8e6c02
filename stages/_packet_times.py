"""Keep sound in step with pictures whose times jump back on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._transcode import Packet

_JUMP_S = 1.0  # as for pictures: what is less is a slip, not a new beginning
_MAX_EARLY = 200


class TrackTimes:
    """Times of one track, moved as far as the pictures' are by the reader's repair.

    Either may come to the jump first: packets of after it wait, up to 200, until the pictures have
    got there; those of before it keep their old place.
    """

    def __init__(self) -> None:
        self.reached_s = 0.0
        self._last_s: float | None = None
        self._used_s = 0.0
        self._early: list[Packet] = []

    def place(self, packet: Packet, shift_s: float) -> list[Packet]:
        """Return what is ready now, with its times set; `shift_s` is the pictures' own."""
        now_s = float((packet.dts or 0) * packet.time_base)
        jumped = self._last_s is not None and now_s < self._last_s - _JUMP_S
        self._last_s = now_s
        ready = [packet]
        if jumped or self._early:
            self._early.append(packet)
            if shift_s == self._used_s and len(self._early) < _MAX_EARLY:
                return []
            ready, self._early, self._used_s = self._early, [], shift_s
        self.reached_s = now_s + self._used_s
        if self._used_s:
            for each in ready:
                _move(each, self._used_s)
        return ready


def _move(packet: Packet, by_s: float) -> None:
    ticks = round(by_s / float(packet.time_base))
    packet.dts = (packet.dts or 0) + ticks
    packet.pts = None if packet.pts is None else packet.pts + ticks
