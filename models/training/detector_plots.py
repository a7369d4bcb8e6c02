"""Pictures of a detector's evaluation: precision over recall, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .detector_metrics import Picture, assign, box_sizes, curve
from .landmark_formats import read_bgr
from .sheets import FOUND_BGR, TRUTH_BGR, label, write_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
TILE, COLUMNS, ROWS = 160, 8, 4
SURROUNDINGS = 2.6  # side of a tile in longer sides of its box
IOU = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """A face missed or a false alarm: the box in question, px at the long side, and its score."""

    name: str
    box: F32
    score: float


def precision_recall(pictures: Sequence[Picture], score: float, path: Path) -> None:
    """Draw precision over recall at IoU 0.4 and 0.5 as a picture file; mark the usual score."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for iou_limit, colour in ((0.4, "tab:blue"), (0.5, "tab:orange")):
        found = curve(pictures, iou_limit)
        name = f"IoU {iou_limit}: AP {found.average_precision:.3f}"
        axes.plot(found.recall, found.precision, color=colour, label=name)
        last = int((found.scores >= score).sum()) - 1
        if last >= 0:
            axes.plot(found.recall[last], found.precision[last], "o", color=colour)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1.02),
        xlabel="recall",
        ylabel="precision",
        title=f"{len(pictures)} pictures, {found.n} faces; dots: score {score:.2f}",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.savefig(path)


def mistakes(pictures: Mapping[str, Picture], score: float) -> tuple[list[Mistake], list[Mistake]]:
    """Return the faces missed at this score, the lowest first, and all false alarms, the highest
    first; by IoU 0.4.
    """
    misses, alarms = [], []
    for name, picture in pictures.items():
        face, judged = assign(picture, IOU)
        best = np.zeros(len(picture.truth))
        best[face[face >= 0]] = picture.scores[face >= 0]
        for row in np.flatnonzero(picture.counted & (best < score)):
            misses.append(Mistake(name, picture.truth[row], float(best[row])))
        for row in np.flatnonzero(judged & (face < 0)):
            alarms.append(Mistake(name, picture.found[row], float(picture.scores[row])))
    misses.sort(key=lambda mistake: mistake.score)
    alarms.sort(key=lambda mistake: -mistake.score)
    return misses, alarms


def contact_sheet(
    pictures: Mapping[str, Picture], folder: Path, long_side: int, score: float, path: Path
) -> None:
    """Draw faces missed at `score`, then the false alarms of the highest scores.

    True boxes are green, found ones red; the number is the best score at the place in question.
    Raises OSError where the file cannot be written.
    """
    misses, alarms = mistakes(pictures, score)
    above = sum(alarm.score >= score for alarm in alarms)
    chosen = (
        (f"missed at score {score:.2f}: {len(misses)}; true boxes green, found ones red", misses),
        (f"false alarms, the highest first: {above} at that score", alarms),
    )
    parts = [
        (text, [_tile(m, pictures[m.name], folder, long_side) for m in some[: ROWS * COLUMNS]])
        for text, some in chosen
    ]
    write_sheet(parts, TILE, COLUMNS, path)


def _tile(mistake: Mistake, picture: Picture, folder: Path, long_side: int) -> U8:
    """Cut the surroundings of a mistake and mark true and sure boxes on it."""
    full = read_bgr(folder / mistake.name)
    scale = max(full.shape[:2]) / long_side
    low, high = mistake.box[:2] * scale, mistake.box[2:] * scale
    zoom = TILE / (SURROUNDINGS * max(float((high - low).max()), 1.0))
    offset = TILE / 2 - zoom * (low + high) / 2
    matrix = np.array([[zoom, 0, offset[0]], [0, zoom, offset[1]]])
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    tile = np.asarray(cv2.warpAffine(full, matrix, (TILE, TILE), flags=method), np.uint8)
    sure = picture.found[picture.scores >= min(0.3, mistake.score)]
    for boxes, colour in ((sure, FOUND_BGR), (picture.truth, TRUTH_BGR)):
        for x0, y0, x1, y1 in (boxes * scale * zoom + np.tile(offset, 2)).round().astype(int):
            cv2.rectangle(tile, (int(x0), int(y0)), (int(x1), int(y1)), colour, 1)
    text = f"{mistake.score:.2f}, {float(box_sizes(mistake.box[None])[0]):.0f} px"
    label(tile, text, (5, 15), 0.42)
    return tile
