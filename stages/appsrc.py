"""Take frames from the program around the pipeline."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from ..pipeline.bounded_queue import BoundedQueue
from ..pipeline.caps import WORKING_FORMATS, Caps, default_matrix
from ..pipeline.errors import EndOfStream, Flushing
from ..pipeline.frame import U8, Frame, allocate
from ..pipeline.registry import register_stage
from ..pipeline.stage import Context, Params, Source

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
    format: str = Field(
        "bgr24", pattern="|".join(WORKING_FORMATS), description="pixel format of what is pushed"
    )
    fps: float = Field(30, gt=0, le=1000, description="rate", json_schema_extra={"unit": "1/s"})
    max_frames: int = Field(
        4, ge=1, le=256, description="frames held for us", json_schema_extra={"unit": "frames"}
    )


@register_stage("appsrc")
class AppSource(Source):
    """Emit what `push` gives, in order; `end` ends the stream."""

    Params = AppSrcParams

    def __init__(self, params: AppSrcParams, context: Context) -> None:
        super().__init__(params, context)
        self._rate = Fraction(params.fps).limit_denominator(1001)
        self._mailbox = BoundedQueue(params.max_frames)
        self._caps = Caps(
            params.format,
            params.width,
            params.height,
            self._rate,
            matrix=default_matrix(params.height),
        )
        self._count = 0

    def open(self) -> Caps:
        return self._caps

    def push(self, image: U8, pts: int | None = None) -> None:
        """Add a picture; blocks while full.

        `image`: (H, W, 3) for bgr24, (H, W, 4) for bgra, (H * 3 / 2, W) for yuv420p and nv12,
        uint8, copied. `pts` counts frames of the given rate and defaults to the next one.
        Raises ValueError for another shape or type, Flushing once the pipeline stopped.
        """
        buffer, planes = allocate(self._caps)
        if image.shape != buffer.shape or image.dtype != np.uint8:
            raise ValueError(f"pushed {image.dtype} {image.shape}, expected uint8 {buffer.shape}")
        np.copyto(buffer, image)
        number = self._count
        self._count += 1
        frame = Frame(
            planes,
            number if pts is None else pts,
            1 / self._rate,
            number,
            self._caps,
            duration=1,
            captured_ns=time.monotonic_ns(),
            owner=buffer,
            exclusive=True,
        )
        self._mailbox.put(frame)

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
