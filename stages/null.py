"""Sink that counts frames and discards them: for measuring, and for branches not needed now."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ..pipeline import stage
from ..pipeline.registry import register_stage
from ._pacing import follow_clock

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import Frame


@register_stage("null")
class Null(stage.Sink):
    """Take every frame and keep none; `frames` is how many came since the start."""

    class Params(stage.Params):
        """Properties of `null`."""

        sync: bool = Field(
            False, description="take each frame at its presentation time, as a window would"
        )

    params: Params
    lossless: ClassVar[bool] = True
    reads_traits: ClassVar[bool] = False

    frames = 0

    def start(self, caps: Caps) -> Caps:
        """Start counting from 0."""
        self.frames = 0
        return caps

    def write(self, frame: Frame) -> None:
        """Count `frame`."""
        if self.params.sync:
            follow_clock(self.context, frame)
        self.frames += 1
