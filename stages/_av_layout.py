"""How a file's pictures become planes: what the first one decided for all."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipeline.caps import Caps
from ._colour import PRIMARIES, TRANSFERS, Plan, plan
from ._geometry import Orientation, even, fill, orientation_of
from ._planes import claimed, planes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import av
    from av.video.stream import VideoStream

    from ..pipeline.frame import U8

    Claim = Callable[[], tuple[U8, ...]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Size and format of the decoder's pictures, and what to do about them."""

    width: int
    height: int
    av_format: str
    plan: Plan
    orientation: Orientation

    @property
    def _fits_as_is(self) -> bool:
        return not (self.orientation or self.width % 2 or self.height % 2)

    def fits(self, picture: av.VideoFrame) -> bool:
        """Return whether `picture` is as the first one was."""
        same = picture.width == self.width and picture.height == self.height
        return same and picture.format.name == self.av_format

    def caps(
        self, first: av.VideoFrame, stream: VideoStream, rate: Fraction | None, *, live: bool
    ) -> Caps:
        """Return the caps of the frames to come."""
        width, height = self.width, self.height
        aspect = stream.sample_aspect_ratio or Fraction(1)
        if self.orientation.transpose:
            width, height, aspect = height, width, 1 / aspect
        return Caps(
            pixel_format=self.plan.pixel_format,
            width=even(width),
            height=even(height),
            framerate=rate,
            matrix=self.plan.matrix,
            color_range=self.plan.color_range,
            primaries=PRIMARIES.get(first.color_primaries, "unknown"),
            transfer=TRANSFERS.get(first.color_trc, "unknown"),
            sample_aspect=aspect,
            live=live,
        )

    def pixels(
        self, picture: av.VideoFrame, caps: Caps
    ) -> tuple[tuple[U8, ...], Any, Claim | None]:
        """Return planes in the working format, what owns them, and how to have them for writing.

        The last is None where they may be written as they are. Usually nothing is copied.
        """
        working = self.plan.convert(picture)
        own = working is not picture
        if self.plan.grey:
            planes = _with_neutral_chroma(planes_of(working, "gray")[0])
        else:
            planes = planes_of(working, caps.pixel_format, writable=own)
            if self._fits_as_is:
                claim = None if own else partial(claimed, working, caps.pixel_format)
                return planes, working, claim
        buffer, planes = fill(planes, caps, self.orientation)
        return planes, buffer, None


def layout_of(first: av.VideoFrame, codec: str, name: str) -> Layout:
    """Choose the layout for pictures like `first` of `name`; raises DecodeError for HDR."""
    chosen = plan(first, codec, name)
    return Layout(first.width, first.height, first.format.name, chosen, orientation_of(first))


def _with_neutral_chroma(luma: U8) -> tuple[U8, ...]:
    height, width = luma.shape
    neutral = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    return luma, neutral, neutral
