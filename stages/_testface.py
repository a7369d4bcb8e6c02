"""Render a moving, blinking, talking face whose landmarks are known: the test source's picture.

Everything is drawn by code from (arguments, time): no stored picture, no randomness between
runs. Angles: positive yaw turns the nose to the right of the picture, positive pitch down,
positive roll turns clockwise in the picture; the order is yaw, then pitch, then roll.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ._testface_identity import make_identity
from ._testface_layer import Floats, Image, smoothstep
from ._testface_paint import Light, Look, Painter
from ._testface_planes import PlaneCache
from ._testface_pose import Pose
from ._testface_scene import Body, make_background, sway

BACKGROUNDS = ("room", "plain", "noise")
_FIRST = 37  # who comes with seed 0


@dataclass(frozen=True, slots=True)
class FaceTruth:
    """Hold what is known of one face at one time.

    `landmarks_px` (68, 2) float32 in px of the full picture, pixel centres at whole numbers,
    x before y; `box_xyxy_px` (4,) is their tight box; expressions run from 0 to 1.
    """

    landmarks_px: Floats
    box_xyxy_px: Floats
    visible: bool
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    expressions: dict[str, float]


class _Actor:
    """Move one face: pose and look as smooth functions of time."""

    def __init__(self, seed: int, home: Pose, motion: float) -> None:
        rng = np.random.default_rng(seed)
        self.identity = make_identity(rng)
        self.home, self._motion = home, motion
        self._phase = rng.uniform(0, 2 * np.pi, 16)
        self._rate = rng.uniform(0.85, 1.15, 16)
        gaps = rng.uniform(1.8, 4.6, 64)
        self._blinks = np.cumsum(gaps) - gaps[0] + rng.uniform(0.6, 1.6)

    def _wave(self, k: int, time_s: float, period_s: float) -> float:
        return float(np.sin(2 * np.pi * time_s * self._rate[k] / period_s + self._phase[k]))

    def pose(self, time_s: float) -> Pose:
        """Give the head's pose at `time_s`."""

        def wave(k: int, period_s: float) -> float:
            return self._wave(k, time_s, period_s)

        m, home = self._motion, self.home
        return Pose(
            home.x + m * home.scale * (0.26 * wave(0, 7.3) + 0.06 * wave(1, 2.9)),
            home.y + m * home.scale * (0.12 * wave(2, 5.1) + 0.03 * wave(3, 2.1)),
            home.scale * (1 + 0.07 * m * wave(4, 9.7)),
            m * (20 * wave(5, 6.1) + 8 * wave(6, 2.7)),
            m * (8 * wave(7, 4.7) + 4 * wave(8, 1.9)),
            m * (11 * wave(9, 8.3) + 4 * wave(10, 3.1)),
        )

    def look(self, time_s: float, pose: Pose) -> Look:
        """Give expressions and gaze; the eyes partly stay on the viewer as the head turns."""
        live = min(self._motion, 1.0)
        nearest = float(np.abs(self._blinks - time_s % self._blinks[-1]).min())
        eye = 1 - live * float(1 - smoothstep(nearest, 0.035, 0.13))
        phrase = float(smoothstep(self._wave(11, time_s, 5.3), -0.25, 0.35))
        syllable = 0.5 + 0.3 * self._wave(12, time_s, 0.37) + 0.2 * self._wave(13, time_s, 0.23)
        mouth = live * phrase * float(np.clip(syllable, 0, 1)) * 0.9
        smile = live * (0.04 + 0.96 * float(smoothstep(self._wave(14, time_s, 6.7), -0.2, 0.9)))
        brow = live * float(smoothstep(self._wave(15, time_s, 4.3), 0.45, 0.95))
        gaze = (
            float(np.clip(-pose.yaw / 150, -0.13, 0.13)),
            float(np.clip(-pose.pitch / 220, -0.06, 0.06)),
        )
        return Look(mouth, eye, eye, brow, smile * (1 - 0.5 * mouth), gaze)

    def reach(self, height: int) -> float:
        """Tell how far down the body shows, in head coordinates."""
        return (height - self.home.y) / self.home.scale + 0.5

    def body(self, pose: Pose) -> Pose:
        """Give the place of the shoulders: they follow the head in part."""
        return sway(pose, pose.x - self.home.x, pose.y - self.home.y)


def _truth(painter: Painter, pose: Pose, look: Look, width: int, height: int) -> FaceTruth:
    marks = painter.landmarks(pose, look)
    box = np.concatenate([marks.min(axis=0), marks.max(axis=0)]).astype(np.float32)
    middle = marks.mean(axis=0)
    expressions = {
        "mouth_open": look.mouth_open, "eye_open_l": look.eye_open_l,
        "eye_open_r": look.eye_open_r, "brow_raise": look.brow_raise, "smile": look.smile,
    }  # fmt: skip
    visible = bool((middle >= 0).all() and (middle < (width, height)).all())
    return FaceTruth(marks, box, visible, pose.yaw, pose.pitch, pose.roll, expressions)


