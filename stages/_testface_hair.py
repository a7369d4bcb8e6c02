"""Draw the hair of the test face: a textured cap, its hairline, long hair and a bun."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ._testface_head import Head, normals
from ._testface_layer import Floats, Image, Layer, enlarge, lay, splat, spline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._testface_identity import Identity
    from ._testface_paint import Light
    from ._testface_pose import Pose

_SHAPE = {  # style: width and height against the skull, lowest row, covers the ears
    "short": (1.06, 1.15, 0.30, False), "side": (1.07, 1.18, 0.30, False),
    "long": (1.09, 1.10, 0.55, True), "bangs": (1.11, 1.11, 0.60, True),
    "curls": (1.26, 1.24, 0.55, True), "buzz": (1.012, 1.015, 0.25, False),
    "bun": (1.03, 1.05, 0.25, False),
}  # fmt: skip
_U, _V = 512, 128  # px of the strand texture: around the head, from crown to tip
_PARTING = {"long": 8.0, "side": -32.0}  # degrees from the middle of the forehead
_BUFFER_SCALE = 30.0


class Hair:
    """Hold one hair style in head coordinates."""

    def __init__(self, identity: Identity, head: Head) -> None:
        self._who, self._head = identity, head
        self._wide, self._tall, lowest, self.covers_ears = _SHAPE[identity.style]
        around, row = np.meshgrid(
            np.linspace(-np.pi, np.pi, 49), np.linspace(0, 1, 18), indexing="ij"
        )
        y = -1.235 + (lowest + 1.235) * row**1.25
        self._cap = self._lift(around, y)
        self._normals = normals(self._cap)
        u = self._flow(around, row)
        self._uv = np.stack([u, row * (_V - 1)], axis=-1).astype(np.float32)
        curl = 1.0 if identity.style == "curls" else 0.0
        self._texture = _strands(identity.seed % 4, curl)
        self._ramp = self._make_ramp()
        angle = np.deg2rad(np.linspace(-92, 92, 121))
        self._line = head.around(angle, self._hairline_y(angle)).astype(np.float32)
        self._line_out = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], 1).astype(np.float32)

    def _flow(self, around: NDArray[Any], row: NDArray[Any]) -> NDArray[Any]:
        """Number the strands (texture px): they fall from the crown, or fan out from a parting."""
        if self._who.style in _PARTING:
            fanned = (around - np.deg2rad(_PARTING[self._who.style])) / (0.38 + 0.62 * row**0.8)
            return np.asarray((fanned / (2 * np.pi) + 0.5) * _U)
        sweep = {"short": 0.18, "buzz": 0.0}.get(self._who.style, 0.04)
        return np.asarray((around / (2 * np.pi) + 0.5 + sweep * row * (1 - row)) * _U)

    def _lift(self, around: Any, y: Any) -> Floats:
        """Give points on the surface of the hair; `around` 0 is the front."""
        x = self._head.width_at(y) * self._wide * np.sin(around)
        depth = np.where(np.cos(around) > 0, 0.97, 1.12)
        depth = depth * np.sqrt(np.clip(1 - (y / 1.3) ** 2, 0.0, 1))
        z = depth * self._wide * np.cos(around)
        return np.stack([x, np.where(y < 0, y * self._tall, y), z], axis=-1).astype(np.float32)

    def _make_ramp(self) -> Image:
        """Map light on hair to colour: dark roots, base, pale sheen."""
        t = np.linspace(0, 1, 256)[:, None]
        base = np.array(self._who.hair)
        ramp = base * (0.22 + 1.25 * t) + 150 * np.clip(t - 0.62, 0, 1) ** 1.5
        return np.clip(ramp, 0, 255).astype(np.uint8).reshape(256, 1, 3)

    def _hairline_y(self, angle: NDArray[Any]) -> NDArray[Any]:
        style, degrees = self._who.style, np.rad2deg(angle)
        side = np.abs(degrees)
        end = 0.62 if self.covers_ears else 0.14
        line = np.interp(side, (0, 20, 40, 55, 66, 74, 80, 92),
                         (-0.80, -0.79, -0.70, -0.58, -0.34, -0.12, end - 0.1, end))  # fmt: skip
        if style == "bangs":
            line = np.interp(side, (0, 30, 55, 68, 76, 92), (-0.40, -0.39, -0.30, -0.05, 0.35, 0.8))
        if style == "long":
            line = np.interp(np.abs(degrees - _PARTING[style]), (0, 5, 22, 40, 54, 64, 74, 98),
                             (-0.90, -0.86, -0.76, -0.64, -0.44, -0.14, 0.40, 0.62))  # fmt: skip
        if style == "bun":
            line = line - 0.06 * np.exp(-((degrees / 50) ** 2))
        if style == "side":
            line = line + 0.20 * np.exp(-(((degrees - 30) / 26) ** 2))
        rough = {"bangs": 0.035, "curls": 0.03, "buzz": 0.006, "bun": 0.008, "long": 0.008}.get(
            style, 0.018
        )
        rng = np.random.default_rng(self._who.seed)
        jag = np.repeat(rng.normal(0, 1, 41), 3)[:121] + 0.7 * rng.normal(0, 1, 121)
        return np.asarray(line + rough * jag)

    def hairline(self, pose: Pose) -> Floats | None:
        """Outline the part of the head that hair covers, or None; px of the picture."""
        turned = self._line_out @ pose.rotation().T
        seen = np.flatnonzero(turned[:, 2] > 0.0)
        if len(seen) < 2:
            return None
        line = pose.project(self._line[seen])
        right, up = 2 * pose.scale * pose.right(), -4 * pose.scale * pose.down()
        first, last = line[0] - right, line[-1] + right
        return np.asarray(np.concatenate([line, [last, last + up, first + up, first]]), np.float32)

    def paint_cap(self, layer: Layer, pose: Pose, light: Light) -> None:
        """Draw the mass of the hair; the face is painted over it below the hairline."""
        flat = pose.project(self._cap)
        hull = cv2.convexHull(np.ascontiguousarray(flat).reshape(-1, 2))[:, 0]
        if self._who.style == "curls":
            hull = _frizz(hull)
        part = layer.crop(hull, 2)
        if part.empty:
            return
        shade = self._shade(pose, light)
        data = np.concatenate([flat, self._uv, shade], axis=-1)
        dense = enlarge(data[:: -1 if pose.yaw > 0 else 1], 3, 3)
        small = splat(dense, part, max(1.0, pose.scale / _BUFFER_SCALE))
        size = (part.width, part.height)
        u, v, lit = (cv2.resize(c, size) for c in cv2.split(cv2.blur(small, (3, 3))))
        tone = cv2.remap(self._texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        tone = cv2.multiply(tone, lit, scale=1 / 128, dtype=cv2.CV_8U)
        lay(part.pixels, self._colour(tone), part.mask(hull))

    def _shade(self, pose: Pose, light: Light) -> Floats:
        """Light the cap: (..., 2) brightness 0..255 and depth of the normal."""
        turned = self._normals @ pose.rotation().T
        key = np.array(light.key, np.float32) / np.float32(np.linalg.norm(light.key))
        facing = np.clip(turned @ key * 0.65 + 0.35, 0, 1)
        ring = np.exp(-(((turned[..., 1] + 0.50) / 0.16) ** 2)) * np.clip(
            turned[..., 2] * 1.5, 0, 1
        )
        value = light.ambient * 90 + light.strength * (100 * facing + 52 * ring * facing)
        return np.stack([value, turned[..., 2]], axis=-1)

    def _colour(self, tone: Any) -> Image:
        return np.asarray(cv2.applyColorMap(tone, self._ramp), np.uint8)

    def paint_back(self, layer: Layer, pose: Pose, light: Light) -> None:
        """Draw long hair behind the neck."""
        if self._who.style not in ("long", "bangs"):
            return
        end = 1.95 if self._who.style == "long" else 1.25
        side = np.array([(0.5, -0.9), (0.86, -0.3), (0.97, 0.4), (1.02, 1.0), (0.96, end),
                         (0.5, end + 0.12)])  # fmt: skip
        outline = self._flat(np.concatenate([side, side[::-1] * (-1, 1)]), pose)
        part = layer.crop(outline, 4)
        if part.empty:
            return
        corners = self._flat(np.array([(-1.1, -0.9), (1.1, -0.9), (-1.1, end + 0.2)]), pose)
        source = np.array([(60, 0), (_U - 60, 0), (60, _V - 1)], np.float32)
        move = cv2.getAffineTransform(source, (corners - part.origin).astype(np.float32))
        tone = cv2.warpAffine(self._texture, move, (part.width, part.height),
                              borderMode=cv2.BORDER_REFLECT)  # fmt: skip
        tone = cv2.convertScaleAbs(tone, alpha=0.25 + 0.4 * light.ambient + 0.15 * light.strength)
        lay(part.pixels, self._colour(tone), part.mask(spline(outline, 6, closed=True)))

    @staticmethod
    def _flat(points: NDArray[Any], pose: Pose) -> Floats:
        solid = np.concatenate([points, np.full((len(points), 1), -0.25)], axis=1)
        return pose.project(solid.astype(np.float32))

    def paint_bun(self, layer: Layer, pose: Pose) -> None:
        """Draw the knot of a bun behind the crown."""
        if self._who.style != "bun":
            return
        middle = pose.project(np.array([(0.0, -1.40, -0.3)], np.float32))[0]
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 0.40 * pose.scale
        part = layer.crop(middle + ring, 2)
        if part.empty:
            return
        side = max(part.width, part.height)
        swirl = cv2.resize(self._texture[:, :96].T, (side, side))[: part.height, : part.width]
        y, x = np.mgrid[0 : part.height, 0 : part.width].astype(np.float32)
        away = np.hypot(x + part.origin[0] - middle[0], y + part.origin[1] - middle[1])
        away /= 0.40 * pose.scale
        tone = swirl * np.clip(0.95 - 0.55 * away**2, 0.2, 1)
        part.blend(self._colour(tone.astype(np.uint8)), part.mask(middle + ring))


@lru_cache(maxsize=16)
def _strands(seed: int, curl: float) -> Image:
    """Draw streaks along the hair: (_V, _U) uint8 around 128."""
    rng = np.random.default_rng(seed)
    total = np.zeros((_V, _U), np.float32)
    for columns, rows, weight in ((64, 3, 0.8), (170, 4, 1.0), (400, 5, 0.8)):
        if curl:
            columns, rows = columns // 3, rows * 6
        noise = rng.normal(0, 1, (rows, columns)).astype(np.float32)
        noise[:, -1] = noise[:, 0]
        total += weight * cv2.resize(noise, (_U, _V), interpolation=cv2.INTER_CUBIC)
    total *= 26 / float(total.std())
    return np.clip(128 + total, 40, 235).astype(np.uint8)


def _frizz(hull: NDArray[Any]) -> Floats:
    """Give a hull the uneven edge of curls."""
    centre = hull.mean(axis=0)
    closed = np.concatenate([hull, hull[:1]])
    length = np.r_[0, np.cumsum(np.hypot(*np.diff(closed, axis=0).T))]
    start = length[int(np.argmin(hull[:, 1]))]
    at = (np.linspace(0, length[-1], 52, endpoint=False) + start) % length[-1]
    even = np.stack([np.interp(at, length, closed[:, k]) for k in (0, 1)], axis=1)
    bump = np.where(np.arange(52) % 2, 1.03, 0.985) + 0.012 * np.sin(np.arange(52) * 2.4)
    return spline(centre + (even - centre) * bump[:, None], 4, closed=True)
