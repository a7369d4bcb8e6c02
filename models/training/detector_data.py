"""Read the face data into one list of luma pictures with boxes and key points, split by duplicates.

Box convention: the hand-drawn one (hairline or upper forehead to chin, cheek to cheek). Boxes
derived from 68 landmarks are moved into it by `hand_drawn_from_tight`.
"""

from __future__ import annotations

import csv
import importlib
import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ..detector import hand_drawn_from_tight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Array = NDArray[np.float32]
LONG_SIDE = 384
HASH_DISTANCE = 6  # of 64 bits; counted below this, two pictures are the same photograph
HOLD_OUT_EVERY = 10
HELDOUT_NAMES = Path(__file__).with_name("heldout_detector.txt")


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


def keypoints_of_68(points: Array) -> Array:
    """Return eye centres, nose tip and mouth corners (5, 2), left of the picture first."""
    eyes = points[36:42].mean(0), points[42:48].mean(0)
    return np.stack([*eyes, points[30], points[48], points[54]]).astype(np.float32)


def keypoints_of_194(points: Array) -> Array:
    """Return the five key points of Helen's 194: nose tip as the middle of the nose outline."""
    left, right = sorted((points[114:134], points[134:154]), key=lambda p: float(p[:, 0].mean()))
    nose, lips = points[41:58], points[58:86]
    corners = lips[[lips[:, 0].argmin(), lips[:, 0].argmax()]]
    tip = 0.5 * (nose.mean(0) + nose[nose[:, 1].argmax()])
    return np.stack([left.mean(0), right.mean(0), tip, *corners]).astype(np.float32)


def tight_box(points: Array) -> Array:
    """Return the box (4,) around the given points."""
    return np.concatenate([points.min(0), points.max(0)]).astype(np.float32)


def read_luma(path: Path, long_side: int = LONG_SIDE) -> tuple[NDArray[np.uint8], float]:
    """Return the picture as luma, shrunk to `long_side`, and the scale applied.

    Raises OSError where there is none.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    luma = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    if luma is None:
        raise OSError(f"{path}: not a readable picture")
    scale = long_side / max(luma.shape)
    if scale >= 1:
        return np.asarray(luma, np.uint8), 1.0
    small = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), scale


def read_points(path: Path) -> Array:
    """Read a .pts file, with or without header and braces; 1-based px become 0-based."""
    text = path.read_text()
    body = text.split("{", 1)[-1].split("}", 1)[0]
    pairs = re.findall(r"([-+.\deE]+)[\s,]+([-+.\deE]+)", body if "{" in text else text)
    return np.array(pairs, np.float32) - 1.0


def with_landmarks(sample: Sample, faces: Iterable[tuple[Array, Array]], scale: float) -> Sample:
    """Fill in boxes and key points from (tight box, key points) pairs in unscaled px."""
    faces = list(faces)
    tight = np.stack([f[0] for f in faces]) * scale
    sample.boxes = hand_drawn_from_tight(tight)
    sample.keypoints = np.stack([f[1] for f in faces]).astype(np.float32) * np.float32(scale)
    sample.masked = np.zeros(len(faces), bool)
    sample.complete = False
    return sample


def read_boxes_csv(path: Path) -> dict[str, list[tuple[float, float, float, float, str]]]:
    """Return the boxes of each picture of a `image,xmin,ymin,xmax,ymax,label` file.

    Raises KeyError for a missing column, ValueError naming the line of a bad coordinate.
    """
    rows: dict[str, list[tuple[float, float, float, float, str]]] = defaultdict(list)
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            boxes = rows[row["image"]]
            if not row["xmin"]:
                continue
            try:
                x0, y0, x1, y1 = (float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax"))
            except (TypeError, ValueError) as error:
                raise ValueError(f"line {number}: not four coordinates") from error
            if not (-math.inf < x0 < x1 < math.inf and -math.inf < y0 < y1 < math.inf):
                raise ValueError(f"line {number}: no box from {x0:g}, {y0:g} to {x1:g}, {y1:g}")
            boxes.append((x0, y0, x1, y1, row.get("label") or ""))
    return dict(rows)


def facedet(root: Path) -> Iterator[Sample]:
    for name, rows in read_boxes_csv(root / "facedet/boxes.csv").items():
        luma, scale = read_luma(root / "facedet/images" / name)
        boxes = np.array([r[:4] for r in rows], np.float32).reshape(-1, 4) * np.float32(scale)
        keypoints = np.full((len(rows), 5, 2), np.nan, np.float32)
        masked = np.array([r[4] != "without_mask" for r in rows], bool)
        yield Sample(f"facedet/{name}", name, "scene", luma, boxes, keypoints, masked)


def negatives(root: Path) -> Iterator[Sample]:
    for path in sorted((root / "facedet/negatives").iterdir()):
        yield Sample(f"negatives/{path.name}", path.name, "negative", read_luma(path)[0])


def ibug(root: Path, folder: str, kind: str, every: int = 1) -> Iterator[Sample]:
    """Yield the pictures of a folder of .pts files: `NAME.pts` or `NAME_K.pts` per picture."""
    for path in sorted((root / folder).glob("*.jpg"))[::every]:
        own = path.with_suffix(".pts")
        files = [own] if own.exists() else sorted(path.parent.glob(f"{path.stem}_*.pts"))
        points = [read_points(f) for f in files]
        if not points:
            continue
        luma, scale = read_luma(path)
        sample = Sample(f"{folder}/{path.name}", path.stem, kind, luma)
        yield with_landmarks(sample, ((tight_box(p), keypoints_of_68(p)) for p in points), scale)


def helen194_extra(root: Path) -> Iterator[Sample]:
    """Yield Helen's further pictures; the box takes the contour, whose top is below the brows."""
    folder = root / "helen194_extra"
    for file in sorted((folder / "annotation").glob("*.txt")):
        name, *lines = file.read_text().splitlines()
        points = np.array([s.split(",") for s in lines if "," in s], np.float32)
        path = folder / "images" / f"{name.strip()}.jpg"
        luma, scale = read_luma(path)
        sample = Sample(f"helen194_extra/{path.name}", path.stem, "portrait", luma)
        yield with_landmarks(sample, [(tight_box(points), keypoints_of_194(points))], scale)


