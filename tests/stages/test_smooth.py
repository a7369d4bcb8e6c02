"""Smoothing: calm at rest, on time in motion, never across a cut."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from vidfilter.models.pose import mean_face
from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.frame import Face, Frame, Pose
from vidfilter.pipeline.registry import stage_class

CAPS = Caps("yuv420p", 640, 480, Fraction(30))
PLANES = (np.zeros((480, 640), np.uint8),) + (np.zeros((240, 320), np.uint8),) * 2
SHAPE = mean_face()[:, :2].astype(np.float32)
RATE = 30.0


def face(points: np.ndarray, track_id: int = 1, **changes: Any) -> Face:
    points = points.astype(np.float32)
    box = np.concatenate((points.min(axis=0), points.max(axis=0)))
    return Face(track_id, box, landmarks_px=points, **changes)


def frame(number: int, *faces: Face, rate: float = RATE, **changes: Any) -> Frame:
    pts = round(number * 90000 / rate)
    return Frame(PLANES, pts, Fraction(1, 90000), number, CAPS, faces=faces, **changes)


def run(context: Any, tracks: list[np.ndarray], rate: float = RATE, **params: Any) -> np.ndarray:
    """Smooth one face (frames, 68, 2)."""
    cls = stage_class("smooth")
    smooth = cls(cls.Params(**params), context)
    smooth.start(CAPS)
    out = [smooth.process(frame(n, face(p), rate=rate)) for n, p in enumerate(tracks)]
    return np.array([f.faces[0].landmarks_px for f in out])


def still(interocular: float = 100.0) -> np.ndarray:
    return SHAPE * interocular + (320, 200)


def noisy(count: int, sigma: float, shared: float = 0.0, seed: int = 0) -> np.ndarray:
    """A still face with noise of each point, and of all points together."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, sigma, (count, 68, 2)) + rng.normal(0, max(shared, 1e-9), (count, 1, 2))
    return still() + noise


def rms(tracks: np.ndarray) -> float:
    """RMS deviation of the points from their means, px."""
    settled = tracks[30:]
    return float(np.sqrt(((settled - settled.mean(axis=0)) ** 2).sum(axis=2).mean()))


def lag_frames(wanted: np.ndarray, got: np.ndarray) -> float:
    """Delay of `got` by cross-correlation, to a fraction of a frame."""
    times = np.arange(len(wanted))
    inner = slice(30, -30)
    delays = np.arange(-2, 4, 0.02)
    shifted = [np.interp(times[inner] + d, times, got) for d in delays]
    centred = wanted[inner] - wanted[inner].mean()
    scores = [np.corrcoef(centred, s)[0, 1] for s in shifted]
    return float(delays[int(np.argmax(scores))])


def test_a_still_face_is_calm(context: Any) -> None:
    tracks = noisy(300, sigma=0.3, shared=0.15)
    assert rms(tracks) > 0.4
    assert rms(run(context, tracks)) < 0.15  # % of the distance of the outer eye corners


def test_a_moving_face_is_on_time(context: Any) -> None:
    times = np.arange(300) / RATE
    shift = 60 * np.sin(2 * np.pi * 0.5 * times)
    moving = noisy(300, sigma=0.3) + np.stack((shift, 0 * shift), axis=1)[:, None]
    out = run(context, moving)
    assert lag_frames(shift, out[:, :, 0].mean(axis=1)) <= 0.3
    assert np.ptp(out[30:, 30, 0]) == pytest.approx(120, rel=0.03)


@pytest.mark.parametrize("rate", [10.0, 60.0])
def test_lag_in_time_hardly_depends_on_the_frame_rate(context: Any, rate: float) -> None:
    times = np.arange(int(10 * rate)) / rate
    shift = 60 * np.sin(2 * np.pi * 0.5 * times)
    moving = still() + np.stack((shift, 0 * shift), axis=1)[:, None]
    out = run(context, moving, rate=rate)
    assert lag_frames(shift, out[:, 30, 0]) / rate <= 0.015


