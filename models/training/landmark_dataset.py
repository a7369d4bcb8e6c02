"""Gather every annotated face as one loose upright luma crop, so that training decodes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ...pipeline import registry
from ..crops import Crop, crop_from_box, crop_from_landmarks, transform_points
from ..topology import topology
from .detector_data import read_boxes_csv
from .landmark_cache import (
    CACHE_LOOSENESS,
    CACHE_SIZE,
    FACE,
    LANDMARKS,
    NEGATIVE,
    FaceCache,
    read_cache,
    save_cache,
)
from .landmark_formats import (
    AnnotationError,
    Points,
    check_face,
    read_helen,
    read_keypoint_csv,
    read_luma,
    read_pts,
)
from .landmark_holdout import held_out, number_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RENDERS = 1200


@dataclass(slots=True)
class Sample:
    """One face or background before it enters the cache."""

    name: str
    group: str
    image: NDArray[np.uint8]
    kind: int
    roll: float = 0.0
    points: dict[str, Points] = field(default_factory=dict)


def load_or_build(data: Path, folder: Path) -> FaceCache:
    """Return the cache of `data` kept in `folder`, building it on first use."""
    path = folder / "faces.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        save_cache(path, build_cache(data))
    return read_cache(path)


def build_cache(data: Path, most: int | None = None) -> FaceCache:
    """Read every known data set under `data` into one cache; AnnotationError names a bad file.

    `most` reads only so many samples of each data set.
    """
    samples = [sample for source in SOURCES for sample in islice(source(data), most)]
    if not any(s.kind == LANDMARKS and not s.name.startswith("render/") for s in samples):
        raise AnnotationError(f"{data}: no annotated faces found")
    points = {
        scheme: np.full((len(samples), topology(scheme).points, 2), np.nan, dtype=np.float32)
        for scheme in ("ibug68", "helen194")
    }
    for row, sample in enumerate(samples):
        for scheme, values in sample.points.items():
            points[scheme][row] = values
    return FaceCache(
        np.stack([sample.image for sample in samples]),
        np.array([sample.kind for sample in samples]),
        np.array([sample.roll for sample in samples], dtype=np.float32),
        points,
        [sample.name for sample in samples],
        held_out(samples),
    )


def loose_crop(
    luma: NDArray[np.uint8], crop: Crop
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cut the surroundings of a crop; returns (320, 320) luma and the matrix that did it."""
    wide = Crop(crop.centre_x, crop.centre_y, crop.side * CACHE_LOOSENESS, crop.angle)
    matrix = wide.to_crop(CACHE_SIZE)
    shrink = min(1.0, CACHE_SIZE / wide.side)
    if shrink < 1.0:
        size = (max(1, round(luma.shape[1] * shrink)), max(1, round(luma.shape[0] * shrink)))
        scaled = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
        back = np.diag([luma.shape[1] / size[0], luma.shape[0] / size[1], 1.0])
        back[:2, 2] = (np.diag(back)[:2] - 1) / 2
        luma, warp = np.asarray(scaled, dtype=np.uint8), matrix @ back
    else:
        warp = matrix
    flags = cv2.INTER_LINEAR
    size = (CACHE_SIZE, CACHE_SIZE)
    cut = cv2.warpAffine(luma, warp, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, dtype=np.uint8), matrix


def _face(name: str, group: str, luma: NDArray[np.uint8], points: dict[str, Points]) -> Sample:
    scheme, values = next(iter(points.items()))
    check_face(name, values, luma.shape)
    regions = topology(scheme)
    crop = crop_from_landmarks(values, regions.region("eye.left"), regions.region("eye.right"))
    image, matrix = loose_crop(luma, crop)
    moved = {key: transform_points(matrix, value) for key, value in points.items()}
    return Sample(name, group, image, LANDMARKS, crop.angle, moved)


def _helen(data: Path) -> Iterator[Sample]:
    outlines = {}
    for path in sorted((data / "helen194" / "annotation").glob("*.txt")):
        name, points = read_helen(path)
        outlines[name] = points
    for path in sorted((data / "helen68" / "train").glob("*.pts")):
        points_by_scheme = {"ibug68": read_pts(path)}
        if path.stem in outlines:
            points_by_scheme["helen194"] = outlines[path.stem]
        luma = read_luma(path.with_suffix(".jpg"))
        yield _face(f"helen68/{path.stem}", f"helen/{path.stem}", luma, points_by_scheme)


