"""Take frames from the program around the pipeline."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from ..pipeline.bounded_queue import BoundedQueue
from ..pipeline.caps import SUBSAMPLED, Caps, default_matrix
from ..pipeline.errors import EndOfStream, Flushing
from ..pipeline.frame import U8, Frame, allocate
from ..pipeline.registry import register_stage
from ..pipeline.stage import Context, Params, Source
from ._geometry import Orientation, even, fill

if TYPE_CHECKING:
    from collections.abc import Iterator


class AppSrcParams(Params):
    """Properties of `appsrc`."""

    width: int = Field(
        ge=1, le=16384, description="picture width", json_schema_extra={"unit": "px"}
    )
    height: int = Field(
        ge=1, le=16384, description="picture height", json_schema_extra={"unit": "px"}
    )
    format: Literal["yuv420p", "nv12", "bgr24", "bgra"] = Field(
        "bgr24", description="pixel format of what is pushed"
    )
    fps: float = Field(30, gt=0, le=1000, description="rate", json_schema_extra={"unit": "1/s"})
    max_frames: int = Field(
        4, ge=1, le=256, description="frames held for us", json_schema_extra={"unit": "frames"}
    )

    @model_validator(mode="after")
    def _even(self) -> AppSrcParams:
        if self.format in SUBSAMPLED and (self.width % 2 or self.height % 2):
            raise ValueError(f"{self.format} needs an even width and height")
        return self


@register_stage("appsrc")
class AppSource(Source):
    """Emit what `push` gives, in order, odd sizes padded; `end` ends the stream."""

    Params = AppSrcParams
    for_programs = True

    def __init__(self, params: AppSrcParams, context: Context) -> None:
        super().__init__(params, context)
        self._rate = Fraction(params.fps).limit_denominator(1001)
        self._mailbox = BoundedQueue(params.max_frames)
        rgb = params.format not in SUBSAMPLED
        pushed = Caps(
            params.format,
            params.width,
            params.height,
            self._rate,
            matrix="rgb" if rgb else default_matrix(params.height),
            color_range="full" if rgb else "limited",
        )
        self._pushed = pushed
        self._caps = pushed.with_(width=even(pushed.width), height=even(pushed.height))
        self._count, self._last = 0, -1

    def open(self) -> Caps:
        return self._caps

    def push(self, image: U8, pts: int | None = None) -> None:
        """Add a picture; blocks while full.

        `image`: (H, W, 3) for bgr24, (H, W, 4) for bgra, (H * 3 / 2, W) for yuv420p and nv12,
        uint8, copied. `pts` counts frames of the given rate and defaults to the one after the last.
        Raises ValueError for another shape or type and for a pts that is not larger than the last,
        Flushing once the pipeline stopped.
        """
        buffer, planes = self._copy(image)
        pts = self._last + 1 if pts is None else pts
        if self._count and pts <= self._last:
            raise ValueError(f"pts {pts} does not follow {self._last}: they must increase")
        frame = Frame(
            planes,
            pts,
            1 / self._rate,
            self._count,
            self._caps,
            duration=1,
            captured_ns=time.monotonic_ns(),
            owner=buffer,
            exclusive=True,
        )
        self._last, self._count = pts, self._count + 1
        self._mailbox.put(frame)

    def _copy(self, image: U8) -> tuple[U8, tuple[U8, ...]]:
        buffer, planes = allocate(self._pushed)
        if image.shape != buffer.shape or image.dtype != np.uint8:
            raise ValueError(f"pushed {image.dtype} {image.shape}, expected uint8 {buffer.shape}")
        np.copyto(buffer, image)
        if self._pushed == self._caps:
            return buffer, planes
        return fill(planes, self._caps, Orientation())

    def end(self) -> None:
        """Say that nothing more will be pushed."""
        self._mailbox.end()

    def interrupt(self) -> None:
        self._mailbox.end()

    def frames(self) -> Iterator[Frame]:
        while True:
            try:
                with self.context.idle():
                    item = self._mailbox.get()
            except (EndOfStream, Flushing):
                return
            if isinstance(item, Frame):
                yield item
