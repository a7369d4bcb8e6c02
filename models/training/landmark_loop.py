"""The training loop of the landmark network: schedule, averaging, checks and checkpoints."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...pipeline.errors import WeightsError
from ..metrics import Summary, face_errors, summarise
from ..topology import topology
from .landmark_augment import protocol_crop
from .landmark_batches import Settings, draw_batches, images_tensor, label_trust
from .landmark_cache import LANDMARKS, FaceCache
from .landmark_holdout import set_aside
from .landmark_loss import Batch, batch_loss
from .landmark_network import SCHEMES, LandmarkNet, net_of, soft_argmax
from .landmark_opinion import Opinion, with_opinion
from .landmark_shape import shape_layers
from .landmark_teach import load_taught, save_taught, taught
from .landmark_transfer import with_inner_points
from .recipe_checkpoint import save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WARM_UP_STEPS = 300
TEACH_AT = 0.35  # of a run: by then a network labels well enough what nobody labelled


def channels_last(net: LandmarkNet) -> LandmarkNet:
    """Give the weights the memory layout that trains fastest on a CPU."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class Run:
    """A resumable training run in a folder."""

    def __init__(
        self, folder: Path, faces: FaceCache, settings: Settings, opinion: Opinion | None = None
    ) -> None:
        self.folder, self.faces, self.settings = folder, with_inner_points(faces), settings
        self.opinion = opinion
        self.trust = label_trust(self.faces)
        self.aside = set_aside(faces)
        shown = np.flatnonzero(~(faces.held_out | self.aside))
        self.trained_on = dict(Counter(faces.names[row].partition("/")[0] for row in shown))
        torch.manual_seed(settings.seed)
        self.net = channels_last(LandmarkNet(settings.widths, settings.head))
        self.average = {key: value.clone() for key, value in self.net.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=settings.rate, weight_decay=settings.decay
        )
        self.step, self.trained_s = 0, 0.0
        self.best, self.idle = math.inf, 0
        self.labelled, self.shape = faces, dict[str, torch.Tensor]()

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint; WeightsError names one that cannot be used."""
        state = load_checkpoint(path)
        try:
            self.net.load_state_dict(state["net"])
            self.average = dict(state["average"])
            if "optimiser" in state:
                self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.trained_s = int(state["step"]), float(state["trained_s"])
            self.best, self.idle = float(state.get("best", math.inf)), int(state.get("idle", 0))
            self.trained_on = {**state.get("trained_on", {}), **self.trained_on}
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise WeightsError(f"{path} is of another network than this run trains") from error

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state: dict[str, Any] = {
            "net": self.net.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "trained_s": self.trained_s,
            "size": self.settings.size,
            "best": self.best,
            "idle": self.idle,
            "shape": self.shape,
            "trained_on": self.trained_on,
        }
        save(self.folder / "last.pt", state)

    def train(self, report: Callable[[str], None]) -> None:
        """Train until the minutes are over or nothing is gained; saves and checks on the way."""
        batches, complete = self._batches(), False
        saved_s = checked_s = self.trained_s
        errors: dict[str, float] = {}
        self.net.train()
        while self._progress() < 1 and self.idle < self.settings.patience:
            if not (self.settings.rough or complete) and self._progress() >= TEACH_AT:
                self._teach(report)
                batches, complete = self._batches(), True
            self._step(batches, errors)
            if self.step % 200 == 0:
                text = " ".join(f"{key} {value:.3f}" for key, value in errors.items())
                report(f"step {self.step} minute {self.trained_s / 60:.1f} {text}")
            if self.trained_s - checked_s > self.settings.check_every_s:
                checked_s = self.trained_s
                report(self.check(self.settings.size_at(self._progress())))
            if self.trained_s - saved_s > self.settings.save_every_s:
                self.save()
                saved_s = self.trained_s
        if self.idle >= self.settings.patience:
            report(f"stopped early: {self.idle} checks without a gain")
        self._finish(report)

    def _step(self, batches: Iterator[Batch], errors: dict[str, float]) -> None:
        """Train on one batch, count its time, and let it move the running `errors`."""
        start_s = time.monotonic()
        parts = self._update(next(batches), self._progress())
        self.trained_s += time.monotonic() - start_s
        for key, value in parts.items():
            errors[key] = 0.99 * errors.get(key, value) + 0.01 * value

    def _finish(self, report: Callable[[str], None]) -> None:
        """Fit the layer that corrects shapes to the averaged network, and keep it all."""
        net, size = channels_last(self.averaged()), self.settings.size
        self.shape = shape_layers(net, self.labelled, size, rough=self.settings.rough)
        self.save()
        report(self._errors(size))

    def _progress(self) -> float:
        return self.trained_s / (self.settings.minutes * 60)

    def _seen(self) -> FaceCache:
        """Return the faces with those set aside held out as well."""
        return replace(self.faces, held_out=self.faces.held_out | self.aside)

    def _batches(self) -> Iterator[Batch]:
        seed = self.settings.seed + self.step
        return draw_batches(self._seen(), self.trust, self.settings, seed, self._progress)

    def _teach(self, report: Callable[[str], None]) -> None:
        """Let the averaged network label what nobody labelled, once in a run."""
        path = self.folder / "taught.npz"
        found = load_taught(path, self.faces)
        if found is None:
            report("labelling faces that nobody labelled")
            net, size = channels_last(self.averaged()), self.settings.size
            found = taught(self._seen(), net, size, shape_layers(net, self.labelled, size))
            if self.opinion is not None:
                found, moved = with_opinion(found, self.opinion)
                self.trained_on[f"points of {self.opinion.name}"] = moved
                report(f"labels of {moved} faces moved half of the way to {self.opinion.name}")
            save_taught(path, found)
            self.save()  # tells whose labels they are
        elif self.opinion is not None:
            report(f"{path} is there: {self.opinion.name} is not asked again")
        self.faces = replace(found, held_out=self.faces.held_out)

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
        return net_of(self.average).eval()

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
        net_of(state["average"])
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
