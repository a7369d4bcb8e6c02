"""Head rotation from 68 points, by fitting a rigid 3-D face under weak perspective.

The mean face below was recovered from annotated photographs alone: alternating least squares for
one symmetric rigid shape and one scaled orthographic camera per photograph, with robust weights
(after Tomasi and Kanade 1992, factorisation). Units are distances of the outer eye corners, the
origin lies between them; x to the right of the picture, y down, z towards the viewer.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..pipeline.frame import Pose
from .topology import topology

F64 = NDArray[np.float64]
Row = tuple[float, float, float]

_HALF_FACE = {  # the half at smaller x, and the midline; the rest mirrors it
    0: (-0.852, 0.020, -0.686), 1: (-0.840, 0.239, -0.638), 2: (-0.805, 0.443, -0.622),
    3: (-0.763, 0.639, -0.613), 4: (-0.691, 0.850, -0.569), 5: (-0.568, 1.028, -0.453),
    6: (-0.431, 1.151, -0.280), 7: (-0.255, 1.259, -0.076), 8: (0.0, 1.322, -0.012),
    17: (-0.659, -0.172, -0.073), 18: (-0.559, -0.240, 0.078), 19: (-0.429, -0.261, 0.182),
    20: (-0.306, -0.247, 0.246), 21: (-0.200, -0.215, 0.273), 27: (0.0, 0.010, 0.305),
    28: (0.0, 0.156, 0.404), 29: (0.0, 0.297, 0.513), 30: (0.0, 0.423, 0.542),
    31: (-0.146, 0.510, 0.268), 32: (-0.082, 0.530, 0.320), 33: (0.0, 0.550, 0.342),
    36: (-0.500, 0.000, 0.000), 37: (-0.417, -0.033, 0.093), 38: (-0.313, -0.033, 0.102),
    39: (-0.218, 0.015, 0.077), 40: (-0.309, 0.041, 0.094), 41: (-0.416, 0.040, 0.065),
    48: (-0.295, 0.782, 0.060), 49: (-0.194, 0.723, 0.225), 50: (-0.070, 0.689, 0.312),
    51: (0.0, 0.703, 0.319), 57: (0.0, 0.929, 0.244), 58: (-0.096, 0.919, 0.230),
    59: (-0.191, 0.871, 0.171), 60: (-0.269, 0.780, 0.068), 61: (-0.085, 0.761, 0.252),
    62: (0.0, 0.760, 0.273), 66: (0.0, 0.824, 0.244), 67: (-0.084, 0.815, 0.230),
}  # fmt: skip
# Contour points slide along a turned head and mouth and brows move: they count less.
_REGION_WEIGHTS = {"face.contour": 0.3, "brow.left": 0.6, "brow.right": 0.6,
                   "lips.outer": 0.25, "lips.inner": 0.1}  # fmt: skip


def mean_face() -> F64:
    """Return the mean face's points (68, 3); see the module for axes and units."""
    face = np.zeros((68, 3))
    flip = topology("ibug68").flip
    for index, point in _HALF_FACE.items():
        face[index] = point
        face[flip[index]] = -point[0], point[1], point[2]
    return face


def _solver(face: F64) -> F64:
    """Return (3, 68), which turns picture points into the camera's transposed matrix (3, 2)."""
    weights = np.ones(68)
    for region, weight in _REGION_WEIGHTS.items():
        weights[topology("ibug68").region(region)] = weight
    root = np.sqrt(weights)[:, None]
    centre = np.eye(68) - weights / weights.sum()
    return np.asarray(np.linalg.pinv(root * (centre @ face)) @ (root * centre))


_FACE = mean_face()
_SOLVER = _solver(_FACE)
_MIN_AREA = 0.3  # of a frontal face; beyond about 70 degrees the far side is not seen any more


def head_pose(landmarks_px: NDArray[np.floating]) -> tuple[Pose, F64]:
    """Estimate the rotation of a head from its points (68, 2), x before y.

    Returns the pose (degrees, signs as `Pose` has them; yaw turns first, then pitch, then roll;
    good to a few degrees, as the person's own face differs from the mean face) and the points
    turned frontal and upright (68, 2) in units of the outer eye corners' distance, the mean face's
    depth assumed.
    """
    scale, (a, b, c), (d, e, f) = _scaled_rotation((_SOLVER @ landmarks_px).T.tolist())
    turned = (b * f - c * e, c * d - a * f, a * e - b * d)  # third row of the rotation
    pose = Pose(
        yaw_deg=math.degrees(math.atan2(-turned[0], turned[2])),
        pitch_deg=-math.degrees(math.asin(min(max(turned[1], -1.0), 1.0))),
        roll_deg=math.degrees(math.atan2(-b, e)),
    )
    area = math.copysign(max(abs(turned[2]), _MIN_AREA), turned[2])
    back = np.array(((e, -b), (-d, a))) / area
    flat = landmarks_px / scale - _FACE[:, 2:] * (c, f)
    flat = (flat - (flat[36] + flat[45]) / 2) @ back.T
    return pose, flat


def _scaled_rotation(camera: list[list[float]]) -> tuple[float, Row, Row]:
    """Return the scale and the two orthonormal rows nearest to a 2x3 camera (polar factors).

    Plain numbers: many times quicker than a singular value decomposition by NumPy.
    """
    u, v = camera
    uu, uv, vv = _dot(u, u), _dot(u, v), _dot(v, v)
    root = math.sqrt(max(uu * vv - uv * uv, 1e-12))
    twice = math.sqrt(uu + vv + 2 * root)  # trace of the square root of camera x its transpose
    p, q, r = ((x / (root * twice)) for x in (vv + root, -uv, uu + root))
    (a, b, c), (d, e, f) = u, v
    across = (p * a + q * d, p * b + q * e, p * c + q * f)
    down = (q * a + r * d, q * b + r * e, q * c + r * f)
    return max(twice / 2, 1e-6), across, down


def _dot(u: list[float], v: list[float]) -> float:
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
