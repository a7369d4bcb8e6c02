"""Hand frames to the program around the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from ..pipeline.bounded_queue import BoundedQueue
from ..pipeline.errors import EndOfStream, Flushing
from ..pipeline.frame import Frame
from ..pipeline.registry import register_stage
from ..pipeline.stage import Context, Params, Sink

if TYPE_CHECKING:
    from collections.abc import Iterator


class AppSinkParams(Params):
    """Properties of `appsink`."""

    max_frames: int = Field(
        4,
        ge=1,
        le=256,
        description="frames held until pulled",
        json_schema_extra={"unit": "frames"},
    )


@register_stage("appsink")
class AppSink(Sink):
    """Hold frames until `pull` takes them; a slow reader slows the pipeline down."""

    Params = AppSinkParams
    lossless = True
    for_programs = True

    def __init__(self, params: AppSinkParams, context: Context) -> None:
        super().__init__(params, context)
        self._mailbox = BoundedQueue(params.max_frames)

    def write(self, frame: Frame) -> None:
        # A program that is slow to pull is no stall of this stage.
        with self.context.idle():
            self._mailbox.put(frame.shared())  # the program may keep it, whatever it draws

    def finish(self) -> None:
        self._mailbox.end()

    def interrupt(self) -> None:
        self._mailbox.flush()

    def stop(self) -> None:
        self._mailbox.end()

    def pull(self) -> Iterator[Frame]:
        """Yield frames until the end of the stream or until the pipeline stops."""
        while True:
            try:
                item = self._mailbox.get()
            except (EndOfStream, Flushing):
                return
            if isinstance(item, Frame):
                yield item
