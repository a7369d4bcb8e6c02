"""Hide parts of faces on training canvases: masks, visors, glasses, hats, things in front."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
COVERED = 0.16  # share of the faces that something hides in part
DRESSED = 0.42  # share of the faces with key points that wear something
FINE = 4  # bits of a pixel that outlines are drawn with

# Outlines in the face's own axes: across in half widths of its box from the middle, down from the
# line of the eyes (0) over the mouth (1) to the chin (about 1.75).
MASK = ((-0.94, 0.32), (-0.4, 0.22), (0.4, 0.22), (0.94, 0.32), (0.9, 1.0), (0.62, 1.5), (0.0, 1.8),
        (-0.62, 1.5), (-0.9, 1.0))  # fmt: skip
VISOR = ((-1.1, -0.75), (1.1, -0.75), (1.1, 0.9), (0.75, 1.75), (-0.75, 1.75), (-1.1, 0.9))
GOGGLES = ((-0.95, -0.35), (0.95, -0.35), (0.95, 0.3), (0.25, 0.4), (-0.25, 0.4), (-0.95, 0.3))
HAT = ((-1.0, -0.5), (1.0, -0.5), (0.95, -1.6), (0.5, -2.0), (-0.5, -2.0), (-0.95, -1.6))
BRIM = ((-1.45, -0.5), (0.0, -0.38), (1.45, -0.5), (1.3, -0.75), (-1.3, -0.75))


@dataclass(frozen=True, slots=True)
class Axes:
    """A face's own axes in px: middle of the eyes, half its width across, eyes to mouth down."""

    origin: Array
    across: Array
    down: Array
    nose: float  # where the nose is across, in half widths

    def place(self, outline: Array) -> Array:
        """Return points (N, 2) px of an outline in these axes."""
        placed: Array = self.origin + outline[:, :1] * self.across + outline[:, 1:] * self.down
        return placed


def axes_of(box: Array, keypoints: Array) -> Axes | None:
    """Return the axes of a face by its box (4,) and key points (5, 2), None where one is NaN."""
    if np.isnan(keypoints).any():
        return None
    eyes, mouth = (keypoints[0] + keypoints[1]) / 2, (keypoints[3] + keypoints[4]) / 2
    along = mouth - eyes
    along = along / max(float(np.hypot(*along)), 1e-3)
    right = np.array([along[1], -along[0]], np.float32)
    half = float(box[2] - box[0]) / 2
    chin = float((box[3] - box[1]) / 2 + ((box[:2] + box[2:]) / 2 - eyes) @ along)
    middle = eyes + right * float(((box[:2] + box[2:]) / 2 - eyes) @ right)
    nose = float((keypoints[2] - middle) @ right) / max(half, 1e-3)
    return Axes(middle, right * half, along * max(chin, 1.0) / 1.75, float(np.clip(nose, -1, 1)))


