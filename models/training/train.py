"""Start, continue and watch the training of any network: what `vidfilter train` does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from ...pipeline.errors import ConfigError
from . import (
    detector_data,
    detector_mine,
    detector_train,
    landmark_batches,
    landmark_dataset,
    landmark_loop,
    landmark_mine,
    recipe_train,
)
from .detector_augment import Augmenter
from .detector_watch import Watch, set_apart
from .landmark_formats import AnnotationError
from .landmark_opinion import read_opinion
from .recipe_checkpoint import read_checkpoint
from .recipe_settings import Settings as RecipeSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .landmark_loss import Batch

RECIPE_MINUTES = 60.0
SMOKE_SAMPLES, SMOKE_MINUTES, SMOKE_BATCH = 24, 0.1, 8


@dataclass(frozen=True, slots=True)
class Options:
    """What `vidfilter train` was asked for; None is the network's own default.

    `cache` is where decoded faces and what was mined are kept, None for `out`.
    """

    recipe: str
    data: Path
    out: Path
    minutes: float | None = None
    resume: bool = False
    seed: int = 0
    smoke: bool = False
    threads: int = 1
    trunks: tuple[str, ...] = ("own",)
    depth: int = 50
    normalised: bool = False
    faces: int | None = None
    variants: int = 1
    cache: Path | None = None
    size: int | None = None
    rate: float | None = None
    opinion: Path | None = None


def run(
    options: Options, say: Callable[[str], None], progress: Callable[[float], None]
) -> dict[str, Any]:
    """Train as `options` say; `say` takes lines, `progress` the share done of the present step.

    Returns the checkpoint's path and, for the recipes, their report. Raises VidfilterError for
    data or checkpoints that cannot be used; a run that is interrupted has saved its state.
    """
    if not options.data.is_dir():
        raise AnnotationError(f"{options.data}: no such folder")
    if options.resume:
        checkpoints = sorted(options.out.rglob("*.pt"))
        for path in checkpoints:
            read_checkpoint(path)  # what cannot be continued is better told before the data is read
        if not checkpoints:
            say(f"{options.out} holds nothing to continue: a new run begins")
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    kinds = {"landmarks": _landmarks, "coarse": _landmarks, "detector": _detector}
    return kinds.get(options.recipe, _recipe)(options, say, progress)


def _recipe(
    options: Options, say: Callable[[str], None], progress: Callable[[float], None]
) -> dict[str, Any]:
    settings = RecipeSettings(
        options.recipe,
        options.data,
        options.out,
        options.trunks,
        options.minutes or RECIPE_MINUTES,
        options.depth,
        options.normalised,
        options.variants,
        options.faces,
        options.seed,
        options.resume,
        options.smoke,
    )
    return recipe_train.run(settings, say, progress)


class _WatchedLandmarks(landmark_loop.Run):
    show: Callable[[float], None]

    def _update(self, batch: Batch, progress: float) -> dict[str, float]:
        self.show(progress)
        return super()._update(batch, progress)


def _landmarks(
    options: Options, say: Callable[[str], None], progress: Callable[[float], None]
) -> dict[str, Any]:
    coarse = options.recipe == "coarse"
    base = landmark_batches.COARSE if coarse else landmark_batches.Settings()
    settings = replace(base, seed=options.seed, **_given(options, "size"))
    checkpoint = options.out / "last.pt"
    _refuse(checkpoint, options)
    if options.smoke:
        settings = replace(settings, minutes=SMOKE_MINUTES, batch=SMOKE_BATCH)
        faces = landmark_dataset.build_cache(options.data, SMOKE_SAMPLES)
        options.out.mkdir(parents=True, exist_ok=True)
    else:
        options.out.mkdir(parents=True, exist_ok=True)
        faces = landmark_mine.training_faces(options.data, options.cache or options.out)
    opinion = read_opinion(options.opinion, faces) if options.opinion else None
    training = _WatchedLandmarks(options.out, faces, settings, opinion)
    training.show = progress
    if options.resume and checkpoint.exists():
        training.resume(checkpoint)
    with recipe_train.saved_when_interrupted(training):
        training.train(say)
    return {"checkpoint": str(checkpoint)}


class _WatchedDetector(detector_train.Trainer):
    show: Callable[[float], None]

    def train_step(self) -> dict[str, float]:
        self.show(self.done)
        return super().train_step()


def _detector(
    options: Options, say: Callable[[str], None], progress: Callable[[float], None]
) -> dict[str, Any]:
    settings = detector_train.Settings(
        options.data, options.out, resume=options.resume, smoke=options.smoke, seed=options.seed
    )
    settings = replace(settings, **_given(options))
    checkpoint = options.out / "checkpoint.pt"
    _refuse(checkpoint, options)
    samples, watched = set_apart(_detector_samples(options, say))
    say(f"{len(samples)} pictures to train on")
    step = int(read_checkpoint(checkpoint).get("step", 0)) if checkpoint.exists() else 0
    rng = np.random.default_rng((options.seed, step))  # other pictures after each resume
    training = _WatchedDetector(settings, Augmenter(samples, rng), Watch(watched))
    training.show = progress
    if checkpoint.exists():
        training.load(checkpoint)
    with recipe_train.saved_when_interrupted(training):
        training.run(say)
    return {"checkpoint": str(checkpoint)}


def _detector_samples(options: Options, say: Callable[[str], None]) -> list[detector_data.Sample]:
    """Read the pictures to train on and weigh them; the folders are made where there are some."""
    train, _ = detector_data.split(detector_data.load(options.data, few=options.smoke))
    if not train:
        raise AnnotationError(f"{options.data}: no pictures to train on")
    kept = options.cache or options.out
    for folder in (options.out, kept):
        folder.mkdir(parents=True, exist_ok=True)
    detector_mine.weigh(train, kept / "mined.json", say)
    return train


def _given(options: Options, *more: str) -> dict[str, Any]:
    """Return the settings that were asked for: minutes, rate and `more`."""
    names = ("minutes", "rate", *more)
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _refuse(checkpoint: Path, options: Options) -> None:
    """Raise where a run would be replaced."""
    if checkpoint.exists() and not options.resume:
        raise ConfigError(f"{checkpoint} exists: --resume continues it, or choose another folder")
