"""Read the face data into one list of luma pictures with boxes and key points, split by duplicates.

Box convention: the hand-drawn one (hairline or upper forehead to chin, cheek to cheek). Boxes
derived from 68 landmarks are moved into it by `hand_drawn_from_tight`.
"""

from __future__ import annotations

import importlib
import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ..detector import hand_drawn_from_tight
from . import landmark_formats
from .detector_duplicates import drop_duplicates
from .detector_moves import keypoints_of_68, keypoints_of_194, tight_box, turn
from .landmark_formats import (
    AnnotationError,
    check_face,
    csv_rows,
    read_helen,
    read_keypoint_csv,
    read_pts,
    refuse_repeated,
)
from .landmark_holdout import listed_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Array = NDArray[np.float32]
Box = tuple[float, float, float, float, str]  # x0, y0, x1, y1 in px, and its label
_SIDES = ("xmin", "ymin", "xmax", "ymax")
LONG_SIDE = 384
HOLD_OUT_EVERY = 10
HELDOUT_NAMES = Path(__file__).with_name("heldout_detector.txt")
TURNED = 0.2  # of the way from eyes to mouth: the nose is off their middle as far
TURNED_WEIGHT = 3.0


@dataclass(slots=True)
class Sample:
    """One picture (H, W) uint8 luma; boxes (N, 4) px; key points (N, 5, 2) px, NaN if unknown.

    `complete` tells whether every face of the picture is boxed; where not, only the
    surroundings of its boxes may be shown to the network. `unsure` (M, 4) px are places that may
    well be faces nobody boxed: they teach nothing. More `weight`, more often shown.
    """

    name: str
    group: str
    kind: str
    luma: NDArray[np.uint8]
    boxes: Array = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    keypoints: Array = field(default_factory=lambda: np.zeros((0, 5, 2), np.float32))
    masked: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    complete: bool = True
    unsure: Array = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    weight: float = 1.0


def read_luma(path: Path, long_side: int = LONG_SIDE) -> tuple[NDArray[np.uint8], float]:
    """Return the picture as luma, shrunk to `long_side`, and the scale applied.

    Raises AnnotationError where there is none, or hardly any.
    """
    luma = landmark_formats.read_luma(path)
    scale = long_side / max(luma.shape)
    if min(luma.shape) * min(scale, 1.0) < 2:
        raise AnnotationError(f"{path}: {luma.shape[1]} x {luma.shape[0]} px show no face")
    if scale >= 1:
        return luma, 1.0
    small = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), scale


def with_landmarks(sample: Sample, faces: Iterable[tuple[Array, Array]], scale: float) -> Sample:
    """Fill in boxes and key points from (tight box, key points) pairs in unscaled px."""
    faces = list(faces)
    tight = np.stack([f[0] for f in faces]) * scale
    sample.boxes = hand_drawn_from_tight(tight)
    sample.keypoints = np.stack([f[1] for f in faces]).astype(np.float32) * np.float32(scale)
    sample.masked = np.zeros(len(faces), bool)
    sample.complete = False
    sample.weight = TURNED_WEIGHT if max(turn(k) for k in sample.keypoints) > TURNED else 1.0
    return sample


def read_boxes_csv(path: Path) -> dict[str, list[Box]]:
    """Return the boxes of each picture of a `image,xmin,ymin,xmax,ymax,label` file.

    Raises AnnotationError naming a missing column, or the line of a bad or repeated box.
    """
    rows = csv_rows(path)
    _, header = next(rows, (1, list[str]()))
    for name in ("image", *_SIDES):
        if name not in header:
            raise AnnotationError(f"{path}: no column {name!r}")
    boxes: dict[str, list[Box]] = defaultdict(list)
    seen: dict[tuple[str, ...], int] = {}
    for number, cells in rows:
        row, where = dict(zip(header, cells, strict=False)), f"{path}, line {number}"
        if not row["image"]:
            raise AnnotationError(f"{where}: names no picture")
        own = boxes[row["image"]]
        if any(row.get(side) for side in _SIDES):
            refuse_repeated(where, tuple(cells), number, seen)
            own.append(_box(where, row))
    return dict(boxes)


def _box(where: str, row: dict[str, str]) -> Box:
    try:
        x0, y0, x1, y1 = (float(row[side]) for side in _SIDES)
    except (KeyError, ValueError) as error:
        raise AnnotationError(f"{where}: not four coordinates") from error
    if not (-math.inf < x0 < x1 < math.inf and -math.inf < y0 < y1 < math.inf):
        raise AnnotationError(f"{where}: no box from {x0:g}, {y0:g} to {x1:g}, {y1:g}")
    return x0, y0, x1, y1, row.get("label") or ""


def facedet(root: Path) -> Iterator[Sample]:
    for name, rows in read_boxes_csv(root / "facedet/boxes.csv").items():
        luma, scale = read_luma(root / "facedet/images" / name)
        boxes = np.array([r[:4] for r in rows], np.float32).reshape(-1, 4) * np.float32(scale)
        keypoints = np.full((len(rows), 5, 2), np.nan, np.float32)
        masked = np.array([r[4] != "without_mask" for r in rows], bool)
        yield Sample(f"facedet/{name}", name, "scene", luma, boxes, keypoints, masked)


