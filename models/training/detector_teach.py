"""Let finished detectors teach another: what they answer together, besides the pictures' boxes.

Networks of different runs err differently, and a picture and its mirror image give different
answers too; their mean is right more often than any of them (distillation, Hinton et al. 2015).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ...pipeline.errors import WeightsError
from .detector_loss import ciou_loss
from .detector_net import STRIDES, DetectorNet, decode_boxes
from .recipe_checkpoint import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

# What the labels still weigh, and what the teachers' scores and boxes do.
LABELS, SCORES, BOXES = 0.5, 1.5, 0.75
BELIEVED = 0.25  # boxes of cells that the teachers score less are not learned from
ANSWERS = 5  # of a row: the score's logit and the box
RIVAL = 0.75  # of the square of our own score: what a cell weighs where no teacher sees a face


class Teachers:
    """The mean answer of finished networks, of which every other one sees the mirror image."""

    def __init__(self, nets: Sequence[DetectorNet]) -> None:
        self.nets = [net.eval().requires_grad_(False) for net in nets]

    @classmethod
    def read(cls, checkpoints: Sequence[Path]) -> Teachers:
        """Load the averaged networks of checkpoints; raises WeightsError naming a wrong one."""
        return cls([_network(path) for path in checkpoints])

    @torch.no_grad()
    def answer(self, luma: Tensor, rng: np.random.Generator) -> Tensor:
        """Return logits and raw boxes (B, A, 5) for square pictures (B, 1, S, S)."""
        first = int(rng.integers(2))
        answers = [
            unmirrored(net(luma.flip(3)), luma.shape[3]) if (number + first) % 2 else net(luma)
            for number, net in enumerate(self.nets)
        ]
        return torch.stack([rows[..., :ANSWERS] for rows in answers]).mean(0)


def _network(path: Path) -> DetectorNet:
    net = DetectorNet()
    try:
        net.load_state_dict(read_checkpoint(path)["average"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise WeightsError(f"{path} is no checkpoint of the detector") from error
    return net


def unmirrored(rows: Tensor, side: int) -> Tensor:
    """Return the rows (B, A, 15) of mirrored square pictures as of the pictures themselves.

    Key points stay mirrored: only score and box are right.
    """
    counts = [(side // stride) ** 2 for stride in STRIDES]
    planes = [
        part.reshape(len(rows), side // stride, side // stride, -1).flip(2).flatten(1, 2)
        for part, stride in zip(torch.split(rows, counts, 1), STRIDES, strict=True)
    ]
    turned = torch.cat(planes, 1)
    turned[..., 1] *= -1
    return turned


def taught_loss(rows: Tensor, taught: Tensor, cells: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Return how far rows (B, A, 15) are from the teachers' (B, A, 5), and the parts of that.

    Cells weigh as much as the teachers are sure of a face, or as we are where they are not
    (as in the varifocal loss); a score that agrees costs nothing.
    """
    wanted = taught[..., 0].sigmoid()
    with torch.no_grad():
        own = rows[..., 0].sigmoid()
        weight = torch.maximum(wanted, RIVAL * own.square())
        norm = wanted.square().sum().clamp(min=4.0)
    least = F.binary_cross_entropy(wanted, wanted, reduction="none")
    gap = F.binary_cross_entropy_with_logits(rows[..., 0], wanted, reduction="none") - least
    score = (gap * weight).sum() / norm
    at = (wanted > BELIEVED).nonzero(as_tuple=True)
    found, boxes = (decode_boxes(each[at], cells[at[1]]) for each in (rows, taught))
    box = (ciou_loss(found, boxes) * wanted[at]).sum() / norm
    parts = {"taught_score": float(score.detach()), "taught_box": float(box.detach())}
    return SCORES * score + BOXES * box, parts
