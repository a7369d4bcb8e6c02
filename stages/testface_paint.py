"""Paint the test face: shaded skin from the 3-D surface, crisp features from its points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .testface_hair import Hair
from .testface_head import (
    MAX_THETA,
    MIRROR,
    Floats,
    Head,
    Identity,
    Pose,
    landmarks,
    smoothstep,
    spline,
)

Image = NDArray[np.uint8]
_BUFFER_SCALE = 60.0  # px per eye-corner distance of the shading buffer


@dataclass(frozen=True, slots=True)
class Light:
    """Describe the light: key direction (towards the lamp), colours as BGR factors."""

    key: tuple[float, float, float] = (-0.50, -0.55, 0.67)
    warmth: tuple[float, float, float] = (0.96, 1.0, 1.03)
    ambient: float = 0.42
    strength: float = 0.78


@dataclass(frozen=True, slots=True)
class Look:
    """Hold what the face does at one moment: expression weights, gaze offset in eye widths."""

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


def fixed(points: NDArray[Any]) -> NDArray[np.int32]:
    """Convert px to the 1/16 px that cv2 draws with (shift=4)."""
    return np.round(np.clip(points, -20000, 20000) * 16).astype(np.int32)


def shade_colour(colour: Any, factor: float) -> tuple[float, float, float]:
    """Scale a BGR colour, kept within 0..255."""
    b, g, r = np.clip(np.asarray(colour, np.float64) * factor, 0, 255)
    return float(b), float(g), float(r)


class Layer:
    """Wrap the drawn region of a picture: polygons, soft ink and masks in px of the picture."""

    def __init__(self, image: Image, low: NDArray[Any], high: NDArray[Any]) -> None:
        height, width = image.shape[:2]
        self.x0, self.y0 = (int(v) for v in np.clip(np.floor(low), 0, (width, height)))
        self.x1, self.y1 = (int(v) for v in np.clip(np.ceil(high) + 1, 0, (width, height)))
        self.pixels = image[self.y0 : self.y1, self.x0 : self.x1]
        self.offset = np.array((self.x0, self.y0), np.float32)

    @property
    def empty(self) -> bool:
        """Tell that nothing of the region lies in the picture."""
        return self.pixels.size == 0

    def crop(self, points: NDArray[Any], pad: float) -> Layer:
        """Narrow to the box of `points` (px of the whole picture)."""
        low = points.min(axis=0) - pad - self.offset
        inner = Layer(self.pixels, low, points.max(axis=0) + pad - self.offset)
        inner.offset = inner.offset + self.offset
        return inner

    def mask(self, *polygons: NDArray[Any], blur: float = 0.0, value: int = 255) -> Image:
        """Rasterise polygons to a mask of the layer's size."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        for polygon in polygons:
            cv2.fillPoly(mask, [fixed(polygon - self.offset)], (value,), cv2.LINE_AA, 4)
        return soften(mask, blur)

    def lines(
        self, lines: list[NDArray[Any]], thickness: float, *, blur: float = 0.0, value: int = 255
    ) -> Image:
        """Rasterise open curves to a mask of the layer's size."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        width = max(1, round(thickness))
        value = round(value * min(1.0, thickness / width))
        for line in lines:
            cv2.polylines(mask, [fixed(line - self.offset)], False, (value,), width, cv2.LINE_AA, 4)
        return soften(mask, blur)

    def fill(self, polygon: NDArray[Any], colour: Any) -> None:
        """Fill an opaque polygon."""
        cv2.fillPoly(self.pixels, [fixed(polygon - self.offset)], colour, cv2.LINE_AA, 4)

    def blend(self, source: Any, mask: Image, opacity: float = 1.0) -> None:
        """Lay a colour or a picture of the layer's size over it through `mask`."""
        source = np.asarray(source)
        if source.ndim == 1:
            source = np.full(self.pixels.shape, np.clip(source, 0, 255).round(), np.uint8)
        weight = mask.astype(np.float32) * (opacity / 255)
        self.pixels[:] = cv2.blendLinear(source, self.pixels, weight, 1 - weight)


