"""Cut colour crops for networks that want RGB: planes are cut first, only the crop is converted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..pipeline.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from .crops import Crop

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

# Red and blue weights of luma (ITU-R BT.601, BT.709).
_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


def cut_rgb(picture: Frame | U8, crop: Crop, size: int, cut: Callable[..., U8]) -> F32:
    """Return (3, size, size) float32 RGB, 0..255, of a frame or of a BGR picture (H, W, 3).

    `cut(plane, crop, size)` cuts one plane (H, W).
    """
    if not isinstance(picture, Frame):
        return _packed(picture, crop, size, cut)
    planes = picture.planes
    match picture.caps.pixel_format:
        case "yuv420p":
            chroma = (planes[1], planes[2])
        case "nv12":
            chroma = (planes[1][:, :, 0], planes[1][:, :, 1])
        case _:
            return _packed(planes[0], crop, size, cut)
    half = replace(
        crop,
        centre_x=(crop.centre_x - 0.5) / 2,
        centre_y=(crop.centre_y - 0.5) / 2,
        side=crop.side / 2,
    )
    y: F32 = cut(planes[0], crop, size).astype(np.float32)
    u, v = (cut(plane, half, size).astype(np.float32) - np.float32(128) for plane in chroma)
    return _rgb(y, u, v, picture.caps.matrix, picture.caps.color_range == "full")


def _packed(bgr: U8, crop: Crop, size: int, cut: Callable[..., U8]) -> F32:
    planes = [np.ascontiguousarray(bgr[:, :, channel]) for channel in (2, 1, 0)]
    return np.stack([cut(plane, crop, size) for plane in planes]).astype(np.float32)


def _rgb(y: F32, u: F32, v: F32, matrix: str, full: bool) -> F32:
    red, blue = _WEIGHTS.get(matrix, _WEIGHTS["bt709"])
    low, luma_span, chroma_span = (0, 255, 255) if full else (16, 219, 224)
    luma = (y - np.float32(low)) * np.float32(255 / luma_span)
    r = luma + v * np.float32(2 * (1 - red) * 255 / chroma_span)
    b = luma + u * np.float32(2 * (1 - blue) * 255 / chroma_span)
    g = (luma - r * np.float32(red) - b * np.float32(blue)) / np.float32(1 - red - blue)
    rgb: F32 = np.clip(np.stack((r, g, b)), 0, 255)
    return rgb
