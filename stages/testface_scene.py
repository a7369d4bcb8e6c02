"""Draw what surrounds the test face: backgrounds, and neck and shoulders in a shirt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .testface_head import Pose
from .testface_layer import smoothstep, spline

if TYPE_CHECKING:
    from .testface_identity import Identity
    from .testface_paint import Light

Image = NDArray[np.uint8]
_LOW, _HIGH = np.array((-2.7, 0.55)), np.array((2.7, 4.6))  # of the body, head coordinates


class Body:
    """Hold a picture of neck and shoulders (premultiplied) for one size of the head in px."""

    def __init__(self, identity: Identity, light: Light, scale: float) -> None:
        self._scale = float(np.clip(scale, 4, 400))
        size = np.ceil((_HIGH - _LOW) * self._scale).astype(int)
        self._colour, self._cover = self._draw(identity, light, int(size[0]), int(size[1]))

    def _map(self, points: Any) -> NDArray[np.int32]:
        return np.round((np.asarray(points) - _LOW) * self._scale * 16).astype(np.int32)

    def _poly(self, image: Image, points: Any, colour: Any) -> None:
        cv2.fillPoly(image, [self._map(spline(np.array(points), 8))], colour, cv2.LINE_AA, 4)

    def _draw(self, who: Identity, light: Light, width: int, height: int) -> tuple[Image, Image]:
        skin, shirt = np.array(who.skin), np.array(who.shirt)
        y, x = np.mgrid[0:height, 0:width].astype(np.float32) / self._scale + _LOW[::-1, None, None]
        image = np.empty((height, width, 3), np.uint8)
        broad = 0.9 if who.beard == 0 and who.make_up > 0 else 1.0
        round_ = np.clip(1 - (np.abs(x) / 0.62) ** 2.5, 0.0, 1) ** 0.5
        side = 1 - 0.18 * np.sign(light.key[0]) * np.clip(x, -1, 1)
        flesh = (0.50 + 0.36 * round_) * side * (1 - 0.22 * np.exp(-(((y - 1.2) / 0.35) ** 2)))
        image[:] = np.clip(flesh[..., None] * skin * (0.92, 0.95, 1.02), 0, 255)
        cloth = image.copy()
        rng = np.random.default_rng(who.seed + 11)
        folds = cv2.resize(rng.normal(0, 1, (7, 9)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        fall = (0.98 - 0.30 * smoothstep(np.abs(x), 0.7, 2.1) - 0.10 * smoothstep(y, 2.2, 4.2)) * side
        cloth[:] = np.clip((fall + 0.05 * folds)[..., None] * shirt, 0, 255)
        shirt_mask = np.zeros((height, width), np.uint8)
        right = np.array([(0.50, 1.62), (0.85, 1.80), (1.35, 1.98), (1.78, 2.25), (2.02, 2.75), (2.15, 3.6), (2.2, 4.9)])
        right = right * (broad, 1)
        self._poly(shirt_mask, np.concatenate([right, right[::-1] * (-1, 1)]), (255,))
        neck_line = np.array([(-0.60, 1.50), (-0.52, 1.72), (-0.30, 1.98), (0, 2.08), (0.30, 1.98), (0.52, 1.72), (0.60, 1.50)])
        self._poly(shirt_mask, neck_line, (0,))
        collar = np.zeros_like(shirt_mask)
        cv2.polylines(collar, [self._map(spline(neck_line, 8))], False, (255,), max(1, round(0.07 * self._scale)), cv2.LINE_AA, 4)
        cover = np.zeros_like(shirt_mask)
        neck = np.array([(0.50, 0.3), (0.47, 0.9), (0.47, 1.3), (0.56, 1.58), (0.8, 1.78), (0.4, 2.2)])
        self._poly(cover, np.concatenate([neck, neck[::-1] * (-1, 1)]), (255,))
        cover = cv2.max(cover, shirt_mask)
        near = cv2.GaussianBlur(cv2.max(shirt_mask, collar), (0, 0), max(0.5, 0.05 * self._scale))
        image = _mix(image, np.full_like(image, 20), near, 0.35)
        image = _mix(image, cloth, shirt_mask, 1.0)
        image = _mix(image, np.clip(cloth * 0.82, 0, 255).astype(np.uint8), cv2.min(collar, shirt_mask), 1.0)
        return cv2.multiply(image, cv2.merge([cover] * 3), scale=1 / 255), cover

    def paint(self, image: Image, pose: Pose) -> None:
        """Draw the body under a head at `pose` (its angles are ignored), in place."""
        ratio = pose.scale / self._scale
        start = np.array((pose.x, pose.y - 0.1 * pose.scale)) + _LOW * pose.scale
        end = start + (_HIGH - _LOW) * pose.scale
        height, width = image.shape[:2]
        x0, y0 = (int(v) for v in np.clip(np.floor(start), 0, (width, height)))
        x1, y1 = (int(v) for v in np.clip(np.ceil(end), 0, (width, height)))
        if x1 <= x0 or y1 <= y0:
            return
        move = np.array([[ratio, 0, start[0] - x0], [0, ratio, start[1] - y0]])
        colour = cv2.warpAffine(self._colour, move, (x1 - x0, y1 - y0))
        cover = cv2.warpAffine(self._cover, move, (x1 - x0, y1 - y0))
        part = image[y0:y1, x0:x1]
        rest = cv2.cvtColor(cv2.bitwise_not(cover), cv2.COLOR_GRAY2BGR)
        cv2.add(colour, cv2.multiply(part, rest, scale=1 / 255), dst=part)


def _mix(under: Image, over: Image, mask: Image, opacity: float) -> Image:
    weight = mask.astype(np.float32) * (opacity / 255)
    return np.asarray(cv2.blendLinear(over, under, weight, 1 - weight), np.uint8)


def make_background(kind: str, width: int, height: int, rng: np.random.Generator) -> Image:
    """Draw a still background: `room`, `plain` (soft gradient) or `noise` (colour clouds)."""
    if kind == "noise":
        return _clouds(width, height, rng)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / max(width, 1), y / max(height, 1)
    hue = rng.uniform(0.9, 1.1, 3)
    top, bottom = np.array((176, 164, 150)) * hue, np.array((126, 122, 122)) * hue
    glow = np.exp(-(((x - 0.28) / 0.35) ** 2 + ((y - 0.25) / 0.5) ** 2))[..., None]
    image = top + (bottom - top) * y[..., None] + glow * np.array((26, 34, 44))
    if kind == "room":
        image = _furnish(np.clip(image, 0, 255).astype(np.uint8), rng).astype(np.float32)
    image = image + rng.uniform(-0.5, 0.5, image.shape)  # dither: no bands after encoding
    return np.clip(image, 0, 255).astype(np.uint8)


def _furnish(image: Image, rng: np.random.Generator) -> Image:
    """Add a blurred window, shelf, plant and lamp."""
    h, w = image.shape[:2]

    def box(x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]) -> None:
        cv2.rectangle(image, (round(x0 * w), round(y0 * h)), (round(x1 * w), round(y1 * h)), colour, -1)

    box(0.05, 0.06, 0.27, 0.62, (226, 234, 236))
    box(0.065, 0.08, 0.155, 0.60, (244, 232, 206))
    box(0.165, 0.08, 0.255, 0.60, (246, 236, 214))
    box(0.065, 0.40, 0.155, 0.60, (168, 200, 170))
    box(0.165, 0.44, 0.255, 0.60, (160, 196, 160))
    box(0.70, 0.20, 0.98, 0.235, (70, 100, 136))
    box(0.70, 0.47, 0.98, 0.505, (70, 100, 136))
    x = 0.715
    for k in range(22):
        if x > 0.96:
            break
        thick, tall = rng.uniform(0.009, 0.018), rng.uniform(0.11, 0.19)
        colour = np.array([(96, 84, 160), (150, 120, 70), (110, 150, 180), (90, 120, 90), (190, 190, 200), (80, 70, 70)][k % 6])
        b, g, r = (int(v) for v in colour * rng.uniform(0.8, 1.1))
        box(x, 0.47 - tall, x + thick, 0.47, (b, g, r))
        x += thick + rng.uniform(0, 0.006)
    box(0.0, 0.86, 1.0, 1.0, (84, 104, 128))
    box(0.80, 0.10, 0.86, 0.20, (120, 150, 190))
    for k in range(11):
        a = -np.pi / 2 + (k - 5) * 0.25
        end = (round((0.90 + 0.07 * np.cos(a)) * w), round((0.72 + 0.26 * np.sin(a)) * h))
        cv2.line(image, (round(0.90 * w), round(0.80 * h)), end, (70, 120 + 4 * k, 84), max(1, w // 90), cv2.LINE_AA)
    box(0.875, 0.78, 0.925, 0.90, (90, 110, 170))
    sigma = max(0.6, min(w, h) / 55)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def _clouds(width: int, height: int, rng: np.random.Generator) -> Image:
    total = np.zeros((height, width, 3), np.float32)
    for cells in (2, 5, 11, 23):
        grid = rng.uniform(-1, 1, (cells, cells + 1, 3)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.5
    return np.clip(rng.uniform(60, 200) + 70 * total, 0, 255).astype(np.uint8)


def sway(pose: Pose, dx: float, dy: float) -> Pose:
    """Give the pose of the body under a head that moved by (`dx`, `dy`) px from its rest."""
    return Pose(pose.x - 0.45 * dx, pose.y - 0.25 * dy, pose.scale)


