"""Draw eyes, brows and mouth of the test face from its projected points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from ._testface_layer import Floats, Image, Layer, shade_colour, spline

if TYPE_CHECKING:
    from ._testface_identity import Identity
    from ._testface_paint import Look
    from ._testface_pose import Pose

_IRIS = 0.074  # radius, in eye-corner distances
_SPRITE = 96  # px of the eye's picture, which spans 4 iris radii
_WHITE = (214.0, 218.0, 226.0)


class Features:
    """Draw the features of one identity; `slices` name the extra points of its head."""

    def __init__(self, identity: Identity, slices: dict[str, slice]) -> None:
        self._who, self._slices = identity, slices
        self._eye = self._draw_eye()
        rng = np.random.default_rng(identity.seed)
        self._brow_root, self._brow_at = rng.random((34, 1)), rng.integers(0, 18, 34)
        self._skin, self._lips = np.array(identity.skin), np.array(identity.lips)

    def paint(self, face: Layer, light: Image, flat: Floats, pose: Pose, look: Look) -> None:
        """Draw all features over the skin; `light` (h, w) uint8 has 128 for full light."""
        self._creases(face, flat, pose, look)
        self._eyes(face, flat, pose, look, 0)
        self._eyes(face, flat, pose, look, 1)
        self._brow(face, flat[17:22], pose, 1)
        self._brow(face, flat[22:27][::-1], pose, -1)
        self._mouth(face, light, flat, pose)

    def _creases(self, face: Layer, flat: Floats, pose: Pose, look: Look) -> None:
        s, cut = pose.scale, self._slices
        part = face.crop(flat[17:], 0.06 * s)
        if part.empty:
            return
        nostrils = flat[cut["nostrils"]].reshape(2, -1, 2)
        wings = flat[cut["wings"]].reshape(2, -1, 2)
        folds = flat[cut["folds"]].reshape(2, -1, 2)
        soft = part.lines([spline(f, 3) for f in folds], 0.06 * s, blur=0.04 * s,
                          value=round(15 + 75 * look.smile))  # fmt: skip
        wing = part.lines([spline(w, 3) for w in wings], 0.03 * s, blur=0.022 * s, value=85)
        pairs = (([36, 37, 38, 39], [17, 18, 20, 21]), ([42, 43, 44, 45], [22, 23, 25, 26]))
        lids = [spline(0.66 * flat[eye] + 0.34 * flat[brow], 4) for eye, brow in pairs]
        sharp = part.lines(lids, 0.018 * s, blur=0.011 * s, value=105)
        nares = [spline(n, 4, closed=True) for n in nostrils]
        holes = part.mask(*nares, blur=0.012 * s, value=215)
        part.blend(
            shade_colour(self._skin, (0.30, 0.28, 0.40)),
            cv2.max(cv2.max(soft, wing), cv2.max(sharp, holes)),
        )

    def _brow(self, face: Layer, top: Floats, pose: Pose, side: int) -> None:
        s, down = pose.scale, pose.down() * pose.scale
        thick = np.array((0.016, 0.038, 0.054, 0.064, 0.060))[:, None] * self._who.brow_weight
        upper, lower = spline(top - 0.4 * thick * down, 5), spline(top + 0.6 * thick * down, 5)
        part = face.crop(np.concatenate([upper, lower]), 0.04 * s)
        if part.empty:
            return
        colour = np.array(self._who.hair) * 0.55 + self._skin * 0.10
        cover = part.mask(np.concatenate([upper, lower[::-1]]), blur=0.014 * s)
        part.blend(shade_colour(colour, 1.0), cover, 0.70)
        if s < 40:
            return
        at, f = self._brow_at, self._brow_root  # single hairs, towards the temple
        root = lower[at + 2] + f * (upper[at + 2] - lower[at + 2])
        tip = lower[at] + np.minimum(f + 0.35, 1.1) * (upper[at] - lower[at])
        hairs = part.lines(np.stack([root, tip], axis=1), 0.009 * s, value=170)
        part.blend(shade_colour(colour, 0.55), hairs, 0.75)

    def _eyes(self, face: Layer, flat: Floats, pose: Pose, look: Look, side: int) -> None:
        s, down = pose.scale, pose.down() * pose.scale
        eye = flat[36:42] if side == 0 else flat[[45, 44, 43, 42, 47, 46]]  # outer corner first
        upper, lower = spline(eye[:4], 6), spline(eye[[3, 4, 5, 0]], 6)
        part = face.crop(eye, 0.09 * s)
        if part.empty:
            return
        if (look.eye_open_l, look.eye_open_r)[side] > 0.05:
            centre = flat[self._slices["pupils"]][side]
            along = (eye[3] - eye[0]) * ((1 - 2 * side) / 0.29)
            centre = centre + 0.29 * (look.gaze[0] * along + look.gaze[1] * down)
            ball = self._eyeball(part, centre, along, down)
            shade = ball.lines([upper + 0.012 * down], 0.05 * s, blur=0.022 * s, value=165)
            corners = ball.lines([eye[[0, 0]], eye[[3, 3]]], 0.09 * s, blur=0.03 * s, value=90)
            ball.blend((52, 46, 66), cv2.max(shade, corners), 0.6)
            part.blend(ball.pixels, part.mask(np.concatenate([upper, lower[1:-1]])))
        out = (eye[0] - eye[3]) / max(float(np.hypot(*(eye[0] - eye[3]))), 1e-3)
        wing = (0.025 * out * s - 0.015 * down) * (0.4 + self._who.make_up)
        lash = part.lines([np.concatenate([[upper[0] + wing], upper])],
                          (0.014 + 0.010 * self._who.make_up) * s, blur=0.004 * s)  # fmt: skip
        under = part.lines([lower], 0.012 * s, blur=0.008 * s, value=80)
        part.blend((26, 24, 34), cv2.max(lash, under), 0.85)

    def _draw_eye(self) -> Image:
        """Draw white, iris, pupil and lights once, as a small picture."""
        n = _SPRITE
        ball = Layer(np.zeros((n, n, 3), np.uint8)).plain(_WHITE)
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * n / 4
        middle, iris = np.full(2, (n - 1) / 2), self._who.iris
        ball.blend(shade_colour(iris, 0.38), ball.mask(middle + ring, blur=1.5))
        ball.blend(shade_colour(iris, 0.95), ball.mask(middle + 0.84 * ring, blur=2.0))
        glow = ball.mask(middle + (0, 0.3 * n / 4) + 0.5 * ring, blur=4.0)
        ball.blend(shade_colour(iris, 1.55), glow, 0.8)
        rays = np.stack([middle + 0.45 * ring[::2], middle + 0.8 * ring[::2]], axis=1)
        ball.blend(shade_colour(iris, 0.6), ball.lines(rays, 1.0), 0.35)
        ball.blend((14, 13, 16), ball.mask(middle + 0.43 * ring, blur=1.0))
        for at, size, opacity in (((-0.34, -0.36), 0.21, 0.95), ((0.40, 0.42), 0.13, 0.45)):
            spot = ball.mask(middle + np.array(at) * n / 4 + size * ring, blur=1.0)
            ball.blend((255, 255, 255), spot, opacity)
        return ball.pixels

    def _eyeball(self, part: Layer, centre: Floats, along: Floats, down: Floats) -> Layer:
        axes = np.stack([along, down], axis=1) * (4 * _IRIS / _SPRITE)
        start = centre - part.origin - axes @ np.full(2, (_SPRITE - 1) / 2)
        move = np.concatenate([axes, start[:, None]], axis=1).astype(np.float64)
        pixels = cv2.warpAffine(self._eye, move, (part.width, part.height),
                                borderMode=cv2.BORDER_CONSTANT, borderValue=_WHITE)  # fmt: skip
        return part.like(np.asarray(pixels, np.uint8))

    def _mouth(self, face: Layer, light: Image, flat: Floats, pose: Pose) -> None:
        s = pose.scale
        part = face.crop(flat[48:68], 0.05 * s)
        if part.empty:
            return
        outer_top = spline(flat[48:55], 5)
        outer_bottom = spline(flat[[54, 55, 56, 57, 58, 59, 48]], 5)
        inner_top = spline(flat[[60, 61, 62, 63, 64]], 5)
        inner_bottom = spline(flat[[64, 65, 66, 67, 60]], 5)
        x, y = part.origin[0] - face.origin[0], part.origin[1] - face.origin[1]
        lit = light[y : y + part.height, x : x + part.width]
        lips = cv2.merge([cv2.convertScaleAbs(lit, alpha=c * 0.8 / 128, beta=c * 0.2)
                          for c in self._lips])  # fmt: skip
        upper = part.mask(np.concatenate([outer_top, inner_top[::-1]]), blur=0.010 * s)
        lower = part.mask(np.concatenate([outer_bottom, inner_bottom[::-1]]), blur=0.010 * s)
        strength = 0.74 + 0.2 * self._who.make_up
        part.blend(cv2.convertScaleAbs(lips, alpha=0.90), upper, strength)
        part.blend(lips, lower, strength)
        thick = 0.42 * (flat[57] - flat[66])
        shine = part.lines([spline(flat[[67, 66, 65]] + thick, 4)], 0.03 * s, blur=0.018 * s)
        part.blend((235, 235, 250), shine, 0.07 + 0.16 * self._who.make_up)
        self._inside(part, np.concatenate([inner_top, inner_bottom[1:-1]]), flat, pose)
        seam = part.lines([inner_top, flat[[48, 60]], flat[[64, 54]]], 0.014 * s, blur=0.007 * s)
        part.blend(shade_colour(self._lips, (0.28, 0.26, 0.36)), seam, 0.7)

    def _inside(self, part: Layer, hole: Floats, flat: Floats, pose: Pose) -> None:
        s, down = pose.scale, pose.down() * pose.scale
        gap = float(np.hypot(*(flat[66] - flat[62]))) / s
        if gap < 0.015:
            return
        cave = part.plain((30, 24, 62))
        lip = flat[[67, 66, 65]]
        span = 0.35 * (lip[2] - lip[0])
        tongue = [lip[0] - span, *(lip - 0.4 * gap * down), lip[2] + span, lip[1] + 0.3 * down]
        cave.blend((86, 80, 160), cave.mask(spline(tongue, 4, closed=True), blur=0.02 * s), 0.9)
        top = flat[[60, 61, 62, 63, 64]]
        depth = np.array((0.0, 0.052, 0.060, 0.052, 0.0))[:, None] * down
        teeth = np.concatenate([spline(top - 0.05 * down, 4), spline(top + depth, 4)[::-1]])
        cave.blend((210, 220, 228), cave.mask(teeth, blur=0.006 * s))
        cave.blend((40, 36, 60), cave.lines([spline(top, 4)], 0.03 * s, blur=0.016 * s), 0.45)
        part.blend(cave.pixels, part.mask(hole, blur=0.004 * s))
