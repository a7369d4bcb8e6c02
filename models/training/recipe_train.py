"""A recipe from raw data to a checkpoint: arrays, encoder, cached features, end, honest errors."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import torch

from ...pipeline.errors import ConfigError
from ..metrics import summarise
from . import recipe_data
from .evaluate_data import NoFacesError
from .recipe_augment import WIDE_PX, wide_crop
from .recipe_checkpoint import load_encoder, save
from .recipe_loop import EndTraining, end_errors
from .recipe_network import RECIPES, build
from .recipe_pretrain import Pretraining
from .recipe_settings import TRUNKS, Settings, check_same, note_settings, trunk_names
from .recipe_trunk import cached_features, set_encoder
from .whole_files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from .evaluate_data import AnnotatedFace
    from .recipe_network import TransferNet
    from .recipe_trunk import F16

    Examples = tuple[F16, NDArray[np.float32]]

SMOKE_FACES, SMOKE_STEPS, SMOKE_EPOCHS = 8, 4, 3
# What each recipe's own encoder learns from: points and layout.
OTHERS = {"facenet194": ((68, "csv"),), "resnet68": ((194, "txt"), (68, "pts"))}


class Saves(Protocol):
    """A training that can be continued."""

    def save(self) -> None:
        """Keep all that continuing needs."""


class RecipeRun:
    """One run in its folder: `say` gets a line per step, `progress` the share of the step done."""

    def __init__(
        self, settings: Settings, say: Callable[[str], None], progress: Callable[[float], None]
    ) -> None:
        self.settings, self.say, self.progress = settings, say, progress
        self.plan = RECIPES[settings.recipe]
        self.out = settings.out
        self.results: list[dict[str, Any]] = []
        self.trained_on: dict[str, int] = {}

    def run(self) -> dict[str, Any]:
        """Train an end on each encoder and return the report, also written to `report.json`."""
        self._check()
        cv2.setNumThreads(1)
        limit = SMOKE_FACES if self.settings.smoke else self.settings.faces
        faces = recipe_data.faces_of(self.settings.data, self.plan.points)
        parts = recipe_data.split(faces, self.settings.seed, limit)
        self.trained_on = dict(Counter(face.name.partition("/")[0] for face in parts.train))
        self.out.mkdir(parents=True, exist_ok=True)
        self.say(
            f"{len(parts.train)} faces to train on, {len(parts.validation)} to stop by, "
            f"{len(parts.held_out)} held out"
        )
        draw = partial(recipe_data.training_crop, self.settings.recipe)
        train = self._arrays("train", parts.train, draw, self.settings.variants)
        validation = self._arrays("validation", parts.validation)
        held_out = self._arrays("held_out", parts.held_out)
        note_settings(self.settings)  # a folder without crops is no run yet
        if "own" in self.settings.trunks:
            self._pretrain(limit, parts.train)
        for name, trunk in trunk_names(self.settings).items():
            self._train(name, trunk, train, validation, held_out)
        return self._report(len(parts.train))

    def _check(self) -> None:
        report = self.out / "report.json"
        begun = report.exists() or any(self.out.glob("*.pt")) or any(self.out.glob("*.npy"))
        if begun and not self.settings.resume:
            raise ConfigError(f"{self.out} holds a run: --resume continues it, or choose another")
        check_same(self.settings)
        for trunk in self.settings.trunks:
            if trunk not in TRUNKS:
                load_encoder(build(self.settings.recipe, self.settings.depth).encoder, trunk)

    def _arrays(
        self,
        name: str,
        faces: list[AnnotatedFace],
        draw: recipe_data.Draw | None = None,
        variants: int = 1,
        size: int | None = None,
    ) -> recipe_data.Arrays:
        seed = self.settings.seed if draw else 0  # held-out crops are the same for every seed
        size = size or self.plan.size
        return recipe_data.prepare(self.out, name, faces, size, seed, variants, draw, self.progress)

    def _pretrain(self, limit: int | None, own: list[AnnotatedFace]) -> None:
        """Train an encoder of our own on the other recipe's data; held-out faces stay out.

        Where DATA holds none of that, the recipe's `own` faces must do.
        """
        path, state = self.out / "encoder.pt", self.out / "pretraining.pt"
        if path.is_file():
            return
        arrays = [
            self._arrays(f"pretrain{number}", faces, wide_crop, size=WIDE_PX)
            for number, faces in enumerate(self._others(limit) or [own])
        ]
        torch.manual_seed(self.settings.seed)
        net = build(self.settings.recipe, self.settings.depth)
        training = Pretraining(net, arrays, state, self.settings.seed)
        if state.is_file():
            training.resume()
        seconds = self.settings.minutes * 60 * self.plan.pretraining_share
        steps = SMOKE_STEPS if self.settings.smoke else None
        with saved_when_interrupted(training):
            self.say(training.run(seconds, steps, self.progress, self.say))
        with torch.inference_mode():
            training.level()
        save(path, net.encoder.state_dict())
        state.unlink()

    def _others(self, limit: int | None) -> list[list[AnnotatedFace]]:
        """Return the faces to pretrain on, a list for each number of points."""
        sets = []
        for points, layout in OTHERS[self.settings.recipe]:
            with contextlib.suppress(NoFacesError):
                faces = recipe_data.faces_of(self.settings.data, points, layout)
                sets.append(recipe_data.split(faces, self.settings.seed, limit).train)
        if not sets:
            self.say("no faces of another data set: the encoder trains on this recipe's own")
        return sets

    def _train(self, name: str, trunk: str, *arrays: recipe_data.Arrays) -> None:
        """Train an end on one encoder, judge it and keep both."""
        folder = self.out / name
        folder.mkdir(exist_ok=True)
        net = self._network(trunk, arrays[0])
        train, validation, held_out = self._features(net, folder, arrays)
        training = EndTraining(net, train, validation, folder / "last.pt", self.settings.seed)
        if training.path.is_file():
            training.resume()
        epochs = SMOKE_EPOCHS if self.settings.smoke else self.plan.epochs
        with saved_when_interrupted(training):
            outcome = training.run(self._seconds(), epochs, self.progress)
        figures = asdict(summarise(end_errors(net, *held_out)))
        self.say(f"{name}: {outcome}, held-out error {figures['nme_interocular']:.4f}")
        self.results.append({"trunk": name, "source": trunk, "outcome": outcome, **figures})
        save(self.out / f"{name}.pt", self._checkpoint(net))

    def _network(self, trunk: str, train: recipe_data.Arrays) -> TransferNet:
        torch.manual_seed(self.settings.seed)
        net = build(self.settings.recipe, self.settings.depth, normalised=self.settings.normalised)
        set_encoder(net, trunk, self.out / "encoder.pt", train.images)
        net.start_at(torch.from_numpy(train.points))
        return net

    def _features(
        self, net: TransferNet, folder: Path, arrays: tuple[recipe_data.Arrays, ...]
    ) -> list[Examples]:
        """Return what the end learns from, stops by and is judged by: features and points."""
        start_s, found = time.monotonic(), []
        for kind, part in zip(("train", "validation", "held_out"), arrays, strict=True):
            path, exact = folder / f"{kind}.features.npy", kind == "held_out"
            features = cached_features(net, part.images, path, self.progress, exact=exact)
            found.append((features, part.points))
        self.say(f"{folder.name}: features in {time.monotonic() - start_s:.0f} s")
        return found

    def _seconds(self) -> float:
        """Return how long each end may train."""
        seconds = self.settings.minutes * 60 / len(self.settings.trunks)
        return seconds * (1 - self.plan.pretraining_share * ("own" in self.settings.trunks))

    def _checkpoint(self, net: torch.nn.Module) -> dict[str, Any]:
        return {
            "recipe": self.settings.recipe,
            "depth": self.settings.depth,
            "normalised": self.settings.normalised,
            "net": net.state_dict(),
            "trained_on": self.trained_on,
        }

    def _report(self, count: int) -> dict[str, Any]:
        settings = {
            k: str(v) if isinstance(v, Path) else v for k, v in asdict(self.settings).items()
        }
        report = {"settings": settings, "trained_on": count, "trunks": self.results}
        write_bytes(self.out / "report.json", f"{json.dumps(report, indent=2)}\n".encode())
        return report


@contextlib.contextmanager
def saved_when_interrupted(training: Saves) -> Iterator[None]:
    """Let a training that is interrupted keep its state."""
    try:
        yield
    except KeyboardInterrupt:
        training.save()
        raise


def run(
    settings: Settings, say: Callable[[str], None], progress: Callable[[float], None]
) -> dict[str, Any]:
    """Run a recipe; see `RecipeRun`."""
    return RecipeRun(settings, say, progress).run()
