"""Make training canvases: crops, mosaics, scale and rotation of pictures, pasted heads, masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .detector_light import Light
from .detector_masks import Dresser
from .detector_moves import move_boxes, move_keypoints, visible
from .detector_paste import Crowd

if TYPE_CHECKING:
    from .detector_data import Sample

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
Rect = tuple[int, int, int, int]
Trusted = tuple[float, float, float, float]
Place = tuple[float, NDArray[np.floating], NDArray[np.float64]]  # scale, and what comes where
MIN_FACE_PX = 9.0  # smaller faces are shown, but the network may say what it likes about them
MAX_FACES = 64
AT_EDGE = 0.12  # share of the pictures placed by a face whose face the edge cuts
SHARE = {"scene": 0.5, "scene68": 0.08, "portrait": 0.26, "negative": 0.12, "render": 0.04}


@dataclass(slots=True)
class Canvas:
    """A training picture with its targets; `ignored` (M, 4) are boxes that teach nothing."""

    luma: Image
    boxes: Array
    keypoints: Array
    ignored: Array


class Augmenter:
    """Draws canvases from samples; kinds of pictures are mixed by `SHARE`."""

    def __init__(self, samples: list[Sample], rng: np.random.Generator) -> None:
        self.rng = rng
        self.samples = samples
        self.half = [cv2.resize(s.luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
                     for s in samples]  # fmt: skip
        weight = np.array([2.0 if len(s.masked) and not s.masked.all() else 1.0 for s in samples])
        weight *= [s.weight for s in samples]
        kinds = np.array([s.kind for s in samples])
        for kind in set(kinds.tolist()):
            chosen = kinds == kind
            weight[chosen] *= SHARE[kind] / weight[chosen].sum()
        self.cumulative = np.cumsum(weight / weight.sum())
        self.negatives = [s.luma for s in samples if s.kind == "negative"]
        self.crowd, self.light = Crowd(samples, rng), Light(rng)
        self.dresser = Dresser(self.negatives, rng)

    def calm(self, share: float) -> None:
        """Spoil pictures, paste heads and dress faces this share of the usual times from now on."""
        self.light.spoil = self.crowd.often = self.dresser.often = share

    def canvas(self, size: int) -> Canvas:
        """Return one canvas of size x size px."""
        out = Canvas(self._background(size), *(np.zeros(s, np.float32) for s in _EMPTY))
        if self.rng.random() < 0.6:
            x, y = (int(v) for v in self.rng.uniform(0.3, 0.7, 2) * size)
            for rect in ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)):
                self._paste(out, rect)
        else:
            self._paste(out, (0, 0, size, size))
        out.boxes, out.keypoints = out.boxes[:MAX_FACES], out.keypoints[:MAX_FACES]
        self.dresser.dress(out.luma, out.boxes, out.keypoints)
        known = len(out.boxes)
        self.crowd.paste(out, MAX_FACES)
        self.dresser.dress(out.luma, out.boxes[known:], out.keypoints[known:])
        out.luma = self.light(out.luma)
        out.ignored = out.ignored[:MAX_FACES]
        return out

    def _background(self, size: int) -> Image:
        """Return a flat picture or a part of a faceless one, so that little is left empty."""
        if not self.negatives or self.rng.random() < 0.15:
            return np.full((size, size), int(self.rng.integers(0, 256)), np.uint8)
        luma = self.negatives[int(self.rng.integers(len(self.negatives)))]
        side = int(min(luma.shape) * self.rng.uniform(0.6, 1))
        y, x = (int(self.rng.integers(0, n - side + 1)) for n in luma.shape)
        part = luma[y : y + side, x : x + side]
        method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(part, (size, size), interpolation=method), np.uint8)

    def _paste(self, out: Canvas, rect: Rect) -> None:
        """Draw one sample, transformed, into the rectangle of the canvas; add its targets."""
        x0, y0, x1, y1 = rect
        index = int(np.searchsorted(self.cumulative, self.rng.random()))
        index = min(index, len(self.samples) - 1)
        sample = self.samples[index]
        matrix = self._matrix(sample, x1 - x0, y1 - y0)
        trusted = None if sample.complete else self._trusted(sample)
        source, pixels = self._source(index, matrix, trusted)
        empty = sample.kind == "negative"
        out.luma[y0:y1, x0:x1] = cv2.warpAffine(
            source,
            pixels,
            (x1 - x0, y1 - y0),
            dst=out.luma[y0:y1, x0:x1].copy(),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101 if empty else cv2.BORDER_TRANSPARENT,
        )
        self._targets(out, sample, matrix, rect, trusted)

    def _source(self, index: int, matrix: Array, trusted: Trusted | None) -> tuple[Image, Array]:
        """Return the picture to draw from, cut to its trusted part, and the matrix from its px.

        Half-size copies spare the coarse scales aliasing, as shrinking with area means would.
        """
        halved = float(np.hypot(matrix[0, 0], matrix[1, 0])) < 0.55
        source: Image = (
            np.asarray(self.half[index], np.uint8) if halved else self.samples[index].luma
        )
        pixels = matrix.copy()
        if halved:
            pixels[:, :2] *= 2
        if trusted is not None:
            left, top, right, bottom = (int(v / (2 if halved else 1)) for v in trusted)
            source = source[top:bottom, left:right]
            pixels[:, 2] += pixels[:, :2] @ np.array([left, top], float)
        return source, pixels

    def _trusted(self, sample: Sample) -> Trusted:
        """Return the part of a partly annotated picture that surely holds no other face."""
        pick = sample.boxes[int(self.rng.integers(len(sample.boxes)))]
        w, h = pick[2] - pick[0], pick[3] - pick[1]
        margin = self.rng.uniform(0.15, 0.75, 4) * [w, h, w, h]
        height, width = sample.luma.shape
        x0, y0 = max(0.0, pick[0] - margin[0]), max(0.0, pick[1] - margin[1])
        x1, y1 = min(width, pick[2] + margin[2]), min(height, pick[3] + margin[3])
        return float(x0), float(y0), float(x1), float(y1)

    def _matrix(self, sample: Sample, width: int, height: int) -> Array:
        """Draw a similarity (2, 3) from picture px to px of the rectangle."""
        at_face = len(sample.boxes) and (not sample.complete or self.rng.random() < 0.45)
        place = self._at_face if at_face else self._anywhere
        scale, anchor, spot = place(sample, width, height)
        linear = self._linear(scale)
        offset = spot - linear @ anchor
        return np.concatenate([linear, offset[:, None]], 1)

    def _at_face(self, sample: Sample, width: int, height: int) -> Place:
        """Draw a size and a place for one of the faces, at times half beyond the edge."""
        rng = self.rng
        box = sample.boxes[int(rng.integers(len(sample.boxes)))]
        face = float(np.sqrt((box[2] - box[0]) * (box[3] - box[1])))
        low, high = np.log(11.0), np.log(0.85 * min(width, height))
        wanted = float(np.exp(rng.uniform(low, max(high, low + 0.1))))
        scale = min(wanted / face, 2.5)
        room = max(0.0, 0.5 - 0.5 * face * scale / min(width, height))
        spot = (0.5 + rng.uniform(-room, room, 2)) * [width, height]
        if rng.random() < AT_EDGE:
            side, size = int(rng.integers(2)), (width, height)
            inside = rng.uniform(0.1, 0.4) * face * scale
            spot[side] = inside if rng.random() < 0.5 else size[side] - inside
        return scale, (box[:2] + box[2:]) / 2, spot

    def _anywhere(self, sample: Sample, width: int, height: int) -> Place:
        """Draw a size and a place for the picture."""
        rng, (h, w) = self.rng, sample.luma.shape
        native = 320 / max(h, w) * rng.uniform(0.65, 1.2)
        fit = max(width, height) / max(h, w)
        scale = native if rng.random() < 0.6 else fit * rng.uniform(0.8, 1.3)
        anchor = rng.uniform(0.25, 0.75, 2) * [w, h]
        return scale, anchor, np.array([width, height]) * rng.uniform(0.35, 0.65, 2)

    def _linear(self, scale: float) -> NDArray[np.float64]:
        """Draw a turn, at times a mirror image, and a little stretch (2, 2)."""
        rng = self.rng
        angle = np.deg2rad(rng.normal(0, 6) if rng.random() < 0.8 else rng.uniform(-30, 30))
        if rng.random() < 0.3:
            angle = 0.0
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        flip = -1.0 if rng.random() < 0.5 else 1.0
        linear = np.array([[c * flip, -s], [s * flip, c]])
        linear[1] *= rng.uniform(0.92, 1.08)
        return linear

    def _targets(
        self, out: Canvas, sample: Sample, matrix: Array, rect: Rect, trusted: Trusted | None
    ) -> None:
        """Add the faces that can be seen to the canvas, and the cut ones to what is ignored."""
        x0, y0, x1, y1 = rect
        limits = np.array([0, 0, x1 - x0, y1 - y0], np.float32)
        shift = np.array([x0, y0, x0, y0], np.float32)
        if len(sample.unsure):
            unsure = np.clip(move_boxes(sample.unsure, matrix), 0, np.tile(limits[2:], 2))
            out.ignored = np.concatenate([out.ignored, unsure + shift])
        if not len(sample.boxes):
            return
        boxes = move_boxes(sample.boxes, matrix)
        keypoints = move_keypoints(sample.keypoints, matrix)
        share = visible(boxes, limits)
        if trusted is not None:
            share = np.minimum(share, visible(sample.boxes, np.array(trusted, np.float32)))
        face = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
        good = (share > 0.55) & (face >= MIN_FACE_PX)
        unsure = ~good & (share > 0.08)
        boxes = np.clip(boxes, 0, np.tile(limits[2:], 2)) + shift
        keypoints = (keypoints + shift[:2]).astype(np.float32)
        out.boxes = np.concatenate([out.boxes, boxes[good]])
        out.ignored = np.concatenate([out.ignored, boxes[unsure]])
        out.keypoints = np.concatenate([out.keypoints, keypoints[good]])


_EMPTY = ((0, 4), (0, 5, 2), (0, 4))
