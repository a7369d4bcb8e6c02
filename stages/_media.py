"""The file behind a stream of frames, for sinks that copy its other tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction


@dataclass(slots=True, eq=False)
class MediaInfo:
    """One media file; every frame read from it carries the same object as `tags["media"]`.

    `complete` turns true once the file was read to its end: only then do its other tracks belong
    in the output to their own ends. `average_rate` in frames per second is a hint for encoders
    where the rate varies.
    """

    path: str
    average_rate: Fraction | None = None
    complete: bool = False
