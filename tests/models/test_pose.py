"""Head pose against the rendered face, whose pose is known."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from vidfilter.models.pose import head_pose, mean_face
from vidfilter.models.topology import topology

scene = importlib.import_module("vidfilter.stages._testface").FaceScene


def errors() -> np.ndarray:
    """Estimated minus true yaw, pitch, roll of many rendered faces (N, 3), and the truth."""
    rows = []
    for seed in range(4):
        faces = scene(640, 480, seed=seed, motion=1.2)
        for time_s in np.arange(0, 12, 0.5):
            truth = faces.truth(time_s)[0]
            pose, _ = head_pose(truth.landmarks_px)
            got = (pose.yaw_deg, pose.pitch_deg, pose.roll_deg)
            rows.append((got, (truth.yaw_deg, truth.pitch_deg, truth.roll_deg)))
    return np.array(rows)


def test_angles_agree_with_the_rendered_face() -> None:
    got, true = errors().transpose(1, 0, 2)
    assert np.abs(true).max(axis=0).min() > 8
    assert (np.abs(got - true).mean(axis=0) < (2, 2.5, 1.5)).all()
    for angle in range(3):
        assert np.polyfit(true[:, angle], got[:, angle], 1)[0] > 0.7


@pytest.mark.parametrize(("roll", "scale"), [(0, 100.0), (45, 3.0), (-170, 900.0)])
def test_the_mean_face_itself_is_frontal_at_any_size_and_roll(roll: float, scale: float) -> None:
    angle = np.deg2rad(roll)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pose, frontal = head_pose(scale * mean_face()[:, :2] @ turn.T + (50, 70))
    assert pose.roll_deg == pytest.approx(roll, abs=1e-6)
    assert (pose.yaw_deg, pose.pitch_deg) == pytest.approx((0, 0), abs=1e-6)
    np.testing.assert_allclose(frontal, mean_face()[:, :2], atol=1e-9)


def test_a_turned_face_is_turned_back() -> None:
    yaw = np.deg2rad(30)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    pose, frontal = head_pose(100 * (mean_face() @ turn.T)[:, :2])
    assert pose.yaw_deg == pytest.approx(30, abs=0.1)
    np.testing.assert_allclose(frontal, mean_face()[:, :2], atol=0.02)


def test_a_mirrored_face_has_mirrored_angles() -> None:
    points = scene(640, 480, seed=3).truth(2.0)[0].landmarks_px
    flip = topology("ibug68").flip
    pose, _ = head_pose(points)
    mirrored, _ = head_pose((points * (-1, 1))[flip])
    assert mirrored.yaw_deg == pytest.approx(-pose.yaw_deg, abs=1e-3)
    assert mirrored.roll_deg == pytest.approx(-pose.roll_deg, abs=1e-3)
    assert mirrored.pitch_deg == pytest.approx(pose.pitch_deg, abs=1e-3)


def test_points_that_are_no_face_give_finite_numbers() -> None:
    for points in (np.zeros((68, 2)), np.ones((68, 2)) * 5, np.linspace(0, 1, 136).reshape(68, 2)):
        pose, frontal = head_pose(points)
        assert np.isfinite((pose.yaw_deg, pose.pitch_deg, pose.roll_deg)).all()
        assert np.isfinite(frontal).all()