def test_a_blink_is_not_smoothed_away(context: Any) -> None:
    tracks = np.repeat(still()[None], 60, axis=0)
    lids, lower = [37, 38, 43, 44], [41, 40, 47, 46]
    for number, closed in ((30, 0.5), (31, 1.0), (32, 1.0), (33, 0.5)):
        tracks[number, lids] += closed * (tracks[number, lower] - tracks[number, lids])
    out = run(context, tracks)
    opening = out[:, lower, 1].mean(axis=1) - out[:, lids, 1].mean(axis=1)
    assert opening[32] < 0.2 * opening[20]
    assert opening[40] > 0.8 * opening[20]


def test_steadiness_orders_from_quick_to_calm(context: Any) -> None:
    tracks = noisy(200, sigma=0.5, shared=0.3)
    calm = [rms(run(context, tracks, steadiness=s)) for s in (None, 0.0, 0.5, 1.0)]
    assert calm == sorted(calm, reverse=True)
    assert calm[0] == pytest.approx(rms(tracks.astype(np.float32)))


@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_the_result_scales_with_the_face(context: Any, scale: float) -> None:
    tracks = noisy(60, sigma=0.5)
    np.testing.assert_allclose(
        run(context, tracks * scale), run(context, tracks) * scale, rtol=1e-3, atol=0.02
    )


def restarts(context: Any, second: Callable[[np.ndarray], Frame]) -> bool:
    """Whether a face that jumps arrives at once where `second` shows it."""
    cls = stage_class("smooth")
    smooth = cls(cls.Params(steadiness=1.0), context)
    smooth.start(CAPS)
    for number in range(20):
        smooth.process(frame(number, face(still())))
    moved = still() + np.array((2.0, 1.0))
    out = smooth.process(second(moved)).faces[-1].landmarks_px
    return bool(np.allclose(out, moved, atol=1e-3))


def test_what_is_not_the_same_motion_starts_anew(context: Any) -> None:
    assert not restarts(context, lambda p: frame(20, face(p)))
    assert restarts(context, lambda p: frame(20, face(p), discontinuity=True))
    assert restarts(context, lambda p: frame(20, face(still()), face(p, track_id=2)))
    assert restarts(context, lambda p: frame(60, face(p)))
    assert restarts(context, lambda p: frame(5, face(p)))


def test_pose_box_and_expressions_follow(context: Any) -> None:
    cls = stage_class("smooth")
    smooth = cls(cls.Params(), context)
    smooth.start(CAPS)
    rng = np.random.default_rng(1)
    yaws, opens = [], []
    for number in range(90):
        pose = Pose(10 + rng.normal(0, 1.0), 0.0, 0.0)
        expressions = {"mouth_open": float(number >= 60), "smile": 0.2}
        raw = face(still() + rng.normal(0, 0.5, 2), pose=pose, expressions=expressions)
        out = smooth.process(frame(number, raw)).faces[0]
        box = np.concatenate((out.landmarks_px.min(axis=0), out.landmarks_px.max(axis=0)))
        np.testing.assert_allclose(out.box_xyxy_px, box, atol=1e-2)
        yaws.append(out.pose.yaw_deg)
        opens.append(out.expressions["mouth_open"])
    assert np.std(yaws[30:]) < 0.8
    assert opens[59] == 0.0
    assert opens[63] > 0.8


def test_faces_without_points_and_frames_without_faces_pass(context: Any) -> None:
    cls = stage_class("smooth")
    smooth = cls(cls.Params(), context)
    smooth.start(CAPS)
    bare = Face(1, np.zeros(4, np.float32))
    assert smooth.process(frame(0, bare)).faces[0] is bare
    assert smooth.process(frame(1)).faces == ()
    collapsed = face(np.zeros((68, 2)))
    assert np.isfinite(smooth.process(frame(2, collapsed)).faces[0].landmarks_px).all()
