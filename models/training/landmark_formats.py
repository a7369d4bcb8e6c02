"""Readers of pictures and of the published annotations: `.pts`, Helen `.txt`, key point csv."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import VidfilterError
from ..topology import topology

if TYPE_CHECKING:
    from pathlib import Path

Points = NDArray[np.float32]
SCHEMES = {68: "ibug68", 194: "helen194"}
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


class AnnotationError(VidfilterError, ValueError):
    """A data file that cannot be used; the message begins with its path."""


def read_pts(path: Path, count: int = 68) -> Points:
    """Read an iBUG `.pts` file, with or without header and braces, as (count, 2) 0-based px."""
    rows = []
    for line in read_text(path).splitlines():
        parts = line.split()
        if len(parts) == 2 and not parts[0].endswith(":"):
            rows.append(_numbers(path, parts))
    return _checked(path, rows, count) - 1.0


def read_helen(path: Path, count: int = 194) -> tuple[str, Points]:
    """Read an original Helen annotation: the image name and (count, 2) 0-based px."""
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if not lines:
        raise AnnotationError(f"{path}: empty annotation")
    rows = [_numbers(path, line.split(",")) for line in lines[1:]]
    return lines[0], _checked(path, rows, count)


def read_keypoint_csv(path: Path, count: int = 68) -> list[tuple[str, Points]]:
    """Read rows `name, x0, y0, x1, ...`, most often after a header: 0-based px of that image."""
    try:
        rows = list(csv.reader(read_text(path).splitlines()))
    except csv.Error as error:
        raise AnnotationError(f"{path}: {error}") from error
    faces = []
    for number, row in enumerate(rows, 1):
        if not row or (number == 1 and not row[0].lower().endswith(tuple(PICTURES))):
            continue
        where = f"{path}, line {number}"
        values = _numbers(where, row[1:])
        if len(values) != 2 * count:
            raise AnnotationError(f"{where}: expected {count} points, found {len(values)} numbers")
        pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
        faces.append((row[0], _checked(where, pairs, count)))
    if not faces:
        raise AnnotationError(f"{path}: no annotated images")
    return faces


def check_face(where: object, points: Points, shape: tuple[int, ...] | None = None) -> None:
    """Raise AnnotationError for points (K, 2) that are no face in a picture of this shape.

    Points may lie outside of it, but not by more than its longer side.
    """
    if not topology(SCHEMES[len(points)]).interocular(points) > 0:
        raise AnnotationError(f"{where}: both outer eye corners are at the same place")
    if shape is not None:
        reach = max(shape[:2])
        edge = np.array(shape[1::-1]) + reach
        if (points < -reach).any() or (points > edge).any():
            raise AnnotationError(f"{where}: a point lies far off its picture")


def read_luma(path: Path) -> NDArray[np.uint8]:
    """Decode an image as (H, W) luma."""
    return _picture(path, cv2.IMREAD_GRAYSCALE)


def read_bgr(path: Path) -> NDArray[np.uint8]:
    """Decode an image as (H, W, 3) BGR."""
    return _picture(path, cv2.IMREAD_COLOR)


def _picture(path: Path, kind: int) -> NDArray[np.uint8]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path}: {error.strerror}") from error
    if _cut_off(data):  # what is left of it would be decoded, the rest grey
        raise AnnotationError(f"{path}: not a readable image, its end is missing")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), kind) if data else None
    if image is None:
        raise AnnotationError(f"{path}: not a readable image")
    return np.asarray(image, dtype=np.uint8)


def _cut_off(data: bytes) -> bool:
    """Return whether this is the beginning of a JPEG or PNG."""
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    if not data.startswith(b"\xff\xd8"):
        return False
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] != b"\xda":
        filled = data[place + 1 : place + 2] == b"\xff"
        place += 1 if filled else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return data.find(b"\xff\xd9", place) < 0  # which stands nowhere within the picture


def read_text(path: Path) -> str:
    """Return what a text file holds; AnnotationError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AnnotationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: no text: {error}") from error


def _numbers(path: object, parts: list[str]) -> list[float]:
    try:
        return [float(part) for part in parts]
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from error


def _checked(path: object, rows: list[list[float]], count: int) -> Points:
    if any(len(row) != 2 for row in rows):
        raise AnnotationError(f"{path}: a point has not two coordinates")
    if len(rows) != count:
        raise AnnotationError(f"{path}: expected {count} points (x, y), found {len(rows)}")
    points = np.array(rows, dtype=np.float32)
    if not np.isfinite(points).all():
        raise AnnotationError(f"{path}: a coordinate is not a finite number")
    return points
