"""Readers of pictures and of the published annotations: `.pts`, Helen `.txt`, key point csv."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import VidfilterError
from ..topology import topology

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Points = NDArray[np.float32]
SCHEMES = {68: "ibug68", 194: "helen194"}
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})


class AnnotationError(VidfilterError, ValueError):
    """A data file that cannot be used; the message begins with its path."""


def read_pts(path: Path, count: int = 68) -> Points:
    """Read an iBUG `.pts` file, with or without header and braces, as (count, 2) 0-based px."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        parts = line.split()
        if len(parts) == 2 and not parts[0].endswith(":"):
            rows.append(_numbers(f"{path}, line {number}", parts))
    return _points(path, rows, count) - 1.0


def read_helen(path: Path, count: int = 194) -> tuple[str, Points]:
    """Read an original Helen annotation: the image name and (count, 2) 0-based px."""
    lines = enumerate(read_text(path).splitlines(), 1)
    named = [(number, line.strip()) for number, line in lines if line.strip()]
    if not named:
        raise AnnotationError(f"{path}: empty annotation")
    rows = [_numbers(f"{path}, line {number}", line.split(",")) for number, line in named[1:]]
    return named[0][1], _points(path, rows, count)


def read_keypoint_csv(path: Path, count: int = 68) -> list[tuple[str, Points]]:
    """Read rows `name, x0, y0, x1, ...`, most often after a header: 0-based px of that image."""
    faces, seen = [], dict[tuple[str, ...], int]()
    for number, row in csv_rows(path):
        if number == 1 and not row[0].lower().endswith(tuple(PICTURES)):
            continue
        where = f"{path}, line {number}"
        values = _numbers(where, row[1:])
        if len(values) != 2 * count:
            raise AnnotationError(f"{where}: expected {count} points, found {len(values)} numbers")
        refuse_repeated(where, tuple(row), number, seen)
        pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
        faces.append((row[0], _points(where, pairs, count)))
    if not faces:
        raise AnnotationError(f"{path}: no annotated images")
    return faces


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row of a csv that says something, with its line's number; cells without spaces."""
    reader = csv.reader(read_text(path).splitlines(), skipinitialspace=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise AnnotationError(f"{path}: {error}") from error


def refuse_repeated(
    where: str, row: tuple[str, ...], number: int, seen: dict[tuple[str, ...], int]
) -> None:
    """Raise AnnotationError where a row says word for word what one in `seen` said; note it."""
    if row in seen:
        raise AnnotationError(f"{where}: repeats line {seen[row]}")
    seen[row] = number


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


def _numbers(where: str, parts: list[str]) -> list[float]:
    try:
        values = [float(part) for part in parts]
    except ValueError as error:
        raise AnnotationError(f"{where}: {error}") from error
    if not all(map(math.isfinite, values)):
        raise AnnotationError(f"{where}: a coordinate is not a finite number")
    return values


def _points(where: object, rows: list[list[float]], count: int) -> Points:
    if any(len(row) != 2 for row in rows):
        raise AnnotationError(f"{where}: a point has not two coordinates")
    if len(rows) != count:
        raise AnnotationError(f"{where}: expected {count} points (x, y), found {len(rows)}")
    return np.array(rows, dtype=np.float32)
