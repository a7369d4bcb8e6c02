"""Full-range YUV in limited range, for takers that read nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..pipeline.frame import U8


def _squeeze(low: int, high: int, centre: int) -> U8:
    scale = (high - low) / 255
    values = low + np.arange(256) * scale if centre == 0 else 128 + (np.arange(256) - 128) * scale
    table: U8 = np.clip(np.rint(values), low, high).astype(np.uint8)
    return table


_LUMA, _CHROMA = _squeeze(16, 235, 0), _squeeze(16, 240, 128)


def limited_range(planes: Iterable[U8]) -> list[U8]:
    """Return copies of Y, U, V (or Y, UV) planes in 16..235 and 16..240 (ITU-R BT.601, 2.5.3)."""
    luma, *chroma = planes
    return [_looked_up(luma, _LUMA), *(_looked_up(plane, _CHROMA) for plane in chroma)]


def _looked_up(plane: U8, table: U8) -> U8:
    return np.asarray(cv2.LUT(plane, table), dtype=np.uint8)