def negatives(root: Path) -> Iterator[Sample]:
    for path in sorted((root / "facedet/negatives").glob("*")):
        yield Sample(f"negatives/{path.name}", path.name, "negative", read_luma(path)[0])


def ibug(root: Path, folder: str, kind: str) -> Iterator[Sample]:
    """Yield the pictures of a folder of .pts files: `NAME.pts` or `NAME_K.pts` per picture."""
    pictures: dict[Path, list[Path]] = defaultdict(list)
    for file in sorted((root / folder).glob("*.pts")):
        own = file.with_suffix(".jpg")
        shared = file.with_name(f"{file.stem.rpartition('_')[0]}.jpg")
        pictures[shared if shared.is_file() and not own.is_file() else own].append(file)
    for path, files in sorted(pictures.items()):
        points = [(file, read_pts(file)) for file in files]
        yield _annotated(path, f"{folder}/{path.name}", path.stem, kind, points)


def helen194_extra(root: Path) -> Iterator[Sample]:
    """Yield Helen's further pictures; the box takes the contour, whose top is below the brows."""
    folder = root / "helen194_extra"
    for file in sorted((folder / "annotation").glob("*.txt")):
        name, points = read_helen(file)
        path = folder / "images" / f"{name}.jpg"
        name = f"helen194_extra/{path.name}"
        yield _annotated(path, name, path.stem, "portrait", [(file, points)])


def ytf(root: Path, per_person: int = 4) -> Iterator[Sample]:
    """Yield up to `per_person` frames of each person of the keypoint course set, and all where the
    face is turned to the side.
    """
    table = root / "ytf68/train_frames_keypoints.csv"
    seen: dict[str, int] = defaultdict(int)
    for name, points in read_keypoint_csv(table) if table.is_file() else ():
        person = name.rsplit("_", 1)[0]
        seen[person] += 1
        if seen[person] <= per_person or turn(keypoints_of_68(points)) > TURNED:
            path = table.parent / "train" / name
            yield _annotated(path, f"ytf68/{name}", person, "portrait", [(path, points)])


def _annotated(
    path: Path, name: str, group: str, kind: str, faces: list[tuple[Path, Array]]
) -> Sample:
    """Read a picture whose faces are known by (annotation, points in its px)."""
    luma, scale = read_luma(path)
    for file, points in faces:
        check_face(file, points * np.float32(scale), luma.shape)
    pairs = ((tight_box(p), _KEYPOINTS[len(p)](p)) for _, p in faces)
    return with_landmarks(Sample(name, group, kind, luma), pairs, scale)


_KEYPOINTS = {68: keypoints_of_68, 194: keypoints_of_194}


def renders(singles: int = 400, scenes: int = 80, seed: int = 5) -> Iterator[Sample]:
    """Yield pictures of the rendered test face, alone and in groups."""
    testface = importlib.import_module("vidfilter.stages._testface")  # not a layer below this one
    rng = np.random.default_rng(seed)
    for i in range(singles):
        picture, points = testface.random_face_image(rng, 192)
        yield _render(f"single_{i}", picture, [points])
    for i in range(scenes):
        height = int(rng.choice((180, 216, 288)))
        scene = testface.FaceScene(
            320,
            height,
            faces=1 + i % 6,
            seed=1000 + i,
            background=str(rng.choice(testface.BACKGROUNDS)),
        )
        now = float(rng.uniform(0, 20))
        yield _render(f"scene_{i}", scene.render(now), [t.landmarks_px for t in scene.truth(now)])


def _render(name: str, picture: NDArray[np.uint8], faces: list[Array]) -> Sample:
    luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
    sample = Sample(f"render/{name}", f"render_{name}", "render", luma)
    sample = with_landmarks(sample, ((tight_box(p), keypoints_of_68(p)) for p in faces), 1.0)
    sample.complete = True
    return sample


def load(root: Path, *, few: bool = False) -> list[Sample]:
    """Return every picture of the data folder once, near-duplicates dropped; or a few of each."""
    limit = 24 if few else None
    scenes = drop_duplicates([*islice(facedet(root), limit), *islice(negatives(root), limit)])
    portraits = ibug(root, "helen68/train", "portrait"), helen194_extra(root), ytf(root)
    faces = [islice(source, limit) for source in (ibug(root, "afw68", "scene68"), *portraits)]
    return [*scenes, *chain(*faces), *islice(renders(), limit)]


def split(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Return (train, held out); one group in ten, picked by a hash of its name, is held out.

    Photos of annotated landmarks that the landmark networks hold out are in neither.
    """

    def held(sample: Sample) -> bool:
        number = int.from_bytes(sample.group.encode(), "big") % 999_983
        return number % HOLD_OUT_EVERY == 3

    others = _landmarks_heldout()
    train = [s for s in samples if not held(s) and s.name.rpartition(".")[0] not in others]
    return train, [s for s in samples if held(s)]


def _landmarks_heldout() -> set[str]:
    """Return `set/photo` of what is held out of the training of landmarks."""
    names = listed_names()
    photos = (n.rpartition("_")[0] if n.startswith("afw68/") else n for n in names)
    return {photo for photo in photos if not photo.startswith(("facedet/", "negatives/"))}