def ytf(root: Path, per_person: int = 4) -> Iterator[Sample]:
    """Yield up to `per_person` frames of each person of the keypoint course set."""
    folder = root / "ytf68"
    seen: dict[str, int] = defaultdict(int)
    table = next(folder.glob("train*.csv"), None)
    if table is None:
        return
    with table.open(newline="") as file:
        for row in list(csv.reader(file))[1:]:
            person = row[0].rsplit("_", 1)[0]
            seen[person] += 1
            if seen[person] > per_person:
                continue
            points = np.array(row[1:137], np.float32).reshape(68, 2)
            (path,) = folder.glob(f"train*/{row[0]}")
            luma, scale = read_luma(path)
            sample = Sample(f"ytf68/{row[0]}", person, "portrait", luma)
            yield with_landmarks(sample, [(tight_box(points), keypoints_of_68(points))], scale)


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


def perceptual_hash(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 63 bits as (8,) bytes: signs of the low DCT frequencies about their median."""
    small = cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()[1:]
    return np.packbits(low > np.median(low))


def drop_duplicates(samples: list[Sample]) -> list[Sample]:
    """Keep the first of every set of near-duplicates (also mirrored ones) of complete scenes."""
    kept: list[Sample] = []
    hashes = np.zeros((len(samples), 8), np.uint8)
    for sample in samples:
        both = [perceptual_hash(sample.luma), perceptual_hash(sample.luma[:, ::-1])]
        known = hashes[: len(kept)]
        apart = [np.unpackbits(known ^ h, axis=1).sum(1) for h in both]
        if len(kept) and min(int(a.min()) for a in apart) <= HASH_DISTANCE:
            continue
        hashes[len(kept)] = both[0]
        kept.append(sample)
    return kept


def load(root: Path, *, few: bool = False) -> list[Sample]:
    """Return every picture of the data folder once, near-duplicates dropped; or a few of each."""
    limit = 24 if few else None
    scenes = drop_duplicates([*islice(facedet(root), limit), *islice(negatives(root), limit)])
    portraits = ibug(root, "helen68/train", "portrait"), helen194_extra(root), ytf(root)
    faces = [islice(source, limit) for source in (ibug(root, "afw68", "scene68"), *portraits)]
    return [*scenes, *chain(*faces), *islice(renders(), limit)]


def split(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Return (train, held out); one group in ten, picked by a hash of its name, is held out."""

    def held(sample: Sample) -> bool:
        number = int.from_bytes(sample.group.encode(), "big") % 999_983
        return number % HOLD_OUT_EVERY == 3

    return [s for s in samples if not held(s)], [s for s in samples if held(s)]
