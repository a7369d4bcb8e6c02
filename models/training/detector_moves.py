"""Boxes and key points of training pictures: from landmarks, and moved along with a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
FLIP = [1, 0, 2, 4, 3]


def keypoints_of_68(points: Array) -> Array:
    """Return eye centres, nose tip and mouth corners (5, 2), left of the picture first."""
    eyes = points[36:42].mean(0), points[42:48].mean(0)
    return np.stack([*eyes, points[30], points[48], points[54]]).astype(np.float32)


def keypoints_of_194(points: Array) -> Array:
    """Return the five key points of Helen's 194: nose tip as the middle of the nose outline."""
    left, right = sorted((points[114:134], points[134:154]), key=lambda p: float(p[:, 0].mean()))
    nose, lips = points[41:58], points[58:86]
    corners = lips[[lips[:, 0].argmin(), lips[:, 0].argmax()]]
    tip = 0.5 * (nose.mean(0) + nose[nose[:, 1].argmax()])
    return np.stack([left.mean(0), right.mean(0), tip, *corners]).astype(np.float32)


def turn(keypoints: Array) -> float:
    """Return how far the nose is from the middle of eyes and mouth, in distances of these two."""
    eyes, mouth = (keypoints[0] + keypoints[1]) / 2, (keypoints[3] + keypoints[4]) / 2
    down = mouth - eyes
    nose = keypoints[2] - (eyes + mouth) / 2
    return abs(float(down[0] * nose[1] - down[1] * nose[0])) / max(float(down @ down), 1e-6)


def tight_box(points: Array) -> Array:
    """Return the box (4,) around the given points."""
    return np.concatenate([points.min(0), points.max(0)]).astype(np.float32)


def move_boxes(boxes: Array, matrix: Array) -> Array:
    """Return boxes (N, 4) px after a similarity (2, 3): same centre, scaled, not the outer hull."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    scale = np.array([np.hypot(*matrix[:, 0]), np.hypot(*matrix[:, 1])])
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * scale
    return np.concatenate([centre - half, centre + half], 1).astype(np.float32)


def move_keypoints(keypoints: Array, matrix: Array) -> Array:
    """Return key points (N, 5, 2) px after a similarity (2, 3); mirrored, left and right swap."""
    moved = keypoints @ matrix[:, :2].T + matrix[:, 2]
    if np.linalg.det(matrix[:, :2]) < 0:
        moved = moved[:, FLIP]
    return moved.astype(np.float32)


def visible(boxes: Array, limits: Array) -> Array:
    """Return the share of each box's area (N, 4) inside the limits (4,) or (N, 4)."""
    low = np.maximum(boxes[:, :2], limits[..., :2])
    high = np.minimum(boxes[:, 2:], limits[..., 2:])
    inside = np.clip(high - low, 0, None).prod(1)
    share: Array = inside / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)
    return share
