"""Pictures of a filter made ready for one format: premultiplied components, as a pyramid."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..pipeline.errors import ConfigError
from .colour import rgb_to_yuv
from .reading import art_file

if TYPE_CHECKING:
    from pathlib import Path

    from ..pipeline.caps import Caps
    from ..pipeline.frame import F32, U8

SMALLEST_LEVEL_PX = 8
# What is cut off around the visible part keeps the pyramid's levels whole so far down.
TRIM_PX = 16


@dataclass(frozen=True, slots=True)
class Level:
    """One size of a picture: (h, w, 4) of up to three premultiplied components and 255 - alpha.

    `scale` (x, y) is this level's size over that of the full picture. Four channels because
    warping those together is far quicker than one or two at a time.
    """

    packed: U8
    scale: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Art:
    """A picture ready to draw: for each kind of plane (y, uv, bgr, bgra) its pyramid.

    The pyramids hold only the part with something to see: x0, y0, x1, y1 of the whole picture.
    """

    width: int
    height: int
    visible: tuple[int, int, int, int]
    levels: dict[str, tuple[Level, ...]]

    def level(self, kind: str, magnification: float) -> Level:
        """Return the level to sample when one art px becomes `magnification` samples."""
        levels = self.levels[kind]
        # 0.25 keeps a level a little beyond its own size: sharper, and not yet aliased.
        step = int(log2(1 / max(magnification, 1e-6)) + 0.25) if magnification < 1 else 0
        return levels[min(step, len(levels) - 1)]


def load_art(folder: Path, image: str) -> U8:
    """Return a PNG as (h, w, 4) uint8 BGRA, not premultiplied; raises ConfigError."""
    path = art_file(folder, image)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise ConfigError(f"{path}: not an 8-bit colour PNG")
    if pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)
    return np.asarray(pixels, np.uint8)


def prepare_art(bgra: U8, kinds: tuple[str, ...], caps: Caps) -> Art:
    """Convert (h, w, 4) BGRA to what the planes of `caps` hold."""
    (whole_height, whole_width), visible = bgra.shape[:2], _visible(bgra)
    bgra = bgra[visible[1] : visible[3], visible[0] : visible[2]]
    height, width = bgra.shape[:2]
    alpha = bgra[:, :, 3:].astype(np.float32) / 255
    levels = {}
    for kind in kinds:
        colour = _components(bgra, kind, caps) * alpha
        packed = np.zeros((height, width, 4), np.float32)
        packed[:, :, : colour.shape[2]] = colour
        packed[:, :, 3] = 255 - bgra[:, :, 3]
        levels[kind] = _pyramid(packed)
    return Art(whole_width, whole_height, visible, levels)


def _visible(bgra: U8) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 around all that is not clear; clear art keeps one corner."""
    height, width = bgra.shape[:2]
    x, y, w, h = cv2.boundingRect(np.ascontiguousarray(bgra[:, :, 3]))
    x0, y0 = x // TRIM_PX * TRIM_PX, y // TRIM_PX * TRIM_PX
    x1, y1 = -(-max(x + w, 1) // TRIM_PX) * TRIM_PX, -(-max(y + h, 1) // TRIM_PX) * TRIM_PX
    return x0, y0, min(x1, width), min(y1, height)


def _components(bgra: U8, kind: str, caps: Caps) -> F32:
    if kind.startswith("bgr"):
        return bgra[:, :, :3].astype(np.float32)
    matrix, offset = rgb_to_yuv(caps)
    rows = slice(0, 1) if kind == "y" else slice(1, 3)
    rgb = bgra[:, :, 2::-1].astype(np.float32)
    return (rgb @ matrix[rows].T + offset[rows]).astype(np.float32)


def _pyramid(packed: F32) -> tuple[Level, ...]:
    height, width = packed.shape[:2]
    levels = []
    while True:
        h, w = packed.shape[:2]
        levels.append(Level(np.rint(packed).astype(np.uint8), (w / width, h / height)))
        if min(h, w) < 2 * SMALLEST_LEVEL_PX:
            return tuple(levels)
        smaller = cv2.resize(packed, ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA)
        packed = np.asarray(smaller, np.float32)
