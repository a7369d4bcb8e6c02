"""Draw anti-aliased, soft shapes inside a region of a picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
_LOW_SIGMA = 1.6  # masks softer than this are drawn smaller and enlarged: same look, less work


def smoothstep(x: Any, low: float, high: float) -> NDArray[np.float64]:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = np.clip((np.asarray(x, np.float64) - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


def spline(points: Any, steps: int, *, closed: bool = False) -> Floats:
    """Run a Catmull-Rom curve through `points` (N, D); passes through each of them."""
    points = np.asarray(points, np.float32)
    return np.asarray(_spline_matrix(len(points), steps, closed) @ points)


@lru_cache(maxsize=64)
def _spline_matrix(count: int, steps: int, closed: bool) -> Floats:
    segments = count if closed else count - 1
    rows = []
    for t in np.arange(segments * steps + (not closed)) / steps:
        i = min(int(t), segments - 1)
        f = t - i
        weights = (-0.5 * f + f**2 - 0.5 * f**3, 1 - 2.5 * f**2 + 1.5 * f**3,
                   0.5 * f + 2 * f**2 - 1.5 * f**3, -0.5 * f**2 + 0.5 * f**3)  # fmt: skip
        row = np.zeros(count, np.float32)
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            j = i + offset
            row[j % count if closed else min(max(j, 0), count - 1)] += weight
        rows.append(row)
    return np.array(rows)


def shade_colour(colour: Any, factor: Any) -> tuple[float, float, float]:
    """Scale a BGR colour by a number or by three, kept within 0..255."""
    b, g, r = np.asarray(colour, np.float64) * factor
    return min(float(b), 255.0), min(float(g), 255.0), min(float(r), 255.0)


class Layer:
    """Wrap the drawn region of a picture; all points are px of the whole picture."""

    def __init__(
        self, image: Image, low: Any, high: Any, *, offset: tuple[int, int] = (0, 0)
    ) -> None:
        height, width = image.shape[:2]
        x0, y0 = (int(v) for v in np.floor(low))
        x1, y1 = (int(v) for v in np.ceil(high))
        x0, y0 = min(max(x0 - offset[0], 0), width), min(max(y0 - offset[1], 0), height)
        x1, y1 = min(max(x1 - offset[0] + 1, x0), width), min(max(y1 - offset[1] + 1, y0), height)
        self.pixels = image[y0:y1, x0:x1]
        self.origin = (x0 + offset[0], y0 + offset[1])
        self.height, self.width = y1 - y0, x1 - x0

    @property
    def empty(self) -> bool:
        """Tell that nothing of the region lies in the picture."""
        return self.height == 0 or self.width == 0

    def crop(self, points: NDArray[Any], pad: float) -> Layer:
        """Narrow to the box of `points`, widened by `pad` px."""
        low, high = points.min(axis=0) - pad, points.max(axis=0) + pad
        return Layer(self.pixels, low, high, offset=self.origin)

    def like(self, pixels: Image) -> Layer:
        """Give a layer at the same place over other pixels."""
        other = Layer(pixels, (0, 0), (self.width, self.height))
        other.origin = self.origin
        return other

    def plain(self, colour: Any) -> Layer:
        """Give a layer at the same place, filled with one colour."""
        pixels = np.empty((self.height, self.width, 3), np.uint8)
        cv2.rectangle(pixels, (0, 0), (self.width, self.height), colour, -1)
        return self.like(pixels)

    def fixed(self, points: NDArray[Any], shrink: int = 1) -> NDArray[np.int32]:
        """Convert to the 1/16 px that cv2 draws with (shift=4), of the layer shrunk so much."""
        move = np.array(self.origin, np.float32)
        if shrink == 1:
            return ((points - move) * 16 + 0.5).astype(np.int32)
        return (((points - move + 0.5) / shrink - 0.5) * 16).astype(np.int32)

    def mask(self, *polygons: NDArray[Any], blur: float = 0.0, value: int = 255) -> Image:
        """Rasterise polygons to a mask of the layer's size."""
        shrink = max(1, int(blur / _LOW_SIGMA))
        mask = self._blank(shrink)
        for polygon in polygons:
            cv2.fillPoly(mask, [self.fixed(polygon, shrink)], (value,), cv2.LINE_AA, 4)
        return self._soften(mask, blur, shrink)

    def lines(self, lines: Any, thickness: float, *, blur: float = 0.0, value: int = 255) -> Image:
        """Rasterise open curves to a mask of the layer's size."""
        shrink = max(1, int(blur / _LOW_SIGMA))
        mask = self._blank(shrink)
        width = max(1, round(thickness / shrink))
        value = round(value * min(1.0, thickness / shrink / width))
        curves = [self.fixed(line, shrink) for line in lines]
        cv2.polylines(mask, curves, False, (value,), width, cv2.LINE_AA, 4)
        return self._soften(mask, blur, shrink)

    def _blank(self, shrink: int) -> Image:
        return np.zeros((-(-self.height // shrink), -(-self.width // shrink)), np.uint8)

    def _soften(self, mask: Image, sigma: float, shrink: int) -> Image:
        sigma /= shrink
        if sigma > 0.3:
            size = 3 if sigma < 1.0 else 5
            mask = np.asarray(cv2.GaussianBlur(mask, (size, size), sigma), np.uint8)
            if sigma >= 2:
                mask = np.asarray(cv2.blur(mask, (5, 5)), np.uint8)
        if shrink == 1:
            return mask
        h, w = mask.shape
        large = cv2.resize(mask, (w * shrink, h * shrink), interpolation=cv2.INTER_LINEAR)
        return np.asarray(large[: self.height, : self.width], np.uint8)

    def fill(self, polygon: NDArray[Any], colour: Any) -> None:
        """Fill an opaque polygon."""
        cv2.fillPoly(self.pixels, [self.fixed(polygon)], colour, cv2.LINE_AA, 4)

    def blend(self, source: Any, mask: Image, opacity: float = 1.0) -> None:
        """Lay a BGR colour or a picture of the layer's size over it through `mask`."""
        if not isinstance(source, np.ndarray):
            source = self.plain(source).pixels
        weight = cv2.multiply(mask, opacity / 255, dtype=cv2.CV_32F)
        rest = cv2.subtract(1.0, weight, dtype=cv2.CV_32F)
        self.pixels[:] = cv2.blendLinear(source, self.pixels, weight, rest)


def splat(
    spots: Floats, values: Floats, layer: Layer, step: float
) -> tuple[Floats, tuple[int, int]]:
    """Scatter surface samples into a small picture of a layer and close the gaps.

    `spots` (N, 2) px of the whole picture, later ones cover earlier; `values` (N, K). `step` is
    the wanted size of a buffer pixel. Returns (h, w, K) float32 and the layer's (width, height)
    to enlarge it to with cv2.resize.
    """
    width, height = max(1, round(layer.width / step)), max(1, round(layer.height / step))
    scale = np.array((width / layer.width, height / layer.height), np.float32)
    at = ((spots - np.array(layer.origin, np.float32) + 0.5) * scale).astype(np.int32)
    x, y = at[:, 0], at[:, 1]
    inside = (at >= 0).all(axis=1) & (x < width) & (y < height)
    count = values.shape[1]
    buffer = np.zeros((height * width, count + 1), np.float32)
    index = (y * width + x)[inside]
    buffer[index, :count] = values[inside]
    buffer[index, count] = 1
    picture = buffer.reshape(height, width, count + 1)
    near = cv2.blur(picture, (3, 3))
    far = cv2.blur(near, (15, 15))
    picture = picture + 0.03 * near + 1e-4 * far
    picture = picture[..., :count] / np.maximum(picture[..., count:], 1e-9)
    return np.ascontiguousarray(picture, np.float32), (layer.width, layer.height)
