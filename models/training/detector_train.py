"""The training loop of the face detector: batches, schedule, averaging and checkpoints."""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...pipeline.errors import WeightsError
from .detector_loss import detector_loss
from .detector_net import DetectorNet, grid
from .detector_watch import CHECKS, Watch
from .recipe_checkpoint import read_checkpoint, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .detector_augment import Augmenter, Canvas

log = logging.getLogger(__name__)
SIZES = (192, 224, 256, 320)
BATCH = 16
EMA = 0.9995
WARM_STEPS = 300
SPOILED, CALM = 0.85, 0.3  # pictures are changed less in the last part of a run


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is made of; `minutes` is the length of the whole schedule."""

    data: Path
    out: Path
    minutes: float = 75.0
    resume: bool = False
    smoke: bool = False
    rate: float = 4e-3
    seed: int = 1


def collate(canvases: list[Canvas]) -> tuple[Tensor, ...]:
    """Stack canvases: luma (B, 1, S, S), faces, real, points, ignored, padded to one length."""
    most = max(1, *(max(len(c.boxes), len(c.ignored)) for c in canvases))
    faces, ignored = np.zeros((2, len(canvases), most, 4), np.float32)
    points = np.full((len(canvases), most, 5, 2), np.nan, np.float32)
    real = np.zeros((len(canvases), most), bool)
    for i, c in enumerate(canvases):
        faces[i, : len(c.boxes)] = c.boxes
        points[i, : len(c.boxes)] = c.keypoints
        real[i, : len(c.boxes)] = True
        ignored[i, : len(c.ignored)] = c.ignored
    luma = torch.from_numpy(np.stack([c.luma for c in canvases]))[:, None].float()
    return luma, *(torch.from_numpy(a) for a in (faces, real, points, ignored))


class Trainer:
    """Network, average, optimiser and schedule of one run, resumable from its checkpoint."""

    def __init__(
        self, settings: Settings, augmenter: Augmenter, watch: Watch | None = None
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.augmenter = settings, augmenter
        self.watch = watch or Watch([])
        self.net = DetectorNet()
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        decay = [p for p in self.net.parameters() if p.ndim > 1]
        rest = [p for p in self.net.parameters() if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.rate)
        self.step, self.spent = 0, 0.0
        self.path = settings.out / "checkpoint.pt"
        self.rng = np.random.default_rng(settings.seed)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent": self.spent,
            "watch": self.watch.state(),
        }
        save(self.path, state)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint; WeightsError names one that cannot be used."""
        state = read_checkpoint(path)
        try:
            self.net.load_state_dict(state.get("net", state["average"]))
            self.average.load_state_dict(state["average"])
            if "optimiser" in state:
                self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.spent = int(state["step"]), float(state["spent"])
            if "watch" in state:
                self.watch.load(state["watch"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise WeightsError(f"{path} is no checkpoint of the detector") from error

    @property
    def done(self) -> float:
        """Share of the schedule that is spent."""
        return min(1.0, self.spent / (self.settings.minutes * 60))

    def rate(self) -> float:
        """Return the learning rate: linear warm-up, then a cosine over the time given."""
        done = self.done
        warm = min(1.0, (self.step + 1) / WARM_STEPS)
        return self.settings.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def train_step(self) -> dict[str, float]:
        """Draw a batch, step the network and its average."""
        size = int(self.rng.choice(SIZES))
        self.augmenter.calm(1.0 if self.done < SPOILED else CALM)
        canvases = [self.augmenter.canvas(size) for _ in range(BATCH)]
        luma, faces, real, points, ignored = collate(canvases)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        rows = self.net(luma.to(memory_format=torch.channels_last))
        loss, parts = detector_loss(rows, grid(size, size), faces, real, points, ignored)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 8.0)
        self.optimiser.step()
        self.step += 1
        self.update_average()
        return parts

    @torch.no_grad()
    def update_average(self) -> None:
        keep = min(EMA, (1 + self.step) / (10 + self.step))
        own = self.net.state_dict()
        for name, value in self.average.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(own[name], 1 - keep)
            else:
                value.copy_(own[name])

    def run(self, say: Callable[[str], None] = log.info) -> None:
        """Train until the minutes are spent or nothing is gained; checkpoint every two minutes.

        Stopped early, the average is the best one seen.
        """
        end = self.settings.minutes * 60
        last, saved, seen = time.monotonic(), time.monotonic(), []
        looked = int(self.done * CHECKS)
        while self.spent < end:
            seen.append(self.train_step())
            now = time.monotonic()
            self.spent, last = self.spent + now - last, now
            if self.step % 100 == 0:
                means = " ".join(f"{k} {np.mean([s[k] for s in seen]):.4f}" for k in seen[0])
                minute, rate = self.spent / 60, self.rate()
                say(f"step {self.step} minute {minute:.1f} rate {rate:.5f} {means}")
                seen = []
            if int(self.done * CHECKS) > looked:
                looked = int(self.done * CHECKS)
                if self.watch.is_over(self.average):
                    say(f"stopped early: {self.watch.waited} looks without a gain")
                    self.average.load_state_dict(self.watch.best)
                    break
                last = time.monotonic()  # looking is not training
            if now - saved > 120 or self.settings.smoke:
                self.save()
                saved = now
            if self.settings.smoke and self.step >= 3:
                break
        self.save()
