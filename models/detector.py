"""Find faces in a luma picture: boxes, scores and five key points, in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ..pipeline.errors import WeightsError
from .detector_rows import best, chance, decode, grid, key_points, logit, merge
from .runtime import WEIGHTS, load_model

if TYPE_CHECKING:
    from pathlib import Path

    from .runtime import Model

Array = NDArray[np.float32]
MULTIPLE = 32
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
    WeightsError where the weights are missing or are not those their spec names, or of a network
    that takes something else than squares of luma.
    """

    colour = False

    def __init__(self, weights: Path | None = None, *, threads: int = 1) -> None:
        self.model = load_model("detector" if weights is None else weights, threads)
        check_input(self.model, weights or WEIGHTS / "detector.onnx")
        self.default_score = float(self.model.spec["default_min_score"])
        self._session, self._input = self.model.session, self.model.input_name
        self._strides = tuple(int(s) for s in self.model.spec["strides"])
        self._canvas = np.zeros((MULTIPLE, MULTIPLE), np.uint8)
        self._squares = squares(self._canvas)
        self._cells = grid(MULTIPLE, MULTIPLE, self._strides)

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
        scale = self._fill(luma, long_side)
        (found,) = self._session.run(None, {self._input: self._squares})
        rows: Array = found[0]
        most = max(MIN_CANDIDATES, 4 * max_faces)
        picked = best(rows[:, 0], logit(min(limit, LOWEST)), most)
        rows = rows[picked]
        if not (len(rows) and rows[0, 0] > logit(limit)):
            return _NONE
        boxes = decode(rows, self._cells[picked])
        means, scores, kept = merge(boxes, chance(rows[:, 0]), max_faces, limit)
        points = key_points(rows[kept], boxes[kept])
        edge = np.array(luma.shape[::-1] * 2, np.float32)
        means = np.minimum(np.maximum(to_picture(means, scale * 2), 0), edge)
        return Detections(means, scores, to_picture(points, scale))

    def _fill(self, luma: NDArray[np.uint8], long_side: int) -> tuple[float, float]:
        """Put the scaled picture into the network's input; return picture px per canvas px."""
        height, width = luma.shape
        scale = long_side / max(height, width)
        h, w = max(1, round(height * scale)), max(1, round(width * scale))
        shape = (-(-h // MULTIPLE) * MULTIPLE, -(-w // MULTIPLE) * MULTIPLE)
        if self._canvas.shape != shape:
            self._canvas = np.zeros(shape, np.uint8)
            self._squares = squares(self._canvas)
            self._cells = grid(*shape, self._strides)
        canvas = self._canvas
        canvas[:h, :w] = resized(luma, w, h)
        canvas[h:] = 0
        canvas[:h, w:] = 0
        squares(canvas, self._squares)
        return width / w, height / h


def check_input(model: Model, path: Path) -> None:
    """Raise WeightsError unless the network takes 2x2 squares of 8-bit luma."""
    given = model.session.get_inputs()[0]
    if given.type != "tensor(uint8)" or given.shape[3:] != [4]:
        raise WeightsError(
            f"{path} is no detector of this version: it takes {given.type} {given.shape}, not"
            " uint8 [1, H/2, W/2, 4]; train and export it anew"
        )


def check_luma(luma: NDArray[np.uint8]) -> None:
    """Raise ValueError, saying what to pass, unless this is a non-empty (H, W) uint8 array."""
    if luma.ndim != 2 or luma.dtype != np.uint8:
        raise ValueError(
            f"expected one luma plane (H, W) uint8, got {luma.dtype} {luma.shape};"
            " convert colour pictures first (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))"
        )
    if not luma.size:
        raise ValueError(f"cannot look for faces in an empty picture {luma.shape}")


def squares(luma: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Return luma (H, W) as the network takes it: (1, H/2, W/2, 4), the pixels of 2x2 squares.

    Written to `out` where that is given. `luma` is contiguous, its sides even.
    """
    height, width = luma.shape
    if out is None:
        out = np.empty((1, height // 2, width // 2, 4), np.uint8)
    pairs, rows = out.view(np.uint16)[0], luma.view(np.uint16)
    pairs[..., 0], pairs[..., 1] = rows[::2], rows[1::2]
    return out


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


def to_picture(points: Array, scale: tuple[float, ...]) -> Array:
    """Move points (..., N) from canvas to picture px by `scale` (N,), centres at whole numbers."""
    factor = np.array(scale, np.float32)
    moved: Array = points * factor
    moved += (factor - 1) * 0.5
    return moved


_NONE = Detections(*(np.zeros(shape, np.float32) for shape in ((0, 4), (0,), (0, 5, 2))))
