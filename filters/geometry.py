"""Where things lie on a face: its axes, its named places and regions, rectangles around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..pipeline.registry import module

if TYPE_CHECKING:
    from ..pipeline.frame import Face

F64 = NDArray[np.float64]

# Median heights below the eyes over the distance of the outer eye corners, frontal view. They tell
# the size of a head that is turned away, whose eyes look closer together than they are.
MOUTH_BELOW_EYES = 0.75
NOSE_BELOW_EYES = 0.50
# How far the nose stands out from the plane of the eyes, in the same unit.
NOSE_BASE_AHEAD = 0.31
NOSE_BRIDGE_AHEAD = 0.34
SMALLEST_FACE_PX = 4.0
# Coordinates beyond this are nonsense from upstream; they would overflow fixed-point drawing.
FARTHEST_PX = 30_000.0


class Rect(NamedTuple):
    """Half-open rectangle x0 <= x < x1, y0 <= y < y1 in picture px."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    def around(self, other: Rect) -> Rect:
        """Return the smallest rectangle that holds both."""
        return Rect(*map(min, self[:2], other[:2]), *map(max, self[2:], other[2:]))


def rect_between(low: complex, high: complex, width: int, height: int) -> Rect | None:
    """Return the part of the picture from `low` to `high` (x + y j), aligned to chroma.

    None where nothing of it is inside the picture. Odd pictures keep their odd last column.
    """
    x0, x1 = _span(low.real, high.real, width)
    y0, y1 = _span(low.imag, high.imag, height)
    return Rect(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Return even bounds around low..high inside 0..size; samples sit at whole numbers."""
    start = int(low) & ~1 if low > 0 else 0
    return start, min((ceil(high) + 2) & ~1, size) if high < size else size


@dataclass(frozen=True, slots=True)
class FaceAxes:
    """A face as a system of axes: offset (1, 0) is one distance of the outer eye corners.

    Places and directions are complex numbers, x + y j in picture px. `origin` lies midway between
    the eyes; `across` points to the eye at larger x and shortens as the head turns; `down` and
    `size` do not, they come from the height of the face as well. `ahead` is where a point one
    such distance nearer to the camera appears, by the head's turn.
    """

    origin: complex
    across: complex
    down: complex
    ahead: complex
    size: float
    points: F64
    topology: Any

    @property
    def upright_across(self) -> complex:
        """`across` at full length: the head as if it faced the camera."""
        return self.down * -1j

    def place(self, places: tuple[str, ...], offset: tuple[float, float, float]) -> complex:
        """Return the picture coordinates midway between places such as `face.contour@0.5`.

        `offset` counts distances of the outer eye corners: across, down, ahead.
        """
        x, y, z = offset
        middle = self._place(places[0])
        if len(places) > 1:
            middle = sum(map(self._place, places)) / len(places)
        return middle + x * self.across + y * self.down + z * self.ahead

    def _place(self, place: str) -> complex:
        if place == "eyes":
            return self.origin
        name, _, fraction = place.partition("@")
        points = self.region(name)
        x, y = _along(points, float(fraction)) if fraction else points.mean(axis=0)
        return complex(x, y)

    def region(self, name: str) -> F64:
        """Return the points (N, 2) of a region, in order along it."""
        if name == "nose.bridge" and name not in self.topology.regions:
            base = self.region("nose.base").mean(axis=0)
            return np.linspace(vector(self.origin), base, 5)[:4]
        points: F64 = self.points[self.topology.region(name)]
        return points


def vector(place: complex) -> F64:
    """Return a place or direction as an array (2,)."""
    return np.array([place.real, place.imag])


def _along(points: F64, fraction: float) -> F64:
    position = fraction * (len(points) - 1)
    index = min(int(position), len(points) - 2)
    part = position - index
    between: F64 = points[index] * (1 - part) + points[index + 1] * part
    return between


def face_axes(face: Face) -> FaceAxes | None:
    """Return the axes of a face, or None where its points are missing, broken or too small."""
    if face.landmarks_px is None:
        return None
    topology = _topology(face.scheme)
    points = face.landmarks_px.astype(np.float64)
    if topology is None or len(points) != topology.points or not _within_reach(points):
        return None
    return _axes(points, topology)


@cache
def _topology(scheme: str) -> Any:
    """Return the point scheme of that name, None where there is none."""
    try:
        return module("models", "topology").topology(scheme)
    except KeyError:
        return None


def _within_reach(points: F64) -> bool:
    low, high = np.minimum.reduce(points, axis=None), np.maximum.reduce(points, axis=None)
    return bool(low > -FARTHEST_PX and high < FARTHEST_PX)  # false also for what is no number


@cache
def _centring(scheme: str) -> F64:
    """Return the weights (7, K) that average points to what the axes are made of.

    Eyes, lips, nose base and nose bridge, and both outer eye corners.
    """
    topology = _topology(scheme)
    bridge = "nose.bridge" if "nose.bridge" in topology.regions else "nose"
    names = ("eye.left", "eye.right", "lips.outer", "nose.base", bridge)
    parts = [*map(topology.region, names), *([corner] for corner in topology.eye_corners)]
    weights = np.zeros((len(parts), topology.points))
    for row, indices in zip(weights, parts, strict=True):
        row[indices] = 1 / len(indices)
    return weights


def _axes(points: F64, topology: Any) -> FaceAxes | None:
    # Plain numbers: for so few, numpy's calls would cost more than the drawing.
    centres = (_centring(topology.name) @ points).tolist()
    left, right, *below, corner, other = (complex(*centre) for centre in centres)
    origin, distance = (left + right) / 2, abs(right - left)
    if distance < SMALLEST_FACE_PX / 2:
        return None
    unit = (right - left) / distance
    # Upright, with the origin between the eyes: x across the face, y down.
    mouth, nose, bridge = ((centre - origin) / unit for centre in below)
    interocular = abs(other - corner)
    tall = (mouth.imag / MOUTH_BELOW_EYES + nose.imag / NOSE_BELOW_EYES) / 2
    # A long face is no turned one: only what exceeds the usual spread of shapes counts.
    size = min(max(interocular, 0.92 * tall), 2.5 * interocular)
    if size < SMALLEST_FACE_PX:
        return None
    turn = (nose.real / NOSE_BASE_AHEAD + bridge.real / NOSE_BRIDGE_AHEAD) / 2 / size
    ahead = unit * size * min(max(turn, -0.95), 0.95)
    return FaceAxes(origin, unit * interocular, unit * size * 1j, ahead, size, points, topology)
