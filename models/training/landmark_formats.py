"""Readers of the published face annotation formats: `.pts`, Helen `.txt` and key point csv."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import VidfilterError

if TYPE_CHECKING:
    from pathlib import Path

Points = NDArray[np.float32]


class AnnotationError(VidfilterError, ValueError):
    """A data file that cannot be used; the message begins with its path."""


def read_pts(path: Path, count: int = 68) -> Points:
    """Read an iBUG `.pts` file, with or without header and braces, as (count, 2) 0-based px."""
    rows = []
    for line in _text(path).splitlines():
        parts = line.split()
        if len(parts) == 2 and not parts[0].endswith(":"):
            rows.append(_numbers(path, parts))
    return _checked(path, rows, count) - 1.0


def read_helen(path: Path, count: int = 194) -> tuple[str, Points]:
    """Read an original Helen annotation: the image name and (count, 2) 0-based px."""
    lines = [line.strip() for line in _text(path).splitlines() if line.strip()]
    if not lines:
        raise AnnotationError(f"{path}: empty annotation")
    rows = [_numbers(path, line.split(",")) for line in lines[1:]]
    return lines[0], _checked(path, rows, count)


def read_keypoint_csv(path: Path, count: int = 68) -> list[tuple[str, Points]]:
    """Read `name, x0, y0, x1, ...` rows after a header line; 0-based px of the named image."""
    faces = []
    for row in list(csv.reader(_text(path).splitlines()))[1:]:
        if not row:
            continue
        values = _numbers(path, row[1:])
        pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
        faces.append((row[0], _checked(path, pairs, count)))
    if not faces:
        raise AnnotationError(f"{path}: no annotated images")
    return faces


def read_luma(path: Path) -> NDArray[np.uint8]:
    """Decode an image as (H, W) luma."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise AnnotationError(f"{path}: not a readable image")
    return np.asarray(image, dtype=np.uint8)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: {error}") from error


def _numbers(path: Path, parts: list[str]) -> list[float]:
    try:
        return [float(part) for part in parts]
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from error


def _checked(path: Path, rows: list[list[float]], count: int) -> Points:
    if len(rows) != count or any(len(row) != 2 for row in rows):
        raise AnnotationError(f"{path}: expected {count} points (x, y), found {len(rows)}")
    points = np.array(rows, dtype=np.float32)
    if not np.isfinite(points).all():
        raise AnnotationError(f"{path}: a coordinate is not a finite number")
    return points
