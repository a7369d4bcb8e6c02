"""The square luma crop that landmark networks see, and the way back to picture coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLACK = 0.01
SIDE_PER_EXTENT = 1.4
"""Side of the crop over the longer side of the tight box of the points."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A rotated square: centre and side in picture px, angle in radians (y down, clockwise)."""

    centre_x: float
    centre_y: float
    side: float
    angle: float = 0.0

    def to_crop(self, size: int) -> NDArray[np.float64]:
        """Return the (2, 3) affine matrix from picture px to crop px, as `cv2.warpAffine` takes."""
        scale = size / self.side
        cos, sin = scale * math.cos(self.angle), scale * math.sin(self.angle)
        middle = (size - 1) / 2
        return np.array(
            [
                [cos, sin, middle - cos * self.centre_x - sin * self.centre_y],
                [-sin, cos, middle + sin * self.centre_x - cos * self.centre_y],
            ]
        )

    def to_picture(self, size: int) -> NDArray[np.float64]:
        """Return the (2, 3) affine matrix from crop px to picture px."""
        scale = self.side / size
        cos, sin = scale * math.cos(self.angle), scale * math.sin(self.angle)
        middle = (size - 1) / 2
        return np.array(
            [
                [cos, -sin, self.centre_x - middle * (cos - sin)],
                [sin, cos, self.centre_y - middle * (sin + cos)],
            ]
        )


def crop_from_box(box_xyxy_px: NDArray[np.floating]) -> Crop:
    """Return the upright crop for a tight box of the points (4,), as a detector gives it."""
    x0, y0, x1, y1 = (float(v) for v in box_xyxy_px)
    side = SIDE_PER_EXTENT * max(x1 - x0, y1 - y0, 1.0)
    return Crop((x0 + x1) / 2, (y0 + y1) / 2, side)


def crop_from_landmarks(
    landmarks_px: NDArray[np.floating],
    left_eye: NDArray[np.integer],
    right_eye: NDArray[np.integer],
) -> Crop:
    """Return the crop turned upright by the line between the eye centres.

    landmarks_px (K, 2) in picture px; `left_eye` and `right_eye` index the points of the eye on
    the left and on the right of an upright picture.
    """
    # Plain numbers: this comes right before and after the network, which leaves the caches to
    # nobody else, and each call into numpy would then cost more than the loop over the points.
    points = landmarks_px.tolist()
    left_x, left_y = _middle(points, left_eye)
    right_x, right_y = _middle(points, right_eye)
    angle = math.atan2(right_y - left_y, right_x - left_x)
    cos, sin = math.cos(angle), math.sin(angle)
    xs = [x * cos + y * sin for x, y in points]
    ys = [y * cos - x * sin for x, y in points]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    side = SIDE_PER_EXTENT * max(right - left, bottom - top, 1.0)
    x, y = (left + right) / 2, (top + bottom) / 2
    return Crop(x * cos - y * sin, x * sin + y * cos, side, angle)


def _middle(points: list[list[float]], indices: NDArray[np.integer]) -> tuple[float, float]:
    xs = ys = 0.0
    for index in indices.tolist():
        x, y = points[index]
        xs += x
        ys += y
    return xs / len(indices), ys / len(indices)


def follow_crop(previous: Crop, wanted: Crop, slack: float = SLACK) -> Crop:
    """Return the next crop of a followed face: `previous`, drawn to within `slack` of `wanted`.

    A network answers each crop a little differently, so a crop that shook with the noise in the
    points would shake them in turn. Slack, a share of the side (and 1.25 rad of angle), stops
    that: a still face shakes less than half as much, and slow motion stays smooth.
    """
    turn = math.remainder(wanted.angle - previous.angle, math.tau)
    return Crop(
        previous.centre_x + _beyond(wanted.centre_x - previous.centre_x, slack * previous.side),
        previous.centre_y + _beyond(wanted.centre_y - previous.centre_y, slack * previous.side),
        previous.side * math.exp(_beyond(math.log(wanted.side / previous.side), slack)),
        previous.angle + _beyond(turn, 1.25 * slack),
    )


def _beyond(difference: float, slack: float) -> float:
    return math.copysign(max(abs(difference) - slack, 0.0), difference)


def transform_points(
    matrix: NDArray[np.floating], points: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Apply a (2, 3) affine matrix to points (..., 2)."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], dtype=np.float32)
