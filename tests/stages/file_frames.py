"""Frames for file sinks, as a stage that draws would send them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.frame import Frame, allocate


def drawn_frames(count: int = 10, name: str = "yuv420p", **changes: Any) -> list[Frame]:
    """Frames as a stage that draws would send them."""
    rgb = name in ("bgr24", "bgra")
    caps = Caps(name, 64, 48, Fraction(25), "rgb" if rgb else "bt601", "full" if rgb else "limited")
    caps = caps.with_(**changes)
    frames = []
    for number in range(count):
        buffer, planes = allocate(caps)
        buffer[:] = np.random.default_rng(number).integers(0, 256, buffer.shape, np.uint8)
        frames.append(Frame(planes, number, Fraction(1, 25), number, caps, 1, owner=buffer))
    return frames
