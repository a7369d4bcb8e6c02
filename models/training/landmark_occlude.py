"""Cover faces as the world does: glasses, masks, hats, hands, and things in front of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .landmark_dataset import CACHE_SIZE, NEGATIVE, FaceCache

if TYPE_CHECKING:
    from numpy.random import Generator

    from .landmark_formats import Points

Luma = NDArray[np.uint8]


@dataclass(slots=True)
class Occluder:
    """Draws over training crops (S, S), in flat shades or in parts of faceless pictures."""

    faces: FaceCache
    rng: Generator
    negatives: NDArray[np.intp] = field(init=False)
    noise: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.negatives = np.flatnonzero((self.faces.kind == NEGATIVE) & ~self.faces.held_out)
        self.noise = self.rng.standard_normal(1 << 18).astype(np.float32)

    def cover(self, image: Luma, points: Points, presence: float) -> float:
        """Cover part of the face in place; returns the presence that is left."""
        if np.isnan(points[0, 0]):
            size = len(image)
            points = self.rng.uniform(0.2 * size, 0.8 * size, (68, 2)).astype(np.float32)
        draw, extent = self.rng.random(), float(np.ptp(points, axis=0).max())
        if draw < 0.12:
            self._glasses(image, points)
        elif draw < 0.24:
            nose = points[[29]] + self.rng.normal(0, 2, (1, 2)).astype(np.float32)
            self._fill(image, [np.concatenate((points[2:15], nose))])
        elif draw < 0.32:
            self._hat(image, points, extent)
        elif draw < 0.4:
            square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
            self._fill(image, [points.mean(axis=0) + 0.75 * extent * square])
            return 0.0
        elif draw < 0.56:
            self._fill(image, [self._oval(points)])
            for _ in range(int(self.rng.integers(0, 3))):
                self._fill(image, self._fingers(points[17:].mean(axis=0), extent))
            return 0.0
        else:
            for _ in range(int(self.rng.integers(1, 3))):
                self._fill(image, self._blob(points, extent))
        return presence

    def _oval(self, points: Points) -> NDArray[np.floating]:
        """Return the outline of an oval that hides every feature but leaves hair and ears."""
        low, high = points[17:].min(axis=0), points[17:].max(axis=0)
        around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        circle = np.stack((np.cos(around), np.sin(around)), axis=1)
        reach = self.rng.uniform(0.5, 0.9, 2)
        return np.asarray((low + high) / 2 + circle * (high - low) * reach)

    def _blob(self, points: Points, extent: float) -> list[NDArray[np.floating]]:
        """A random smooth polygon or a bunch of finger-like bars near a random point."""
        rng = self.rng
        centre = points[rng.integers(len(points))] + rng.normal(0, 0.1 * extent, 2)
        if rng.random() < 0.3:
            return self._fingers(centre, extent)
        rotation = self._rotation()
        angles = np.sort(rng.uniform(0, 2 * np.pi, 10))
        radii = extent * rng.uniform(0.08, 0.28) * rng.uniform(0.7, 1.3, (10, 1))
        circle = np.stack((np.cos(angles), np.sin(angles) * rng.uniform(0.4, 1.0)), axis=1)
        return [(circle * radii) @ rotation.T + centre]

    def _fingers(self, centre: NDArray[np.floating], extent: float) -> list[NDArray[np.floating]]:
        """Return bars side by side that begin at a point (2,)."""
        rng, rotation = self.rng, self._rotation()
        length, width = extent * rng.uniform(0.3, 0.8), extent * rng.uniform(0.05, 0.1)
        bar = np.array([[0, -width], [length, -width], [length, width], [0, width]])
        step = np.array([0.0, 2.4 * width])
        return [(bar + step * i) @ rotation.T + centre for i in range(int(rng.integers(2, 5)))]

    def _rotation(self) -> NDArray[np.float64]:
        turn = self.rng.uniform(0, 2 * np.pi)
        return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def _hat(self, image: Luma, points: Points, extent: float) -> None:
        left, right = points[17], points[26]
        up = points[[27]].mean(axis=0) - points[8]
        up = up / max(float(np.linalg.norm(up)), 1e-3) * extent
        rise = self.rng.uniform(0.0, 0.12)
        across = (right - left) * 0.3
        brim = [left - across + up * rise, right + across + up * rise]
        self._fill(image, [np.array([*brim, brim[1] + up, brim[0] + up])])

    def _glasses(self, image: Luma, points: Points) -> None:
        """Draw frames, tinted lenses or a glare on both eyes."""
        rng = self.rng
        eyes = points[[36, 37, 38, 39, 40, 41]].mean(axis=0), points[42:48].mean(axis=0)
        radius = float(np.linalg.norm(eyes[1] - eyes[0])) * rng.uniform(0.3, 0.46)
        shade, overlay = float(rng.integers(0, 256)), image.copy()
        thickness = int(rng.integers(1, 4)) * len(image) // 64 if rng.random() < 0.6 else -1
        axes = (max(1, round(radius)), max(1, round(radius * rng.uniform(0.6, 1.0))))
        turn = float(np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1])))
        for eye in eyes:
            centre = tuple(np.round(eye).astype(int).tolist())
            cv2.ellipse(overlay, centre, axes, turn, 0, 360, shade, thickness)
        opacity = rng.uniform(0.4, 1.0)
        cv2.addWeighted(overlay, opacity, image, 1 - opacity, 0, dst=image)

    def _fill(self, image: Luma, polygons: list[NDArray[np.floating]]) -> None:
        mask = np.zeros_like(image)
        cv2.fillPoly(mask, [np.round(p).astype(np.int32) for p in polygons], 255)
        if self.rng.random() < 0.5 and len(self.negatives):
            source = self.faces.images[self.rng.choice(self.negatives)]
            size = len(image)
            x, y = self.rng.integers(0, CACHE_SIZE - size, 2)
            paint = source[y : y + size, x : x + size]
        else:
            shade = self.rng.uniform(0, 255) + self.rng.uniform(0, 25) * self.grain(image.shape)
            paint = np.clip(shade, 0, 255).astype(np.uint8)
        cv2.copyTo(paint, mask, image)

    def grain(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return Gaussian noise of unit spread."""
        count = shape[0] * shape[1]
        start = int(self.rng.integers(0, len(self.noise) - count))
        return self.noise[start : start + count].reshape(shape)
