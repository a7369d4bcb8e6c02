"""Draw what surrounds the test face: backgrounds, and neck and shoulders in a shirt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ._testface_layer import Image, Layer, lay, shade_colour, smoothstep, spline
from ._testface_pose import Pose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._testface_identity import Identity
    from ._testface_paint import Light

_LEFT, _TOP, _WIDE = -2.45, 0.55, 4.9  # of the body, in head coordinates
_COLLAR = np.array([(-0.50, 1.40), (-0.47, 1.66), (-0.30, 1.92), (0, 2.02), (0.30, 1.92),
                    (0.47, 1.66), (0.50, 1.40)])  # fmt: skip
_SHOULDER = np.array([(0.46, 1.56), (0.80, 1.76), (1.32, 1.95), (1.76, 2.20), (2.02, 2.70),
                      (2.11, 3.2), (2.13, 3.9)])  # fmt: skip
_NECK = np.array([(0.49, 0.3), (0.46, 0.9), (0.45, 1.3), (0.50, 1.56), (0.60, 1.80), (0.4, 2.2)])


class Body:
    """Hold neck and shoulders of one person, drawn for one size of the head in px.

    `reach` is how far down (head coordinates) the body is needed; `phases` how many positions
    between two pixels are kept ready, so that slow motion does not step.
    """

    def __init__(
        self, who: Identity, light: Light, scale: float, *, reach: float = 5.0, phases: int = 1
    ) -> None:
        self._scale = float(np.clip(scale, 2, 400))
        width = max(1, round(_WIDE * self._scale))
        height = max(1, round(max(reach - _TOP, 0.1) * self._scale))
        image, cover = self._draw(who, light, width, height)
        self._skin = np.array(who.skin) * (0.38, 0.36, 0.46)
        self._phases = phases
        self._views = []
        for k in range(phases**2):
            move = np.array([[1.0, 0, k % phases / phases], [0, 1.0, k // phases / phases]])
            shifted = cv2.warpAffine(image, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
            mask = cv2.warpAffine(cover, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
            self._views.append((np.asarray(shifted, np.uint8), np.asarray(mask, np.uint8)))

    def _curve(self, points: NDArray[Any]) -> NDArray[np.int32]:
        flat = (spline(points, 8) - (_LEFT, _TOP)) * self._scale * 16
        return np.asarray(flat, np.int32)

    def _draw(self, who: Identity, light: Light, width: int, height: int) -> tuple[Image, Image]:
        flesh, cloth = _tones(who, light, width, height, self._scale)
        broad = 0.9 if who.make_up > 0 else 1.0
        foot = _TOP + height / self._scale + 1
        shoulder = np.concatenate([_SHOULDER, [(2.14, max(4.6, foot)), (2.1, foot + 2)]]) * (
            broad,
            1,
        )
        shirt, cover, hem = (np.zeros((height, width), np.uint8) for _ in range(3))
        outline = np.concatenate([shoulder, shoulder[::-1] * (-1, 1)])
        cv2.fillPoly(shirt, [self._curve(outline)], (255,), cv2.LINE_AA, 4)
        cv2.fillPoly(shirt, [self._curve(_COLLAR)], (0,), cv2.LINE_AA, 4)
        thick = max(1, round(0.07 * self._scale))
        cv2.polylines(hem, [self._curve(_COLLAR)], False, (255,), thick, cv2.LINE_AA, 4)
        neck = np.concatenate([_NECK, _NECK[::-1] * (-1, 1)])
        cv2.fillPoly(cover, [self._curve(neck)], (255,), cv2.LINE_AA, 4)
        near = cv2.GaussianBlur(shirt, (0, 0), max(0.5, 0.05 * self._scale))
        image = _mix(flesh, np.full_like(flesh, 20), near, 0.35)
        image = _mix(image, cloth, cv2.dilate(shirt, np.ones((3, 3))), 1.0)
        seam = np.asarray(cv2.convertScaleAbs(cloth, alpha=0.82), np.uint8)
        image = _mix(image, seam, cv2.min(hem, shirt), 1.0)
        return image, np.asarray(cv2.max(cover, shirt), np.uint8)

    def _place(self, pose: Pose) -> tuple[int, int, int]:
        """Give the px of the top left corner and the number of the view to draw there."""
        x = pose.x + _LEFT * self._scale
        y = pose.y + (_TOP - 0.1) * self._scale
        right, down = (int(np.floor(v * self._phases + 0.5)) for v in (x, y))
        view = down % self._phases * self._phases + right % self._phases
        return right // self._phases, down // self._phases, view

    def box(self, pose: Pose) -> tuple[int, int, int, int]:
        """Bound the body (x0, y0, x1, y1) in px."""
        x, y, view = self._place(pose)
        height, width = self._views[view][1].shape
        return x, y, x + width - 1, y + height - 1

    def paint(self, layer: Layer, pose: Pose, chin: Any) -> None:
        """Draw the body under a head at `pose` (x, y only), shaded by the `chin` outline."""
        x, y, view = self._place(pose)
        colour, cover = self._views[view]
        part = layer.crop(np.array(self.box(pose)).reshape(2, 2), 0)
        if part.empty:
            return
        lay(part.pixels, _cut(colour, part, x, y), _cut(cover, part, x, y))
        part = part.crop(chin, 0.5 * self._scale)
        if not part.empty:
            below = np.array((0.0, 0.22 * self._scale))
            shadow = part.mask(chin + below, blur=0.06 * self._scale)
            on_body = cv2.min(shadow, _cut(cover, part, x, y))
            part.blend(shade_colour(self._skin, 1), on_body, 0.75)


def _cut(picture: Image, part: Layer, x: int, y: int) -> Image:
    """Cut what lies under `part` out of a picture whose corner is at (x, y)."""
    x0, y0 = part.origin[0] - x, part.origin[1] - y
    return picture[y0 : y0 + part.height, x0 : x0 + part.width]


def _tones(
    who: Identity, light: Light, width: int, height: int, scale: float
) -> tuple[Image, Image]:
    """Shade skin and cloth, computed small (they are smooth) and enlarged."""
    w, h = min(width, 120), max(1, min(height, 120 * height // width))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) + 0.5
    x, y = x * (width / w / scale) + _LEFT, y * (height / h / scale) + _TOP
    side = 1 - 0.18 * np.sign(light.key[0]) * np.clip(x, -1, 1)
    level = light.ambient + 0.75 * light.strength
    round_ = np.sqrt(np.clip(1 - (np.abs(x) / 0.62) ** 2.5, 0, 1))
    flesh = (0.50 + 0.36 * round_) * side * (1 - 0.2 * np.exp(-(((y - 1.2) / 0.35) ** 2))) * level
    rng = np.random.default_rng(who.seed + 11)
    folds = cv2.resize(rng.normal(0, 0.05, (7, 9)), (w, h), interpolation=cv2.INTER_CUBIC)
    fall = 0.98 - 0.30 * smoothstep(np.abs(x), 0.7, 2.1) - 0.10 * smoothstep(y, 2.2, 4.2)
    pair = []
    for amount, colour in ((flesh, who.skin), ((fall + folds) * side * level, who.shirt)):
        tone = np.clip(amount[..., None] * np.array(colour) * light.warmth, 0, 255)
        large = cv2.resize(tone.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
        pair.append(np.asarray(large, np.uint8))
    return pair[0], pair[1]


def _mix(under: Image, over: Image, mask: NDArray[Any], opacity: float) -> Image:
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
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _furnish(image: Image, rng: np.random.Generator) -> Image:
    """Add a blurred window, shelf, plant and lamp."""
    h, w = image.shape[:2]

    def box(x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]) -> None:
        cv2.rectangle(
            image, (round(x0 * w), round(y0 * h)), (round(x1 * w), round(y1 * h)), colour, -1
        )

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
        colour = np.array(
            [
                (96, 84, 160),
                (150, 120, 70),
                (110, 150, 180),
                (90, 120, 90),
                (190, 190, 200),
                (80, 70, 70),
            ][k % 6]
        )
        b, g, r = (int(v) for v in colour * rng.uniform(0.8, 1.1))
        box(x, 0.47 - tall, x + thick, 0.47, (b, g, r))
        x += thick + rng.uniform(0, 0.006)
    box(0.0, 0.86, 1.0, 1.0, (84, 104, 128))
    box(0.80, 0.10, 0.86, 0.20, (120, 150, 190))
    for _ in range(26):
        angle = -np.pi / 2 + rng.normal(0, 0.75)
        far = rng.uniform(0.10, 0.24)
        tip = np.array((0.90 + 0.55 * far * np.cos(angle), 0.78 + far * np.sin(angle))) * (w, h)
        axes = (max(1, round(0.06 * h)), max(1, round(0.022 * h)))
        green = (int(rng.uniform(50, 90)), int(rng.uniform(105, 165)), int(rng.uniform(60, 105)))
        at = (round(float(tip[0])), round(float(tip[1])))
        cv2.ellipse(image, at, axes, float(np.rad2deg(angle)), 0, 360, green, -1)
    box(0.875, 0.78, 0.925, 0.90, (90, 110, 170))
    sigma = max(0.6, min(w, h) / 55)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def _clouds(width: int, height: int, rng: np.random.Generator) -> Image:
    w, h = width // 2 + 1, height // 2 + 1
    total = np.full((h, w, 3), rng.uniform(60, 200), np.float32)
    for cells in (2, 5, 11, 23):
        grid = rng.uniform(-70, 70, (cells, cells + 1, 3)).astype(np.float32) / cells**0.5
        total += cv2.resize(grid, (w, h), interpolation=cv2.INTER_LINEAR)
    small = np.clip(total, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(small, (width, height)), np.uint8)


def sway(pose: Pose, dx: float, dy: float) -> Pose:
    """Give the pose of the body under a head that moved by (`dx`, `dy`) px from its rest."""
    return Pose(pose.x - 0.25 * dx, pose.y - 0.2 * dy, pose.scale)