class FaceScene:
    """Show `faces` animated people; deterministic in (arguments, time).

    `width`, `height` in px, from 1x1 on. `seed` changes identities and motion. `motion` scales
    all movement: 0 gives a still, neutral face. `background`: room, plain or noise.
    Raises ValueError for a size below 1, fewer than 0 faces or an unknown background.
    """

    def __init__(
        self, width: int, height: int, *, faces: int = 1, seed: int = 0, motion: float = 1.0,
        background: str = "room",
    ) -> None:  # fmt: skip
        if width < 1 or height < 1:
            raise ValueError(f"size must be at least 1x1, not {width}x{height}")
        if faces < 0:
            raise ValueError(f"faces must not be negative, not {faces}")
        if background not in BACKGROUNDS:
            raise ValueError(f"background must be one of {BACKGROUNDS}, not {background!r}")
        self.width, self.height = width, height
        rng = np.random.default_rng(seed + 1)
        self._background = make_background(background, width, height, rng)
        self._planes: PlaneCache | None = None
        self._light = Light()
        self._actors = [
            _Actor((seed + _FIRST) * 1009 + 17 * k, home, motion)
            for k, home in enumerate(self._homes(faces))
        ]
        self._painters = [Painter(actor.identity) for actor in self._actors]
        self._bodies = [
            Body(a.identity, self._light, a.home.scale, phases=2, reach=a.reach(height))
            for a in self._actors
        ]

    def _homes(self, faces: int) -> list[Pose]:
        """Share the picture out: columns, and a second row when columns get too slim."""
        if not faces:
            return []
        rows = max(1, min(faces, round((faces * 0.8 * self.height / self.width) ** 0.5)))
        columns = -(-faces // rows)
        cell = np.array((self.width / columns, self.height / rows))
        scale = float(min(cell[0] / 3.1, cell[1] / 4.4))
        return [
            Pose(
                float((k % columns + 0.5) * cell[0]), float((k // columns + 0.47) * cell[1]), scale
            )
            for k in range(faces)
        ]

    def render(self, time_s: float) -> Image:
        """Draw the picture at `time_s`: (height, width, 3) uint8 BGR, owned by the caller."""
        image = self._background.copy()
        for actor, painter, body in zip(self._actors, self._painters, self._bodies, strict=True):
            pose = actor.pose(time_s)
            look = actor.look(time_s, pose)
            painter.paint(image, pose, look, self._light, body, actor.body(pose))
        return image

    def render_yuv420p(self, time_s: float) -> tuple[Image, Image, Image]:
        """Draw the picture at `time_s` as planes y, u, v (chroma sizes rounded up).

        Limited range; BT.709 from 720 lines up, BT.601 below.
        """
        if self._planes is None:
            self._planes = PlaneCache(self._background)
        y, u, v = self._planes.planes(self.render(time_s), self._dirty(time_s))
        return y, u, v

    def _dirty(self, time_s: float) -> tuple[int, int, int, int]:
        """Bound what differs from the background."""
        boxes = []
        for actor, body in zip(self._actors, self._bodies, strict=True):
            pose = actor.pose(time_s)
            reach = np.array((1.9, 2.4)) * pose.scale
            boxes.append((pose.x - reach[0], pose.y - reach[1], pose.x + reach[0], self.height))
            boxes.append(body.box(actor.body(pose)))
        if not boxes:
            return 0, 0, 0, 0
        found = np.array(boxes)
        limits = (self.width, self.height)
        low = np.clip(np.floor(found[:, :2].min(axis=0)), 0, limits).astype(int)
        high = np.clip(np.ceil(found[:, 2:].max(axis=0)) + 1, 0, limits).astype(int)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def truth(self, time_s: float) -> tuple[FaceTruth, ...]:
        """Tell what `render` draws at `time_s`, one entry per face."""
        found = []
        for actor, painter in zip(self._actors, self._painters, strict=True):
            pose = actor.pose(time_s)
            found.append(_truth(painter, pose, actor.look(time_s, pose), self.width, self.height))
        return tuple(found)


def random_face_image(rng: np.random.Generator, size: int) -> tuple[Image, Floats]:
    """Draw one widely varied face for training.

    Returns (size, size, 3) uint8 BGR and its 68 landmarks (68, 2) float32 in px.
    """
    image = make_background(str(rng.choice(("noise", "plain", "noise", "room"))), size, size, rng)
    identity = make_identity(rng)
    painter = Painter(identity, detail=0.7 if size < 256 else 1.0)
    scale = size * float(rng.uniform(0.24, 0.36))
    pose = Pose(
        size * float(rng.uniform(0.42, 0.58)), size * float(rng.uniform(0.42, 0.56)), scale,
        float(np.clip(rng.normal(0, 20), -45, 45)), float(np.clip(rng.normal(0, 9), -22, 22)),
        float(np.clip(rng.normal(0, 14), -40, 40)),
    )  # fmt: skip
    lean = np.deg2rad(pose.roll)  # the head turns on the neck: keep the face in the middle
    pose = replace(pose, x=pose.x - 0.9 * scale * float(np.sin(lean)))
    eye = float(rng.choice((1.0, 1.0, rng.uniform(0, 1), 0.0)))
    wink = eye if rng.random() < 0.9 else 1.0
    talk = float(rng.random() < 0.5) * float(rng.uniform(0, 1))
    look = Look(talk, eye, wink, float(rng.random() ** 3), float(rng.random() ** 2),
                (float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-0.05, 0.05))))  # fmt: skip
    key = rng.normal((-0.1, -0.4, 0.6), (0.6, 0.35, 0.2))
    warm = float(rng.normal(0, 0.06))
    light = Light((float(key[0]), float(key[1]), float(max(key[2], 0.15))),
                  (1 - warm, float(rng.normal(1, 0.012)), 1 + warm),
                  float(rng.uniform(0.25, 0.52)), float(rng.uniform(0.45, 0.85)))  # fmt: skip
    body = Body(identity, light, scale, reach=(size - pose.y) / scale + 0.5)
    painter.paint(image, pose, look, light, body, pose)
    gain, bias = float(rng.uniform(0.65, 1.1)), float(rng.uniform(-15, 12))
    image = cv2.convertScaleAbs(np.clip(image * gain + bias, 0, 255))
    return np.asarray(image, np.uint8), painter.landmarks(pose, look)
