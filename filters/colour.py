"""Colour between RGB and the YUV of a stream, by its matrix and range."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import F32, U8

F64 = NDArray[np.float64]
WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


def rgb_to_yuv(caps: Caps) -> tuple[F64, F64]:
    """Return the matrix (3, 3) and offset (3,) from RGB 0..255 to Y, U, V in code values.

    A stream without a YUV matrix (`rgb`) counts as full-range bt709, so that effects defined in
    YUV work on packed pictures too. Source: ITU-R BT.601-7 and BT.709-6.
    """
    red, blue = WEIGHTS.get(caps.matrix, WEIGHTS["bt709"])
    full = caps.color_range == "full" or caps.matrix not in WEIGHTS
    luma = np.array([red, 1 - red - blue, blue])
    chroma_u = (np.array([0.0, 0.0, 1.0]) - luma) / (2 * (1 - blue))
    chroma_v = (np.array([1.0, 0.0, 0.0]) - luma) / (2 * (1 - red))
    scale_y, scale_c, offset = (1.0, 1.0, 0.0) if full else (219 / 255, 224 / 255, 16.0)
    matrix = np.stack([luma * scale_y, chroma_u * scale_c, chroma_v * scale_c])
    return matrix, np.array([offset, 128.0, 128.0])


def from_hex(text: str) -> F64:
    """Return RGB (3,) of `#rrggbb`."""
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)], np.float64)


def components(rgb: F64, kind: str, caps: Caps) -> tuple[float, ...]:
    """Return the values of one colour in the components of a plane group (y, uv, bgr, bgra)."""
    if kind == "bgr":
        return tuple(rgb[::-1])
    if kind == "bgra":
        return (*rgb[::-1], 255.0)
    matrix, offset = rgb_to_yuv(caps)
    y, u, v = matrix @ rgb + offset
    return (y,) if kind == "y" else (u, v)


def yuv_from_bgr(bgr: U8, caps: Caps) -> F32:
    """Return (h, w, 3) Y, U, V code values of (h, w, 3) BGR, unrounded."""
    matrix, offset = rgb_to_yuv(caps)
    return np.asarray(
        cv2.transform(bgr.astype(np.float32), np.column_stack([matrix[:, ::-1], offset])),
        np.float32,
    )


def bgr_from_yuv(yuv: F32, caps: Caps) -> U8:
    """Return (h, w, 3) BGR of (h, w, 3) Y, U, V code values, clipped to 0..255."""
    matrix, offset = rgb_to_yuv(caps)
    back = np.linalg.inv(matrix)[::-1]
    bgr = cv2.transform(yuv, np.column_stack([back, -back @ offset]))
    return np.rint(np.clip(bgr, 0, 255)).astype(np.uint8)
