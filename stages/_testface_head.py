"""Shape the head of the test face: 3-D surface, expressions, landmarks and projection.

Head coordinates are measured in the distance of the outer eye corners: x to the right of the
picture, y down, z towards the viewer, the origin between the eyes in the plane of the ears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._testface_layer import Floats, smoothstep, spline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._testface_identity import Identity

EXPRESSIONS = ("mouth_open", "eye_closed_l", "eye_closed_r", "brow_raise", "smile")
_ROWS, _COLUMNS = 104, 60
_MAX_THETA = np.deg2rad(93.0)
_FALLOFF = 2.3  # exponent of the horizontal sections: faces are flatter than ellipses

_HALF_OUTLINE = np.array(  # crown to chin: half width, y
    [(0.0, -1.24), (0.22, -1.225), (0.45, -1.13), (0.64, -0.95), (0.76, -0.68), (0.805, -0.38),
     (0.81, -0.12), (0.797, 0.02), (0.782, 0.22), (0.757, 0.42), (0.713, 0.61), (0.632, 0.80),
     (0.503, 0.97), (0.35, 1.11), (0.185, 1.21), (0.0, 1.24)]
)  # fmt: skip
_PROFILE_Y = (-1.3, -0.95, -0.6, -0.3, 0.0, 0.4, 0.7, 0.9, 1.0, 1.1, 1.25)
_PROFILE_CENTRE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.04, 0.14, 0.26, 0.36, 0.48, 0.62)
_PROFILE_FRONT = (0.15, 0.72, 0.93, 0.98, 0.93, 0.92, 0.94, 0.95, 0.94, 0.93, 0.80)
_JAW_ROWS = (0.02, 0.22, 0.42, 0.61, 0.80, 0.97, 1.105, 1.205)
_HALF_FACE = {  # the right half of the picture; the left half mirrors it
    22: (0.125, -0.196), 23: (0.272, -0.246), 24: (0.425, -0.264), 25: (0.568, -0.226),
    26: (0.670, -0.142), 27: (0.0, -0.02), 28: (0.0, 0.125), 29: (0.0, 0.265), 30: (0.0, 0.405),
    33: (0.0, 0.530), 34: (0.082, 0.512), 35: (0.160, 0.487),
    42: (0.207, 0.022), 43: (0.297, -0.062), 44: (0.405, -0.066), 45: (0.500, -0.004),
    46: (0.412, 0.048), 47: (0.303, 0.054),
    51: (0.0, 0.668), 52: (0.077, 0.650), 53: (0.182, 0.673), 54: (0.287, 0.717),
    55: (0.195, 0.828), 56: (0.084, 0.868), 57: (0.0, 0.876),
    62: (0.0, 0.742), 63: (0.079, 0.736), 64: (0.252, 0.723), 65: (0.083, 0.748), 66: (0.0, 0.752),
}  # fmt: skip
_NOSTRIL = ((0.045, 0.525), (0.075, 0.508), (0.115, 0.507), (0.125, 0.522), (0.085, 0.533))
_WING = ((0.165, 0.40), (0.182, 0.44), (0.186, 0.48), (0.165, 0.52), (0.125, 0.535))
_FOLD = ((0.21, 0.47), (0.27, 0.55), (0.32, 0.63), (0.355, 0.70), (0.37, 0.78))
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42,
     47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62,
     61, 60, 67, 66, 65]
)  # fmt: skip


def _bell(x: Any, y: Any, cx: float, cy: float, sx: float, sy: float) -> Any:
    return np.exp(-0.5 * (((np.abs(x) - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))


class Head:
    """Carry one identity's surface and points, ready to be posed.

    `posed` maps expression weights to (points (P, 3), mesh (columns, rows, 3)); `detail` scales
    the fineness of the mesh.
    """

    def __init__(self, identity: Identity, detail: float = 1.0) -> None:
        self.identity = identity
        self._outline = self._make_outline()
        theta = np.linspace(-_MAX_THETA, _MAX_THETA, round(detail * _COLUMNS))[:, None]
        k = np.linspace(0, len(self._outline) - 1, round(detail * _ROWS))
        n = np.arange(len(self._outline))
        width = np.interp(k, n, self._outline[:, 0])
        y = np.interp(k, n, self._outline[:, 1]) + 0 * theta
        self.mesh = self._section(width, y, theta).astype(np.float32)
        self._mesh_moves = self._moves(self.mesh).astype(np.float32)
        self.slices: dict[str, slice] = {}
        self._collect_points()

    def _make_outline(self) -> NDArray[np.float64]:
        points = _HALF_OUTLINE.copy()
        lower = smoothstep(points[:, 1], 0.1, 0.9)
        points[:, 0] *= self.identity.width * (1 + (self.identity.jaw - 1) * lower)
        dense = spline(points, 24)
        length = np.r_[0, np.cumsum(np.hypot(*np.diff(dense, axis=0).T))]
        at = np.linspace(0, length[-1], 320)
        return np.stack([np.interp(at, length, dense[:, i]) for i in (0, 1)], axis=1)

    def width_at(self, y: Any) -> Any:
        """Give the half width of the head at height `y`."""
        return np.interp(y, self._outline[:, 1], self._outline[:, 0])

    def _section(self, width: Any, y: Any, theta: Any) -> NDArray[np.float64]:
        x = width * np.sin(theta)
        front = np.interp(y, _PROFILE_Y, _PROFILE_FRONT)
        depth = front - np.interp(y, _PROFILE_Y, _PROFILE_CENTRE)
        depth = depth * np.where(y > 0.9, np.minimum(width / 0.42, 1), 1)  # no floor at the chin
        centre = front - depth
        part = np.abs(np.sin(theta)) ** _FALLOFF
        z = centre + depth * np.sign(np.cos(theta)) * np.maximum(1 - part, 0) ** (1 / _FALLOFF)
        facing = smoothstep(np.cos(theta), 0.05, 0.4)
        return np.stack(np.broadcast_arrays(x, y, z + facing * self._relief(x, y)), axis=-1)

    def on_surface(self, x: Any, y: Any) -> NDArray[np.float64]:
        """Lift frontal positions onto the face: (..., 3)."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        ratio = np.clip(x / np.maximum(self.width_at(y), 1e-3), -0.995, 0.995)
        return self._section(x / np.where(ratio == 0, 1, ratio) * (ratio != 0), y, np.arcsin(ratio))

    def around(self, theta: Any, y: Any) -> NDArray[np.float64]:
        """Give surface points at angle `theta` (radians, 0 = front) and height `y`."""
        return self._section(self.width_at(y), np.asarray(y, np.float64), np.asarray(theta))

    def _relief(self, x: Any, y: Any) -> Any:
        i = self.identity
        ridge_y = (-0.14, 0.0, 0.13, 0.27, 0.37, 0.42, 0.47, 0.53, 0.60)
        ridge = (0.0, 0.05, 0.115, 0.19, 0.262, 0.275, 0.235, 0.09, 0.0)
        height = np.interp(y / i.nose_length, ridge_y, ridge)
        spread = i.nose_width * np.interp(
            y, (-0.1, 0.1, 0.3, 0.42, 0.6), (0.06, 0.058, 0.072, 0.092, 0.1)
        )
        z = height * np.exp(-0.5 * (x / spread) ** 2)
        z = z + 0.105 * _bell(x, y, 0.122 * i.nose_width, 0.462, 0.045, 0.048)
        z = (
            z
            - 0.10 * _bell(x, y, 0.34, 0.0, 0.15, 0.10)
            + 0.05 * _bell(x, y, 0.33, -0.2, 0.2, 0.07)
        )
        z = z + 0.035 * _bell(x, y, 0.355, 0.0, 0.10, 0.055)
        z = z + 0.06 * _bell(x, y, 0.48, 0.30, 0.16, 0.15) + 0.06 * _bell(x, y, 0, 0.76, 0.27, 0.19)
        full = i.lip_fullness
        z = z + 0.045 * full * _bell(x, y, 0.03, 0.69, 0.13, 0.035)
        z = z + 0.055 * full * _bell(x, y, 0, 0.815, 0.13, 0.045)
        z = z - 0.035 * _bell(x, y, 0, 0.745, 0.2, 0.015) - 0.02 * _bell(x, y, 0, 0.6, 0.02, 0.05)
        z = z - 0.05 * _bell(x, y, 0, 0.945, 0.16, 0.05) + 0.06 * _bell(x, y, 0, 1.1, 0.14, 0.09)
        return z

    def _moves(self, points: Any, jaw: Any = None) -> NDArray[np.float64]:
        """Give each point's path per unit of expression: (len(EXPRESSIONS), ..., 3)."""
        x, y = points[..., 0], points[..., 1]
        side = np.sign(x)
        moves = np.zeros((len(EXPRESSIONS), *points.shape))
        if jaw is None:
            wide = 0.22 * smoothstep(
                np.abs(x), 0.18, 0.45
            )  # beside the mouth skin gives way softly
            jaw = smoothstep((y - 0.7675) / (0.0325 + wide), -1, 1)
        drop = 0.27 * jaw * (1 - 0.9 * smoothstep(np.abs(x), 0.22, 0.80))
        moves[0, ..., 1] = drop - 0.015 * (1 - jaw) * _bell(x, y, 0, 0.68, 0.2, 0.06)
        moves[0, ..., 2] = -0.35 * drop
        corner = _bell(x, y, 0.30, 0.74, 0.10, 0.10)
        moves[0, ..., 0] = -0.045 * side * corner
        brow = _bell(x, y, 0.36, -0.25, 0.30, 0.10)
        moves[3, ..., 1] = -0.11 * brow
        moves[4, ..., 0] = 0.07 * side * corner
        moves[4, ..., 1] = -0.085 * corner - 0.03 * _bell(x, y, 0.45, 0.42, 0.15, 0.15)
        moves[4, ..., 2] = -0.02 * corner + 0.05 * _bell(x, y, 0.45, 0.38, 0.13, 0.12)
        return moves

    def _landmarks(self) -> NDArray[np.float64]:
        i = self.identity
        flat = np.zeros((68, 2))
        for index, (x, y) in _HALF_FACE.items():
            flat[index] = x, y
            flat[MIRROR[index]] = -x, y
        flat[27:36, 1] *= i.nose_length
        flat[31:36, 0] *= i.nose_width
        for group in (slice(36, 42), slice(42, 48)):
            middle = flat[group].mean(axis=0)
            tilt = i.eye_tilt * np.sign(middle[0]) * (flat[group, 0] - middle[0]) / 0.15
            flat[group, 1] = middle[1] + (flat[group, 1] - middle[1]) * i.eye_size - tilt
        flat[48:60, 1] = 0.742 + (flat[48:60, 1] - 0.742) * i.lip_fullness
        flat[48:, 0] *= i.mouth_width
        return np.concatenate([np.zeros((17, 3)), self.on_surface(flat[17:, 0], flat[17:, 1])])

    def _collect_points(self) -> None:
        marks = self._landmarks()
        jaw = np.where(np.isin(np.arange(68), (55, 56, 57, 58, 59, 65, 66, 67)), 1.0, 0.0)
        jaw[[55, 59]] = 0.93
        jaw[[48, 54, 60, 64]] = 0.40
        moves = self._moves(marks, np.where(np.arange(68) >= 48, jaw, 0.0))
        for lips, amount in (((61, 62, 63), -0.012), ((65, 66, 67), 0.018)):
            moves[4, lips, 1] += amount
        self._add_lids(marks, moves)
        extras = self._extras(marks)
        start = len(marks)
        for name, points in extras.items():
            self.slices[name] = slice(start, start + len(points))
            start += len(points)
        more = np.concatenate(list(extras.values()))
        self._points = np.concatenate([marks, more]).astype(np.float32)
        self._point_moves = np.concatenate([moves, self._moves(more)], 1).astype(np.float32)

    @staticmethod
    def _add_lids(marks: Any, moves: Any) -> None:
        for weight, upper, lower in ((1, (37, 38), (41, 40)), (2, (43, 44), (47, 46))):
            for top, bottom in zip(upper, lower, strict=True):
                moves[weight, top] = 0.86 * (marks[bottom] - marks[top])
                moves[weight, bottom] = 0.06 * (marks[top] - marks[bottom])
                moves[4, bottom, 1] -= 0.012

    def _extras(self, marks: Any) -> dict[str, NDArray[np.float64]]:
        """Name the further points: jaw sections, pupils, folds of the skin."""
        angles = np.deg2rad(np.linspace(0, 80, 13))
        y = np.repeat([*_JAW_ROWS, *_JAW_ROWS[::-1]], 13)
        round_ = np.outer(np.repeat((-1.0, 1.0), 8), angles).ravel()
        outline = self.around(np.r_[round_, np.zeros(9)], np.r_[y, np.linspace(1.0, 1.238, 9)])
        lines = np.array([_NOSTRIL, _WING, _FOLD])  # (3, 5, 2), the right half
        lines[:2, :, 0] *= self.identity.nose_width
        both = np.stack([lines * (-1, 1), lines], axis=1)
        nostrils, wings, folds = self.on_surface(both[..., 0], both[..., 1]).reshape(3, 10, 3)
        eyes = np.stack([marks[36:42].mean(axis=0), marks[42:48].mean(axis=0)])
        return {"jaw": outline[:-9], "chin": outline[-9:], "pupils": eyes,
                "nostrils": nostrils, "wings": wings, "folds": folds}  # fmt: skip

    def posed(self, weights: Floats) -> tuple[Floats, Floats]:
        """Apply expression `weights` (len(EXPRESSIONS),): points (P, 3) and mesh."""
        points = self._points + np.tensordot(weights, self._point_moves, 1)
        mesh = self.mesh + np.tensordot(weights, self._mesh_moves, 1)
        return points, mesh


