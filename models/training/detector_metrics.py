"""Average precision of a face detector, with faces that neither count nor hurt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Found boxes (N, 4) with scores (N,); true boxes (M, 4), those `counted` (M,) to be found.

    A detection smaller than `min_size` px on no face to be found neither counts nor hurts.
    """

    found: Array
    scores: Array
    truth: Array
    counted: NDArray[np.bool_]
    min_size: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Detections of all pictures, best first: `hits` (K,) and `scores` (K,); `n` faces counted."""

    hits: NDArray[np.bool_]
    scores: Array
    n: int
    pictures: int

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the faces found down to each detection (K,)."""
        return np.asarray(np.cumsum(self.hits) / max(1, self.n), np.float64)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of right detections down to each one (K,)."""
        return np.asarray(np.cumsum(self.hits) / np.arange(1, len(self.hits) + 1), np.float64)

    @property
    def average_precision(self) -> float:
        """Area under the precision-recall curve made monotonic (VOC 2010, all points)."""
        if not len(self.hits):
            return 0.0
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float((np.diff(self.recall, prepend=0.0) * envelope).sum())

    def recall_at(self, false_alarms_per_picture: float) -> float:
        """Return the recall where the false alarms per picture pass the given number."""
        allowed = np.cumsum(~self.hits) <= false_alarms_per_picture * self.pictures
        return float(self.recall[allowed][-1]) if allowed.any() else 0.0


def box_sizes(boxes: Array) -> Array:
    """Return the square root of the area (N,) of boxes (N, 4)."""
    size: Array = np.sqrt(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1))
    return size


def pairwise_iou(a: Array, b: Array) -> Array:
    """Return IoU (N, M) of boxes (N, 4) and (M, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(2)
    area = (a[:, 2:] - a[:, :2]).prod(1)[:, None] + (b[:, 2:] - b[:, :2]).prod(1)[None]
    iou: Array = inter / np.maximum(area - inter, 1e-6)
    return iou


def assign(picture: Picture, iou_limit: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Give every true box that counts its best detection, by score; (face, judged) per detection.

    `face` (N,) is the row of the true box, -1 for none. A detection on a face that does not count
    is not judged, nor is a small one on no face.
    """
    face = np.full(len(picture.found), -1, np.intp)
    judged = box_sizes(picture.found) >= picture.min_size
    if not len(picture.truth):
        return face, judged
    iou = pairwise_iou(picture.found, picture.truth)
    for i in np.argsort(-picture.scores, kind="stable"):
        own = np.where(picture.counted, iou[i], 0)
        best = int(own.argmax())
        if own[best] >= iou_limit:
            face[i], judged[i] = best, True
            iou[:, best] = 0
        elif (iou[i][~picture.counted] >= iou_limit).any():
            judged[i] = False
    return face, judged


def curve(pictures: Sequence[Picture], iou_limit: float) -> Curve:
    """Pool the detections of all pictures at one IoU limit."""
    hits, scores = [np.zeros(0, bool)], [np.zeros(0, np.float32)]
    for picture in pictures:
        face, judged = assign(picture, iou_limit)
        hits.append(face[judged] >= 0)
        scores.append(picture.scores[judged])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    n = sum(int(p.counted.sum()) for p in pictures)
    return Curve(np.concatenate(hits)[order], np.concatenate(scores)[order], n, len(pictures))


def only_sizes(pictures: Sequence[Picture], low: float, high: float) -> list[Picture]:
    """Let only faces of low <= size < high px count, and detections of about that size."""
    chosen = []
    for p in pictures:
        truth, found = box_sizes(p.truth), box_sizes(p.found)
        keep = (found >= low / 1.25) & (found < high * 1.25)
        counted = p.counted & (truth >= low) & (truth < high)
        chosen.append(Picture(p.found[keep], p.scores[keep], p.truth, counted, p.min_size))
    return chosen
