"""Tell when a detector's training has stopped getting better: its early stop."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..detector_rows import decode, merge
from .detector_augment import Augmenter
from .detector_metrics import Picture, box_sizes, curve
from .detector_net import grid

if TYPE_CHECKING:
    from .detector_augment import Canvas
    from .detector_data import Sample
    from .detector_net import DetectorNet

APART_EVERY = 20  # one group of training pictures in so many only watches
CANVASES, SIZE, SEED = 64, 256, 7
CHECKS, PATIENCE = 50, 15  # looks in a whole schedule; as many without a gain end it
SMALLEST_PX = 12.0
LOWEST_SCORE, MAX_FINDS, IOU = 0.02, 100, 0.4


class Watch:
    """Average precision of the averaged network on canvases that stay the same.

    Empty samples make a watch that never ends anything. `best` is the state of the best network.
    """

    def __init__(self, samples: list[Sample], patience: int = PATIENCE) -> None:
        augmenter = Augmenter(samples, np.random.default_rng(SEED)) if samples else None
        self.canvases = [augmenter.canvas(SIZE) for _ in range(CANVASES)] if augmenter else []
        self.patience = patience
        self.best: dict[str, Any] = {}
        self.best_precision, self.waited = -1.0, 0

    def is_over(self, net: DetectorNet) -> bool:
        """Judge `net`; return whether the last `patience` looks brought nothing."""
        if not self.canvases:
            return False
        precision = curve([_judge(net, c) for c in self.canvases], IOU).average_precision
        self.waited += 1
        if precision > self.best_precision:
            self.best_precision, self.waited = precision, 0
            self.best = copy.deepcopy(net.state_dict())
        return self.waited >= self.patience

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"best": self.best, "precision": self.best_precision, "waited": self.waited}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.best = state["best"]
        self.best_precision, self.waited = float(state["precision"]), int(state["waited"])


def set_apart(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Return (to train on, to watch by); groups stay together, few groups leave none to watch."""
    groups = sorted({sample.group for sample in samples})
    apart = set(groups[APART_EVERY // 2 :: APART_EVERY])
    watched = [s for s in samples if s.group in apart]
    if not any(len(s.boxes) for s in watched):
        return samples, []
    return [s for s in samples if s.group not in apart], watched


@torch.no_grad()
def _judge(net: DetectorNet, canvas: Canvas) -> Picture:
    """Return what the network finds on a canvas beside the truth."""
    luma = torch.from_numpy(canvas.luma)[None, None].float()
    rows = net(luma)[0].numpy()
    scores = 1 / (1 + np.exp(-rows[:, 0]))
    picked = np.argsort(-scores, kind="stable")[:MAX_FINDS]
    picked = picked[scores[picked] > LOWEST_SCORE]
    cells = grid(*canvas.luma.shape).numpy()
    boxes = decode(rows[picked], cells[picked])
    boxes, scores, _ = merge(boxes, scores[picked], MAX_FINDS, LOWEST_SCORE)
    truth = np.concatenate([canvas.boxes, canvas.ignored])
    counted = box_sizes(truth) >= SMALLEST_PX
    counted[len(canvas.boxes) :] = False
    return Picture(boxes, scores, truth, counted, SMALLEST_PX)
