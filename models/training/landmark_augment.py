"""Turn cached faces into training crops: where they are cut, how bent, and their points."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ..crops import SIDE_PER_EXTENT, Crop, transform_points
from ..topology import topology
from .landmark_cache import CACHE_LOOSENESS, CACHE_SIZE, LANDMARKS, NEGATIVE, FaceCache
from .landmark_occlude import Occluder
from .landmark_spoil import Spoiler

if TYPE_CHECKING:
    from numpy.random import Generator

    from .landmark_formats import Points

Luma = NDArray[np.uint8]
PRESENCE_UNKNOWN = -1.0
IGNORED_SHIFT, LOST_SHIFT = 0.28, 0.5
BEND = 0.06
ELASTIC, ELASTIC_KNOTS = 0.026, 5
# The annotators of the 68 points sat a little to the right, by this share of the inter-ocular
# distance. A mirrored label must not turn that round, or the network learns neither side.
SIDE_STEP = 0.007


@dataclass(slots=True)
class Example:
    """A training crop (S, S); points in crop px, NaN where unlabelled; presence 0, 1 or -1."""

    image: Luma
    points: dict[str, Points]
    presence: float


@dataclass(frozen=True, slots=True)
class Jitter:
    """How far a training crop strays from the ideal one, in fractions of the tight extent."""

    shift: float
    scale: float
    roll: float


@dataclass(slots=True)
class Augmenter:
    """Draws random training crops from a cache; `strength` scales how often they are spoilt.

    `jitter` holds the shares of crops that stray little and far.
    """

    faces: FaceCache
    size: int
    rng: Generator
    strength: float = 1.0
    jitter: tuple[float, float] = (0.7, 0.05)
    occluder: Occluder = field(init=False)
    spoiler: Spoiler = field(init=False)

    def __post_init__(self) -> None:
        self.occluder = Occluder(self.faces, self.rng)
        self.spoiler = Spoiler(self.rng)

    def draw(self, row: int) -> Example:
        """Return one random crop of the sample in `row`."""
        kind = int(self.faces.kind[row])
        mirrored = self.rng.random() < 0.5
        known = self.faces.mirrored if mirrored and self.faces.mirrored else self.faces.points
        points = {key: values[row] for key, values in known.items()}
        crop, presence = self._crop(row, kind, points)
        matrix = self._bent(crop.to_crop(self.size))
        if mirrored:
            matrix = np.diag([-1.0, 1.0]) @ matrix + [[0, 0, self.size - 1], [0, 0, 0]]
            points = {key: values[topology(key).flip] for key, values in points.items()}
        points = {key: transform_points(matrix, values) for key, values in points.items()}
        photo = not self.faces.names[row].startswith("render")
        if mirrored and photo and self.faces.mirrored is None:
            points["ibug68"] = points["ibug68"] + 2 * side_step(points["ibug68"])
        image = self._warp(self.faces.images[row], matrix, points)
        if kind == LANDMARKS and self._often(0.25):
            presence = self.occluder.cover(image, points["ibug68"], presence)
        self.spoiler.strength = self.strength
        image = self.spoiler.spoil(image)
        if presence == 0.0:
            points = {key: np.full_like(values, np.nan) for key, values in points.items()}
        return Example(image, points, presence)

    def _bent(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Stretch and shear about the crop's middle: other faces from the same photo."""
        middle = (self.size - 1) / 2
        stretch, shear = BEND * self.strength * self.rng.standard_normal(2)
        bend = np.array([[np.exp(stretch), shear], [0.0, np.exp(-stretch)]])
        bent = bend @ matrix
        bent[:, 2] += middle - bend.sum(axis=1) * middle
        return bent

    def _crop(self, row: int, kind: int, points: dict[str, Points]) -> tuple[Crop, float]:
        rng = self.rng
        if kind != LANDMARKS:
            scale = float(rng.uniform(0.6 if kind == NEGATIVE else 0.85, 1.3))
            middle = (CACHE_SIZE - 1) / 2 + rng.uniform(-15, 15, 2)
            side = CACHE_SIZE / CACHE_LOOSENESS * scale
            angle = float(rng.normal(0, 0.3))
            return Crop(middle[0], middle[1], side, angle), 0.0 if kind == NEGATIVE else 1.0
        known = next(v for v in points.values() if not np.isnan(v[0, 0]))
        jitter = self._jitter()
        angle = np.radians(jitter.roll)
        base = angle if rng.random() < 0.5 else -float(self.faces.roll[row])
        centre, extent = tight_box(known, base)
        shift = rng.uniform(-jitter.shift, jitter.shift, 2)
        presence = 1.0
        if rng.random() < 0.04:
            direction = rng.uniform(0, 2 * np.pi)
            reach = rng.uniform(LOST_SHIFT, 0.8) * SIDE_PER_EXTENT
            shift, presence = reach * np.array([np.cos(direction), np.sin(direction)]), 0.0
        elif np.abs(shift).max() > IGNORED_SHIFT:
            presence = PRESENCE_UNKNOWN
        scale = float(np.exp(rng.uniform(-jitter.scale, jitter.scale)))
        side = SIDE_PER_EXTENT * extent * scale
        x, y = (float(value) for value in centre + shift * extent)
        return Crop(x, y, side, angle), presence

    def _jitter(self) -> Jitter:
        """Mix the small errors of tracking with those of a detector's first box."""
        draw = self.rng.random()
        close, far = self.jitter
        if draw < close:
            return Jitter(0.05, 0.08, float(self.rng.normal(0, 3)))
        if draw < 1 - far * self.strength:
            return Jitter(0.12, 0.17, float(self.rng.normal(0, 14)))
        return Jitter(0.25, 0.35, float(self.rng.uniform(-60, 60)))

    def _warp(self, image: Luma, matrix: NDArray[np.float64], points: dict[str, Points]) -> Luma:
        """Cut the crop; more often than not the face is also bent smoothly, with its points."""
        border = cv2.BORDER_REPLICATE if self.rng.random() < 0.85 else cv2.BORDER_CONSTANT
        fill = float(self.rng.integers(0, 256))
        size = (self.size, self.size)
        if self._often(0.6):
            field = self._elastic()
            for key, values in points.items():
                points[key] = _moved(values, field)
            there = _grid(self.size) + field
            back = np.asarray(cv2.invertAffineTransform(matrix), dtype=np.float32)
            x, y = cv2.split(cv2.transform(there, back))
            crop = cv2.remap(image, x, y, cv2.INTER_LINEAR, None, border, fill)
            return np.asarray(crop, dtype=np.uint8)
        crop = cv2.warpAffine(
            image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=fill
        )
        return np.asarray(crop, dtype=np.uint8)

    def _elastic(self) -> NDArray[np.float32]:
        """Return a smooth random field (S, S, 2): how far off, in px, each pixel is fetched."""
        reach = self.rng.uniform(0, ELASTIC) * self.size
        knots = self.rng.normal(0, reach, (ELASTIC_KNOTS, ELASTIC_KNOTS, 2)).astype(np.float32)
        size = (self.size, self.size)
        return np.asarray(cv2.resize(knots, size, interpolation=cv2.INTER_CUBIC), np.float32)

    def _often(self, chance: float) -> bool:
        return bool(self.rng.random() < chance * self.strength)


