"""Losses of the landmark network: heat-map cross-entropy, wing, learned spread and presence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .landmark_network import SCHEMES, STRIDE, LandmarkNet, soft_argmax

WING_WIDTH, WING_CURVE = 6.0, 1.5
TARGET_SIGMA = 1.0
HEAT_WEIGHT, SPREAD_WEIGHT, PRESENCE_WEIGHT = 0.5, 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops (N, 1, S, S), points per scheme (N, K, 2) with NaN, presence (N,), weight (N,)."""

    images: Tensor
    points: dict[str, Tensor]
    presence: Tensor
    weight: Tensor


def batch_loss(net: LandmarkNet, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and its parts, in px where they are distances."""
    maps, pooled = net.features(batch.images)
    total = PRESENCE_WEIGHT * presence_loss(net.presence(pooled)[:, 0], batch.presence)
    parts = {"presence": float(total.detach())}
    size = batch.images.shape[-1]
    for scheme in SCHEMES:
        truth = batch.points[scheme]
        rows = torch.nonzero(~torch.isnan(truth[:, 0, 0]))[:, 0]
        if not len(rows):
            continue
        logits = net.maps[scheme](maps[rows])
        spread = net.spread[scheme](pooled[rows])
        loss, error = points_loss(logits, spread, truth[rows], batch.weight[rows], size)
        total = total + loss * (len(rows) / len(truth))
        parts[scheme] = error
    return total, parts


def points_loss(
    logits: Tensor, spread: Tensor, truth: Tensor, weight: Tensor, size: int
) -> tuple[Tensor, float]:
    """Score heat maps (N, K, H, W) against points (N, K, 2); points off the crop do not count."""
    inside = ((truth > -1.0) & (truth < size)).all(dim=2).float() * weight[:, None]
    count = inside.sum().clamp(min=1.0)
    found = soft_argmax(logits)
    miss = found - truth
    distance = miss.detach().norm(dim=2)
    each = wing(miss).sum(dim=2) + HEAT_WEIGHT * heat_loss(logits, truth)
    scale = torch.exp(spread)
    each = each + SPREAD_WEIGHT * (distance / scale + spread)
    return (each * inside).sum() / count, float((distance * inside).sum() / count)


def wing(miss: Tensor) -> Tensor:
    """Wing loss (Feng et al. 2018) of px differences: logarithmic near zero, linear far away."""
    size = miss.abs()
    near = WING_WIDTH * torch.log1p(size / WING_CURVE)
    offset = WING_WIDTH - WING_WIDTH * torch.log1p(torch.tensor(WING_WIDTH / WING_CURVE))
    return torch.where(size < WING_WIDTH, near, size - offset) * (WING_CURVE / WING_WIDTH)


def heat_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy (N, K) of heat maps against a Gaussian at the true point."""
    _, _, height, width = logits.shape
    cell = (truth - (STRIDE - 1) / 2) / STRIDE
    across = _bump(cell[..., 0], width)
    down = _bump(cell[..., 1], height)
    agreement = torch.matmul(down[:, :, None, :], logits).squeeze(2)
    return torch.logsumexp(logits.flatten(2), dim=2) - (agreement * across).sum(dim=2)


def _bump(centre: Tensor, length: int) -> Tensor:
    away = torch.arange(length, dtype=torch.float32) - centre[..., None]
    return functional.softmax(-0.5 * (away / TARGET_SIGMA) ** 2, dim=-1)


def presence_loss(logits: Tensor, presence: Tensor) -> Tensor:
    """Binary cross-entropy over the crops whose presence is known (not negative)."""
    known = presence >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    return functional.binary_cross_entropy_with_logits(logits[known], presence[known])
