"""Expressions against the rendered face, whose expressions are known."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from vidfilter.models.expressions import NAMES, ExpressionMeter
from vidfilter.models.pose import head_pose, mean_face

scene = importlib.import_module("vidfilter.stages._testface").FaceScene
STEP_S = 1 / 15


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
        assert np.corrcoef(mine, truth)[0, 1] > 0.8, name
        assert np.abs(mine - truth).mean() < 0.18, name


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
