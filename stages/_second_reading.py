"""Read a file's audio and subtitle tracks beside the thread that reads its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av.error
from av.stream import Discard

from ._covers import covers_of, read_covers
from ._media import film_facts, open_container

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from av.stream import Stream

    from ._transcode import Packet


class SecondReading:
    """The tracks of a file that is opened once more, read no faster than they are taken.

    Raises DecodeError where it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._input = open_container(path)
        self.streams: list[Stream] = list(self._input.streams)
        self.metadata = self._input.metadata
        self.chapters = self._input.chapters()
        self.film = film_facts(self._input)
        self.covers = read_covers(path) if covers_of(self._input) else []
        self._packets: Iterator[Packet] = iter(())

    def select(self, places: Collection[int]) -> None:
        """Leave out all tracks but those with these indices."""
        for stream in self.streams:
            if stream.index not in places:
                stream.discard = Discard.all
        wanted = [stream for stream in self.streams if stream.index in places]
        self._packets = self._read(wanted)

    def _read(self, wanted: list[Stream]) -> Iterator[Packet]:
        if not wanted:
            return
        try:
            for packet in self._input.demux(wanted):
                if packet.dts is None:
                    packet.dts = packet.pts
                if packet.dts is not None:
                    yield packet
        except av.error.FFmpegError:
            return  # the source tells of damage

    def take(self) -> Packet | None:
        """Return the next packet; None at the end."""
        return next(self._packets, None)

    def close(self) -> None:
        """Release the file."""
        self._input.close()
