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


def panel(rows: list[tuple[str, ...]], *, scale: float = 0.5) -> U8:
    """Return `rows` of columns in white on a translucent panel, (H, W, 4) BGRA, straight alpha."""
    sizes = [[cv2.getTextSize(text, _FONT, scale, 1)[0] for text in row] for row in rows]
    pitch = max(height for row in sizes for _, height in row) + _MARGIN_PX
    widths = [max(width for width, _ in column) for column in zip(*sizes, strict=True)]
    lefts = [sum(widths[:k]) + 2 * k * _MARGIN_PX + _MARGIN_PX for k in range(len(widths))]
    ink = np.zeros((pitch * len(rows) + _MARGIN_PX, lefts[-1] + widths[-1] + _MARGIN_PX), np.uint8)
    for number, row in enumerate(rows, start=1):
        for left, text in zip(lefts, row, strict=True):
            cv2.putText(ink, text, (left, number * pitch), _FONT, scale, 255, 1, cv2.LINE_AA)
    return np.dstack([ink, ink, ink, np.maximum(ink, _DARKNESS)])
