"""Draw the hair of the test face: cap, hairline, strands and long hair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .testface_head import Floats, Head, Identity, Pose, spline

if TYPE_CHECKING:
    from .testface_paint import Layer, Light

_SHAPE = {  # style: (side, height, thickness of the back of the head), covers the ears
    "short": (1.06, 1.10, False), "side": (1.07, 1.15, False), "long": (1.09, 1.10, True),
    "bangs": (1.10, 1.12, True), "curls": (1.28, 1.24, True), "buzz": (1.015, 1.02, False),
    "bun": (1.03, 1.06, False),
}  # fmt: skip
_FORK = np.array((-0.62, -0.2, -0.9), np.float32)


class Hair:
    """Hold the strands and outlines of one hair style in head coordinates."""

    def __init__(self, identity: Identity, head: Head) -> None:
        self.identity, self._head = identity, head
        self._wide, self._tall, self.covers_ears = _SHAPE[identity.style]
        self._rng = np.random.default_rng(identity.seed + 7)
        angles = np.linspace(-np.pi, np.pi, 41)
        rows = np.linspace(-1.23, 0.25 if identity.style != "curls" else 0.45, 16)
        around, y = np.meshgrid(angles, rows)
        self._cap = self._lift(around, y).reshape(-1, 3)
        self._line_at = np.deg2rad(np.linspace(-92, 92, 41))
        line_y = self._hairline_y(self._line_at)
        self._line = head.around(self._line_at, line_y).astype(np.float32)
        outward = np.stack([np.sin(self._line_at), 0 * line_y, np.cos(self._line_at)], axis=1)
        self._line_out = outward.astype(np.float32)
        self._strands, self._tones, self._facing = self._grow()

    def _lift(self, around: Any, y: Any) -> Floats:
        """Give points on the surface of the hair; `around` 0 is the front."""
        width = self._head.width_at(y)
        x = width * self._wide * np.sin(around)
        depth = np.where(np.cos(around) > 0, 0.97, 1.12) * np.sqrt(np.clip(1 - (y / 1.3) ** 2, 0, 1))
        z = depth * self._wide * np.cos(around)
        return np.stack([x, np.where(y < 0, y * self._tall, y), z], axis=-1).astype(np.float32)

    def _hairline_y(self, angle: NDArray[Any]) -> NDArray[Any]:
        degrees = np.rad2deg(angle)
        side = np.abs(degrees)
        end = 0.62 if self.covers_ears else 0.14
        line = np.interp(side, (0, 20, 40, 55, 66, 74, 80, 92),
                         (-0.80, -0.79, -0.70, -0.58, -0.34, -0.12, end - 0.1, end))  # fmt: skip
        if self.identity.style == "bangs":
            line = np.interp(side, (0, 30, 55, 68, 76, 92), (-0.40, -0.39, -0.30, -0.05, 0.35, 0.8))
        if self.identity.style == "side":
            line = line + 0.20 * np.exp(-(((degrees - 30) / 26) ** 2))
        if self.identity.style == "curls":
            wave = np.random.default_rng(self.identity.seed).normal(0, 0.03, len(line))
            line = line + 0.06 + wave
        return np.asarray(line)

    def _grow(self) -> tuple[Floats, NDArray[np.int64], Floats]:
        rng, count = self._rng, 260
        start = np.deg2rad(rng.uniform(-180, 180, count))[:, None]
        part = 0.3 if self.identity.style in ("side", "short") else 0.0
        t = np.linspace(0, 1, 7)[None]
        top = np.stack([part + 0.06 * np.sin(start[:, 0]), np.full(count, -1.2)], axis=1)
        ends = np.interp(np.abs(start[:, 0]), np.abs(self._line_at[20:]), self._line[20:, 1])
        ends = np.where(np.abs(start[:, 0]) > np.deg2rad(92), 0.3, ends) + rng.normal(0, 0.03, count)
        y = -1.22 + (ends[:, None] + 1.22) * t**1.6
        curl = 0.06 * np.sin(t * rng.uniform(5, 9, (count, 1)) + start) if self.identity.style == "curls" else 0
        points = self._lift(start + curl + 0.12 * rng.normal(0, 1, (count, 1)) * t, y)
        fade = (1 - t[..., None]) ** 2
        points[..., :1] += (top[:, :1, None] * fade).astype(np.float32) * 0.6
        scale = rng.uniform(0.93, 1.01, (count, 1, 1))
        facing = np.stack([np.sin(start[:, 0]), -0.3 + 0 * start[:, 0], np.cos(start[:, 0])], axis=1)
        return (points * scale).astype(np.float32), rng.integers(0, 4, count), facing.astype(np.float32)

    def paint_cap(self, layer: Layer, pose: Pose, light: Light) -> None:
        """Draw the mass of the hair behind the face."""
        cap = pose.project(self._cap)[:, :2]
        hull = cv2.convexHull(cap.astype(np.float32))[:, 0]
        if self.identity.style == "curls":
            hull = self._frizz(hull, pose.scale)
        if self.identity.style == "bun":
            self._disc(layer, pose, (0.0, -1.42, -0.3), 0.42)
        layer.fill(hull, self._tone(0.62))

    def paint_front(self, layer: Layer, pose: Pose, light: Light) -> None:
        """Draw the strands over the cap."""
        if self.identity.style == "buzz":
            return
        turned = self._facing @ pose.rotation().T
        seen = turned[:, 2] > -0.15
        lines = pose.project(self._strands)[..., :2]
        glow = turned @ np.array(light.key, np.float32)
        part = layer.crop(lines[seen].reshape(-1, 2), 2)
        if part.empty:
            return
        thick = 0.022 * pose.scale
        for tone in range(4):
            chosen = seen & (self._tones == tone)
            for low, high, bright in ((-2, 0.15, 0.0), (0.15, 0.6, 0.16), (0.6, 2, 0.36)):
                group = lines[chosen & (glow >= low) & (glow < high)]
                if len(group):
                    self._stroke(part, group, thick, 0.48 + 0.14 * tone + bright)

    def _stroke(self, part: Layer, lines: Floats, thick: float, tone: float) -> None:
        fixed = np.round((lines - part.offset) * 16).astype(np.int32)
        cv2.polylines(part.pixels, list(fixed), False, self._tone(tone), max(1, round(thick)), cv2.LINE_AA, 4)

    def paint_back(self, layer: Layer, pose: Pose, light: Light) -> None:
        """Draw long hair behind neck and shoulders."""
        if self.identity.style not in ("long", "bangs"):
            return
        length = 1.9 if self.identity.style == "long" else 1.25
        side = np.array([(0.5, -0.9), (0.86, -0.3), (0.97, 0.4), (1.02, 1.0), (0.98, length), (0.5, length + 0.12)])
        shape = np.concatenate([side, side[::-1] * (-1, 1)])
        solid = np.concatenate([shape, np.full((len(shape), 1), -0.25)], axis=1).astype(np.float32)
        flat = pose.project(solid)[:, :2]
        layer.fill(spline(flat, 6, closed=True), self._tone(0.5))
        rng = np.random.default_rng(self.identity.seed + 3)
        x = rng.uniform(-0.98, 0.98, (90, 1))
        y = np.linspace(0.2, length, 6) + rng.uniform(-0.1, 0.06, (90, 1))
        wave = 0.03 * np.sin(3 * y + rng.uniform(0, 6, (90, 1)))
        lines = np.stack([x + wave, y, np.full_like(y, -0.25)], axis=-1).astype(np.float32)
        for tone in range(3):
            self._stroke(layer, pose.project(lines[tone::3])[..., :2], 0.02 * pose.scale, 0.45 + 0.16 * tone)

    def hairline(self, pose: Pose) -> Floats | None:
        """Outline the part of the head that hair covers, or None; px of the picture."""
        turned = self._line_out @ pose.rotation().T
        seen = np.flatnonzero(turned[:, 2] > 0.0)
        if len(seen) < 2:
            return None
        line = pose.project(self._line[seen])[:, :2]
        angle = np.deg2rad(pose.roll)
        right = np.array((np.cos(angle), np.sin(angle)), np.float32) * pose.scale
        up = np.array((right[1], -right[0]), np.float32)
        curve = spline(line, 2)
        ends = [line[-1] + 2 * right, line[-1] + 2 * right + 4 * up, line[0] - 2 * right + 4 * up, line[0] - 2 * right]
        return np.asarray(np.concatenate([curve, ends]), np.float32)

    def _frizz(self, hull: Floats, scale: float) -> Floats:
        centre = hull.mean(axis=0)
        closed = np.concatenate([hull, hull[:1]])
        length = np.r_[0, np.cumsum(np.hypot(*np.diff(closed, axis=0).T))]
        at = np.linspace(0, length[-1], 44, endpoint=False)
        even = np.stack([np.interp(at, length, closed[:, k]) for k in (0, 1)], axis=1)
        bump = np.where(np.arange(44) % 2, 1.045, 0.985)[:, None]
        return spline(centre + (even - centre) * bump, 4, closed=True)

    def _disc(self, layer: Layer, pose: Pose, centre: tuple[float, float, float], radius: float) -> None:
        middle = pose.project(np.array([centre], np.float32))[0, :2]
        circle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        ring = np.stack([np.cos(circle), np.sin(circle)], axis=1) * radius * pose.scale
        layer.fill(middle + ring, self._tone(0.55))
        for k in range(5):
            arc = middle + ring[4:22] * (0.9 - 0.17 * k)
            self._stroke(layer, arc[None], 0.02 * pose.scale, 0.7 + 0.1 * (k % 3))

    def _tone(self, factor: float) -> tuple[float, float, float]:
        b, g, r = np.clip(np.array(self.identity.hair) * factor * 1.25, 0, 255)
        return float(b), float(g), float(r)
