"""Chapters of an output file: they end where it ends, also when that comes too soon."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import OutputContainer

    from ._formats import Container

# A source rounds the end of its last chapter, or has the end of a subtitle in mind.
_SLACK_S = 1.0


def moved_chapters(chapters: Sequence[Any], shift_s: float, until_s: float | None) -> list[Any]:
    """Return those that begin in [0, `until_s`) once they are `shift_s` seconds earlier, clipped.

    A player takes the end of the last chapter for that of the film.
    """
    moved = []
    for chapter in chapters:
        unit = chapter["time_base"]
        limit = math.inf if until_s is None else round(until_s / unit)
        start, end = (max(chapter[key] - round(shift_s / unit), 0) for key in ("start", "end"))
        if start < min(end, limit):
            moved.append({**chapter, "start": start, "end": min(end, limit)})
    return moved


class Chapters:
    """The chapters of `output`; `trim` has to be called before it is closed.

    Matroska gets them at its end. MP4 has them twice, as a list in its index, which is written at
    the end, and as a track of texts for Apple's players, which has to be there from the beginning:
    `stale` tells that it is wrong.
    """

    def __init__(
        self, chapters: Sequence[Any], output: OutputContainer, kind: Container,
        *, shift_s: float, until_s: float | None,
    ) -> None:  # fmt: skip
        self._output = output
        self._planned = moved_chapters(chapters, shift_s, until_s)
        self._in_track = bool(self._planned) and kind.name in ("mp4", "mov")
        self.stale = False
        if self._in_track:
            output.set_chapters(self._planned)

    def trim(self, end_s: float, *, whole: bool) -> None:
        """Leave out what lies behind `end_s`; a `whole` film may end a little too early."""
        kept = moved_chapters(self._planned, 0.0, end_s)
        if whole and self._nearly(end_s):
            kept = self._planned
        self.stale = self._in_track and kept != self._planned
        self._output.set_chapters(kept)

    def _nearly(self, end_s: float) -> bool:
        return all(c["end"] * c["time_base"] <= end_s + _SLACK_S for c in self._planned)
