"""Turn pictures and their annotations into `.npy` arrays: resized crops and coordinates."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import ConfigError
from ..colour_crops import cut_rgb
from ..crops import SIDE_PER_EXTENT, Crop, transform_points
from ..landmarks import cut
from .evaluate_data import find_faces, is_held_out
from .evaluate_landmarks import ROTATION_DEG, jittered_crop
from .landmark_formats import AnnotationError, check_face, read_bgr
from .whole_files import new_array, whole_file, write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .evaluate_data import AnnotatedFace

    # Cuts a crop of (BGR picture, face, its side, generator).
    Draw = Callable[
        [NDArray[np.uint8], AnnotatedFace, int, np.random.Generator],
        tuple[NDArray[np.uint8], NDArray[np.float32]],
    ]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
RESIZED_PX, CROPPED_PX = 256, 224
BRIGHTNESS, CONTRAST, SATURATION = 0.3, 0.3, 0.3
VALIDATION_ONE_IN, HELD_OUT_ONE_IN = 10, 11


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """RGB crops (N, S, S, 3) uint8, on disk, and their points (N, K, 2) in crop px."""

    images: U8
    points: F32


@dataclass(frozen=True, slots=True)
class Split:
    """Faces to train on, to stop early by, and those never trained on."""

    train: list[AnnotatedFace]
    validation: list[AnnotatedFace]
    held_out: list[AnnotatedFace]


def faces_of(data: Path, points: int, layout: str | None = None) -> list[AnnotatedFace]:
    """Return the recipe's annotated faces in `data`: Helen's `.txt`, or the csv of 68 points.

    Of several csv those called `train...` count: a published test split of other frames of the
    same people is no further training data. `layout` pts asks for photos with 68 points instead.
    """
    if points == 194 or layout is not None:
        return find_faces(data, points, layouts=(layout or "txt",))
    faces = find_faces(data, 68, layouts=("csv",))
    trained = [face for face in faces if _table(face).startswith("train")]
    return trained or faces


def _table(face: AnnotatedFace) -> str:
    """Return the csv's name, which comes before the picture's in the name of its faces."""
    return face.name.rpartition("/")[0].rpartition("/")[2]


def split(faces: list[AnnotatedFace], seed: int, limit: int | None) -> Split:
    """Split by picture (Helen) or person (csv); the committed list of held-out names decides.

    With data of which none is on that list, one group in eleven is held out. `limit` keeps so
    many faces to train on, and a quarter as many held out.
    """
    listed = [is_held_out(face) for face in faces]
    if not any(listed):
        listed = [_number(_group(face), "held out") % HELD_OUT_ONE_IN == 0 for face in faces]
    known = {_group(face) for face, held in zip(faces, listed, strict=True) if held}
    rest = [face for face in faces if _group(face) not in known]
    checked = [_number(_group(face), "validation") % VALIDATION_ONE_IN == 0 for face in rest]
    parts = (
        [face for face, check in zip(rest, checked, strict=True) if not check],
        [face for face, check in zip(rest, checked, strict=True) if check],
        [face for face, held in zip(faces, listed, strict=True) if held],
    )
    limits = (None,) * 3 if limit is None else (limit, max(limit // 8, 2), max(limit // 4, 2))
    rng = np.random.default_rng(seed)
    chosen = [
        part if most is None or most >= len(part) else [part[i] for i in _draw(rng, part, most)]
        for part, most in zip(parts, limits, strict=True)
    ]
    if not all(chosen):
        raise AnnotationError(f"{len(faces)} faces are too few to train on and to judge by")
    return Split(*chosen)


def _draw(rng: np.random.Generator, part: list[AnnotatedFace], most: int) -> list[int]:
    return sorted(rng.permutation(len(part))[:most].tolist())


def _group(face: AnnotatedFace) -> str:
    stem = face.image.stem
    return stem.rpartition("_")[0] or stem if len(face.points_px) == 68 else stem


def _number(text: str, purpose: str) -> int:
    return int.from_bytes(hashlib.sha1(f"{purpose}:{text}".encode()).digest()[:8], "big")


# Crops


def training_crop(
    recipe: str, bgr: U8, face: AnnotatedFace, size: int, rng: np.random.Generator
) -> tuple[U8, F32]:
    """Cut one jittered crop, (S, S, 3) RGB, and move the points (K, 2) into it."""
    if recipe == "facenet194":
        return cut_face(bgr, jittered_crop(face.points_px, rng), size, face.points_px)
    rgb, points = cut_face(bgr, _turned(face.points_px, rng), RESIZED_PX, face.points_px)
    x, y = rng.integers(0, RESIZED_PX - CROPPED_PX + 1, 2)
    rgb = jitter_colour(rgb[y : y + CROPPED_PX, x : x + CROPPED_PX], rng)
    moved = points - np.array((x, y), np.float32)
    if size != CROPPED_PX:
        rgb = np.asarray(cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        moved = (moved + 0.5) * np.float32(size / CROPPED_PX) - np.float32(0.5)
    return rgb, moved


def held_out_crop(
    bgr: U8, face: AnnotatedFace, size: int, rng: np.random.Generator
) -> tuple[U8, F32]:
    """Cut the crop of the crop protocol."""
    return cut_face(bgr, jittered_crop(face.points_px, rng), size, face.points_px)


def cut_face(bgr: U8, crop: Crop, size: int, points_px: F32) -> tuple[U8, F32]:
    """Return the crop as (S, S, 3) RGB and the points in its px."""
    rgb = cut_rgb(bgr, crop, size, cut).transpose(1, 2, 0)
    moved = transform_points(crop.to_crop(size), points_px)
    return np.ascontiguousarray(rgb.round().astype(np.uint8)), moved


def _turned(points_px: F32, rng: np.random.Generator) -> Crop:
    """Return the turned square whose random crop has the side that the runtime uses."""
    low, high = points_px.min(axis=0), points_px.max(axis=0)
    x, y = (float(v) for v in (low + high) / 2)
    side = SIDE_PER_EXTENT * RESIZED_PX / CROPPED_PX * float((high - low).max())
    return Crop(x, y, side, float(np.radians(rng.uniform(-ROTATION_DEG, ROTATION_DEG))))


def jitter_colour(rgb: U8, rng: np.random.Generator) -> U8:
    """Change brightness, contrast and saturation of (H, W, 3) at random."""
    picture: F32 = rgb.astype(np.float32) * np.float32(1 + rng.uniform(-BRIGHTNESS, BRIGHTNESS))
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + (picture - grey) * np.float32(1 + rng.uniform(-SATURATION, SATURATION))
    middle = np.float32(grey.mean())
    picture = middle + (picture - middle) * np.float32(1 + rng.uniform(-CONTRAST, CONTRAST))
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


# Arrays on disk


def prepare(
    folder: Path,
    name: str,
    faces: list[AnnotatedFace],
    size: int,
    seed: int,
    variants: int = 1,
    draw: Draw | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> Arrays:
    """Write `NAME.images.npy` and `NAME.points.npy` into `folder`, or read them where they are.

    `draw` cuts the crops, `variants` of each face; None takes those of the crop protocol.
    Raises ConfigError where the folder holds arrays of other faces or settings.
    """
    wanted = [len(faces), size, seed, variants, _number("|".join(f.name for f in faces), name)]
    paths = [folder / f"{name}.{part}.npy" for part in ("images", "points")]
    note = folder / f"{name}.json"
    if note.is_file():
        if note.read_text(encoding="utf-8") != json.dumps(wanted):
            raise ConfigError(f"{note} is of another run: choose another folder")
    else:
        try:
            _write(paths, faces, size, seed, variants, draw or held_out_crop, progress)
        except BaseException:
            for path in paths:
                path.unlink(missing_ok=True)
            raise
        write_bytes(note, json.dumps(wanted).encode())
    try:
        images = np.load(paths[0], mmap_mode="r", allow_pickle=False)
        return Arrays(images, np.load(paths[1], allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{paths[0]} or {paths[1].name} is damaged: choose another") from error


def _write(
    paths: list[Path],
    faces: list[AnnotatedFace],
    size: int,
    seed: int,
    variants: int,
    draw: Draw,
    progress: Callable[[float], None],
) -> None:
    rng = np.random.default_rng(seed)
    count, points = len(faces) * variants, len(faces[0].points_px)
    images = new_array(paths[0], np.uint8, (count, size, size, 3))
    coordinates = np.empty((count, points, 2), np.float32)
    for number, face in enumerate(faces):
        bgr = read_bgr(face.image)
        check_face(face, face.points_px, bgr.shape)
        for row in range(number * variants, (number + 1) * variants):
            images[row], coordinates[row] = draw(bgr, face, size, rng)
        progress((number + 1) / len(faces))
    images.flush()
    with whole_file(paths[1]) as part, part.open("wb") as file:
        np.save(file, coordinates)
