"""What sinks that follow time share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..pipeline.frame import Frame
    from ..pipeline.stage import Context


def duration_s(frame: Frame) -> float:
    """Return how long `frame` is to be shown in seconds, 0 where nobody knows."""
    if frame.duration is not None:
        return float(frame.duration * frame.time_base)
    rate = frame.caps.framerate
    return float(1 / rate) if rate else 0.0


def follow_clock(context: Context, frame: Frame) -> None:
    """Wait until `frame` is due; a live frame is due when it arrives."""
    if not frame.caps.live:
        context.wait_until(frame.time_s, duration_s(frame))
