"""The training loop of the landmark network: batches, schedule, averaging and checkpoints."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...pipeline.errors import WeightsError
from ..metrics import Summary, face_errors, summarise
from ..topology import topology
from .landmark_augment import Augmenter, protocol_crop
from .landmark_dataset import FACE, LANDMARKS, NEGATIVE, FaceCache, set_aside
from .landmark_loss import Batch, batch_loss
from .landmark_network import SCHEMES, LandmarkNet, soft_argmax
from .landmark_transfer import with_inner_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SAMPLING = {"helen68": 3.0, "helen194_extra": 2.5, "afw68": 3.0, "ytf68": 0.4, "render": 0.4}
TRUST = {"helen194_extra": 0.7, "ytf68": 0.5}
FACE_SHARE, NEGATIVE_SHARE = 0.04, 0.10
WARM_UP_STEPS = 300
SMALL_SIZE = 64


@dataclass(frozen=True, slots=True)
class Phase:
    """What holds up to the share `until` of a run; `strength` is how often crops are spoilt."""

    until: float
    small: bool
    strength: float
    sampling: Mapping[str, float]


# Nothing in the network depends on the size, and small is faster: the full size comes later.
# The video frames' points lie a little differently, so the sharper photos end the run.
PHASES = (
    Phase(0.45, True, 1.0, SAMPLING),
    Phase(0.80, False, 0.6, SAMPLING),
    Phase(math.inf, False, 0.4, SAMPLING | {"ytf68": 0.08}),
)


def phase_at(progress: float) -> Phase:
    """Return what holds at a share of a run."""
    return next(phase for phase in PHASES if progress < phase.until)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is made with.

    `minutes` is the most it takes; it ends after `patience` checks in a row, one every
    `check_every_s`, that found no smaller error on the faces set aside. `seed` fixes the first
    weights and the random pictures.
    """

    minutes: float = 110.0
    size: int = 80
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.02
    average: float = 0.999
    seed: int = 0
    patience: int = 10
    save_every_s: float = 180.0
    check_every_s: float = 480.0

    def size_at(self, progress: float) -> int:
        """Return the side of the training crops at a share of the run."""
        return min(self.size, SMALL_SIZE) if phase_at(progress).small else self.size


def draw_batches(
    faces: FaceCache, settings: Settings, seed: int, progress: Callable[[], float]
) -> Iterator[Batch]:
    """Yield random training batches for ever; near the end they are spoilt less often."""
    rng = np.random.default_rng(seed)
    augmenter = Augmenter(faces, settings.size, rng)
    shares = {phase.until: sampling(faces, phase.sampling) for phase in PHASES}
    source = [name.split("/")[0] for name in faces.names]
    trust = np.array([TRUST.get(name, 1.0) for name in source], dtype=np.float32)
    while True:
        phase = phase_at(progress())
        augmenter.strength = phase.strength
        augmenter.size = settings.size_at(progress())
        rows = rng.choice(len(trust), settings.batch, p=shares[phase.until])
        examples = [augmenter.draw(int(row)) for row in rows]
        yield Batch(
            images_tensor(np.stack([example.image for example in examples])),
            {
                key: torch.from_numpy(np.stack([example.points[key] for example in examples]))
                for key in SCHEMES
            },
            torch.tensor([example.presence for example in examples], dtype=torch.float32),
            torch.from_numpy(trust[rows]),
        )


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


