"""Find faces in a luma picture: boxes, scores and five key points, in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .runtime import load_model

if TYPE_CHECKING:
    from pathlib import Path

Array = NDArray[np.float32]
MULTIPLE = 32
MAX_LOG_SIZE = 5.0
NMS_IOU = 0.45
MERGE_IOU = 0.7
WITNESS_IOU, WITNESSES = 0.55, 16
LOWEST = 0.05  # weaker cells bear no witness
MIN_CANDIDATES = 200  # cells looked at, or four for each face asked for
MILD_SCALE = 0.6  # from here on plain interpolation, five times faster, aliases little

TIGHT_TO_HAND_DRAWN = np.array([0.0, -0.2, 0.0, 0.0], np.float32)
"""Moves of x0, y0, x1, y1 in widths and heights of the tight box of 68 landmarks."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Faces of one picture, best first.

    boxes_xyxy_px (N, 4), scores (N,) 0..1, keypoints_px (N, 5, 2): eye centres, nose tip, mouth
    corners, the left one in an upright picture first. All float32, px of the given picture.
    """

    boxes_xyxy_px: Array
    scores: Array
    keypoints_px: Array

    def __len__(self) -> int:
        return len(self.scores)


def hand_drawn_from_tight(boxes_xyxy_px: Array) -> Array:
    """Turn tight boxes of 68 landmarks (..., 4) into the detector's convention."""
    size = boxes_xyxy_px[..., 2:] - boxes_xyxy_px[..., :2]
    moved: Array = boxes_xyxy_px + TIGHT_TO_HAND_DRAWN * np.concatenate([size, size], -1)
    return moved.astype(np.float32)


def tight_box_from_detection(boxes_xyxy_px: Array) -> Array:
    """Turn detected boxes (..., 4) into likely tight boxes of 68 landmarks (brows to chin)."""
    moves = TIGHT_TO_HAND_DRAWN
    grown = 1 + moves[2:] - moves[:2]
    size = (boxes_xyxy_px[..., 2:] - boxes_xyxy_px[..., :2]) / grown
    moved: Array = boxes_xyxy_px - moves * np.concatenate([size, size], -1)
    return moved.astype(np.float32)


