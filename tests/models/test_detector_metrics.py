"""Average precision of detections, worked out by hand on small cases."""

from __future__ import annotations

import numpy as np
import pytest

from vidfilter.models.training.detector_metrics import Picture, curve, only_sizes

FACE = [10.0, 10.0, 50.0, 50.0]
OTHER = [100.0, 10.0, 140.0, 50.0]
TINY = [200.0, 10.0, 210.0, 20.0]
NOWHERE = [300.0, 300.0, 340.0, 340.0]


def picture(
    found: list[list[float]],
    scores: list[float],
    truth: list[list[float]],
    min_size: float = 20.0,
) -> Picture:
    boxes = np.array(truth, np.float32).reshape(-1, 4)
    counted = (boxes[:, 2:] - boxes[:, :2]).prod(1) >= min_size**2
    detections = np.array(found, np.float32).reshape(-1, 4)
    return Picture(detections, np.array(scores, np.float32), boxes, counted, min_size)


def test_all_found_and_nothing_else_is_one() -> None:
    assert curve([picture([FACE, OTHER], [0.9, 0.8], [FACE, OTHER])], 0.5).average_precision == 1.0


def test_a_false_alarm_costs_only_what_comes_after_it() -> None:
    late = picture([FACE, OTHER, NOWHERE], [0.9, 0.8, 0.7], [FACE, OTHER])
    middle = picture([FACE, OTHER, NOWHERE], [0.9, 0.7, 0.8], [FACE, OTHER])
    assert curve([late], 0.5).average_precision == 1.0
    assert curve([middle], 0.5).average_precision == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_second_box_on_a_face_is_a_false_alarm() -> None:
    double = curve([picture([FACE, FACE], [0.9, 0.8], [FACE])], 0.5)
    assert double.hits.tolist() == [True, False]


def test_small_faces_and_small_finds_neither_count_nor_hurt() -> None:
    faint_tiny = [0.0, 300.0, 8.0, 308.0]
    result = curve([picture([TINY, faint_tiny, FACE], [0.9, 0.8, 0.7], [TINY, FACE])], 0.5)
    assert (result.n, result.average_precision) == (1, 1.0)


def test_a_picture_without_faces_only_gives_false_alarms() -> None:
    empty = picture([NOWHERE], [0.9], [])
    result = curve([empty, picture([FACE], [0.8], [FACE])], 0.5)
    assert result.average_precision == pytest.approx(0.5)
    assert result.recall_at(0.1) == 0.0
    assert result.recall_at(0.5) == 1.0


def test_nothing_found_is_zero() -> None:
    assert curve([picture([], [], [FACE])], 0.5).average_precision == 0.0


def test_sizes_are_judged_apart() -> None:
    large = [0.0, 100.0, 200.0, 300.0]
    both = picture([FACE], [0.9], [FACE, large])
    assert curve(only_sizes([both], 32, 64), 0.5).average_precision == 1.0
    assert curve(only_sizes([both], 128, 1000), 0.5).average_precision == 0.0
