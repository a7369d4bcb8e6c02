"""What the detector's rows mean: from one row of 15 numbers per grid cell to boxes and points."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
MAX_LOG_SIZE = 5.0
NMS_IOU = 0.45
MERGE_IOU = 0.7
WITNESS_IOU, WITNESSES = 0.5, 24

# Right after the network each call into numpy finds the caches empty, so what counts here is how
# few the calls are, and how plain.


def grid(height: int, width: int, strides: tuple[int, ...]) -> Array:
    """Return (A, 3): cell centre x, y in px and stride, in the order of the network's rows."""
    parts = []
    for s in strides:
        y, x = np.mgrid[: height // s, : width // s]
        parts.append(
            np.stack([(x + 0.5) * s, (y + 0.5) * s, np.full(x.shape, s)], -1).reshape(-1, 3)
        )
    return np.concatenate(parts).astype(np.float32)


def best(logits: Array, lowest: float, most: int) -> NDArray[np.intp]:
    """Return the rows above `lowest`, the best first, `most` at most."""
    picked = (logits > lowest).nonzero()[0]
    falling = -logits[picked]
    if len(picked) > most:
        few = falling.argpartition(most)[:most]
        picked, falling = picked[few], falling[few]
    ordered: NDArray[np.intp] = picked[falling.argsort(kind="stable")]
    return ordered


def logit(chance: float) -> float:
    """Return the logit of a chance 0..1, finite also for both ends."""
    clipped = min(max(chance, 1e-6), 1 - 1e-6)
    return math.log(clipped / (1 - clipped))


def chance(logits: Array) -> Array:
    """Return 1 / (1 + exp(-logits))."""
    shares = np.exp(-logits)
    shares += 1
    return np.reciprocal(shares, out=shares)


def decode(rows: Array, cells: Array) -> Array:
    """Return boxes (N, 4) in canvas px of network rows (N, 15).

    A row holds the score logit, the box centre's offset from the cell and the logarithm of its
    size, both in strides, and key points in half boxes from the box centre.
    """
    strides = cells[:, 2:]
    centre = rows[:, 1:3] * strides
    centre += cells[:, :2]
    half = np.minimum(rows[:, 3:5], MAX_LOG_SIZE)
    np.maximum(half, -MAX_LOG_SIZE, out=half)
    np.exp(half, out=half)
    half *= strides * 0.5
    boxes = np.empty((len(rows), 4), np.float32)
    np.subtract(centre, half, out=boxes[:, :2])
    np.add(centre, half, out=boxes[:, 2:])
    return boxes


def key_points(rows: Array, boxes: Array) -> Array:
    """Return key points (N, 5, 2) in canvas px of network rows (N, 15) and their boxes (N, 4)."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    points: Array = rows[:, 5:].reshape(-1, 5, 2) * ((high - low) * 0.5)
    points += (low + high) * 0.5
    return points


def merge(
    boxes: Array, scores: Array, max_faces: int, min_score: float
) -> tuple[Array, Array, NDArray[np.intp]]:
    """Suppress weaker boxes of a face; return boxes (M, 4), scores (M,) and rows, best first.

    `scores` fall. Each box left is the score-weighted mean of those that overlap it by MERGE_IOU or
    more. Half of its score is its own, half the mean of the WITNESSES best that overlap it by
    WITNESS_IOU: many cells agree on a face, few on what only resembles one. Boxes that score less
    than `min_score` then are dropped.
    """
    rows = _suppress(boxes, scores, min_score)
    shared = _overlap(boxes, rows)
    witnesses = scores * (shared >= WITNESS_IOU)
    if len(scores) > WITNESSES:
        witnesses.partition(len(scores) - WITNESSES, axis=1)
        witnesses = witnesses[:, -WITNESSES:]
    final = np.add.reduce(witnesses, axis=1)
    final *= 0.5 / WITNESSES
    final += scores[rows] * 0.5
    weights = scores * (shared >= MERGE_IOU)
    means = weights @ boxes
    means /= np.add.reduce(weights, axis=1)[:, None]
    order = (-final).argsort(kind="stable")
    order = order[final[order] >= min_score][:max_faces]
    return means[order], final[order], rows[order]


def _suppress(boxes: Array, scores: Array, min_score: float) -> NDArray[np.intp]:
    """Return the rows of the best boxes (N, 4) that overlap no better one by more than NMS_IOU."""
    able = int(np.count_nonzero(scores >= min_score))
    corner_size = boxes[:able].copy()
    corner_size[:, 2:] -= corner_size[:, :2]
    kept = cv2.dnn.NMSBoxes(corner_size.tolist(), scores[:able].tolist(), 0.0, NMS_IOU)
    return np.array(kept, np.intp).reshape(-1)


def _overlap(boxes: Array, rows: NDArray[np.intp]) -> Array:
    """Return IoU (M, N) of those of `boxes` (N, 4) in `rows` (M,) with all."""
    size = boxes[:, 2:] - boxes[:, :2]
    areas = size[:, 0] * size[:, 1]
    some = boxes[rows, None]
    span = np.minimum(some[..., 2:], boxes[:, 2:])
    span -= np.maximum(some[..., :2], boxes[:, :2])
    np.maximum(span, 0, out=span)
    shared: Array = span[..., 0] * span[..., 1]
    shared /= areas[rows, None] + areas - shared
    return shared
