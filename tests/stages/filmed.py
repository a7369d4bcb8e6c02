"""Pictures composed of test faces and a portrait, seen by the real detector and network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.frame import Frame
from vidfilter.pipeline.registry import stage_class
from vidfilter.stages._testface import FaceScene

WIDTH, HEIGHT, FPS = 640, 360, 30
CAPS = Caps("yuv420p", WIDTH, HEIGHT, Fraction(FPS))
_CHROMA = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)


@lru_cache(maxsize=8)
def _scene(seed: int) -> FaceScene:
    return FaceScene(300, 340, seed=seed, background="plain")


@lru_cache(maxsize=2048)
def person(seed: int, number: int) -> np.ndarray:
    """Luma (340, 300) of a talking test person at frame `number`."""
    return cv2.cvtColor(_scene(seed).render(number / FPS), cv2.COLOR_BGR2GRAY)


_Y, _X = np.mgrid[:HEIGHT, :WIDTH]
_WALL = (110 + 25 * np.sin(_X / 90) + 15 * np.cos(_Y / 70)).astype(np.uint8)


def wall() -> np.ndarray:
    """An uneven wall, luma (HEIGHT, WIDTH), to be painted on."""
    return _WALL.copy()


def paste(onto: np.ndarray, part: np.ndarray, x: int, y: int) -> np.ndarray:
    """Put `part` with its upper left corner at x, y, cut off at the picture's border."""
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + part.shape[1], onto.shape[1]), min(y + part.shape[0], onto.shape[0])
    if x1 > x0 and y1 > y0:
        onto[y0:y1, x0:x1] = part[y0 - y : y1 - y, x0 - x : x1 - x]
    return onto


def noisy(luma: np.ndarray, rng: np.random.Generator, sigma: float = 4.0) -> np.ndarray:
    """Add a camera's noise."""
    noise = rng.standard_normal(luma.shape, np.float32) * sigma
    return np.clip(luma + noise, 0, 255).astype(np.uint8)


def frames(pictures: Iterable[np.ndarray], fps: int = FPS) -> Iterator[Frame]:
    """Yield luma pictures (HEIGHT, WIDTH) as grey frames."""
    for number, luma in enumerate(pictures):
        planes = (luma, _CHROMA, _CHROMA)
        yield Frame(planes, number, Fraction(1, fps), number, CAPS)


def follow(
    pictures: Iterable[np.ndarray], context: Any, fps: int = FPS, **params: Any
) -> list[Frame]:
    """Run pictures through detect and landmarks."""
    stages = []
    for name in ("detect", "landmarks"):
        cls = stage_class(name)
        stages.append(cls(cls.Params(**params.get(name, {})), context))
        stages[-1].start(CAPS)
    detect, points = stages
    return [points.process(detect.process(frame)) for frame in frames(pictures, fps)]


def middle(frame: Frame, track_id: int) -> float:
    """Return the x of a face's middle; raises StopIteration where it is not in the frame."""
    box = next(face.box_xyxy_px for face in frame.faces if face.track_id == track_id)
    return float(box[0] + box[2]) / 2


def ids(frames: list[Frame]) -> list[list[int]]:
    return [[face.track_id for face in frame.faces] for frame in frames]
