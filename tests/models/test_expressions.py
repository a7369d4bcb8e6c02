"""Expressions against the rendered face, whose expressions are known."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from vidfilter.models.expressions import NAMES, ExpressionMeter
from vidfilter.models.pose import head_pose, mean_face
from vidfilter.pipeline.runner import Pipeline
from vidfilter.pipeline.spec import PipelineSpec, StageSpec

scene = importlib.import_module("vidfilter.stages._testface").FaceScene
STEP_S = 1 / 15
# With true points: least correlation, largest mean error. The mouth and the smile run further
# than their truth: the spans allow for networks, which shrink every expression.
AGREEMENT = {
    "mouth_open": (0.97, 0.09),
    "eye_open_l": (0.97, 0.03),
    "eye_open_r": (0.97, 0.03),
    "brow_raise": (0.93, 0.1),
    "smile": (0.93, 0.13),
}
# With the points that the shipped network finds.
FOUND_AGREEMENT = {
    "mouth_open": 0.9,
    "eye_open_l": 0.8,
    "eye_open_r": 0.8,
    "brow_raise": 0.8,
    "smile": 0.75,
}


def watch(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Measured and true expressions (frames, 5) of one rendered person."""
    faces, meter, rows = scene(640, 480, seed=seed), ExpressionMeter(), []
    for time_s in np.arange(0, 16, STEP_S):
        truth = faces.truth(time_s)[0]
        got = meter.measure(head_pose(truth.landmarks_px)[1], STEP_S)
        rows.append(([got[n] for n in NAMES], [truth.expressions[n] for n in NAMES]))
    got, true = np.array(rows).transpose(1, 0, 2)
    return got, true


def test_expressions_follow_the_rendered_faces() -> None:
    got, true = (np.concatenate(part) for part in zip(*map(watch, range(5)), strict=True))
    assert got.min() >= 0
    assert got.max() <= 1
    for name, mine, truth in zip(NAMES, got.T, true.T, strict=True):
        agreement, error = AGREEMENT[name]
        assert np.corrcoef(mine, truth)[0, 1] > agreement, name
        assert np.abs(mine - truth).mean() < error, name
    closed = true[:, 1] < 0.1
    assert closed.sum() > 20
    assert got[closed, 1:3].mean() < 0.1


def test_expressions_and_angles_found_by_the_stages_follow_the_truth() -> None:
    got, true, angles, true_angles = follow(8.0)
    for name, mine, truth in zip(NAMES, got.T, true.T, strict=True):
        assert np.corrcoef(mine, truth)[0, 1] > FOUND_AGREEMENT[name], name
    assert (np.abs(angles - true_angles).mean(axis=0) < (4, 5, 3)).all()


def test_a_wink_closes_one_eye() -> None:
    meter = ExpressionMeter()
    face = mean_face()[:, :2]
    for _ in range(100):
        meter.measure(face, 0.1)
    face[[43, 44]] = face[[47, 46]]
    for _ in range(3):
        shown = meter.measure(face, 0.05)
    assert shown["eye_open_l"] > 0.7
    assert shown["eye_open_r"] < 0.3


def follow(seconds: float) -> tuple[np.ndarray, ...]:
    """Expressions (frames, 5), found and true, and angles (frames, 3), of the test source."""
    properties: dict[str, dict[str, object]] = {
        "capture": {"source": "test", "width": 640, "height": 480, "fps": 20, "duration": seconds},
        "detect": {},
        "landmarks": {},
        "smooth": {},
        "appsink": {},
    }
    stages = tuple(StageSpec(name, name, values) for name, values in properties.items())
    rows = []
    for frame in Pipeline(PipelineSpec(stages)).frames():
        (face,), (truth,) = frame.faces, frame.tags["truth"]
        assert face.pose is not None
        found = [face.expressions[name] for name in NAMES]
        angles = face.pose.yaw_deg, face.pose.pitch_deg, face.pose.roll_deg
        shown = [truth.expressions[name] for name in NAMES]
        rows.append((found, shown, angles, (truth.yaw_deg, truth.pitch_deg, truth.roll_deg)))
    assert len(rows) == round(seconds * 20)
    return tuple(np.array(part) for part in zip(*rows, strict=True))


def test_a_face_at_rest_shows_nothing() -> None:
    meter = ExpressionMeter()
    for _ in range(300):
        shown = meter.measure(mean_face()[:, :2], 0.1)
    assert shown["brow_raise"] < 0.1
    assert shown["smile"] < 0.15
    assert shown["eye_open_l"] > 0.8


@pytest.mark.parametrize("lift", [-0.03, 0.04])
def test_the_neutral_of_a_person_is_learnt(lift: float) -> None:
    meter = ExpressionMeter()
    person = mean_face()[:, :2]
    person[17:27, 1] -= lift
    for _ in range(200):
        rest = meter.measure(person, 0.1)["brow_raise"]
    raised = person.copy()
    raised[17:27, 1] -= 0.06
    assert rest < 0.15
    assert meter.measure(raised, 0.1)["brow_raise"] > rest + 0.5


def test_no_time_teaches_nothing() -> None:
    meter = ExpressionMeter()
    first = [meter.measure(mean_face()[:, :2] * (1, s), 0.0) for s in (1.0, 1.2, 1.0)]
    assert first[0] == first[2]
