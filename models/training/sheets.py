"""Contact sheets of evaluations: headed rows of labelled tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .whole_files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

U8 = NDArray[np.uint8]
TRUTH_BGR, FOUND_BGR = (80, 220, 80), (60, 60, 255)
FONT, WHITE = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)


def write_sheet(
    parts: Sequence[tuple[str, Sequence[U8]]], tile_px: int, columns: int, path: Path
) -> None:
    """Write parts, a heading and square BGR tiles each, as a PNG; OSError where that fails."""
    rows = []
    for heading, tiles in parts:
        strip = np.full((28, tile_px * columns, 3), 40, np.uint8)
        cv2.putText(strip, heading, (8, 20), FONT, 0.6, WHITE, 1)
        rows.append(strip)
        for start in range(0, len(tiles), columns):
            row = tiles[start : start + columns]
            blank = np.full((tile_px, tile_px * (columns - len(row)), 3), 40, np.uint8)
            rows.append(np.hstack([*row, blank]))
    write_bytes(path, cv2.imencode(".png", np.vstack(rows))[1].tobytes())


def label(tile: U8, text: str, at: tuple[int, int], size: float) -> None:
    """Write `text` into a tile, white on a darkened ground, its base line's left end at `at`."""
    (width, height), below = cv2.getTextSize(text, FONT, size, 1)
    x, y = at
    ground = tile[max(y - height - 3, 0) : y + below, max(x - 4, 0) : x + width + 4]
    ground //= 3
    cv2.putText(tile, text, at, FONT, size, WHITE, 1, cv2.LINE_AA)