def channels_last(net: LandmarkNet) -> LandmarkNet:
    """Give the weights the memory layout that trains fastest on a CPU."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class Run:
    """A resumable training run in a folder."""

    def __init__(self, folder: Path, faces: FaceCache, settings: Settings) -> None:
        self.folder, self.faces, self.settings = folder, with_inner_points(faces), settings
        self.aside = set_aside(faces)
        torch.manual_seed(settings.seed)
        self.net = channels_last(LandmarkNet())
        self.average = {key: value.clone() for key, value in self.net.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=settings.rate, weight_decay=settings.decay
        )
        self.step, self.trained_s = 0, 0.0
        self.best, self.idle = math.inf, 0

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint; WeightsError names one that cannot be used."""
        state = load_checkpoint(path)
        self.net.load_state_dict(state["net"])
        self.average = state["average"]
        if "optimiser" in state:
            self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.trained_s = state["step"], state["trained_s"]
        self.best, self.idle = state.get("best", math.inf), state.get("idle", 0)

    def save(self) -> None:
        """Write the checkpoint in one rename, so that a stop never leaves half a file."""
        state: dict[str, Any] = {
            "net": self.net.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "trained_s": self.trained_s,
            "size": self.settings.size,
            "best": self.best,
            "idle": self.idle,
        }
        part = self.folder / "last.pt.part"
        torch.save(state, part)
        part.replace(self.folder / "last.pt")

    def train(self, report: Callable[[str], None]) -> None:
        """Train until the minutes are over or nothing is gained; saves and checks on the way."""
        end_s = self.settings.minutes * 60
        seed = self.settings.seed + self.step
        seen = replace(self.faces, held_out=self.faces.held_out | self.aside)
        batches = draw_batches(seen, self.settings, seed, lambda: self.trained_s / end_s)
        saved_s = checked_s = self.trained_s
        errors: dict[str, float] = {}
        self.net.train()
        while self.trained_s < end_s and self.idle < self.settings.patience:
            start_s = time.monotonic()
            parts = self._update(next(batches), self.trained_s / end_s)
            self.trained_s += time.monotonic() - start_s
            for key, value in parts.items():
                errors[key] = 0.99 * errors.get(key, value) + 0.01 * value
            if self.step % 200 == 0:
                text = " ".join(f"{key} {value:.3f}" for key, value in errors.items())
                report(f"step {self.step} minute {self.trained_s / 60:.1f} {text}")
            if self.trained_s - checked_s > self.settings.check_every_s:
                checked_s = self.trained_s
                report(self.check(self.settings.size_at(self.trained_s / end_s)))
            if self.trained_s - saved_s > self.settings.save_every_s:
                self.save()
                saved_s = self.trained_s
        if self.idle >= self.settings.patience:
            report(f"stopped early: {self.idle} checks without a gain")
        self.save()
        report(self._errors(self.settings.size))

    def _update(self, batch: Batch, progress: float) -> dict[str, float]:
        warm = min(1.0, (self.step + 1) / WARM_UP_STEPS)
        rate = self.settings.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss, parts = batch_loss(self.net, batch)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 20.0)
        self.optimiser.step()
        self.step += 1
        keep = min(self.settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.net.state_dict().items():
                if value.dtype.is_floating_point:
                    self.average[key].lerp_(value, 1 - keep)
                else:
                    self.average[key].copy_(value)
        return parts

    def averaged(self) -> LandmarkNet:
        """Return the network with the averaged weights, in inference mode."""
        net = LandmarkNet()
        net.load_state_dict(self.average)
        return net.eval()

    def check(self, size: int) -> str:
        """Describe the errors on held-out faces; count the checks that the others gained nothing.

        The faces set aside decide when to stop; those held out stay unseen by any decision.
        """
        error = self._aside_error(size)
        self.idle = 0 if error < self.best else self.idle + 1
        self.best = min(self.best, error)
        return self._errors(size)

    def _aside_error(self, size: int) -> float:
        net = channels_last(self.averaged())
        faces = replace(self.faces, held_out=self.aside)
        found = [crop_protocol(net, faces, scheme, None, size) for scheme in SCHEMES]
        return sum(each.nme_interocular for each in found if each)

    def _errors(self, size: int) -> str:
        net = channels_last(self.averaged())
        faces, texts = self.faces, []
        pairs = zip(faces.names, faces.kind, strict=True)
        for source in sorted({name.split("/")[0] for name, kind in pairs if kind == LANDMARKS}):
            for scheme in SCHEMES:
                summary = crop_protocol(net, faces, scheme, source, size)
                if summary is not None:
                    error, failed = summary.nme_interocular, summary.failure_8
                    texts.append(f"{source}/{scheme} {error:.4f} fail {failed:.3f}")
        return f"held out at step {self.step}: " + ", ".join(texts)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running code from it; WeightsError names a file that is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        LandmarkNet().load_state_dict(state["average"])
    except Exception as error:  # torch raises many kinds on damaged or foreign files
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path} is no checkpoint of the landmark network: {reason}") from error
    return dict(state)


def crop_protocol(
    net: LandmarkNet, faces: FaceCache, scheme: str, source: str | None, size: int, seed: int = 0
) -> Summary | None:
    """Measure held-out faces of a source (None: of all) once, each with one jittered crop.

    Returns None without such faces.
    """
    rng = np.random.default_rng(seed)
    truth, crops = [], []
    for row in np.flatnonzero(faces.held_out & (faces.kind == LANDMARKS)):
        points = faces.points[scheme][row]
        if source in (None, faces.names[row].split("/")[0]) and not np.isnan(points[0, 0]):
            roll = float(faces.roll[row])
            image, moved = protocol_crop(faces.images[row], points, roll, size, rng)
            crops.append(image)
            truth.append(moved)
    if not crops:
        return None
    found = []
    with torch.inference_mode():
        for start in range(0, len(crops), 64):
            maps, _ = net.features(images_tensor(np.stack(crops[start : start + 64])))
            found.append(soft_argmax(net.maps[scheme](maps)).numpy())
    return summarise(face_errors(np.concatenate(found), np.stack(truth), topology(scheme)))
