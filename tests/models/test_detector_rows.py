"""From the detector's rows to boxes and points, against the same said plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vidfilter.models.detector_rows import (
    MERGE_IOU,
    NMS_IOU,
    WITNESS_IOU,
    WITNESSES,
    best,
    chance,
    decode,
    grid,
    key_points,
    logit,
    merge,
)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inter = np.clip(high - low, 0, None).prod()
    return float(inter / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inter))


def crowd(seed: int, faces: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) of some faces, each as many cells see it, and falling scores (N,)."""
    rng = np.random.default_rng(seed)
    corners, sizes = rng.uniform(0, 250, (faces, 1, 2)), rng.uniform(15, 60, (faces, 1, 2))
    low = corners + rng.normal(0, 0.12, (faces, cells, 2)) * sizes
    boxes = np.concatenate([low, low + sizes * rng.uniform(0.8, 1.2, (faces, cells, 2))], -1)
    scores = np.sort(rng.uniform(0.05, 0.9, faces * cells))[::-1]
    return rng.permutation(boxes.reshape(-1, 4)).astype(np.float32), scores.astype(np.float32)


def plainly(boxes: np.ndarray, scores: np.ndarray, most: int, limit: float) -> list[tuple]:
    """Return (score, box, row) of the faces left, the best first, as the words of `merge` say."""
    kept: list[int] = []
    for i in range(len(boxes)):
        if scores[i] >= limit and all(iou(boxes[i], boxes[k]) <= NMS_IOU for k in kept):
            kept.append(i)
    found = []
    for k in kept:
        shared = np.array([iou(boxes[k], box) for box in boxes])
        witnesses = sorted(scores[shared >= WITNESS_IOU], reverse=True)[:WITNESSES]
        score = 0.5 * scores[k] + 0.5 * sum(witnesses) / WITNESSES
        near = shared >= MERGE_IOU
        if score >= limit:
            found.append((score, np.average(boxes[near], 0, scores[near]), k))
    return sorted(found, key=lambda f: -f[0])[:most]


@pytest.mark.parametrize(
    ("faces", "cells", "most", "limit"),
    [(1, 1, 50, 0.01), (1, 5, 50, 0.1), (1, 60, 50, 0.3), (6, 30, 50, 0.3), (20, 9, 7, 0.05)],
)
def test_merge_does_what_it_says(faces: int, cells: int, most: int, limit: float):
    boxes, scores = crowd(faces + cells, faces, cells)
    means, final, rows = merge(boxes, scores, most, limit)
    expected = plainly(boxes, scores, most, limit)
    assert len(expected) == len(final) > 0
    np.testing.assert_allclose(final, [score for score, _, _ in expected], atol=1e-5)
    np.testing.assert_allclose(means, [box for _, box, _ in expected], atol=1e-2)
    assert rows.tolist() == [row for _, _, row in expected]


def test_nothing_is_left_where_all_agree_too_little():
    boxes, scores = crowd(3, 4, 1)
    means, final, rows = merge(boxes, scores, 50, float(scores[0]))
    assert (means.shape, final.shape, rows.shape) == ((0, 4), (0,), (0,))


def test_rows_become_boxes_and_points():
    cells = grid(64, 64, (8, 32))
    assert len(cells) == 64 + 4
    rows = np.zeros((2, 15), np.float32)
    rows[:, 1:3] = 0.5, -0.25  # strides from the cell's centre
    rows[:, 3:5] = math.log(2), math.log(4)  # strides wide and high
    rows[:, 5:] = np.tile((1.0, -1.0), 5)  # the box's upper right corner
    boxes = decode(rows, cells[[9, 67]])
    np.testing.assert_allclose(boxes[0], [16 - 8, 10 - 16, 16 + 8, 10 + 16], atol=1e-4)
    np.testing.assert_allclose(boxes[1], [64 - 32, 40 - 64, 64 + 32, 40 + 64], atol=1e-4)
    points = key_points(rows, boxes)
    np.testing.assert_allclose(points, np.tile(boxes[:, None, [2, 1]], (1, 5, 1)), atol=1e-4)


def test_sizes_that_overflow_stay_finite():
    rows = np.full((2, 15), 1e30, np.float32)
    rows[1] *= -1
    assert np.isfinite(decode(rows, grid(32, 32, (32,)).repeat(2, 0))[:, 2:]).all()


@pytest.mark.parametrize("most", [1, 5, 100])
def test_the_best_rows_come_first(most: int):
    logits = np.random.default_rng(1).normal(size=60).astype(np.float32)
    rows = best(logits, 0.0, most)
    assert logits[rows].tolist() == sorted(logits[logits > 0], reverse=True)[:most]


def test_chances_and_logits_are_inverse():
    assert chance(np.array([logit(0.3)], np.float32))[0] == pytest.approx(0.3)
    assert math.isfinite(logit(0.0))
    assert math.isfinite(logit(1.0))
