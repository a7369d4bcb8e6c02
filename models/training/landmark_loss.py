"""Losses of the landmark network: heat maps, distances, learned spread and presence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .landmark_network import SCHEMES, STRIDE, LandmarkNet, heat_maps

DISTANCE_WEIGHT, ROUNDED_PX = 0.6, 0.75
TARGET_SIGMA = 1.0
HEAT_WEIGHT, SPREAD_WEIGHT, PRESENCE_WEIGHT = 0.5, 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops (N, 1, S, S), presence (N,); per scheme points (N, K, 2) with NaN and weight (N,)."""

    images: Tensor
    points: dict[str, Tensor]
    presence: Tensor
    weight: dict[str, Tensor]


def batch_loss(net: LandmarkNet, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and its parts, in px where they are distances."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps, pooled = net.features(batch.images)
    pooled = pooled.float()
    total = PRESENCE_WEIGHT * presence_loss(net.presence(pooled)[:, 0], batch.presence)
    parts = {"presence": float(total.detach())}
    size = batch.images.shape[-1]
    for scheme in SCHEMES:
        truth = batch.points[scheme]
        rows = torch.nonzero(~torch.isnan(truth[..., 0]).all(dim=1))[:, 0]
        if not len(rows):
            continue
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = heat_maps(net.maps[scheme], maps[rows])
        spread = net.spread[scheme](pooled[rows])
        loss, error = points_loss(logits, spread, truth[rows], batch.weight[scheme][rows], size)
        total = total + loss * (len(rows) / len(truth))
        parts[scheme] = error
    return total, parts


def points_loss(
    logits: Tensor, spread: Tensor, truth: Tensor, weight: Tensor, size: int
) -> tuple[Tensor, float]:
    """Score heat maps (N, K, H, W) against points (N, K, 2); those NaN or off the crop are free."""
    inside = ((truth > -1.0) & (truth < size)).all(dim=2).float() * weight[:, None]
    count = inside.sum().clamp(min=1.0)
    share = inside / count
    truth = torch.nan_to_num(truth)
    loss, distance = HeatMapLoss.apply(logits, truth, share)  # type: ignore[no-untyped-call]
    scatter = distance / torch.exp(spread) + spread
    total = loss + SPREAD_WEIGHT * (scatter * share).sum()
    return total, float((distance * share).sum())


class HeatMapLoss(torch.autograd.Function):
    """Distance of the soft-argmax plus cross-entropy to a Gaussian, with its gradient by hand.

    `apply(logits (N, K, H, W), truth (N, K, 2) px, share (N, K))` returns the sum over points of
    share times loss, and the distances (N, K) in px, without gradient. For softmax p, found point
    f = sum p g over cells g, slope s of the rounded distance and target T:
    d loss / d logits = share (p (s . (g - f)) + HEAT_WEIGHT (p - T)). Automatic differentiation
    of the same formulas takes four times as long, half of a whole training step.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the distances; the gradient is made at once and kept."""
        maps = logits.float()
        height, width = maps.shape[2:]
        cell = (truth - (STRIDE - 1) / 2) / STRIDE
        target = _bump(cell[..., 0], width), _bump(cell[..., 1], height)
        agreement = ((target[1][:, :, None, :] @ maps)[:, :, 0] * target[0]).sum(dim=2)
        chance, volume = _chances(maps)
        found = torch.stack(
            (chance.sum(dim=2) @ _centres(width), chance.sum(dim=3) @ _centres(height)), dim=2
        )
        miss = found - truth
        away, slope = rounded_distance(miss)
        loss = ((away + HEAT_WEIGHT * (volume - agreement)) * share).sum()
        grad = _gradient(chance, found, slope * share[..., None], share[..., None], target)
        ctx.save_for_backward(grad.to(logits.dtype))
        distance = miss.norm(dim=2)
        ctx.mark_non_differentiable(distance)
        return loss, distance

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _distance: Tensor) -> tuple[Tensor, None, None]:
        """Scale the gradient kept by `forward`."""
        (kept,) = ctx.saved_tensors
        return kept.mul_(grad.to(kept.dtype)), None, None


def _chances(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the softmax of each map (N, K, H, W) and its log-sum-exp (N, K)."""
    flat = maps.flatten(2)
    top = flat.amax(dim=2, keepdim=True)
    chance = (flat - top).exp_()
    total = chance.sum(dim=2, keepdim=True)
    return chance.div_(total).view_as(maps), top[..., 0] + total[..., 0].log()


def _gradient(
    chance: Tensor, found: Tensor, slope: Tensor, share: Tensor, target: tuple[Tensor, Tensor]
) -> Tensor:
    """Return the gradient by the logits as `HeatMapLoss` gives it; overwrites `chance`.

    `slope` (N, K, 2) and `share` (N, K, 1) hold the share; `target` is T's columns and rows.
    """
    across, down = target
    height, width = chance.shape[2:]
    right = slope[..., :1] * (_centres(width) - found[..., :1]) + HEAT_WEIGHT * share
    below = slope[..., 1:] * (_centres(height) - found[..., 1:])
    one_x, one_y = torch.ones_like(right), torch.ones_like(below)
    factor = torch.stack((one_y, below), 3) @ torch.stack((right, one_x), 2)
    less = (down * (-HEAT_WEIGHT * share)).flatten(0, 1)[:, :, None]
    flow = chance.mul_(factor).flatten(0, 1)
    return torch.baddbmm(flow, less, across.flatten(0, 1)[:, None]).view_as(factor)


def rounded_distance(miss: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted distance (...) of px differences (..., 2), and its derivative by them.

    Rounded within `ROUNDED_PX` (pseudo-Huber). It is what the error measures: a loss that is
    gentle with far points, as the wing loss is, cares too little for those that annotators place
    loosely, such as the contour's.
    """
    length = (miss.square().sum(dim=-1) + ROUNDED_PX**2).sqrt()
    return DISTANCE_WEIGHT * (length - ROUNDED_PX), DISTANCE_WEIGHT * miss / length[..., None]


def _centres(length: int) -> Tensor:
    return torch.arange(length, dtype=torch.float32) * STRIDE + (STRIDE - 1) / 2


def _bump(centre: Tensor, length: int) -> Tensor:
    away = torch.arange(length, dtype=torch.float32) - centre[..., None]
    return functional.softmax(-0.5 * (away / TARGET_SIGMA) ** 2, dim=-1)


def presence_loss(logits: Tensor, presence: Tensor) -> Tensor:
    """Binary cross-entropy over the crops whose presence is known (not negative)."""
    known = presence >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    return functional.binary_cross_entropy_with_logits(logits[known], presence[known])