class Dresser:
    """Draws over faces of a canvas, in flat shades or in parts of faceless pictures.

    `often` scales how many faces, 1 by default.
    """

    def __init__(self, textures: list[Image], rng: np.random.Generator) -> None:
        self.textures, self.rng, self.often = textures, rng, 1.0

    def dress(self, luma: Image, boxes: Array, keypoints: Array) -> None:
        """Hide parts of some of the faces in place; their boxes stay what they are."""
        for box, points in zip(boxes, keypoints, strict=True):
            draw = float(self.rng.random()) / max(self.often, 1e-6)
            if draw < DRESSED:
                axes = axes_of(box, points)
                if axes is not None:
                    self._wear(luma, axes)
            elif draw < DRESSED + COVERED:
                self.cover(luma, box)

    def _wear(self, luma: Image, axes: Axes) -> None:
        draw = float(self.rng.random())
        if draw < 0.62:
            self._mask(luma, axes)
        elif draw < 0.7:
            self._draw(luma, axes, VISOR, self.rng.uniform(0.25, 0.95))
        elif draw < 0.74:
            self._draw(luma, axes, GOGGLES, self.rng.uniform(0.5, 1))
        if draw < 0.12 or 0.74 <= draw < 0.84:
            self._glasses(luma, axes)
        if 0.08 < draw < 0.24 or 0.84 <= draw < 0.93:
            self._draw(luma, axes, HAT, 1.0)
            if self.rng.random() < 0.5:
                self._draw(luma, axes, BRIM, 1.0)
        elif 0.24 < draw < 0.3 or draw >= 0.93:
            self._hood(luma, axes)

    def _mask(self, luma: Image, axes: Axes) -> None:
        """Draw a mask from the bridge of the nose, or below it, to the chin, with its bands."""
        rng, outline = self.rng, np.array(MASK, np.float32)
        outline[1:3, 0] += axes.nose  # a turned head's bridge lies to one side
        if rng.random() < 0.12:  # pulled down below the nose
            outline[:4, 1] += rng.uniform(0.3, 0.5)
        if rng.random() < 0.6:
            self._bands(luma, axes)
        self._draw(luma, axes, outline, 1.0, shaded=True)

    def _bands(self, luma: Image, axes: Axes) -> None:
        shade = int(self.rng.choice((235, 200, 60, 20)))
        for side in (-1.0, 1.0):
            ends = np.array([[0.9 * side, 0.4], [1.05 * side, 0.05]], np.float32)
            ends = np.round(axes.place(ends) * 2**FINE)
            (x0, y0), (x1, y1) = ends.astype(int).tolist()
            cv2.line(luma, (x0, y0), (x1, y1), shade, 1, cv2.LINE_AA, FINE)

    def _glasses(self, luma: Image, axes: Axes) -> None:
        """Draw dark or tinted lenses and what joins them."""
        rng = self.rng
        shift, size = 0.6 * axes.nose, rng.uniform(0.24, 0.38)
        tall, turn = size * rng.uniform(0.7, 1.1), np.linspace(0, 2 * np.pi, 12, endpoint=False)
        lens = np.stack([np.cos(turn) * size, np.sin(turn) * tall], 1).astype(np.float32)
        shade, opacity = self._shade(rng.random() < 0.8), rng.uniform(0.6, 1)
        for side in (-0.42, 0.42):
            moved = lens + np.array([side + shift, 0.02], np.float32)
            self._fill(luma, axes.place(moved), shade, opacity)
        bridge = np.array([[-0.95, -0.1], [0.95, -0.1], [0.95, -0.03], [-0.95, -0.03]], np.float32)
        self._fill(luma, axes.place(bridge), shade, opacity)

    def _hood(self, luma: Image, axes: Axes) -> None:
        """Draw a cloth around the face: a hood, a head scarf or a veil."""
        turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        circle = np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32)
        inner = np.array(self.rng.uniform((0.72, 0.85), (0.95, 1.15)), np.float32)
        outer = np.array(self.rng.uniform((1.2, 1.7), (1.5, 2.0)), np.float32)
        middle = np.array([0.3 * axes.nose, 0.45], np.float32)
        rings = [axes.place(circle * reach + middle) for reach in (outer, inner)]
        self._fill(luma, np.concatenate(rings), self._paint(), 1.0, parts=[len(circle)])

    def _draw(
        self,
        luma: Image,
        axes: Axes,
        outline: Array | tuple[tuple[float, float], ...],
        opacity: float,
        *,
        shaded: bool = False,
    ) -> None:
        """Fill an outline, its corners moved a little."""
        loose = np.asarray(outline, np.float32) * self.rng.uniform(0.92, 1.08, 2)
        loose = loose + self.rng.normal(0, 0.03, loose.shape)
        paint = self._paint()
        self._fill(luma, axes.place(loose.astype(np.float32)), paint, opacity, shaded=shaded)

    def _paint(self) -> float | Image:
        """Return a shade, or a faceless picture to take a print from."""
        if self.textures and self.rng.random() < 0.3:
            return self.textures[int(self.rng.integers(len(self.textures)))]
        return self._shade(bool(self.rng.random() < 0.45))

    def _shade(self, dark: bool) -> float:
        return float(self.rng.uniform(5, 70) if dark else self.rng.uniform(100, 250))

    def _fill(
        self,
        luma: Image,
        points: Array,
        paint: float | Image,
        opacity: float,
        *,
        shaded: bool = False,
        parts: list[int] | None = None,
    ) -> None:
        """Paint a polygon (N, 2) px, or those that begin at `parts` but where they overlap.

        `shaded` keeps the light and shadow of what lies below.
        """
        low = np.clip(np.floor(points.min(0)).astype(int) - 1, 0, None)
        high = np.minimum(np.ceil(points.max(0)).astype(int) + 2, luma.shape[::-1])
        if (high - low < 2).any():
            return
        target = luma[low[1] : high[1], low[0] : high[0]]
        alpha = np.zeros(target.shape, np.uint8)
        corners = np.round((points - low) * 2**FINE).astype(np.int32)
        cv2.fillPoly(alpha, np.split(corners, parts or []), 255, cv2.LINE_AA, FINE)
        colour = self._colour(target, paint)
        if shaded:
            soft = cv2.blur(target, (max(3, target.shape[1] // 4 | 1),) * 2).astype(np.float32)
            colour = colour * (soft / max(float(soft.mean()), 1.0)) ** self.rng.uniform(0.2, 0.7)
        share = alpha * np.float32(opacity / 255)
        target[:] = np.clip(target + (colour - target) * share, 0, 255)

    def _colour(self, target: Image, paint: float | Image) -> Array:
        """Return what to paint a part of the canvas with: a shade with a little light on it."""
        h, w = target.shape
        if isinstance(paint, float):
            slope = np.linspace(0, float(self.rng.normal(0, 12)), h, dtype=np.float32)
            return np.broadcast_to(slope[:, None] + np.float32(paint), (h, w))
        side = int(min(paint.shape) * self.rng.uniform(0.15, 0.6))
        y, x = (int(self.rng.integers(0, n - side + 1)) for n in paint.shape)
        print_ = cv2.resize(paint[y : y + side, x : x + side], (w, h))
        return np.asarray(print_, np.float32)

    def cover(self, luma: Image, box: Array) -> None:
        """Hide up to half a face from one side, by a part of a faceless picture or flat grey."""
        rng, (x0, y0, x1, y1) = self.rng, (int(v) for v in box)
        side, share = int(rng.integers(4)), rng.uniform(0.2, 0.5)
        width, height = max(1, int((x1 - x0) * share)), max(1, int((y1 - y0) * share))
        x0, x1 = ((x0, x0 + width), (x1 - width, x1), (x0, x1), (x0, x1))[side]
        y0, y1 = ((y0, y1), (y0, y1), (y0, y0 + height), (y1 - height, y1))[side]
        target = luma[y0:y1, x0:x1]
        if not self.textures or rng.random() < 0.3:
            target[:] = int(rng.integers(0, 256))
            return
        source = self.textures[int(rng.integers(len(self.textures)))]
        h, w = target.shape
        if source.shape[0] < h or source.shape[1] < w:
            return
        top, left = (
            int(rng.integers(0, n - m + 1)) for n, m in zip(source.shape, (h, w), strict=True)
        )
        target[:] = source[top : top + h, left : left + w]
