"""Cover faces as the world does: glasses, masks, hats, hands, and things in front of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .landmark_cache import CACHE_SIZE, NEGATIVE, FaceCache

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
        self.noise = noise_of(self.rng)

    def cover(self, image: Luma, points: Points, presence: float) -> float:
        """Cover part of the face in place; returns the presence that is left."""
        if np.isnan(points[0, 0]):
            size = len(image)
            points = self.rng.uniform(0.2 * size, 0.8 * size, (68, 2)).astype(np.float32)
        draw, extent = self.rng.random(), float(np.ptp(points, axis=0).max())
        if draw < 0.1:
            self._glasses(image, points)
        elif draw < 0.26:
            nose = points[[29]] + self.rng.normal(0, 2, (1, 2)).astype(np.float32)
            self._fill(image, [np.concatenate((points[2:15], nose))])
        elif draw < 0.33:
            self._hat(image, points, extent)
        elif draw < 0.4:
            square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
            self._fill(image, [points.mean(axis=0) + 0.75 * extent * square])
            return 0.0
        elif draw < 0.58:
            self._fill(image, [self._oval(points)])
            for _ in range(int(self.rng.integers(0, 3))):
                self._fill(image, self._fingers(points[17:].mean(axis=0), extent))
            return 0.0
        else:
            for _ in range(int(self.rng.integers(1, 3))):
                self._fill(image, self._blob(points, extent))
        return presence

    def _oval(self, points: Points) -> NDArray[np.floating]:
        """Return the outline of an oval that hides eyes, nose and mouth; brows may be in sight."""
        features = points[27:]
        low, high = features.min(axis=0), features.max(axis=0)
        down = np.array([0.0, self.rng.uniform(-0.1, 0.2)])
        centre = (low + high) / 2 + down * (high - low)
        half = (high - low) / 2 * self.rng.uniform(0.9, 1.3, 2)
        reach = float(np.linalg.norm((features - centre) / half, axis=1).max())
        around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        circle = np.stack((np.cos(around), np.sin(around)), axis=1)
        return np.asarray(centre + circle * half * reach * self.rng.uniform(1.02, 1.4))

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
            specks = grain(self.rng, self.noise, image.shape)
            shade = self.rng.uniform(0, 255) + self.rng.uniform(0, 25) * specks
            paint = np.clip(shade, 0, 255).astype(np.uint8)
        cv2.copyTo(paint, mask, image)


def noise_of(rng: Generator) -> NDArray[np.float32]:
    """Return a long row of Gaussian noise of unit spread, to take parts of."""
    return rng.standard_normal(1 << 18).astype(np.float32)


def grain(
    rng: Generator, noise: NDArray[np.float32], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return a random part of a row of noise in a picture's shape."""
    count = shape[0] * shape[1]
    start = int(rng.integers(0, len(noise) - count))
    return noise[start : start + count].reshape(shape)
