"""Paint the test face: shaded skin from the 3-D surface, crisp features from its points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ._testface_features import Features
from ._testface_hair import Hair
from ._testface_head import Head, normals
from ._testface_layer import (
    Floats,
    Image,
    Layer,
    enlarge,
    lay,
    shade_colour,
    smoothstep,
    splat,
    spline,
)
from ._testface_pose import Pose, landmarks

if TYPE_CHECKING:
    from ._testface_identity import Identity
    from ._testface_scene import Body

_EAR = np.array(  # beyond the side of the head: outwards, down, forwards
    [(-0.02, -0.12, 0.02), (0.05, -0.19, -0.05), (0.12, -0.17, -0.13), (0.155, -0.04, -0.17),
     (0.135, 0.10, -0.14), (0.085, 0.22, -0.09), (0.055, 0.33, -0.04), (0.01, 0.34, 0.0),
     (-0.02, 0.2, 0.02)]
)  # fmt: skip
_BUFFER_SCALE = 52.0  # px per eye-corner distance of the shading buffer


@dataclass(frozen=True, slots=True)
class Light:
    """Describe the light: direction towards the lamp, its BGR factors, and levels."""

    key: tuple[float, float, float] = (-0.48, -0.50, 0.72)
    warmth: tuple[float, float, float] = (0.97, 1.0, 1.02)
    ambient: float = 0.46
    strength: float = 0.68


@dataclass(frozen=True, slots=True)
class Look:
    """Hold what the face does at one moment: expressions 0..1, gaze offset in eye widths."""

    mouth_open: float = 0.0
    eye_open_l: float = 1.0
    eye_open_r: float = 1.0
    brow_raise: float = 0.0
    smile: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)

    def weights(self) -> Floats:
        """Order the weights as the head's EXPRESSIONS."""
        values = (self.mouth_open, 1 - self.eye_open_l, 1 - self.eye_open_r, self.brow_raise,
                  self.smile)  # fmt: skip
        return np.array(values, np.float32)


