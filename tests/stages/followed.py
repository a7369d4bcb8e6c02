"""A world whose faces are known, with a detector and a landmark network that see it perfectly."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vidfilter.models import detector, landmarks
from vidfilter.models.crops import Crop
from vidfilter.models.pose import mean_face
from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.frame import Frame
from vidfilter.pipeline.registry import stage_class

WIDTH, HEIGHT = 640, 360
CAPS = Caps("yuv420p", WIDTH, HEIGHT, Fraction(30))
SHAPE = mean_face()[:, :2].astype(np.float32)


def at(x: float, y: float, size: float = 60.0) -> np.ndarray:
    """Points of a face whose eyes' middle is at x, y, `size` px between the outer corners."""
    return SHAPE * size + np.array((x, y), np.float32)


@dataclass
class World:
    """`faces[n]` are the points of the faces of frame n; `hidden[n]` those nobody can see.

    `looks` and `runs` count what detector and network did. `blind` are the frames where the
    detector finds nothing, `weak` those where it is unsure.
    """

    faces: list[list[np.ndarray]]
    blind: set[int] = field(default_factory=set)
    weak: set[int] = field(default_factory=set)
    scenes: list[int] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    runs: int = 0
    crops: list[Crop] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)

    def frame(self, number: int, **changes: Any) -> Frame:
        """Frame `number`; its first pixels hold the number, so that the models know it."""
        scene = self.scenes[number] if self.scenes else 0
        picture = np.random.default_rng(scene).integers(0, 255, (9, 16))
        luma = np.kron(picture, np.ones((HEIGHT // 9, WIDTH // 16))).astype(np.uint8)
        luma[0, 0], luma[0, 1] = divmod(number, 256)
        chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        tags = self.tags[number] if self.tags else {}
        planes = (luma, chroma, chroma)
        return Frame(planes, 3000 * number, Fraction(1, 90000), number, CAPS, tags=tags, **changes)

    def truth(self, luma: np.ndarray) -> list[np.ndarray]:
        return self.faces[number_of(luma)]

    def detect(self, luma: np.ndarray, min_score: float) -> detector.Detections:
        self.looks.append(number_of(luma))
        faces = [] if number_of(luma) in self.blind else self.truth(luma)
        scores = np.linspace(0.99, 0.3, 8, dtype=np.float32)[: len(faces)]
        if number_of(luma) in self.weak:
            scores = scores * np.float32(0.3)
        keep = scores >= min_score
        points = np.array(faces, np.float32).reshape(-1, 68, 2)[keep]
        tight = np.concatenate((points.min(axis=1), points.max(axis=1)), axis=1)
        groups = ([*range(36, 42)], [*range(42, 48)], [30], [48], [54])
        keys = np.stack([points[:, g].mean(axis=1) for g in groups], axis=1)
        boxes = detector.hand_drawn_from_tight(tight.astype(np.float32))
        return detector.Detections(boxes, scores[keep], keys)

    def find(self, luma: np.ndarray, crops: list[Crop]) -> landmarks.Landmarks:
        """Points of the face in the middle of each crop, or low presence."""
        self.runs += 1
        self.crops += crops
        rows = [self._seen(luma, crop) for crop in crops]
        points = np.stack([row[0] for row in rows]).astype(np.float32)
        presence = np.array([row[1] for row in rows], np.float32)
        return landmarks.Landmarks(points, presence, np.ones(points.shape[:2], np.float32))

    def _seen(self, luma: np.ndarray, crop: Crop) -> tuple[np.ndarray, float]:
        centre = np.array((crop.centre_x, crop.centre_y))
        for points in self.truth(luma):
            middle = (points.min(axis=0) + points.max(axis=0)) / 2
            near = np.abs(middle - centre).max() < 0.3 * crop.side
            if near and 0.5 < np.ptp(points[:, 1]) * 1.4 / crop.side < 1.7:
                return points, 0.97
        return SHAPE * crop.side * 0.4 + centre, 0.02


def number_of(luma: np.ndarray) -> int:
    return int(luma[0, 0]) * 256 + int(luma[0, 1])


def install(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stages see `world` through its perfect models."""

    class Detector:
        model = SimpleNamespace(sha256="perfect")
        default_score = 0.5

        def detect(
            self, luma: Any, *, long_side: int, min_score: float | None, max_faces: int
        ) -> detector.Detections:
            world.sizes.append(long_side)
            return world.detect(luma, min_score or 0.0)

    class Network(landmarks.LandmarkModel):
        def __init__(self, name: str) -> None:
            self.scheme, self.sha256 = "ibug68", name
            self._left_eye, self._right_eye = np.arange(36, 42), np.arange(42, 48)

        def run(self, luma: Any, crops: list[Crop]) -> landmarks.Landmarks:
            return world.find(luma, crops)

    monkeypatch.setattr(detector, "FaceDetector", Detector, raising=False)
    monkeypatch.setattr(landmarks, "LandmarkModel", Network)


def stages(context: Any, **params: dict[str, Any]) -> list[Any]:
    """Detect and landmarks, started."""
    made = []
    for name in ("detect", "landmarks"):
        cls = stage_class(name)
        made.append(cls(cls.Params(**params.get(name, {})), context))
        made[-1].start(CAPS)
    return made


def follow(world: World, context: Any, **params: dict[str, Any]) -> list[Frame]:
    """Run all frames of `world` through detect and landmarks."""
    detect, points = stages(context, **params)
    numbers = range(len(world.faces))
    return [points.process(detect.process(world.frame(n))) for n in numbers]


def ids(frames: list[Frame]) -> list[list[int]]:
    return [[face.track_id for face in frame.faces] for frame in frames]
