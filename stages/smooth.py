"""Steady the landmarks without making them late: One-Euro filters with the motion taken apart.

Source: Casiez, Roussel and Vogel 2012, "1 € filter": a low pass whose cutoff rises with speed.
The motion of the whole face (a similarity) and the change of its shape are filtered apart: the
first is an average over all points, so its speed is known well and noise does not open the filter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..pipeline import stage
from ..pipeline.frame import F32, Face, Frame, Pose
from ..pipeline.registry import register_stage
from ._association import tight_box
from ._settings import SettingsTag

if TYPE_CHECKING:
    from ..pipeline.caps import Caps

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

MAX_GAP_S = 0.5  # a face not seen for longer starts anew
SPEED_CUTOFF_HZ = 2.5
OPENING = 20.0  # Hz of cutoff per speed of one face radius per second
POSE_UNIT_DEG, EXPRESSION_UNIT = 40.0, 0.3  # changes as notable as one face radius of motion


@register_stage("smooth")
class Smooth(stage.Transform):
    """Steady landmarks, boxes, pose and expressions of each track.

    A track starts anew with a new id, after a gap and after a cut; times come from the frames.
    """

    class Params(stage.Params):
        """Properties of `smooth`."""

        steadiness: float | None = Field(
            0.5,
            ge=0.0,
            le=1.0,
            description="0 follows every twitch, 1 is calmest; none leaves points as found",
        )

    params: Params
    reads_traits: ClassVar[bool] = False  # it steadies them for others
    keeps_pictures: ClassVar[bool] = False

    def __init__(self, params: stage.Params, context: stage.Context) -> None:
        super().__init__(params, context)
        self._tracks: dict[int, _TrackSmoother] = {}
        self._settings = SettingsTag({"smooth": self.params.model_dump()})

    def start(self, caps: Caps) -> Caps:
        """Forget all tracks."""
        self._tracks = {}
        return caps

    def process(self, frame: Frame) -> Frame:
        """Return the frame with steadier faces."""
        if frame.discontinuity:
            self._tracks = {}
        steadiness = self.params.steadiness
        tags = {**frame.tags, "settings": self._settings.after(frame.tags.get("settings"))}
        if steadiness is None or not frame.faces:
            return frame.with_(tags=tags)
        now = frame.time_s
        self._tracks = {i: t for i, t in self._tracks.items() if 0 < now - t.last_s <= MAX_GAP_S}
        faces = tuple(self._smooth(face, now, steadiness) for face in frame.faces)
        return frame.with_(faces=faces, tags=tags)

    def _smooth(self, face: Face, now: float, steadiness: float) -> Face:
        if face.landmarks_px is None:
            return face
        track = self._tracks.get(face.track_id)
        if track is None or track.points != len(face.landmarks_px):
            track = self._tracks[face.track_id] = _TrackSmoother(len(face.landmarks_px), steadiness)
        return track.smooth(face, now)


class OneEuro:
    """One-Euro filter for complex values (N,), each with a speed of its own.

    The cutoff is `cutoff_hz` at rest, and rises with the speed above `slack` (per second): slower
    motion than that is taken for noise. The first values count alike, as in a mean, so that the
    filter settles at once.
    """

    def __init__(self, cutoff_hz: float, slack: float) -> None:
        self._cutoff_hz, self._slack = cutoff_hz, slack
        self._count = 0
        self._value: C128
        self._raw: C128
        self._speed: C128

    def filter(self, raw: C128, dt_s: float) -> C128:
        """Return the filtered values (N,) of `raw`, taken `dt_s` after those before."""
        self._count += 1
        if self._count == 1:
            self._value, self._raw, self._speed = raw, raw, np.zeros_like(raw)
            return raw
        share = _speed_share(dt_s)
        change = raw - self._raw
        change *= share / dt_s
        self._speed *= 1 - share
        self._speed += change
        change = raw - self._value
        change *= self._gain(2 * math.pi * dt_s)
        self._raw, self._value = raw, self._value + change
        return self._value

    def _gain(self, turns: float) -> F64:
        """Return how far to follow, `cutoff / (cutoff + 1)` with the cutoff in turns per frame."""
        least, steep = turns * self._cutoff_hz, turns * OPENING
        cutoffs = np.abs(self._speed)
        cutoffs *= steep
        cutoffs += least - steep * self._slack
        # The share grows with the cutoff, so a bound of one is a bound of the other.
        share = max(least / (least + 1), 1 / self._count)
        np.maximum(cutoffs, share / (1 - share), out=cutoffs)
        cutoffs /= cutoffs + 1
        return cutoffs


class MotionFilter:
    """One-Euro filter for a similarity, its centre and turn, both with one speed.

    As `OneEuro`; that is in lengths of the turn. In plain numbers, since numpy's calls would cost
    several times as much for two.
    """

    def __init__(self, cutoff_hz: float, slack: float) -> None:
        self._cutoff_hz, self._slack = cutoff_hz, slack
        self._count = 0
        self._value = self._raw = self._speed = (0j, 0j)

    def filter(self, centre: complex, turn: complex, dt_s: float) -> tuple[complex, complex]:
        """Return centre and turn filtered, taken `dt_s` after those before."""
        self._count += 1
        if self._count == 1:
            self._value = self._raw = (centre, turn)
            return self._value
        share = _speed_share(dt_s)
        per_s = share / dt_s
        a = self._speed[0] * (1 - share) + (centre - self._raw[0]) * per_s
        b = self._speed[1] * (1 - share) + (turn - self._raw[1]) * per_s
        speed = math.hypot(a.real, a.imag, b.real, b.imag) / (abs(turn) or 1.0)
        cutoff = self._cutoff_hz + OPENING * max(speed - self._slack, 0.0)
        cutoff *= 2 * math.pi * dt_s
        gain = max(cutoff / (cutoff + 1), 1 / self._count)
        before, before_turn = self._value
        self._speed, self._raw = (a, b), (centre, turn)
        self._value = before + (centre - before) * gain, before_turn + (turn - before_turn) * gain
        return self._value


def _speed_share(dt_s: float) -> float:
    """Return how far the estimate of speed follows."""
    cutoff = 2 * math.pi * dt_s * SPEED_CUTOFF_HZ
    return cutoff / (cutoff + 1)


class _TrackSmoother:
    """The filters of one track."""

    def __init__(self, points: int, steadiness: float) -> None:
        self.points = points
        self.last_s = -math.inf
        cutoff_hz, slack = 2.0 * (1 / 16) ** steadiness, 0.18 * steadiness
        self._motion = MotionFilter(cutoff_hz, slack)
        self._shape = OneEuro(cutoff_hz, slack)
        self._traits = OneEuro(4 * cutoff_hz, slack)
        self._base: C128 | None = None
        self._base_norm = 1.0

    def smooth(self, face: Face, now: float) -> Face:
        """Return `face` filtered; its box moves along with the points."""
        dt_s, self.last_s = now - self.last_s, now
        raw = face.landmarks_px
        assert raw is not None
        points = self._points(raw, dt_s)
        box = face.box_xyxy_px + (tight_box(points) - tight_box(raw)).astype(np.float32)
        pose, expressions = self._traits_of(face, dt_s)
        return Face(
            face.track_id,
            box,
            face.score,
            points,
            face.visibility,
            pose,
            expressions,
            face.scheme,
            face.keypoints_px,
        )

    def _points(self, raw: F32, dt_s: float) -> F32:
        """Filter points (K, 2); as complex numbers a similarity is `centre + turn * shape`."""
        flat = np.ascontiguousarray(raw, np.float64).view(np.complex128)[:, 0]
        centre = complex(np.add.reduce(flat)) / len(flat)
        spread = flat - centre
        if self._base is None:
            self._base = spread / math.sqrt(np.vdot(spread, spread).real / len(spread) or 1.0)
            self._base_norm = float(np.vdot(self._base, self._base).real) or 1.0
        turn = complex(np.vdot(self._base, spread)) / self._base_norm
        steady_centre, steady_turn = self._motion.filter(centre, turn, dt_s)
        spread /= turn or 1.0
        steady = self._shape.filter(spread, dt_s) * steady_turn
        steady += steady_centre
        points: F32 = steady.view(np.float64).reshape(-1, 2).astype(np.float32)
        return points

    def _traits_of(self, face: Face, dt_s: float) -> tuple[Pose | None, dict[str, float]]:
        if face.pose is None:
            return None, face.expressions
        angles = (face.pose.yaw_deg, face.pose.pitch_deg, face.pose.roll_deg)
        values = [a / POSE_UNIT_DEG for a in angles]
        values += [v * EXPRESSION_UNIT for v in face.expressions.values()]
        steady = self._traits.filter(np.array(values, np.complex128), dt_s).real.tolist()
        pose = Pose(*(v * POSE_UNIT_DEG for v in steady[:3]))
        return pose, {
            k: v / EXPRESSION_UNIT for k, v in zip(face.expressions, steady[3:], strict=True)
        }
