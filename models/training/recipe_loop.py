"""Train the end of a recipe's network on cached features, with early stop and resume."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from ...pipeline.errors import WeightsError
from ..metrics import face_errors
from ..topology import topology
from .recipe_checkpoint import read_checkpoint, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from .recipe_network import TransferNet
    from .recipe_trunk import F16

SCHEMES = {68: "ibug68", 194: "helen194"}
SAVE_EVERY_S = 30.0


class EndTraining:
    """The end of `net` on features (N, ...) and points (N, K, 2) px; state in `path`."""

    def __init__(
        self,
        net: TransferNet,
        train: tuple[F16, NDArray[np.float32]],
        validation: tuple[F16, NDArray[np.float32]],
        path: Path,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        self.net, self.path, self.seed = net, path, seed
        self.features, self.points = train
        self.validation = validation
        self.optimiser = torch.optim.Adam(net.end_parameters(), lr=net.recipe.rate)
        self.epoch, self.stale, self.spent_s = 0, 0, 0.0
        self.best_error = float("inf")
        self.best = {key: value.clone() for key, value in net.end_tensors().items()}

    def resume(self) -> None:
        """Continue from the state in `path`; WeightsError where it cannot be used."""
        state = read_checkpoint(self.path)
        try:
            self.net.load_state_dict({**self.net.state_dict(), **state["end"]})
            self.optimiser.load_state_dict(state["optimiser"])
            self.best = dict(state["best"])
            self.epoch, self.stale = int(state["epoch"]), int(state["stale"])
            self.best_error, self.spent_s = float(state["best_error"]), float(state["spent_s"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise WeightsError(f"{self.path} is no state of this run") from error

    def save(self) -> None:
        """Write all that `resume` needs."""
        state: dict[str, Any] = {
            "end": self.net.end_tensors(),
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
            "epoch": self.epoch,
            "stale": self.stale,
            "best_error": self.best_error,
            "spent_s": self.spent_s,
        }
        save(self.path, state)

    def run(self, seconds: float, epochs: int, progress: Callable[[float], None]) -> str:
        """Train until the validation error stalls; returns a line about the outcome."""
        saved_s = self.spent_s
        patience = self.net.recipe.patience
        self.save()  # a folder that cannot be written to is told now, not after half a minute
        while self.epoch < epochs and self.stale < patience and self.spent_s < seconds:
            start_s = time.monotonic()
            self._train_epoch()
            self._note(self.error(*self.validation))
            self.spent_s += time.monotonic() - start_s
            progress(max(self.epoch / epochs, min(self.spent_s / seconds, 1.0)))
            if self.spent_s - saved_s > SAVE_EVERY_S:
                self.save()
                saved_s = self.spent_s
        self.save()
        self.net.load_state_dict({**self.net.state_dict(), **self.best})
        why = "no more gain" if self.stale >= patience else "all epochs done"
        why = "out of time" if self.spent_s >= seconds and self.stale < patience else why
        return f"{self.epoch} epochs ({why}), validation error {self.best_error:.4f}"

    def _train_epoch(self) -> None:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.features))
        batch = self.net.recipe.batch
        self.net.train()
        for start in range(0, len(order), batch):
            rows = np.sort(order[start : start + batch])
            if len(rows) < 2 and start:
                continue  # one face alone has no batch statistics
            found = self.net.end(torch.from_numpy(self.features[rows].astype(np.float32)))
            truth = self.net.targets(torch.from_numpy(self.points[rows]))
            loss = functional.mse_loss(found, truth)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
        self.net.eval()
        self.epoch += 1

    def _note(self, error: float) -> None:
        self.stale += 1
        if error < self.best_error:
            self.best_error, self.stale = error, 0
            self.best = {key: value.clone() for key, value in self.net.end_tensors().items()}

    def error(self, features: F16, points: NDArray[np.float32]) -> float:
        """Return the mean error over the inter-ocular distance."""
        return float(end_errors(self.net, features, points).mean())


def end_errors(net: TransferNet, features: F16, points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the error (N,) of each crop over its inter-ocular distance."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(features), 64):
            part = torch.from_numpy(features[start : start + 64].astype(np.float32))
            found.append(net.to_px(net.end(part)).numpy())
    return face_errors(np.concatenate(found), points, topology(SCHEMES[points.shape[1]]))
