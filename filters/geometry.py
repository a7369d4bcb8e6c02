"""Where things lie on a face: its axes, its named places and regions, rectangles around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, floor, hypot
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


def rect_around(points: F64, margin: float, width: int, height: int) -> Rect | None:
    """Return the part of the picture within `margin` px of points (N, 2), aligned to chroma.

    None where nothing of it is inside the picture. Odd pictures keep their odd last column.
    """
    (low_x, low_y), (high_x, high_y) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    x0, x1 = _span(low_x - margin, high_x + margin, width)
    y0, y1 = _span(low_y - margin, high_y + margin, height)
    return Rect(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Return even bounds around low..high inside 0..size; samples sit at whole numbers."""
    start = max(floor(max(low, 0.0)) & ~1, 0)
    return start, min((ceil(min(high, float(size))) + 2) & ~1, size)


@dataclass(frozen=True, slots=True)
class FaceAxes:
    """A face as a system of axes: offset (1, 0) is one distance of the outer eye corners.

    `origin` lies midway between the eyes; `across` points to the eye at larger x and shortens as
    the head turns; `down` and `size` do not, they come from the height of the face as well.
    `ahead` is where a point one such distance nearer to the camera appears, by the head's turn.
    """

    origin: F64
    across: F64
    down: F64
    ahead: F64
    size: float
    points: F64
    topology: Any

    @property
    def upright_across(self) -> F64:
        """`across` at full length: the head as if it faced the camera."""
        return np.array([self.down[1], -self.down[0]])

    def place(self, places: tuple[str, ...], offset: tuple[float, float, float]) -> F64:
        """Return the picture coordinates (2,) midway between places such as `face.contour@0.5`.

        `offset` counts distances of the outer eye corners: across, down, ahead.
        """
        middle = sum(self._place(place) for place in places) / len(places)
        x, y, z = offset
        return middle + x * self.across + y * self.down + z * self.ahead

    def _place(self, place: str) -> F64:
        name, _, fraction = place.partition("@")
        if name == "eyes":
            return self.origin
        points = self.region(name)
        return _along(points, float(fraction)) if fraction else points.mean(axis=0)

    def region(self, name: str) -> F64:
        """Return the points (N, 2) of a region, in order along it."""
        if name == "nose.bridge" and name not in self.topology.regions:
            base = self.region("nose.base").mean(axis=0)
            return np.linspace(self.origin, base, 5)[:4]
        points: F64 = self.points[self.topology.region(name)]
        return points


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
    try:
        topology = module("models", "topology").topology(face.scheme)
    except KeyError:
        return None
    points = face.landmarks_px.astype(np.float64)
    if len(points) != topology.points or not (np.abs(points) < FARTHEST_PX).all():
        return None
    return _axes(points, topology)


@cache
def _centring(scheme: str) -> F64:
    """Return the weights (5, K) that average points to eyes, lips, nose base and nose bridge."""
    topology = module("models", "topology").topology(scheme)
    bridge = "nose.bridge" if "nose.bridge" in topology.regions else "nose"
    weights = np.zeros((5, topology.points))
    names = ("eye.left", "eye.right", "lips.outer", "nose.base", bridge)
    for row, name in zip(weights, names, strict=True):
        indices = topology.region(name)
        row[indices] = 1 / len(indices)
    return weights


def _axes(points: F64, topology: Any) -> FaceAxes | None:
    # Plain numbers: for so few, numpy's calls would cost more than the drawing.
    centres = (_centring(topology.name) @ points).tolist()
    (left_x, left_y), (right_x, right_y), *below = centres
    x, y = (left_x + right_x) / 2, (left_y + right_y) / 2
    distance = hypot(right_x - left_x, right_y - left_y)
    if distance < SMALLEST_FACE_PX / 2:
        return None
    cos, sin = (right_x - left_x) / distance, (right_y - left_y) / distance
    mouth, nose, _ = ((py - y) * cos - (px - x) * sin for px, py in below)
    interocular = float(topology.interocular(points))
    tall = (mouth / MOUTH_BELOW_EYES + nose / NOSE_BELOW_EYES) / 2
    # A long face is no turned one: only what exceeds the usual spread of shapes counts.
    size = min(max(interocular, 0.92 * tall), 2.5 * interocular)
    if size < SMALLEST_FACE_PX:
        return None
    base, bridge = (((px - x) * cos + (py - y) * sin) / size for px, py in below[1:])
    turn = min(max((base / NOSE_BASE_AHEAD + bridge / NOSE_BRIDGE_AHEAD) / 2, -0.95), 0.95)
    across = np.array([cos, sin])
    down = np.array([-sin, cos]) * size
    origin = np.array([x, y])
    ahead = across * (turn * size)
    return FaceAxes(origin, across * interocular, down, ahead, size, points, topology)
