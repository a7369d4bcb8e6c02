"""Where things lie on a face: its axes, its named places and regions, rectangles around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..pipeline.registry import module

if TYPE_CHECKING:
    from ..pipeline.frame import Face

F64 = NDArray[np.float64]

# Median heights below the eyes over the distance of the outer eye corners, frontal view. They tell
# the size of a head that is turned away, whose eyes look closer together than they are.
MOUTH_BELOW_EYES = 0.78
NOSE_BELOW_EYES = 0.49
# How far the nose stands out from the plane of the eyes, in the same unit.
NOSE_BASE_AHEAD = 0.32
NOSE_BRIDGE_AHEAD = 0.26
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
    low = np.floor(np.clip(points.min(axis=0) - margin, -2, FARTHEST_PX)).astype(int)
    high = np.ceil(np.clip(points.max(axis=0) + margin, -2, FARTHEST_PX)).astype(int) + 1
    x0, y0 = (max(int(v) & ~1, 0) for v in low)
    x1, y1 = (int(v) + 1 & ~1 for v in high)
    x1, y1 = min(x1, width), min(y1, height)
    return Rect(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


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


def _axes(points: F64, topology: Any) -> FaceAxes | None:
    left, right = (
        points[topology.region(f"eye.{side}")].mean(axis=0) for side in ("left", "right")
    )
    distance = float(np.hypot(*(right - left)))
    if distance < SMALLEST_FACE_PX / 2:
        return None
    across = (right - left) / distance
    down = np.array([-across[1], across[0]])
    origin = (left + right) / 2
    interocular = float(topology.interocular(points))
    mouth = float((points[topology.region("lips.outer")].mean(axis=0) - origin) @ down)
    nose = float((points[topology.region("nose.base")].mean(axis=0) - origin) @ down)
    tall = (mouth / MOUTH_BELOW_EYES + nose / NOSE_BELOW_EYES) / 2
    # A long face is no turned one: only what exceeds the usual spread of shapes counts.
    size = min(max(interocular, 0.92 * tall), 2.5 * interocular)
    if size < SMALLEST_FACE_PX:
        return None
    ahead = across * (_turn(points, topology, origin, across / size) * size)
    return FaceAxes(origin, across * interocular, down * size, ahead, size, points, topology)


def _turn(points: F64, topology: Any, origin: F64, unit: F64) -> float:
    """Return the sine of the head's turn, > 0 towards larger x, from how far the nose moved."""
    region = "nose.bridge" if "nose.bridge" in topology.regions else "nose"
    base = (points[topology.region("nose.base")].mean(axis=0) - origin) @ unit / NOSE_BASE_AHEAD
    rest = (points[topology.region(region)].mean(axis=0) - origin) @ unit / NOSE_BRIDGE_AHEAD
    return float(np.clip((base + rest) / 2, -0.95, 0.95))
