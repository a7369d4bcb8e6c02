"""Pictures of an evaluation: the cumulative error curve and the best and worst faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ..crops import Crop, transform_points
from .landmark_formats import read_bgr
from .sheets import FOUND_BGR, TRUTH_BGR, label, write_sheet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .evaluate_data import AnnotatedFace

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
TILE, COLUMNS, ROWS = 240, 6, 2
LIMIT = 0.10


def error_curve(errors: NDArray[np.floating], path: Path, title: str) -> None:
    """Draw the share of faces below each error up to 0.10, as a picture file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    ordered = np.sort(np.asarray(errors, dtype=float))
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    axes.step(np.append(0.0, ordered), np.append(0.0, share), where="post", linewidth=2)
    axes.axvline(0.08, color="grey", linestyle="--", linewidth=1)
    axes.set(
        xlim=(0, LIMIT),
        ylim=(0, 1),
        xlabel="mean point distance / distance of the outer eye corners",
        ylabel="share of faces",
        title=f"{title} (n = {len(ordered)})",
    )
    axes.grid(alpha=0.3)
    figure.savefig(path)


def contact_sheet(
    faces: Sequence[AnnotatedFace], found: F32, errors: NDArray[np.floating], path: Path
) -> None:
    """Draw the best faces, then the worst: truth in green, what was found in red."""
    order = np.argsort(errors, kind="stable")
    count = min(COLUMNS * ROWS, (len(order) + 1) // 2)
    chosen = [*order[:count], *order[::-1][:count]]
    tiles = [_tile(faces[i], found[i], float(errors[i])) for i in chosen]
    best = f"best {count} of {len(order)}: true points green, found ones red"
    parts = ((best, tiles[:count]), (f"worst {count}", tiles[count:]))
    write_sheet(parts, TILE, COLUMNS, path)


def _tile(face: AnnotatedFace, found: F32, error: float) -> U8:
    """Cut the surroundings of the truth and mark the points on it."""
    low, high = face.points_px.min(axis=0), face.points_px.max(axis=0)
    x, y = (float(v) for v in (low + high) / 2)
    matrix = Crop(x, y, 1.7 * float((high - low).max())).to_crop(TILE)
    picture = read_bgr(face.image)
    tile = np.asarray(cv2.warpAffine(picture, matrix, (TILE, TILE)), np.uint8)
    for points, colour in ((face.points_px, TRUTH_BGR), (found, FOUND_BGR)):
        for a, b in transform_points(matrix, points) if np.isfinite(points).all() else ():
            centre = (round(float(a) * 16), round(float(b) * 16))
            cv2.circle(tile, centre, 22, colour, -1, cv2.LINE_AA, shift=4)
    text = f"{100 * error:.2f} %" if np.isfinite(found).all() else "not found"
    label(tile, text, (6, 18), 0.5)
    label(tile, face.name[-34:], (6, TILE - 8), 0.34)
    return tile
