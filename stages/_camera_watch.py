"""Notice that a camera is gone, and find out when it is back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..pipeline.frame import U8

_GONE_S = 1.0  # a node that is missing for so long does not come back by itself


class Watch:
    """Notices a camera that fails, or repeats its last picture because it was unplugged."""

    def __init__(self, device: str, patience_s: float) -> None:
        self._device, self._patience_s = device, patience_s
        self._last = b""
        self._alive = time.monotonic()

    def lost(self, image: U8 | None) -> bool:
        """Take note of `image`, None = the read failed; returns whether the camera is lost."""
        now = time.monotonic()
        sample = b"" if image is None else image[::37, ::41].tobytes()
        if sample and sample != self._last:
            self._last, self._alive = sample, now
            return False
        silent_s = now - self._alive
        if silent_s <= min(_GONE_S, self._patience_s):
            return False
        # A still scene may look alike for long; a missing device node does not come from that.
        return is_gone(self._device) or (not sample and silent_s > self._patience_s)


def is_gone(device: str) -> bool:
    """Return whether the node of `device` is missing; False where it has none."""
    return device.startswith("/") and not Path(device).exists()
