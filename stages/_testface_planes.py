"""Convert the changed part of the test face's picture to planar YUV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from ._testface_layer import Floats, Image

_KR_KB = {"601": (0.299, 0.114), "709": (0.2126, 0.0722)}  # ITU-R BT.601, BT.709: luma weights


class PlaneCache:
    """Keep the still background as yuv420p (limited range); convert what moves per frame."""

    def __init__(self, background: Image) -> None:
        height = background.shape[0]
        self._luma, self._chroma = _matrices("709" if height >= 720 else "601")
        self._background = self._convert(background)

    def planes(self, image: Image, dirty_xyxy: tuple[int, int, int, int]) -> tuple[Image, ...]:
        """Give y, u, v of `image`, which equals the background outside the dirty rectangle."""
        y, u, v = (plane.copy() for plane in self._background)
        x0, y0, x1, y1 = dirty_xyxy
        x0, y0 = x0 & ~1, y0 & ~1
        if x1 > x0 and y1 > y0:
            x1, y1 = x1 + (x1 & 1), y1 + (y1 & 1)  # past the end of an odd picture at most
            part = self._convert(image[y0:y1, x0:x1])
            y[y0:y1, x0:x1] = part[0]
            u[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] = part[1]
            v[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] = part[2]
        return y, u, v

    def _convert(self, image: Image) -> tuple[Image, Image, Image]:
        height, width = image.shape[:2]
        luma = np.asarray(cv2.transform(image, self._luma), np.uint8).reshape(height, width)
        even = image
        if height % 2 or width % 2:  # the last row or column stands for its missing neighbour
            even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        size = (-(-width // 2), -(-height // 2))
        small = cv2.resize(even, size, interpolation=cv2.INTER_AREA)
        chroma = np.asarray(cv2.transform(small, self._chroma), np.uint8)
        return luma, chroma[..., 0], chroma[..., 1]


def _matrices(standard: str) -> tuple[Floats, Floats]:
    """Give the (1, 4) luma and (2, 4) chroma matrices for BGR input, limited range."""
    kr, kb = _KR_KB[standard]
    luma = np.array((kb, 1 - kr - kb, kr))
    blue = (np.array((1.0, 0, 0)) - luma) / (2 * (1 - kb)) * (224 / 255)
    red = (np.array((0, 0, 1.0)) - luma) / (2 * (1 - kr)) * (224 / 255)
    y = np.array([[*(luma * (219 / 255)), 16.0]], np.float32)
    return y, np.array([[*blue, 128.0], [*red, 128.0]], np.float32)
