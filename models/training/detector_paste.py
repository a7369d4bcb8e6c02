"""Cut heads out of pictures and paste them onto free places of training canvases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .detector_metrics import pairwise_iou
from .detector_moves import move_boxes, move_keypoints, visible

if TYPE_CHECKING:
    from .detector_augment import Canvas
    from .detector_data import Sample

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
PATCH = 96  # px of a head's picture
MARGIN = 2.1  # its side in sides of the face
SMALLEST_PX = 26.0  # faces to cut out, root of the area
SHARES = {"scene": 0.6, "portrait": 0.3, "scene68": 0.1}
DECOYS = 0.2  # share of what is pasted that is no head, lest a seam gives a face away
PASTED = 0.35  # share of the canvases that get heads
SIZES_PX = (10.0, 60.0)
PLACES = 6  # tries to find room for a head
TOUCHED, HIDDEN = 0.02, 0.3  # share of a known face, and of a pasted one, that a head may take
SEEN = 0.6  # share of a pasted face that is on the canvas


@dataclass(slots=True)
class Head:
    """A head's picture at 96, 48 and 24 px; box (4,) and key points (5, 2) in px of the first."""

    pictures: list[Image]
    box: Array
    keypoints: Array


def cut_out(sample: Sample, row: int) -> Head | None:
    """Cut one face with its head; None where it is small, cut off, or another one is near."""
    box = sample.boxes[row]
    face = float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))
    middle, half = (box[:2] + box[2:]) / 2, MARGIN * face / 2
    around = np.concatenate([middle - 0.8 * half, middle + 0.8 * half])[None]
    others = np.concatenate([np.delete(sample.boxes, row, 0), sample.unsure])
    limits = np.array([0, 0, *sample.luma.shape[::-1]], np.float32)
    if face < SMALLEST_PX or visible(around, limits)[0] < 0.85:
        return None
    if pairwise_iou(around, others).max(initial=0.0) > 0:
        return None
    low, high = np.floor(middle - half).astype(int), np.ceil(middle + half).astype(int)
    pictures = _pyramid(_window(sample.luma, low, high))
    scale = (PATCH / (high - low)).astype(np.float32)
    moved = (box - np.tile(low, 2)) * np.tile(scale, 2)
    return Head(pictures, moved.astype(np.float32), (sample.keypoints[row] - low) * scale)


def _window(luma: Image, low: NDArray[np.int_], high: NDArray[np.int_]) -> Image:
    """Return the part from `low` to `high` (x, y) as (PATCH, PATCH); what lies outside repeats."""
    before = np.maximum(-low, 0).tolist()
    after = np.maximum(high - luma.shape[::-1], 0).tolist()
    inside = luma[max(low[1], 0) : high[1], max(low[0], 0) : high[0]]
    edges = (before[1], after[1], before[0], after[0])
    full = cv2.copyMakeBorder(inside, *edges, cv2.BORDER_REPLICATE)
    method = cv2.INTER_AREA if len(full) > PATCH else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(full, (PATCH, PATCH), interpolation=method), np.uint8)


