"""Place the head of the test face in the picture and pick its 68 landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._testface_head import Head
    from ._testface_layer import Floats

_PIVOT = np.array([0.0, 1.0, -0.1], np.float32)  # the head turns on the neck
_CAMERA = 9.0  # viewing distance in eye-corner distances: mild perspective


@dataclass(frozen=True, slots=True)
class Pose:
    """Place a head: centre and eye-corner distance in px, angles in degrees.

    Positive yaw turns the nose to the right of the picture, positive pitch down, positive roll
    turns the picture clockwise.
    """

    x: float
    y: float
    scale: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    def rotation(self) -> Floats:
        """Give the (3, 3) matrix: yaw first, then pitch, then roll."""
        return _rotation(self.yaw, self.pitch, self.roll)

    def right(self) -> Floats:
        """Give the unit vector of the picture that points along the row of the eyes."""
        angle = np.deg2rad(self.roll)
        return np.array((np.cos(angle), np.sin(angle)), np.float32)

    def down(self) -> Floats:
        """Give the unit vector of the picture from forehead to chin."""
        angle = np.deg2rad(self.roll)
        return np.array((-np.sin(angle), np.cos(angle)), np.float32)

    def project(self, points: Floats) -> Floats:
        """Project head points (..., 3) to px of the picture (..., 2)."""
        turned = (points - _PIVOT) @ self.rotation().T
        factor = (self.scale * _CAMERA) / (_CAMERA - turned[..., 2:])
        shift = np.array((self.x, self.y), np.float32)
        flat = (turned[..., :2] + np.array((0.0, _PIVOT[1] - 0.1), np.float32)) * factor + shift
        return np.asarray(flat, np.float32)


@lru_cache(maxsize=8)
def _rotation(yaw: float, pitch: float, roll: float) -> Floats:
    (cy, cp, cr), (sy, sp, sr) = (f(np.deg2rad([yaw, pitch, roll])) for f in (np.cos, np.sin))
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(tilt @ nod @ turn, np.float32)


def landmarks(head: Head, pose: Pose, projected: Floats) -> Floats:
    """Pick the 68 landmarks (68, 2) in px from projected points.

    Jaw points slide along their section to the visible edge of the turned head, as people
    annotate them.
    """
    marks = projected[:68, :2].copy()
    jaw = projected[head.slices["jaw"], :2].reshape(16, -1, 2)
    chin = projected[head.slices["chin"], :2]
    across = jaw @ pose.right()
    across[:8] *= -1
    for row in range(16):
        marks[row + (row > 7)] = _extreme(jaw[row], across[row])
    marks[8] = _extreme(chin, chin @ pose.down())
    low = slice(5, 12)
    edge = cv2.convexHull(np.concatenate([jaw[3:13].reshape(-1, 2), chin]))[:, 0]
    marks[low] = _push_out(marks[57] - 0.1 * pose.scale * pose.down(), marks[low], edge)
    return marks


def _extreme(points: Floats, height: Floats) -> Floats:
    """Find where the curve through `points` is highest, between samples: no steps in time."""
    k = int(height.argmax())
    if 0 < k < len(points) - 1:
        a, b, c = (float(v) for v in height[k - 1 : k + 2])
        shift = 0.5 * (a - c) / min(a - 2 * b + c, -1e-6)
        k, f = (k, shift) if shift >= 0 else (k - 1, 1 + shift)
        return np.asarray(points[k] + f * (points[k + 1] - points[k]))
    return np.asarray(points[k])


def _push_out(centre: Floats, points: Floats, hull: NDArray[Any]) -> Floats:
    """Move points along rays from `centre` to the border of the convex `hull` around it."""
    start, edge = hull, np.roll(hull, -1, axis=0) - hull
    ray = points - centre
    area = ray[:, None, 0] * edge[:, 1] - ray[:, None, 1] * edge[:, 0]
    to = start - centre
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    along = (to[:, 0] * edge[:, 1] - to[:, 1] * edge[:, 0]) / area
    at = (to[None, :, 0] * ray[:, None, 1] - to[None, :, 1] * ray[:, None, 0]) / area
    hit = np.where((at >= -1e-4) & (at <= 1 + 1e-4) & (along > 0), along, 0).max(axis=1)
    return np.asarray(centre + ray * np.clip(hit, 1.0, 1.25)[:, None], np.float32)