@cache
def _grid(size: int) -> NDArray[np.float32]:
    """Return x, y of every pixel (S, S, 2)."""
    return np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2), axis=2)


def _moved(points: Points, field: NDArray[np.float32]) -> Points:
    """Return where points (K, 2) appear in a picture fetched from `field` (S, S, 2) further on.

    What appears at p comes from p + field(p), so p is found by repeating p = q - field(p).
    """
    found = points
    for _ in range(3):
        x, y = cv2.split(np.nan_to_num(found)[None].astype(np.float32))
        there = cv2.remap(field, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        found = points - there[0]
    return np.asarray(found, dtype=np.float32)


def side_step(points: Points) -> Points:
    """Return how far (2,) the labels of 68 points (68, 2) lie beside those that mirroring keeps."""
    across = float(np.hypot(*(points[45] - points[36])))
    return np.array((SIDE_STEP * across, 0.0), dtype=np.float32)


def tight_box(points: Points, angle: float) -> tuple[NDArray[np.float64], float]:
    """Return centre (2,) and longer side of the box of points turned by `angle`, in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    turned = points @ np.array([[cos, -sin], [sin, cos]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    middle = (low + high) / 2
    centre = np.array([cos * middle[0] - sin * middle[1], sin * middle[0] + cos * middle[1]])
    return centre, float((high - low).max())


def protocol_crop(
    image: Luma, points: Points, roll: float, size: int, rng: Generator
) -> tuple[Luma, Points]:
    """Cut the evaluation crop of a cached face: the picture's tight box, moved, scaled, turned."""
    centre, extent = tight_box(points, -roll)
    shift = rng.uniform(-0.1, 0.1, 2) * extent
    side = SIDE_PER_EXTENT * extent * rng.uniform(0.9, 1.15)
    angle = np.radians(rng.uniform(-15, 15)) - roll
    x, y = (float(value) for value in centre + shift)
    matrix = Crop(x, y, side, angle).to_crop(size)
    return cut_crop(image, matrix, size), transform_points(matrix, points)


def cut_crop(image: Luma, matrix: NDArray[np.float64], size: int) -> Luma:
    """Cut (size, size) from a cached face by a matrix (2, 3); its edge is repeated beyond it."""
    flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    crop = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=border)
    return np.asarray(crop, dtype=np.uint8)