def _helen_extra(data: Path) -> Iterator[Sample]:
    folder = data / "helen194_extra"
    for path in sorted((folder / "annotation").glob("*.txt")):
        name, points = read_helen(path)
        luma = read_luma(folder / "images" / f"{name}.jpg")
        yield _face(f"helen194_extra/{name}", f"helen/{name}", luma, {"helen194": points})


def _afw(data: Path) -> Iterator[Sample]:
    for path in sorted((data / "afw68").glob("*.pts")):
        scene = path.stem.rsplit("_", 1)[0]
        luma = read_luma(path.parent / f"{scene}.jpg")
        yield _face(f"afw68/{path.stem}", f"afw/{scene}", luma, {"ibug68": read_pts(path)})


def _youtube(data: Path) -> Iterator[Sample]:
    folder = data / "ytf68"
    table = folder / "train_frames_keypoints.csv"
    for name, points in read_keypoint_csv(table) if table.is_file() else ():
        stem = Path(name).stem
        luma = read_luma(folder / "train" / name)
        yield _face(f"ytf68/{stem}", f"ytf/{stem.rsplit('_', 1)[0]}", luma, {"ibug68": points})


def _boxed_faces(data: Path) -> Iterator[Sample]:
    """Yield the boxed faces of at least 24 px as faces without points, and a crop off them."""
    table = data / "facedet" / "boxes.csv"
    boxes = read_boxes_csv(table) if table.is_file() else {}
    for name, rows in boxes.items():
        faces = [row[:4] for row in rows]
        luma = read_luma(table.parent / "images" / name)
        large = [box for box in faces if min(box[2] - box[0], box[3] - box[1]) >= 24]
        for number, box in enumerate(large[:2]):
            image, _ = loose_crop(luma, crop_from_box(np.array(box)))
            yield Sample(f"facedet/{name}#{number}", f"facedet/{name}", image, FACE)
        background = _crop_off(name, luma.shape, np.array(faces).reshape(-1, 4))
        if background is not None:
            image, _ = loose_crop(luma, background)
            yield Sample(f"facedet/{name}#off", f"facedet/{name}", image, NEGATIVE)


def _crop_off(name: str, shape: tuple[int, ...], faces: NDArray[np.float64]) -> Crop | None:
    """Pick a square (loosened) that touches no box, at random but the same in every run."""
    rng = np.random.default_rng(number_of(name))
    height, width = shape[:2]
    for _ in range(40):
        side = float(rng.uniform(0.2, 0.6)) * min(height, width)
        x, y = rng.uniform(side / 2, width - side / 2), rng.uniform(side / 2, height - side / 2)
        reach = side / 2
        apart = (
            (faces[:, 0] > x + reach)
            | (faces[:, 2] < x - reach)
            | (faces[:, 1] > y + reach)
            | (faces[:, 3] < y - reach)
        )
        if apart.all():
            return Crop(float(x), float(y), side / CACHE_LOOSENESS)
    return None


def _negatives(data: Path) -> Iterator[Sample]:
    for path in sorted((data / "facedet" / "negatives").glob("*.jpg")):
        luma = read_luma(path)
        height, width = luma.shape
        side = float(min(height, width))
        middles = (side / 2, width - side / 2) if width > 1.3 * height else (width / 2,)
        for number, x in enumerate(middles):
            image, _ = loose_crop(luma, Crop(x, height / 2, side / CACHE_LOOSENESS))
            name = f"negatives/{path.stem}"
            yield Sample(f"{name}#{number}", name, image, NEGATIVE)


def _renders(data: Path) -> Iterator[Sample]:
    """Draw faces of the test source, so that it is followed too; their points are exact."""
    rng = np.random.default_rng(RENDERS)
    draw = registry.module("stages", "_testface").random_face_image
    for number in range(RENDERS):
        image, points = draw(rng, 256)
        luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        yield _face(f"render/{number}", f"render/{number}", luma, {"ibug68": points})


SOURCES = (_helen, _helen_extra, _afw, _youtube, _boxed_faces, _negatives, _renders)
