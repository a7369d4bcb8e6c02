"""Draw anti-aliased, soft shapes inside a region of a picture."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor
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

    def __init__(self, pixels: Image, origin: tuple[int, int] = (0, 0)) -> None:
        self.pixels, self.origin = pixels, origin
        self.height, self.width = pixels.shape[:2]

    @property
    def empty(self) -> bool:
        """Tell that nothing worth drawing lies in the picture (cv2 refuses 1 px wide views)."""
        return bool(self.height < 2 or self.width < 2)

    def crop(self, points: NDArray[Any], pad: float) -> Layer:
        """Narrow to the box of `points`, widened by `pad` px."""
        left, top = (float(v) for v in points.min(axis=0))
        right, bottom = (float(v) for v in points.max(axis=0))
        (x, y), width, height = self.origin, self.width, self.height
        x0 = min(max(floor(left - pad) - x, 0), width)
        y0 = min(max(floor(top - pad) - y, 0), height)
        x1 = min(max(ceil(right + pad) + 1 - x, x0), width)
        y1 = min(max(ceil(bottom + pad) + 1 - y, y0), height)
        return Layer(self.pixels[y0:y1, x0:x1], (x0 + x, y0 + y))

    def like(self, pixels: Image) -> Layer:
        """Give a layer at the same place over other pixels."""
        return Layer(pixels, self.origin)

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
        if isinstance(lines, np.ndarray):
            curves = list(self.fixed(lines, shrink))
        else:
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

    def blend(self, source: Any, mask: NDArray[Any], opacity: float = 1.0) -> None:
        """Lay a BGR colour or a picture of the layer's size over it through `mask`."""
        if opacity < 1:
            mask = cv2.convertScaleAbs(mask, alpha=opacity)
        over = cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR)
        under = cv2.multiply(self.pixels, cv2.bitwise_not(over), scale=1 / 255)
        if not isinstance(source, np.ndarray):
            source = (*source, 0.0)
        cv2.add(cv2.multiply(over, source, scale=1 / 255), under, dst=self.pixels)


def lay(under: Image, over: Image, cover: NDArray[Any]) -> None:
    """Lay a picture on `under` in place: copy where covered fully, mix along the edge."""
    cv2.copyTo(over, (cover == 255).view(np.uint8), under)
    edge = np.flatnonzero(cover - np.uint8(1) < 254)
    y, x = np.divmod(edge, cover.shape[1])
    part = cover[y, x, None].astype(np.float32) * (1 / 255)
    under[y, x] = under[y, x] * (1 - part) + over[y, x] * part + 0.5


def splat(surface: Floats, layer: Layer, step: float) -> Floats:
    """Scatter surface samples into a small picture of a layer and close the gaps.

    `surface` (..., 3 + K): x, y in px of the whole picture, K values, and the depth of the
    normal, of which negative samples are hidden; later samples cover earlier ones. `step` is
    the wanted size of a buffer pixel in px. Returns (h, w, K) float32, to enlarge to the layer.
    """
    samples = surface.reshape(-1, surface.shape[-1])
    width, height = max(1, round(layer.width / step)), max(1, round(layer.height / step))
    fx, fy = width / layer.width, height / layer.height
    x = (samples[:, 0] * fx + ((0.5 - layer.origin[0]) * fx + 1)).astype(np.int32)
    y = (samples[:, 1] * fy + ((0.5 - layer.origin[1]) * fy + 1)).astype(np.int32)
    np.clip(x, 0, width + 1, out=x)  # a margin of one catches what lies outside
    np.clip(y, 0, height + 1, out=y)
    index = y * (width + 2) + x
    index[samples[:, -1] < -0.08] = 0
    values = samples[:, 2:].copy()
    values[:, -1] = 1
    buffer = np.zeros(((height + 2) * (width + 2), values.shape[1]), np.float32)
    buffer[index] = values
    picture = buffer.reshape(height + 2, width + 2, -1)[1:-1, 1:-1]
    near = cv2.blur(picture, (3, 3), borderType=cv2.BORDER_CONSTANT)
    picture = picture + 0.03 * near + 1e-4 * cv2.blur(near, (15, 15))
    return np.asarray(picture[..., :-1] / np.maximum(picture[..., -1:], 1e-9), np.float32)


def enlarge(surface: Floats, rows: int, columns: int) -> Floats:
    """Sample a (R, C, K) surface more densely by whole factors."""
    size = (surface.shape[1] * columns, surface.shape[0] * rows)
    return np.asarray(cv2.resize(np.ascontiguousarray(surface), size), np.float32)