def _pyramid(patch: Image) -> list[Image]:
    sizes = (PATCH // 2, PATCH // 4)
    smaller = (cv2.resize(patch, (n, n), interpolation=cv2.INTER_AREA) for n in sizes)
    return [patch, *(np.asarray(s, np.uint8) for s in smaller)]


def _edges() -> list[list[Image]]:
    """Return soft ovals at the three sizes, from face and hair to most of the picture."""
    ovals = []
    for across, up in ((0.27, 0.32), (0.32, 0.36), (0.36, 0.4), (0.42, 0.42)):
        oval = np.zeros((PATCH, PATCH), np.uint8)
        axes = (round(across * PATCH), round(up * PATCH))
        cv2.ellipse(oval, (PATCH // 2, round(0.49 * PATCH)), axes, 0, 0, 360, 255, -1)
        ovals.append(_pyramid(np.asarray(cv2.GaussianBlur(oval, (0, 0), 2.0), np.uint8)))
    return ovals


class Crowd:
    """Pastes heads of the given pictures, alone and in crowds.

    `often` scales how many canvases get some, 1 by default.
    """

    def __init__(self, samples: list[Sample], rng: np.random.Generator) -> None:
        self.rng, self.edges, self.often = rng, _edges(), 1.0
        self.heads: list[Head] = []
        self.textures = [s.luma for s in samples if s.kind == "negative"]
        kinds, weights = [], []
        for sample in samples:
            for row in range(len(sample.boxes) if sample.kind in SHARES else 0):
                head = cut_out(sample, row)
                if head is not None:
                    self.heads.append(head)
                    kinds.append(sample.kind)
                    weights.append(sample.weight)
        self.cumulative = np.cumsum(_mixed(np.array(kinds), np.array(weights)))

    def paste(self, canvas: Canvas, most: int) -> None:
        """Paste heads onto some canvases, at most so many faces in all; adds their targets."""
        rng = self.rng
        if not self.heads or rng.random() >= PASTED * self.often:
            return
        many = rng.random() < 0.3
        count = int(rng.integers(4, 15) if many else rng.integers(1, 4))
        known = len(canvas.boxes)
        usual = np.exp(rng.uniform(*np.log(SIZES_PX)))
        for _ in range(min(count, most - known)):
            spread = 0.2 if many else 0.8  # people of a crowd are about as far away
            size = float(np.clip(usual * np.exp(rng.normal(0, spread)), *SIZES_PX))
            self._place(canvas, known, min(size, 0.6 * len(canvas.luma)))

    def _place(self, canvas: Canvas, known: int, size: float) -> None:
        """Paste one head of this size where there is room for it."""
        index = int(np.searchsorted(self.cumulative, self.rng.random()))
        head = self.heads[min(index, len(self.heads) - 1)]
        decoy = self._decoy(head) if self.textures and self.rng.random() < DECOYS else None
        shape = self._shape(head, size)
        for _ in range(PLACES):
            spot = self.rng.uniform(0, len(canvas.luma), 2)
            matrix = np.concatenate([shape, (spot - shape @ [PATCH / 2, PATCH / 2])[:, None]], 1)
            box = move_boxes(head.box[None], matrix)
            if self._has_room(canvas, known, box):
                self._draw(canvas.luma, decoy or head, matrix)
                if decoy is not None:
                    return
                canvas.boxes = np.concatenate([canvas.boxes, _on(canvas, box)])
                points = move_keypoints(head.keypoints[None], matrix)
                canvas.keypoints = np.concatenate([canvas.keypoints, points])
                return

    def _decoy(self, head: Head) -> Head:
        """Return a part of a faceless picture, as large as the head."""
        luma = self.textures[int(self.rng.integers(len(self.textures)))]
        side = int(min(luma.shape) * self.rng.uniform(0.2, 0.8))
        low = np.array([int(self.rng.integers(0, n - side + 1)) for n in luma.shape[::-1]])
        return Head(_pyramid(_window(luma, low, low + side)), head.box, head.keypoints)

    def _shape(self, head: Head, size: float) -> Array:
        """Draw scale, squeeze, turn and mirroring (2, 2) of a head."""
        rng = self.rng
        scale = size / float(np.sqrt((head.box[2:] - head.box[:2]).prod()))
        angle = np.deg2rad(rng.normal(0, 8) if rng.random() < 0.75 else rng.uniform(-40, 40))
        cos, sin = np.cos(angle), np.sin(angle)
        across, down = scale * rng.uniform(0.85, 1.1), scale * rng.uniform(0.88, 1.1)
        if rng.random() < 0.5:
            across = -across
        return np.array([[cos * across, -sin * down], [sin * across, cos * down]], np.float32)

    def _has_room(self, canvas: Canvas, known: int, box: Array) -> bool:
        """Tell whether a head there leaves known faces alone and is mostly seen itself."""
        middle, half = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]) / 2
        head = np.concatenate([middle - 1.5 * half, middle + 1.5 * half], 1)
        limits = np.array([0, 0, *canvas.luma.shape[::-1]], np.float32)
        taken = np.concatenate([canvas.boxes[:known], canvas.ignored])
        return bool(
            visible(box, limits)[0] > SEEN
            and visible(taken, head).max(initial=0.0) <= TOUCHED
            and visible(head.repeat(len(taken), 0), taken).max(initial=0.0) <= TOUCHED
            and visible(canvas.boxes[known:], head).max(initial=0.0) <= HIDDEN
        )

    def _draw(self, luma: Image, head: Head, matrix: Array) -> None:
        """Blend the head in, its light drawn towards that of its surroundings."""
        rng, scale = self.rng, float(np.hypot(*matrix[:, 1]))
        level = 0 if scale > 0.6 else 1 if scale > 0.3 else 2
        low, high = self._reach(luma, matrix)
        target = luma[low[1] : high[1], low[0] : high[0]]
        pixels = matrix.astype(np.float32)
        pixels[:, 2] -= low
        pixels[:, :2] *= 2**level
        size = (target.shape[1], target.shape[0])
        patch = cv2.warpAffine(head.pictures[level], pixels, size, borderMode=cv2.BORDER_REPLICATE)
        oval = self.edges[int(rng.integers(len(self.edges)))][level]
        alpha = cv2.warpAffine(oval, pixels, size) * np.float32(1 / 255)
        mean = float(patch.mean())
        gain = rng.uniform(0.6, 1.25)
        shift = rng.uniform(0, 0.7) * (float(target.mean()) - mean) + rng.normal(0, 12)
        lit = np.clip((patch.astype(np.float32) - mean) * gain + (mean + shift), 0, 255)
        target[:] = target + (lit - target) * alpha

    def _reach(self, luma: Image, matrix: Array) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
        """Return the corners of what the head's picture covers of the canvas."""
        corners = np.array([[0, 0], [PATCH, 0], [0, PATCH], [PATCH, PATCH]])
        placed = corners @ matrix[:, :2].T + matrix[:, 2]
        low = np.clip(np.floor(placed.min(0)).astype(int), 0, None)
        return low, np.minimum(np.ceil(placed.max(0)).astype(int), luma.shape[::-1])


def _mixed(kinds: NDArray[np.str_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chance of each head, so that kinds of pictures are drawn by `SHARES`."""
    chances = weights.astype(float)
    for kind in set(kinds.tolist()):
        chosen = kinds == kind
        chances[chosen] *= SHARES[kind] / chances[chosen].sum()
    return np.asarray(chances / max(chances.sum(), 1e-9))


def _on(canvas: Canvas, boxes: Array) -> Array:
    """Return the boxes as far as they are on the canvas."""
    return np.clip(boxes, 0, np.tile(canvas.luma.shape[::-1], 2)).astype(np.float32)
