"""The recipes' frozen encoders (random, trained by ourselves, published) and their features."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ...pipeline.errors import WeightsError
from .recipe_checkpoint import load_encoder, read_checkpoint, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .recipe_data import Arrays
    from .recipe_network import TransferNet

F16 = NDArray[np.float16]
SMALL_PX = 112  # most of the pretraining sees small crops: they cost a quarter
SMALL_SHARE = 0.6
PRETRAIN_RATE, PRETRAIN_BATCH = 1e-3, 16
FEATURE_BATCH, CALIBRATION = 8, 48
SAVE_EVERY_S = 60.0


def rgb_tensor(images: NDArray[np.uint8]) -> Tensor:
    """Return crops (N, S, S, 3) as the float batch (N, 3, S, S) that the networks take."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()


def calibrate(net: TransferNet, images: NDArray[np.uint8]) -> None:
    """Give the batch norms of random weights the statistics of some crops.

    Without that, each layer of an untrained network would shrink its input towards nothing.
    """
    norms = [m for m in net.encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.inference_mode():
        for start in range(0, min(CALIBRATION, len(images)), FEATURE_BATCH):
            net(rgb_tensor(images[start : start + FEATURE_BATCH]))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


class Pretraining:
    """Train an encoder from nothing on the points of another data set; resumes from `path`."""

    def __init__(self, net: TransferNet, arrays: Arrays, path: Path, seed: int) -> None:
        self.net, self.arrays, self.path, self.seed = net, arrays, path, seed
        width = net.encoder.features(net.normalise(_blank(net.recipe.size))).shape[1]
        self.head = nn.Linear(width, 2 * arrays.points.shape[1])
        parameters = [*net.encoder.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=PRETRAIN_RATE, weight_decay=0.01)
        self.spent_s, self.step = 0.0, 0
        mean = torch.from_numpy(arrays.points).mean(dim=0) / net.recipe.size
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.copy_(mean.flatten())

    def resume(self) -> None:
        """Continue from what an earlier run left."""
        state = read_checkpoint(self.path)
        try:
            self.net.encoder.load_state_dict(state["encoder"])
            self.head.load_state_dict(state["head"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.spent_s, self.step = float(state["spent_s"]), int(state["step"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise WeightsError(f"{self.path} is no state of this pretraining") from error

    def save(self) -> None:
        """Write all that `resume` needs."""
        state = {
            "encoder": self.net.encoder.state_dict(),
            "head": self.head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "spent_s": self.spent_s,
            "step": self.step,
        }
        save(self.path, state)

    def run(self, seconds: float, most_steps: int | None, progress: Callable[[float], None]) -> str:
        """Train for so many seconds altogether; returns a line about the outcome."""
        rng = np.random.default_rng(self.seed + self.step)
        saved_s, error = self.spent_s, float("nan")
        self.net.encoder.train()
        while self.spent_s < seconds and (most_steps is None or self.step < most_steps):
            start_s = time.monotonic()
            small = self.spent_s < SMALL_SHARE * seconds
            value = self._update(rng, SMALL_PX if small else self.net.recipe.size)
            error = value if np.isnan(error) else 0.95 * error + 0.05 * value
            self.spent_s += time.monotonic() - start_s
            progress(min(self.spent_s / seconds, 1.0))
            if self.spent_s - saved_s > SAVE_EVERY_S:
                self.save()
                saved_s = self.spent_s
        self.net.encoder.eval()
        self.save()
        return f"own encoder: {self.step} steps, {self.spent_s / 60:.1f} minutes, L1 {error:.4f}"

    def _update(self, rng: np.random.Generator, size: int) -> float:
        rows = np.sort(rng.choice(len(self.arrays.images), PRETRAIN_BATCH))
        rgb = rgb_tensor(self.arrays.images[rows])
        if size != rgb.shape[-1]:
            rgb = functional.interpolate(rgb, (size, size), mode="area")
        truth = torch.from_numpy(self.arrays.points[rows]).flatten(1) / self.net.recipe.size
        loss = functional.l1_loss(
            self.head(self.net.encoder.features(self.net.normalise(rgb))), truth
        )
        for group in self.optimiser.param_groups:
            group["lr"] = PRETRAIN_RATE * min(1.0, (self.step + 1) / 100)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.encoder.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())


def _blank(size: int) -> Tensor:
    return torch.zeros(1, 3, size, size)


def set_encoder(net: TransferNet, trunk: str, own: Path, images: NDArray[np.uint8]) -> None:
    """Give `net` the encoder called `trunk`: random, own (pretrained at `own`) or a checkpoint."""
    if trunk == "random":
        calibrate(net, images)
    else:
        load_encoder(net.encoder, str(own) if trunk == "own" else trunk)


def cached_features(
    net: TransferNet, images: NDArray[np.uint8], path: Path, progress: Callable[[float], None]
) -> F16:
    """Return the frozen part's output (N, ...) for all crops, computed once and kept at `path`.

    A run that was stopped half way continues at the first crop that is missing.
    """
    note = path.with_suffix(".json")
    done = int(json.loads(note.read_text(encoding="utf-8"))) if note.is_file() else 0
    with torch.inference_mode():
        shape = (len(images), *net.frozen(rgb_tensor(images[:1])).shape[1:])
    mode = "r+" if done and path.is_file() else "w+"
    done = done if mode == "r+" else 0
    kept = {} if mode == "r+" else {"dtype": np.float16, "shape": shape}
    features = open_memmap(path, mode=mode, **kept)  # type: ignore[arg-type]
    if features.shape != shape:
        raise WeightsError(f"{path} is of another run: choose another folder")
    for start in range(done, len(images), FEATURE_BATCH):
        with torch.inference_mode():
            part = net.frozen(rgb_tensor(images[start : start + FEATURE_BATCH])).clamp(-6e4, 6e4)
        features[start : start + FEATURE_BATCH] = part.numpy()
        progress(min(start + FEATURE_BATCH, len(images)) / len(images))
        if start // FEATURE_BATCH % 16 == 15 or start + FEATURE_BATCH >= len(images):
            features.flush()
            note.write_text(str(min(start + FEATURE_BATCH, len(images))), encoding="utf-8")
    return features