class FaceDetector:
    """The shipped detector, or the one whose .onnx and .json are given.

    Buffers are kept between calls, so that one instance belongs to one thread. Raises
    WeightsError where the weights are missing or are not those their spec names.
    """

    colour = False

    def __init__(self, weights: Path | None = None, *, threads: int = 1) -> None:
        self.model = load_model("detector" if weights is None else weights, threads)
        self.default_score = float(self.model.spec["default_min_score"])
        self._strides = tuple(int(s) for s in self.model.spec["strides"])
        self._canvas = np.zeros((1, 1, MULTIPLE, MULTIPLE), np.float32)
        self._cells = _grid(MULTIPLE, MULTIPLE, self._strides)

    def detect(
        self,
        luma: NDArray[np.uint8],
        *,
        long_side: int = 320,
        min_score: float | None = None,
        max_faces: int = 50,
    ) -> Detections:
        """Find the faces of a luma picture (H, W) uint8 scaled to `long_side` px.

        `min_score` defaults to the threshold of the spec. Boxes end at the picture's border.
        Raises ValueError for an empty picture, one that is not (H, W) uint8, or a side below 1.
        """
        check_luma(luma)
        if long_side < 1:
            raise ValueError(f"long_side must be at least 1 px, not {long_side}")
        limit = self.default_score if min_score is None else min_score
        inverse = self._fill(luma, long_side)
        (rows,) = self.model.session.run(None, {self.model.input_name: self._canvas})
        rows = rows[0]
        if not (rows[:, 0] > _logit(limit)).any():
            return _NONE
        picked = np.flatnonzero(rows[:, 0] > _logit(min(limit, LOWEST)))
        most = max(MIN_CANDIDATES, 4 * max_faces)
        if len(picked) > most:
            picked = picked[np.argpartition(-rows[picked, 0], most)[:most]]
        picked = picked[np.argsort(-rows[picked, 0], kind="stable")]
        boxes, keypoints = decode(rows[picked], self._cells[picked])
        scores = 1 / (1 + np.exp(-rows[picked, 0]))
        boxes, scores, kept = merge(boxes, scores, max_faces, limit)
        height, width = luma.shape
        edge = np.array([width, height], np.float32)
        boxes = to_picture(boxes.reshape(-1, 2, 2), inverse).clip(0, edge)
        points = to_picture(keypoints[kept], inverse)
        return Detections(boxes.reshape(-1, 4), scores, points)

    def _fill(self, luma: NDArray[np.uint8], long_side: int) -> tuple[float, float]:
        """Put the scaled picture into the network's input; return picture px per canvas px."""
        height, width = luma.shape
        scale = long_side / max(height, width)
        h, w = max(1, round(height * scale)), max(1, round(width * scale))
        shape = (1, 1, -(-h // MULTIPLE) * MULTIPLE, -(-w // MULTIPLE) * MULTIPLE)
        if self._canvas.shape != shape:
            self._canvas = np.zeros(shape, np.float32)
            self._cells = _grid(*shape[2:], self._strides)
        canvas = self._canvas[0, 0]
        canvas[:h, :w] = resized(luma, w, h)
        canvas[h:] = 0
        canvas[:h, w:] = 0
        return width / w, height / h


def check_luma(luma: NDArray[np.uint8]) -> None:
    """Raise ValueError, saying what to pass, unless this is a non-empty (H, W) uint8 array."""
    if luma.ndim != 2 or luma.dtype != np.uint8:
        raise ValueError(
            f"expected one luma plane (H, W) uint8, got {luma.dtype} {luma.shape};"
            " convert colour pictures first (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))"
        )
    if not luma.size:
        raise ValueError(f"cannot look for faces in an empty picture {luma.shape}")


def resized(luma: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale luma (H, W) to (height, width), averaging where it shrinks much.

    Halving, as often as it goes without remainder, is seven times faster than one large step.
    """
    while not (luma.shape[0] % 2 or luma.shape[1] % 2):
        half = (luma.shape[1] // 2, luma.shape[0] // 2)
        if half[0] < width or half[1] < height:
            break
        luma = np.asarray(cv2.resize(luma, half, interpolation=cv2.INTER_AREA), np.uint8)
    method = cv2.INTER_AREA if luma.shape[1] * MILD_SCALE > width else cv2.INTER_LINEAR
    if luma.shape == (height, width):
        return luma
    return np.asarray(cv2.resize(luma, (width, height), interpolation=method), np.uint8)


def decode(rows: Array, cells: Array) -> tuple[Array, Array]:
    """Return boxes (N, 4) and key points (N, 5, 2) in canvas px of network rows (N, 15).

    A row holds the score logit, the box centre's offset from the cell and the logarithm of its
    size, both in strides, and key points in half boxes from the box centre.
    """
    centre = cells[:, :2] + rows[:, 1:3] * cells[:, 2:]
    size = np.exp(np.clip(rows[:, 3:5], -MAX_LOG_SIZE, MAX_LOG_SIZE))
    half = np.asarray(size * cells[:, 2:] / 2, np.float32)
    points = centre[:, None] + rows[:, 5:].reshape(-1, 5, 2) * half[:, None]
    boxes = np.concatenate([centre - half, centre + half], 1)
    return boxes, np.asarray(points, np.float32)


def merge(
    boxes: Array, scores: Array, max_faces: int, min_score: float
) -> tuple[Array, Array, NDArray[np.intp]]:
    """Suppress weaker boxes of a face; return boxes (M, 4), scores (M,) and rows, best first.

    `scores` fall. Each box left is the score-weighted mean of those that overlap it by MERGE_IOU or
    more. Half of its score is its own, half the mean of the WITNESSES best that overlap it by
    WITNESS_IOU: many cells agree on a face, few on what only resembles one. Boxes that score less
    than `min_score` then are dropped.
    """
    able = int(np.count_nonzero(scores >= min_score))
    corner_size = np.concatenate([boxes[:able, :2], boxes[:able, 2:] - boxes[:able, :2]], 1)
    kept = cv2.dnn.NMSBoxes(corner_size.tolist(), scores[:able].tolist(), 0.0, NMS_IOU)
    rows = np.asarray(kept, np.intp).reshape(-1)
    shared = _pairwise_iou(boxes[rows], boxes)
    witnesses = np.where(shared >= WITNESS_IOU, scores, 0)
    if witnesses.shape[1] > WITNESSES:
        witnesses = -np.partition(-witnesses, WITNESSES, axis=1)[:, :WITNESSES]
    final = np.asarray(0.5 * scores[rows] + 0.5 / WITNESSES * witnesses.sum(1), np.float32)
    weights = np.where(shared >= MERGE_IOU, scores, 0)
    weights /= weights.sum(1, keepdims=True)
    means = np.asarray(weights @ boxes, np.float32)
    order = np.argsort(-final, kind="stable")
    order = order[final[order] >= min_score][:max_faces]
    return means[order], final[order], rows[order]


def to_picture(points: Array, scale: tuple[float, float]) -> Array:
    """Move points (..., 2) from canvas to picture px, pixel centres at whole numbers."""
    factor = np.array(scale, np.float32)
    return np.asarray(points * factor + (factor - 1) / 2, np.float32)


def _pairwise_iou(a: Array, b: Array) -> Array:
    """Return IoU (N, M) of boxes (N, 4) and (M, 4)."""
    ax0, ay0, ax1, ay1 = a.T[:, :, None]
    bx0, by0, bx1, by1 = b.T[:, None]
    width = np.minimum(ax1, bx1) - np.maximum(ax0, bx0)
    height = np.minimum(ay1, by1) - np.maximum(ay0, by0)
    inter = np.maximum(width, 0) * np.maximum(height, 0)
    area = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0)
    return np.asarray(inter / (area - inter), np.float32)


def _grid(height: int, width: int, strides: tuple[int, ...]) -> Array:
    """Return (A, 3): cell centre x, y in px and stride, in the order of the network's rows."""
    parts = []
    for s in strides:
        y, x = np.mgrid[: height // s, : width // s]
        parts.append(
            np.stack([(x + 0.5) * s, (y + 0.5) * s, np.full(x.shape, s)], -1).reshape(-1, 3)
        )
    return np.concatenate(parts).astype(np.float32)


def _logit(share: float) -> float:
    clipped = min(max(share, 1e-6), 1 - 1e-6)
    return float(np.log(clipped / (1 - clipped)))


_NONE = Detections(*(np.zeros(shape, np.float32) for shape in ((0, 4), (0,), (0, 5, 2))))
