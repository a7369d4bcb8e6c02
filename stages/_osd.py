"""Small text on a dark panel, to lie over a preview."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from ..pipeline.frame import U8

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MARGIN_PX = 8
_DARKNESS = 150  # alpha of the panel, 0..255


def panel(lines: list[str], *, scale: float = 0.5) -> U8:
    """Return `lines` in white on a translucent panel, (H, W, 4) BGRA, straight alpha."""
    sizes = [cv2.getTextSize(line, _FONT, scale, 1)[0] for line in lines]
    pitch = max(height for _, height in sizes) + _MARGIN_PX
    width = max(width for width, _ in sizes) + 2 * _MARGIN_PX
    ink = np.zeros((pitch * len(lines) + _MARGIN_PX, width), np.uint8)
    for row, line in enumerate(lines, start=1):
        cv2.putText(ink, line, (_MARGIN_PX, row * pitch), _FONT, scale, 255, 1, cv2.LINE_AA)
    alpha = np.maximum(ink, _DARKNESS)
    # Straight alpha: where ink covers the panel in part, the colour is their mixture.
    return np.dstack([ink, ink, ink, alpha])
