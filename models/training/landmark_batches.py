"""What a training of the landmark network sees when: phases, shares of the sources, batches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .landmark_augment import Augmenter
from .landmark_cache import FACE, LANDMARKS, NEGATIVE, FaceCache
from .landmark_loss import Batch
from .landmark_network import COARSE_HEAD, COARSE_WIDTHS, FINE_HEAD, FINE_WIDTHS, SCHEMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from .landmark_network import Widths

SAMPLING = {
    "helen68": 3.0,
    "helen194_extra": 2.5,
    "afw68": 3.0,
    "ytf68": 0.2,
    "render": 0.4,
    "facedet": 0.5,
}
TRUST = {"helen194_extra": 0.7, "ytf68": 0.5}
TAUGHT_TRUST = 0.4
FACE_SHARE, NEGATIVE_SHARE = 0.04, 0.10


@dataclass(frozen=True, slots=True)
class Phase:
    """What holds up to the share `until` of a run.

    Crops have `size` px at most; `strength` is how often they are spoilt.
    """

    until: float
    size: float
    strength: float
    sampling: Mapping[str, float]


# Nothing in the network depends on the size, and small is faster: the full size comes later.
# The video frames' points lie a little differently, so the sharper photos end the run.
PHASES = (
    Phase(0.2, 128, 1.0, SAMPLING),
    Phase(0.52, 160, 0.9, SAMPLING),
    Phase(0.8, math.inf, 0.8, SAMPLING),
    Phase(math.inf, math.inf, 0.5, SAMPLING | {"ytf68": 0.08, "facedet": 0.3, "render": 0.3}),
)


def phase_at(progress: float) -> Phase:
    """Return what holds at a share of a run."""
    return next(phase for phase in PHASES if progress < phase.until)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is made with.

    `minutes` is the most it takes; it ends after `patience` checks in a row, one every
    `check_every_s`, that found no smaller error on the faces set aside. `seed` fixes the first
    weights and the random pictures. `jitter` holds the shares of crops that stray little, as those
    that follow a face do, and far, as a detector's may; a `rough` network is for a detector's crops
    alone, and labels no faces for itself.
    """

    minutes: float = 110.0
    size: int = 192
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.02
    average: float = 0.999
    seed: int = 0
    widths: Widths = FINE_WIDTHS
    head: int = FINE_HEAD
    jitter: tuple[float, float] = (0.7, 0.05)
    rough: bool = False
    patience: int = 10
    save_every_s: float = 180.0
    check_every_s: float = 480.0

    def size_at(self, progress: float) -> int:
        """Return the side of the training crops at a share of the run."""
        return int(min(self.size, phase_at(progress).size))


COARSE = Settings(
    minutes=20,
    size=96,
    average=0.998,
    widths=COARSE_WIDTHS,
    head=COARSE_HEAD,
    jitter=(0.05, 0.25),
    rough=True,
)


def draw_batches(
    faces: FaceCache,
    trust: Mapping[str, NDArray[np.float32]],
    settings: Settings,
    seed: int,
    progress: Callable[[], float],
) -> Iterator[Batch]:
    """Yield random training batches for ever; near the end they are spoilt less often."""
    rng = np.random.default_rng(seed)
    augmenter = Augmenter(faces, settings.size, rng, jitter=settings.jitter)
    shares = {phase.until: sampling(faces, phase.sampling) for phase in PHASES}
    while True:
        phase = phase_at(progress())
        augmenter.strength = phase.strength
        augmenter.size = settings.size_at(progress())
        rows = rng.choice(len(faces.names), settings.batch, p=shares[phase.until])
        examples = [augmenter.draw(int(row)) for row in rows]
        yield Batch(
            images_tensor(np.stack([example.image for example in examples])),
            {
                key: torch.from_numpy(np.stack([example.points[key] for example in examples]))
                for key in SCHEMES
            },
            torch.tensor([example.presence for example in examples], dtype=torch.float32),
            {key: torch.from_numpy(trust[key][rows]) for key in SCHEMES},
        )


def label_trust(faces: FaceCache) -> dict[str, NDArray[np.float32]]:
    """Return per scheme how much each row's points count; those still to be found count least."""
    source = np.array([TRUST.get(name.split("/")[0], 1.0) for name in faces.names])
    labelled = {key: ~np.isnan(faces.points[key][:, -1, 0]) for key in SCHEMES}
    return {
        key: np.where(labelled[key], source, TAUGHT_TRUST).astype(np.float32) for key in SCHEMES
    }


def sampling(faces: FaceCache, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the probability of each row by its source's weight; held-out rows have none."""
    share = np.array([weights.get(name.split("/")[0], 1.0) for name in faces.names])
    share[faces.held_out] = 0.0
    for kind, part in ((FACE, FACE_SHARE), (NEGATIVE, NEGATIVE_SHARE)):
        rows = (faces.kind == kind) & ~faces.held_out
        share[faces.kind == kind] = 0.0
        share[rows] = part * share[faces.kind == LANDMARKS].sum() / max(int(rows.sum()), 1)
    return np.asarray(share / share.sum(), dtype=np.float64)


def images_tensor(images: NDArray[np.uint8]) -> Tensor:
    """Return luma crops (N, S, S) as the float batch that the network takes."""
    tensor = torch.from_numpy(images).float()[:, None]
    return tensor.contiguous(memory_format=torch.channels_last)