def normals(mesh: Floats, *, merge_last: bool = False) -> Floats:
    """Estimate unit normals of a (columns, rows, 3) surface, towards the viewer in front."""
    along, below = np.empty_like(mesh), np.empty_like(mesh)
    along[1:-1] = mesh[2:] - mesh[:-2]
    along[0], along[-1] = mesh[1] - mesh[0], mesh[-1] - mesh[-2]
    below[:, 1:-1] = mesh[:, 2:] - mesh[:, :-2]
    below[:, 0], below[:, -1] = mesh[:, 1] - mesh[:, 0], mesh[:, -1] - mesh[:, -2]
    normal = np.empty_like(mesh)
    for k, (a, b) in enumerate(((1, 2), (2, 0), (0, 1))):
        normal[..., k] = along[..., a] * below[..., b] - along[..., b] * below[..., a]
    length = np.sqrt(np.einsum("ijk,ijk->ij", normal, normal))[..., None]
    normal /= np.maximum(length, 1e-9)
    for k in range(1, 8 * merge_last + 1):  # rows that shrink to a point share one normal
        shared = normal[len(mesh) // 2, -k].copy()
        normal[:, -k] += (9 - k) / 8 * (shared - normal[:, -k])
    normal[:, 0], normal[:, -1] = normal[:, 1], normal[:, -2]
    return np.asarray(normal, np.float32)