def soften(mask: Image, sigma: float) -> Image:
    """Blur a mask; sigmas under a third of a pixel do nothing."""
    if sigma < 0.34 or mask.size == 0:
        return mask
    size = 2 * round(2.2 * sigma) + 1
    return np.asarray(cv2.GaussianBlur(mask, (size, size), sigma), np.uint8)


class Painter:
    """Paint one identity into pictures at any pose and look."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.head = Head(identity)
        self.hair = Hair(identity, self.head)
        self._albedo = self._make_albedo()
        self._normal0 = _normals(self.head.mesh)

    def _make_albedo(self) -> Floats:
        """Colour the surface: blush, lids, lips, beard, freckles, and baked occlusion."""
        i, mesh = self.identity, self.head.mesh
        x, y = np.abs(mesh[..., 0]), mesh[..., 1]
        skin = np.empty((*x.shape, 3), np.float32)
        skin[:] = i.skin

        def bell(cx: float, cy: float, sx: float, sy: float) -> Any:
            return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))[..., None]

        def tint(amount: Any, factor: tuple[float, float, float]) -> None:
            skin[:] *= 1 + amount * (np.array(factor, np.float32) - 1)

        blush = 1 + i.make_up
        tint(0.55 * blush * bell(0.50, 0.36, 0.16, 0.13), (0.88, 0.87, 1.03))
        tint(0.8 * bell(0, 0.43, 0.11, 0.08), (0.90, 0.88, 1.03))
        tint(0.5 * bell(0.36, 0.09, 0.13, 0.05), (0.90, 0.87, 0.92))
        tint(0.35 * (1 + i.make_up) * bell(0.36, -0.07, 0.16, 0.06), (0.86, 0.78, 0.84))
        tint(bell(0.23, 0.0, 0.05, 0.06), (0.88, 0.84, 0.88))  # inner corner of the eye
        tint(bell(0.05, 0.545, 0.11, 0.03), (0.76, 0.72, 0.80))  # under the nose
        tint(bell(0, 0.94, 0.13, 0.035), (0.88, 0.86, 0.90))  # under the lower lip
        tint(0.8 * bell(0, 1.27, 0.5, 0.07), (0.8, 0.78, 0.84))
        rng = np.random.default_rng(i.seed)
        blotch = cv2.GaussianBlur(rng.normal(0, 1, x.shape).astype(np.float32), (0, 0), 1.5)
        skin *= 1 + 0.02 * blotch[..., None] / max(float(blotch.std()), 1e-6)
        if i.beard:
            area = smoothstep(y, 0.50, 0.70) * (1 - 0.9 * np.exp(-(((y - 0.76) / 0.09) ** 4 + (x / 0.26) ** 4)))
            area = np.maximum(area * (1 - smoothstep(x, 0.10, 0.2) * (1 - smoothstep(y + 0.55 * (x - 0.3), 0.55, 0.8))),
                              smoothstep(x, 0.66, 0.74) * smoothstep(y, 0.0, 0.25))
            strength = (i.beard * area)[..., None] * (0.85 + 0.15 * rng.random((*x.shape, 1)))
            skin = skin * (1 - strength) + strength * (0.55 * np.array(i.hair) + 0.12 * np.array(i.skin))
        return np.asarray(skin, np.float32)

    # -- the whole head ---------------------------------------------------------------------

    def paint(self, image: Image, pose: Pose, look: Look, light: Light) -> None:
        """Draw the head into `image` (H, W, 3) BGR, in place."""
        points, mesh3 = self.head.posed(look.weights())
        points = pose.project(points)
        mesh = pose.project(mesh3)
        reach = 1.75 * pose.scale
        centre = np.array((pose.x, pose.y))
        layer = Layer(image, centre - (reach, 1.9 * pose.scale), centre + (reach, 1.6 * pose.scale))
        if layer.empty:
            return
        edges = self._edges(mesh, pose)
        self._paint_neck_shadow(layer, edges, pose)
        self._paint_ears(layer, pose, light, near=False)
        self.hair.paint_cap(layer, pose, light)
        self._paint_skin(layer, mesh3, mesh, edges, points, pose, look, light)
        self._paint_ears(layer, pose, light, near=True)
        self.hair.paint_front(layer, pose, light)

    def paint_back(self, image: Image, pose: Pose, light: Light) -> None:
        """Draw what lies behind the shoulders: long hair."""
        reach = np.array((1.9, 2.9)) * pose.scale
        layer = Layer(image, (pose.x, pose.y) - reach, (pose.x, pose.y) + reach)
        if not layer.empty:
            self.hair.paint_back(layer, pose, light)

    def landmarks(self, pose: Pose, look: Look) -> Floats:
        """Give the 68 landmarks (68, 2) in px."""
        points, _ = self.head.posed(look.weights())
        return landmarks(self.head, pose, pose.project(points))

    @staticmethod
    def _edges(mesh: Floats, pose: Pose) -> Floats:
        """Trace the outline of the projected surface: (2 * ROWS, 2), closed."""
        angle = np.deg2rad(pose.roll)
        across = mesh[..., :2] @ np.array((np.cos(angle), np.sin(angle)), np.float32)
        rows = np.arange(len(mesh))
        left = mesh[rows, across.argmin(axis=1), :2]
        right = mesh[rows, across.argmax(axis=1), :2]
        return np.concatenate([left, right[::-1]])

    def _paint_neck_shadow(self, layer: Layer, edges: Floats, pose: Pose) -> None:
        rows = len(edges) // 2
        chin = edges[rows // 2 : rows + rows // 2]
        part = layer.crop(chin + (0, 0.3 * pose.scale), 0.3 * pose.scale)
        if part.empty:
            return
        shadow = part.mask(chin + (0.03 * pose.scale, 0.24 * pose.scale), blur=0.07 * pose.scale)
        part.blend((np.array(self.identity.skin) * (0.42, 0.40, 0.50)), shadow, 0.75)

    def _paint_ears(self, layer: Layer, pose: Pose, light: Light, *, near: bool) -> None:
        if self.hair.covers_ears:
            return
        tilt = np.deg2rad(pose.roll)
        for side in (-1, 1):
            if (side * pose.yaw < -3) != near:
                continue
            rim = np.array([(0.0, -0.10, 0.0), (0.05, -0.17, -0.08), (0.13, -0.15, -0.2),
                            (0.16, 0.0, -0.25), (0.12, 0.17, -0.2), (0.07, 0.33, -0.08),
                            (0.02, 0.37, 0.0), (-0.02, 0.2, 0.02)])  # fmt: skip
            base = self.head.width_at(0.1) * 0.97
            shape = np.stack([side * (base + rim[:, 0]), rim[:, 1], rim[:, 2]], axis=1)
            outer = spline(pose.project(shape.astype(np.float32))[:, :2], 5, closed=True)
            middle = outer.mean(axis=0)
            part = layer.crop(outer, 3)
            if part.empty:
                continue
            bright = 0.62 + 0.25 * (side * light.key[0] + 0.3)
            part.fill(outer, shade_colour(self.identity.skin, bright))
            inner = middle + (outer - middle) * (0.62, 0.66)
            shadow = part.mask(inner, blur=0.03 * pose.scale)
            part.blend(shade_colour(np.array(self.identity.skin) * (0.8, 0.78, 1), bright * 0.62), shadow, 0.8)
            lobe = middle + (outer - middle) * (0.3, 0.42) + (np.sin(tilt), 0.02 * pose.scale)
            part.blend(shade_colour(self.identity.skin, bright * 0.95), part.mask(lobe, blur=0.02 * pose.scale), 0.8)

    # -- skin ---------------------------------------------------------------------------------

    def _paint_skin(
        self, layer: Layer, mesh3: Floats, mesh: Floats, edges: Floats, points: Floats,
        pose: Pose, look: Look, light: Light,
    ) -> None:  # fmt: skip
        part = layer.crop(edges, 2)
        if part.empty:
            return
        skin = self._shaded(part, mesh3, mesh, pose, light)
        face = Layer(skin[..., :3].copy(), np.zeros(2), np.array(skin.shape[1::-1]))
        face.offset = part.offset
        self._paint_features(face, skin[..., 3], points, pose, look)
        cover = part.mask(edges)
        hairline = self.hair.hairline(pose)
        if hairline is not None:
            shadow = part.mask(hairline + (0, 0.05 * pose.scale), blur=0.05 * pose.scale)
            face.blend(shade_colour(np.array(self.identity.skin) * (0.75, 0.75, 0.82), 0.55), shadow, 0.5)
            cover = cv2.subtract(cover, part.mask(hairline, blur=0.018 * pose.scale))
        part.blend(face.pixels, cover)

    def _shaded(self, part: Layer, mesh3: Floats, mesh: Floats, pose: Pose, light: Light) -> Image:
        """Render skin colour and light (128 = lit fully) for the part: (h, w, 4) uint8."""
        turned = _normals(mesh3) @ pose.rotation().T
        colours = self._light(turned, light)
        step = max(1.0, pose.scale / _BUFFER_SCALE)
        low = mesh[..., :2].min(axis=(0, 1)) - 2 * step
        size = np.ceil((mesh[..., :2].max(axis=(0, 1)) - low) / step).astype(int) + 3
        data = np.concatenate([(mesh[..., :2] - low) / step, colours, turned[..., 2:]], axis=-1)
        data = np.ascontiguousarray(data.transpose(1, 0, 2), np.float32)  # columns paint in turn
        if pose.yaw > 0:
            data = data[::-1]
        more = 3 if step > 1 else 2
        dense = cv2.resize(data, (data.shape[1] * (2 if step > 1 else 1), data.shape[0] * more)).reshape(-1, 7)
        dense = dense[dense[:, 6] > -0.05]
        width, height = int(size[0]), int(size[1])
        spots = np.round(dense[:, :2]).astype(np.int32)
        np.clip(spots, 0, (width - 1, height - 1), out=spots)
        buffer = np.zeros((height * width, 5), np.float32)
        dense[:, 6] = 1
        buffer[spots[:, 1] * width + spots[:, 0]] = dense[:, 2:]
        buffer = buffer.reshape(height, width, 5)
        wide = cv2.blur(buffer, (9, 9))
        buffer += 0.02 * cv2.blur(buffer, (3, 3)) + 1e-4 * wide + 1e-7 * cv2.blur(wide, (31, 31))
        filled = np.clip(buffer[..., :4] / np.maximum(buffer[..., 4:], 1e-12), 0, 255)
        h, w = part.pixels.shape[:2]
        shift = (low - part.offset).astype(np.float64)
        move = np.array([[step, 0, shift[0]], [0, step, shift[1]]])
        return np.asarray(
            cv2.warpAffine(filled.astype(np.uint8), move, (w, h), borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )

    def _light(self, normal: Floats, light: Light) -> Floats:
        key = np.array(light.key, np.float32)
        key /= np.linalg.norm(key)
        facing = normal @ key
        diffuse = np.clip((facing + 0.35) / 1.35, 0, 1)
        fill = np.clip(normal @ np.array((0.75, 0.1, 0.65), np.float32), 0, 1)
        shine = np.clip(normal @ _half(key), 0, 1)
        value = light.ambient * (0.72 - 0.28 * normal[..., 1]) + light.strength * diffuse + 0.16 * fill
        value *= 0.72 + 0.28 * np.clip(normal[..., 2] * 1.4, 0, 1)
        gloss = 26 * light.strength * shine**26 + 10 * light.strength * shine**7
        warm = np.array(light.warmth, np.float32)
        scatter = value[..., None] ** np.array((1.18, 1.1, 0.9), np.float32)
        lit = self._albedo * scatter * warm + gloss[..., None]
        return np.concatenate([lit, 128 * value[..., None]], axis=-1).astype(np.float32)

    # -- features -------------------------------------------------------------------------------

    def _paint_features(
        self, face: Layer, light: Image, points: Floats, pose: Pose, look: Look
    ) -> None:
        flat = points[:, :2]
        self._paint_creases(face, flat, pose, look)
        for side in (0, 1):
            self._paint_eye(face, flat, pose, look, side)
            self._paint_brow(face, light, flat, pose, side)
        self._paint_mouth(face, light, flat, pose, look)

    def _paint_creases(self, face: Layer, flat: Floats, pose: Pose, look: Look) -> None:
        s, dark = pose.scale, np.array(self.identity.skin) * (0.30, 0.28, 0.42)
        cut = self.head.slices
        part = face.crop(flat[17:], 0.12 * s)
        if part.empty:
            return
        nostrils = flat[cut["nostrils"]].reshape(2, -1, 2)
        wings = flat[cut["wings"]].reshape(2, -1, 2)
        folds = flat[cut["folds"]].reshape(2, -1, 2)
        ink = part.mask(*(spline(n, 4, closed=True) for n in nostrils), blur=0.012 * s, value=235)
        wing = part.lines([spline(w, 4) for w in wings], 0.028 * s, blur=0.016 * s, value=95)
        fold = part.lines([spline(f, 4) for f in folds], 0.05 * s, blur=0.035 * s,
                          value=round(25 + 85 * look.smile))  # fmt: skip
        creases = [spline(flat[eye] * 0.62 + flat[brow] * 0.38, 4) for eye, brow in
                   (([36, 37, 38, 39], [17, 18, 20, 21]), ([42, 43, 44, 45], [22, 23, 25, 26]))]  # fmt: skip
        lid = part.lines(creases, 0.022 * s, blur=0.014 * s, value=110)
        part.blend(dark, cv2.max(cv2.max(ink, wing), cv2.max(fold, lid)))

    def _paint_brow(self, face: Layer, light: Image, flat: Floats, pose: Pose, side: int) -> None:
        s, weight = pose.scale, self.identity.brow_weight
        top = flat[17:22] if side == 0 else flat[22:27]
        down = _down(pose) * s
        thick = np.array((0.022, 0.05, 0.066, 0.075, 0.06)) * weight
        thick = thick if side == 0 else thick[::-1]
        upper = spline(top - 0.35 * thick[:, None] * down, 5)
        lower = spline(top + 0.65 * thick[:, None] * down, 5)
        part = face.crop(np.concatenate([upper, lower]), 0.05 * s)
        if part.empty:
            return
        colour = np.array(self.identity.hair) * 0.6 + np.array(self.identity.skin) * 0.10
        part.blend(colour, part.mask(np.concatenate([upper, lower[::-1]]), blur=0.018 * s), 0.72)
        if s < 40:
            return
        rng = np.random.default_rng(self.identity.seed + side)
        at = rng.integers(0, len(upper) - 3, 44)
        f = rng.random((44, 1))
        root = lower[at] + f * (upper[at] - lower[at])
        out = -2 if side == 0 else 3
        to = np.clip(at + out, 0, len(upper) - 1)
        tip = lower[to] + np.minimum(f + 0.3, 1.05) * (upper[to] - lower[to])
        hairs = part.lines(list(np.stack([root, tip], axis=1)), 0.010 * s, value=170)
        part.blend(colour * 0.55, hairs, 0.8)

    def _paint_eye(self, face: Layer, flat: Floats, pose: Pose, look: Look, side: int) -> None:
        s = pose.scale
        eye = flat[36:42] if side == 0 else flat[42:48]
        open_ = look.eye_open_l if side == 0 else look.eye_open_r
        upper = spline(eye[:4], 6)
        lower = spline(np.concatenate([eye[3:], eye[:1]]), 6)
        part = face.crop(eye, 0.16 * s)
        if part.empty:
            return
        if open_ > 0.06:
            shape = np.concatenate([upper, lower[1:-1]])
            ball = Layer(self._eyeball(part, flat, pose, look, side), np.zeros(2), np.array(part.pixels.shape[1::-1]))
            ball.offset = part.offset
            down = _down(pose) * s
            shade = ball.lines([upper + 0.012 * down], 0.06 * s, blur=0.025 * s, value=150)
            ball.blend((44, 40, 52), shade, 0.62)
            part.blend(ball.pixels, part.mask(shape))
        lash = 0.020 + 0.012 * self.identity.make_up
        outward = (upper[0] - upper[-1]) if side == 0 else (upper[-1] - upper[0])
        outward = outward / max(float(np.hypot(*outward)), 1e-3)
        wing = outward * 0.035 * s - _down(pose) * 0.02 * s
        line = np.concatenate([[upper[0] + wing], upper]) if side == 0 else np.concatenate([upper, [upper[-1] + wing]])
        part.blend((22, 22, 30), part.lines([line], lash * s, blur=0.004 * s, value=235))
        part.blend(np.array(self.identity.skin) * (0.35, 0.32, 0.45),
                   part.lines([lower], 0.014 * s, blur=0.006 * s, value=130))  # fmt: skip

    def _eyeball(self, part: Layer, flat: Floats, pose: Pose, look: Look, side: int) -> Image:
        """Draw white, iris, pupil and highlight, not yet cut by the lids."""
        s = pose.scale
        pixels = np.empty_like(part.pixels)
        pixels[:] = (222, 224, 230)
        ball = Layer(pixels, np.zeros(2), np.array(pixels.shape[1::-1]))
        ball.offset = part.offset
        centre = flat[self.head.slices["pupils"]][side]
        corners = flat[[36, 39]] if side == 0 else flat[[42, 45]]
        along = (corners[1] - corners[0]) / 0.29
        down = _down(pose) * s
        centre = centre + along * (0.29 * look.gaze[0]) + down * (0.29 * look.gaze[1])
        circle = np.linspace(0, 2 * np.pi, 28, endpoint=False)[:, None]
        ring = np.cos(circle) * along * 1.0 + np.sin(circle) * down
        for corner, amount in ((corners[0], 0.5), (corners[1], 0.5)):
            ball.blend((168, 168, 206), ball.mask(corner + 0.07 * ring * 0.9, blur=0.03 * s), amount)
        iris = np.array(self.identity.iris)
        r = 0.074
        ball.fill(centre + r * ring, shade_colour(iris, 0.42))
        ball.fill(centre + 0.84 * r * ring, shade_colour(iris, 0.92))
        glow = ball.mask(centre + 0.2 * r * down + 0.5 * r * ring, blur=0.014 * s)
        ball.blend(shade_colour(iris, 1.5), glow, 0.8)
        ball.fill(centre + 0.42 * r * ring, (14, 13, 16))
        glint = centre - 0.34 * r * along - 0.36 * r * down
        ball.blend((255, 255, 255), ball.mask(glint + 0.21 * r * ring, blur=0.004 * s), 0.95)
        glint = centre + 0.40 * r * along + 0.42 * r * down
        ball.blend((255, 255, 255), ball.mask(glint + 0.13 * r * ring, blur=0.006 * s), 0.45)
        return pixels

    def _paint_mouth(
        self, face: Layer, light: Image, flat: Floats, pose: Pose, look: Look
    ) -> None:
        s, down = pose.scale, _down(pose) * pose.scale
        part = face.crop(flat[48:68], 0.12 * s)
        if part.empty:
            return
        outer_top, outer_bottom = spline(flat[48:55], 5), spline(flat[[54, 55, 56, 57, 58, 59, 48]], 5)
        inner_top = spline(flat[[60, 61, 62, 63, 64]], 5)
        inner_bottom = spline(flat[[64, 65, 66, 67, 60]], 5)
        y, x = (part.offset - face.offset)[::-1].astype(int)
        h, w = part.pixels.shape[:2]
        lit = light[y : y + h, x : x + w, None].astype(np.float32) * (1 / 128)
        lips = np.array(self.identity.lips, np.float32)
        tone = (0.25 + 0.75 * lit) * lips
        upper = part.mask(np.concatenate([outer_top, inner_top[::-1]]), blur=0.010 * s)
        lower = part.mask(np.concatenate([outer_bottom, inner_bottom[::-1]]), blur=0.012 * s)
        strength = 0.78 + 0.2 * self.identity.make_up
        part.blend(np.clip(tone * 0.88, 0, 255).astype(np.uint8), upper, strength)
        part.blend(np.clip(tone * 1.04, 0, 255).astype(np.uint8), lower, strength)
        thick = 0.3 * (flat[57] - flat[66])
        bright = [spline(flat[[67, 66, 65]] + thick + 0.15 * thick, 4)]
        part.blend((235, 235, 250), part.lines(bright, 0.03 * s, blur=0.018 * s),
                   0.22 + 0.2 * self.identity.make_up)  # fmt: skip
        self._paint_inside(part, np.concatenate([inner_top, inner_bottom[1:-1]]), flat, down, s)
        seam = part.lines([inner_top], 0.016 * s, blur=0.006 * s, value=190)
        corners = part.lines([flat[[48, 60]], flat[[64, 54]]], 0.02 * s, blur=0.012 * s, value=200)
        part.blend(lips * (0.28, 0.26, 0.36), cv2.max(seam, corners), 0.85)

    def _paint_inside(
        self, part: Layer, hole: Floats, flat: Floats, down: Floats, s: float
    ) -> None:
        gap = float(np.hypot(*(flat[66] - flat[62]))) / s
        if gap < 0.015:
            return
        pixels = np.empty_like(part.pixels)
        pixels[:] = (28, 22, 58)
        cave = Layer(pixels, np.zeros(2), np.array(pixels.shape[1::-1]))
        cave.offset = part.offset
        tongue = np.stack([flat[67], flat[66], flat[65]]) + 0.02 * down
        span = (flat[65] - flat[67]) * 0.35
        bulge = np.concatenate([[tongue[0] - span], tongue - 0.12 * gap / 0.3 * down, [tongue[2] + span], tongue[1:2] + 0.3 * down])
        cave.blend((84, 78, 158), cave.mask(spline(bulge, 4, closed=True), blur=0.02 * s), 0.9)
        top = flat[[60, 61, 62, 63, 64]] + np.array((0.0, 0.0, 0.0, 0.0, 0.0))[:, None] * down
        depth = np.array((0.0, 0.055, 0.062, 0.055, 0.0))[:, None] * down
        teeth = np.concatenate([spline(top - 0.05 * down, 4), spline(top + depth, 4)[::-1]])
        cave.blend((212, 222, 230), cave.mask(teeth, blur=0.006 * s))
        shade = cave.lines([spline(top, 4)], 0.03 * s, blur=0.015 * s, value=140)
        cave.blend((40, 36, 60), shade, 0.7)
        part.blend(pixels, part.mask(hole, blur=0.004 * s))


def _half(key: Floats) -> Floats:
    half = key + np.array((0, 0, 1), np.float32)
    return np.asarray(half / np.linalg.norm(half), np.float32)


def _down(pose: Pose) -> Floats:
    angle = np.deg2rad(pose.roll)
    return np.array((-np.sin(angle), np.cos(angle)), np.float32)


def _normals(mesh: Floats) -> Floats:
    """Estimate unit normals of the surface, towards the viewer at the front."""
    along = np.empty_like(mesh)
    along[:, 1:-1] = mesh[:, 2:] - mesh[:, :-2]
    along[:, 0], along[:, -1] = mesh[:, 1] - mesh[:, 0], mesh[:, -1] - mesh[:, -2]
    below = np.empty_like(mesh)
    below[1:-1] = mesh[2:] - mesh[:-2]
    below[0], below[-1] = mesh[1] - mesh[0], mesh[-1] - mesh[-2]
    normal = np.empty_like(mesh)
    normal[..., 0] = along[..., 1] * below[..., 2] - along[..., 2] * below[..., 1]
    normal[..., 1] = along[..., 2] * below[..., 0] - along[..., 0] * below[..., 2]
    normal[..., 2] = along[..., 0] * below[..., 1] - along[..., 1] * below[..., 0]
    length = np.sqrt(np.einsum("ijk,ijk->ij", normal, normal))[..., None]
    return np.asarray(normal / np.maximum(length, 1e-9), np.float32)
