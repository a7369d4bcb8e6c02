"""Landmark error statistics."""

from __future__ import annotations

import numpy as np
import pytest

from vidfilter.models.metrics import (
    area_under_curve,
    face_errors,
    point_errors,
    region_errors,
    summarise,
)
from vidfilter.models.topology import topology

SCHEME = topology("ibug68")


@pytest.fixture
def truth() -> np.ndarray:
    points = np.random.default_rng(0).uniform(0, 100, (3, 68, 2))
    points[:, 36], points[:, 45] = (10.0, 20.0), (60.0, 20.0)
    return points


def test_a_shift_is_measured_in_inter_ocular_distances(truth: np.ndarray) -> None:
    moved = truth + np.array([3.0, 4.0])
    assert np.allclose(point_errors(moved, truth, SCHEME), 0.1)
    assert np.allclose(face_errors(moved, truth, SCHEME), 0.1)
    assert np.allclose(list(region_errors(moved, truth, SCHEME).values()), 0.1)


def test_error_does_not_depend_on_the_size_of_the_picture(truth: np.ndarray) -> None:
    moved = truth + 1.0
    small = face_errors(moved / 4, truth / 4, SCHEME)
    assert np.allclose(small, face_errors(moved, truth, SCHEME))


def test_a_face_not_found_counts_as_one(truth: np.ndarray) -> None:
    found = truth.copy()
    found[1] = np.nan
    assert face_errors(found, truth, SCHEME).tolist() == [0.0, 1.0, 0.0]


def test_summary_of_known_errors() -> None:
    summary = summarise(np.array([0.0, 0.04, 0.09, 0.27]))
    assert summary.n == 4
    assert summary.nme_interocular == pytest.approx(0.1)
    assert summary.median == pytest.approx(0.065)
    assert summary.failure_8 == 0.5
    assert summary.failure_10 == 0.25
    assert summary.auc_8 == pytest.approx((1 + 0.5) / 4)


def test_no_faces_cannot_be_summarised() -> None:
    with pytest.raises(ValueError, match="no faces"):
        summarise(np.array([]))


def test_area_under_curve_agrees_with_integration() -> None:
    errors = np.random.default_rng(1).gamma(2.0, 0.02, 500)
    limits = np.linspace(0, 0.08, 4001)
    share = [(errors <= limit).mean() for limit in limits]
    assert area_under_curve(errors, 0.08) == pytest.approx(np.mean(share), abs=2e-3)
