"""Which faces are never trained on: listed by name, or whole groups without near-duplicates."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .landmark_cache import LANDMARKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .landmark_cache import FaceCache
    from .landmark_dataset import Sample

HELD_OUT_ONE_IN = 11
ASIDE_ONE_IN = 40
HASH_DISTANCE = 6
HELD_OUT_LIST = Path(__file__).with_name("heldout_landmarks.txt")


def held_out(samples: list[Sample]) -> NDArray[np.bool_]:
    """Hold out the pictures on the committed list; with other data, a fixed part of the groups."""
    listed = listed_names()
    held = np.array([sample.name.split("#")[0] in listed for sample in samples])
    if not held.any():
        return choose_held_out(samples)
    drawn = [s.name.startswith("render/") and _chosen(s.group) for s in samples]
    return np.asarray(held | np.array(drawn))


@cache
def listed_names() -> frozenset[str]:
    """Return the names, `set/picture`, on the committed list."""
    return frozenset(HELD_OUT_LIST.read_text(encoding="utf-8").split())


def set_aside(faces: FaceCache) -> NDArray[np.bool_]:
    """Mark one photo or person in forty of those to train on, to tell when to stop."""
    groups = (name.split("#")[0].rsplit("_", 1)[0] for name in faces.names)
    chosen = np.array([number_of(f"aside/{group}") % ASIDE_ONE_IN == 0 for group in groups])
    rendered = np.array([name.startswith("render/") for name in faces.names])
    return np.asarray(chosen & (faces.kind == LANDMARKS) & ~faces.held_out & ~rendered)


def choose_held_out(samples: list[Sample]) -> NDArray[np.bool_]:
    """Hold out whole groups; near-duplicate pictures of different groups join theirs first."""
    parent = {sample.group: sample.group for sample in samples}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    hashes = np.array([difference_hash(sample.image) for sample in samples])
    for i in range(len(samples)):
        near = np.count_nonzero(hashes[i + 1 :] != hashes[i], axis=1) <= HASH_DISTANCE
        for j in np.flatnonzero(near) + i + 1:
            a, b = sorted((root(samples[i].group), root(samples[j].group)))
            parent[b] = a
    return np.array([_chosen(root(sample.group)) for sample in samples])


def _chosen(group: str) -> bool:
    return number_of(group) % HELD_OUT_ONE_IN == 0


def difference_hash(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return 128 signs of horizontal and vertical differences of a small copy of the picture."""
    small = cv2.resize(image, (9, 9), interpolation=cv2.INTER_AREA).astype(np.int16)
    across = small[:8, 1:] > small[:8, :-1]
    down = small[1:, :8] > small[:-1, :8]
    return np.concatenate((across.ravel(), down.ravel()))


def number_of(text: str) -> int:
    """Return a large number that depends on the text alone, the same in every run."""
    return int.from_bytes(hashlib.sha1(text.encode()).digest()[:8], "big")