class Painter:
    """Paint one identity into pictures at any pose and look; `detail` below 1 is coarser."""

    def __init__(self, identity: Identity, detail: float = 1.0) -> None:
        self.head = Head(identity, detail)
        self._hair = Hair(identity, self.head)
        self._features = Features(identity, self.head.slices)
        self._skin = np.array(identity.skin)
        self._albedo = _albedo(identity, self.head.mesh)

    def landmarks(self, pose: Pose, look: Look) -> Floats:
        """Give the 68 landmarks (68, 2) in px."""
        points, _ = self.head.posed(look.weights())
        return landmarks(self.head, pose, pose.project(points))

    def paint(
        self, image: Image, pose: Pose, look: Look, light: Light, body: Body, place: Pose
    ) -> None:
        """Draw the head at `pose` and its body at `place` into `image` (H, W, 3), in place."""
        layer = Layer(image)
        points, surface = self.head.posed(look.weights())
        mesh = pose.project(surface)
        low = np.ascontiguousarray(mesh[::2, mesh.shape[1] * 3 // 4 :]).reshape(-1, 2)
        chin = cv2.convexHull(low).reshape(-1, 2)
        self._hair.paint_back(layer, pose, light)
        body.paint(layer, place, chin)
        self._hair.paint_bun(layer, pose)
        self._hair.paint_cap(layer, pose, light)
        self._ears(layer, pose, light)
        edges = _edges(mesh, pose)
        part = layer.crop(np.concatenate([edges, chin]), 2)
        if not part.empty:
            skin = self._shaded(part, surface, mesh, pose, light)
            face = part.like(np.asarray(cv2.cvtColor(skin, cv2.COLOR_BGRA2BGR), np.uint8))
            self._features.paint(face, skin[..., 3], pose.project(points), pose, look)
            cover = part.mask(edges, chin)
            hairline = self._hair.hairline(pose)
            if hairline is not None:
                self._under_hair(face, cover, hairline, pose)
            lay(part.pixels, face.pixels, cover)

    def _under_hair(self, face: Layer, cover: Image, hairline: Floats, pose: Pose) -> None:
        """Cut the face (cover) along the hairline, with a soft shadow below."""
        s = pose.scale
        rows = max(round(float(hairline[:, 1].max()) + 0.2 * s) - face.origin[1], 0)
        part = face.like(face.pixels[:rows])
        if part.empty:
            return
        shadow = part.mask(hairline + 0.05 * s * pose.down(), blur=0.045 * s)
        part.blend(shade_colour(self._skin, (0.40, 0.40, 0.45)), shadow, 0.45)
        top = cover[: part.height]
        cv2.subtract(top, part.mask(hairline, blur=0.012 * s), dst=top)

    def _shaded(
        self, part: Layer, surface: Floats, mesh: Floats, pose: Pose, light: Light
    ) -> Image:
        """Render skin colour and received light (128 = full): (h, w, 4) uint8."""
        turned = normals(surface, merge_last=True) @ pose.rotation().T
        data = np.concatenate([mesh, self._lit(turned, light), turned[..., 2:]], axis=-1)
        data = data[:: -1 if pose.yaw > 0 else 1]  # the far side first
        seen = np.flatnonzero((data[..., 6] > 0).any(axis=1))
        step = max(1.0, pose.scale / _BUFFER_SCALE)
        fine = min(2, max(1, round(0.045 * pose.scale / step)))
        dense = enlarge(data[seen[0] : seen[-1] + 1], fine, fine)
        picture = np.clip(splat(dense, part, step), 0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(picture, (part.width, part.height)), np.uint8)

    def _lit(self, normal: Floats, light: Light) -> Floats:
        """Light the surface: wrapped diffuse key, soft fill, sheen; red scatters furthest."""
        key = np.array(light.key, np.float32)
        key /= np.linalg.norm(key)
        half = key + np.array((0, 0, 1), np.float32)
        half /= np.linalg.norm(half)
        value = light.strength * np.clip((normal @ key + 0.4) / 1.4, 0, 1)
        value += light.ambient * (0.84 - 0.16 * normal[..., 1])
        value += 0.14 * np.clip(normal @ np.array((0.75, 0.2, 0.6), np.float32), 0, 1)
        value *= 0.72 + 0.28 * np.clip(normal[..., 2] * 1.5, 0, 1)
        shine = np.clip(normal @ half, 0, 1) ** 7
        gloss = light.strength * (9 * shine + 24 * shine**4)
        log = np.log(np.maximum(value, 0.02))
        colours = [np.exp(log * power) * warm for power, warm in
                   zip((1.15, 1.08, 0.90), light.warmth, strict=True)]  # fmt: skip
        lit = self._albedo * np.stack(colours, axis=-1) + gloss[..., None]
        return np.concatenate([lit, 128 * value[..., None]], axis=-1).astype(np.float32)

    def _ears(self, layer: Layer, pose: Pose, light: Light) -> None:
        if self._hair.covers_ears:
            return
        base, s = float(self.head.width_at(0.1)) * 0.96, pose.scale
        for side in (-1.0, 1.0):
            solid = np.stack([side * (base + _EAR[:, 0]), _EAR[:, 1], _EAR[:, 2]], axis=1)
            outer = spline(pose.project(solid.astype(np.float32)), 5, closed=True)
            part = layer.crop(outer, 2)
            if part.empty:
                continue
            bright = light.ambient + 0.55 * light.strength * (0.75 + side * light.key[0])
            part.fill(outer, shade_colour(self._skin, np.array((0.86, 0.86, 1.0)) * bright))
            root, middle = outer[0] * 0.5 + outer[32] * 0.5, outer.mean(axis=0)
            bowl = part.mask(0.35 * root + 0.65 * middle + (outer - middle) * 0.58, blur=0.028 * s)
            part.blend(shade_colour(self._skin, np.array((0.5, 0.5, 0.68)) * bright), bowl, 0.8)
            rim = part.lines([middle + (outer[8:30] - middle) * 0.84], 0.04 * s, blur=0.02 * s)
            part.blend(shade_colour(self._skin, np.array((1.0, 1.0, 1.12)) * bright), rim, 0.6)


def _edges(mesh: Floats, pose: Pose) -> Floats:
    """Trace the outline of the projected surface: (2 * rows, 2), closed."""
    across = mesh @ pose.right()
    rows = np.arange(mesh.shape[1])
    left, right = mesh[across.argmin(axis=0), rows], mesh[across.argmax(axis=0), rows]
    return np.concatenate([left, right[::-1]])


def _albedo(who: Identity, mesh: Floats) -> Floats:
    """Colour the surface: blush, lids, shadows of folds, blotches, beard."""
    x, y = np.abs(mesh[..., 0]), mesh[..., 1]
    skin = np.empty((*x.shape, 3), np.float32)
    skin[:] = who.skin

    def tint(
        amount: float, cx: float, cy: float, sx: float, sy: float,
        factor: tuple[float, float, float],
    ) -> None:  # fmt: skip
        bell = amount * np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))
        skin[:] *= 1 + bell[..., None] * (np.array(factor, np.float32) - 1)

    tint(0.55 * (1 + 0.4 * who.make_up), 0.50, 0.36, 0.16, 0.13, (0.88, 0.87, 1.03))
    tint(0.8, 0, 0.43, 0.11, 0.08, (0.91, 0.89, 1.03))
    tint(0.5, 0.36, 0.09, 0.13, 0.05, (0.91, 0.88, 0.93))
    tint(0.3 * (1 + 1.5 * who.make_up), 0.36, -0.07, 0.16, 0.06, (0.84, 0.77, 0.84))
    tint(0.9, 0.22, 0.0, 0.05, 0.06, (0.88, 0.84, 0.89))
    tint(0.8, 0.05, 0.545, 0.11, 0.03, (0.84, 0.80, 0.87))
    tint(0.9, 0, 0.94, 0.13, 0.035, (0.88, 0.86, 0.91))
    tint(0.8, 0, 1.27, 0.5, 0.07, (0.85, 0.83, 0.88))
    rng = np.random.default_rng(who.seed)
    blotch = cv2.GaussianBlur(rng.normal(0, 1, x.shape).astype(np.float32), (9, 9), 1.5)
    skin *= 1 + 0.09 * blotch[..., None]
    if who.freckles:
        spots = smoothstep(rng.random(x.shape), 0.83, 1.0) * np.exp(-(((y - 0.3) / 0.2) ** 2))
        skin *= 1 - (0.15 * spots)[..., None] * np.array((1.2, 1.1, 0.7))
    if who.beard:
        strength = (who.beard * _beard(x, y) * (0.85 + 0.15 * rng.random(x.shape)))[..., None]
        colour = 0.55 * np.array(who.hair) + 0.14 * np.array(who.skin)
        skin = skin + strength * (colour - skin)
    return np.asarray(skin, np.float32)


def _beard(x: Any, y: Any) -> Any:
    """Tell where a beard grows: 0..1; cheeks and the middle of the mouth stay free."""
    low = smoothstep(y + 0.35 * (x - 0.3), 0.56, 0.74)
    mouth = np.exp(-(((y - 0.78) / 0.10) ** 4) - (x / 0.27) ** 4)
    sideburn = smoothstep(x, 0.68, 0.76) * smoothstep(y, 0.0, 0.25)
    return np.maximum(low * (1 - 0.9 * mouth), sideburn)
