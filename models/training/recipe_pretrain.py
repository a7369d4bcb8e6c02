"""Train a recipe's encoder from nothing, on the points of another data set, small crops first."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...pipeline.errors import WeightsError
from ..topology import topology
from .recipe_augment import WIDE_PX, vary
from .recipe_checkpoint import read_checkpoint, save
from .recipe_loop import SCHEMES
from .recipe_trunk import computes_bfloat16, rgb_tensor
from .resnet import Bottleneck, ResNet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from .recipe_data import Arrays
    from .recipe_network import TransferNet

RATE, LAST_RATE, WARM_UP, DECAY = 1e-3, 0.01, 100, 0.02
SAVE_EVERY_S = 120.0
LEVEL, LEVEL_OF = 0.45, 64  # mean of the pooled features, as of published encoders; crops to tell


class Pretraining:
    """Train `net.encoder` and heads of its own on sets of wide crops; state in `path`.

    Each set of `train` has one number of points, hence one head, linear in the pooled features: so
    these learn to tell where things are, as the recipe's own linear end needs it.
    """

    def __init__(self, net: TransferNet, train: Sequence[Arrays], path: Path, seed: int) -> None:
        self.net, self.train, self.path, self.seed = net, list(train), path, seed
        blank = torch.zeros(1, 3, net.recipe.size, net.recipe.size)
        width = net.encoder.features(net.normalise(blank)).shape[1]
        self.heads = nn.ModuleList(nn.Linear(width, arrays.points[0].size) for arrays in train)
        self._start()
        net.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        parameters = [*net.encoder.parameters(), *self.heads.parameters()]
        self.optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
        self.bfloat16 = computes_bfloat16()
        self.spent_s, self.step = 0.0, 0

    def _start(self) -> None:
        """Begin with the mean face, and with residual blocks that do nothing yet."""
        for head, arrays in zip(self.heads, self.train, strict=True):
            mean = _unit(torch.from_numpy(arrays.points)).mean(dim=0)
            with torch.no_grad():
                head.weight.mul_(0.1)  # type: ignore[operator]
                head.bias.copy_(mean)  # type: ignore[operator]
        for module in self.net.encoder.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)

    def resume(self) -> None:
        """Continue from what an earlier run left."""
        state = read_checkpoint(self.path)
        try:
            self.net.encoder.load_state_dict(state["encoder"])
            self.heads.load_state_dict(state["heads"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.spent_s, self.step = float(state["spent_s"]), int(state["step"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise WeightsError(f"{self.path} is no state of this pretraining") from error

    def save(self) -> None:
        """Write all that `resume` needs."""
        state = {
            "encoder": self.net.encoder.state_dict(),
            "heads": self.heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "spent_s": self.spent_s,
            "step": self.step,
        }
        save(self.path, state)

    def run(
        self,
        seconds: float,
        most_steps: int | None,
        progress: Callable[[float], None],
        say: Callable[[str], None] = lambda _line: None,
    ) -> str:
        """Train for so many seconds altogether; returns a line about the outcome."""
        rng = np.random.default_rng((self.seed, self.step))
        saved_s, error, size = self.spent_s, float("nan"), 0
        self.net.encoder.train()
        while self.spent_s < seconds and (most_steps is None or self.step < most_steps):
            start_s = time.monotonic()
            share = self.spent_s / seconds if most_steps is None else self.step / most_steps
            size, batch = self._plan(share)
            value = self._update(rng, size, batch, share)
            error = value if math.isnan(error) else 0.98 * error + 0.02 * value
            self.spent_s += time.monotonic() - start_s
            progress(min(max(share, self.spent_s / seconds), 1.0))
            if self.spent_s - saved_s > SAVE_EVERY_S:
                self.save()
                saved_s = self.spent_s
                say(f"{self.step} steps, {self.spent_s / 60:.1f} min, {size} px, L1 {error:.4f}")
        self.net.encoder.eval()
        self.save()
        return f"own encoder: {self.step} steps, {self.spent_s / 60:.1f} minutes, L1 {error:.4f}"

    def level(self) -> None:
        """Bring the pooled features of a ResNet to the scale of a published encoder's.

        The end starts from small weights, and its rate was chosen for features of that scale.
        """
        if not isinstance(self.net.encoder, ResNet):
            return
        rng, size = np.random.default_rng(self.seed), self.net.recipe.size
        pooled = [
            self._features(rgb_tensor(self._draw(0, 8, size, rng)[0])) for _ in range(LEVEL_OF // 8)
        ]
        self.net.encoder.scale_features(LEVEL / max(float(torch.cat(pooled).mean()), 1e-6))

    def _plan(self, share: float) -> tuple[int, int]:
        """Return the side of the crops and the batch at a share 0..1 of the time."""
        sizes = self.net.recipe.pretraining
        return next(((px, batch) for end, px, batch in sizes if share < end), sizes[-1][1:])

    def _update(self, rng: np.random.Generator, size: int, batch: int, share: float) -> float:
        total = sum(len(arrays.images) for arrays in self.train)
        counts = [max(round(batch * len(arrays.images) / total), 1) for arrays in self.train]
        drawn = [self._draw(i, count, size, rng) for i, count in enumerate(counts)]
        pictures = rgb_tensor(np.concatenate([rgb for rgb, _ in drawn]))
        falling = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * falling * min(1.0, (self.step + 1) / WARM_UP)
        pooled = torch.split(self._features(pictures), counts)
        losses = [
            count * functional.l1_loss(head(part), _unit(torch.from_numpy(points), size))
            for head, part, (_, points), count in zip(
                self.heads, pooled, drawn, counts, strict=True
            )
        ]
        loss = torch.stack(losses).sum() / sum(counts)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.encoder.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())

    def _features(self, rgb: Tensor) -> Tensor:
        rgb = self.net.normalise(rgb).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            return self.net.encoder.features(rgb).float()

    def _draw(
        self, which: int, count: int, size: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        arrays = self.train[which]
        flip = topology(SCHEMES[arrays.points.shape[1]]).flip
        rows = rng.choice(len(arrays.images), count)
        drawn = [vary(arrays.images[i], arrays.points[i], size, flip, rng) for i in rows]
        return np.stack([rgb for rgb, _ in drawn]), np.stack([points for _, points in drawn])


def _unit(points: Tensor, size: int = WIDE_PX) -> Tensor:
    """Return points (N, K, 2) in crop px as (N, 2 K), roughly -0.5..0.5."""
    return points.flatten(1) / size - 0.5
