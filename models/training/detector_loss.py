"""Assign cells to faces by task alignment (TOOD, Feng et al. 2021) and score the network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .detector_net import decode_boxes

TOP_CELLS = 6
SCORE_POWER, IOU_POWER = 0.5, 4.0
BOX_WEIGHT, POINT_WEIGHT = 3.0, 0.5
DERIVED_BOX_TRUST = 0.5  # boxes moved from landmarks only resemble hand-drawn ones


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return IoU (B, G, A) of boxes (B, G, 4) and (B, A, 4)."""
    low = torch.maximum(a[:, :, None, :2], b[:, None, :, :2])
    high = torch.minimum(a[:, :, None, 2:], b[:, None, :, 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    area_a = (a[..., 2:] - a[..., :2]).prod(-1)[:, :, None]
    area_b = (b[..., 2:] - b[..., :2]).prod(-1)[:, None]
    return inter / (area_a + area_b - inter).clamp(min=1e-6)


def ciou_loss(a: Tensor, b: Tensor) -> Tensor:
    """Return 1 - CIoU (N,) of paired boxes (Zheng et al. 2020)."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    size_a, size_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    iou = inter / (size_a.prod(-1) + size_b.prod(-1) - inter).clamp(min=1e-6)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]).square().sum(-1) / 4
    turn = torch.atan(size_a[:, 0] / size_a[:, 1].clamp(min=1e-3))
    turn = turn - torch.atan(size_b[:, 0] / size_b[:, 1].clamp(min=1e-3))
    shape = turn.square() * (4 / torch.pi**2)
    with torch.no_grad():
        alpha = shape / (1 - iou + shape).clamp(min=1e-6)
    return 1 - iou + apart / hull.square().sum(-1).clamp(min=1e-6) + alpha * shape


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, cells: Tensor, faces: Tensor, real: Tensor
) -> tuple[Tensor, Tensor]:
    """Return per cell (B, A) the face it answers for (-1: none) and its target score.

    scores (B, A), boxes (B, A, 4), faces (B, G, 4) padded where `real` (B, G) is False.
    """
    centre, half = (faces[..., :2] + faces[..., 2:]) / 2, (faces[..., 2:] - faces[..., :2]) / 2
    apart = (cells[None, None, :, :2] - centre[:, :, None]).abs()
    reach = torch.maximum(half[:, :, None] * 0.8, cells[None, None, :, 2:] * 0.75)
    side = half.prod(-1).sqrt()[:, :, None] * 2
    fits = (cells[:, 2] <= side.clamp(min=8) * 1.2) & (side <= cells[:, 2] * 14)
    inside = (apart <= reach).all(-1) & fits & real[:, :, None]
    iou = pairwise_iou(faces, boxes)
    metric = scores[:, None].clamp(min=1e-4) ** SCORE_POWER * iou**IOU_POWER + 1e-9
    metric = metric * inside
    top = metric.topk(TOP_CELLS, -1)
    chosen = torch.zeros_like(metric).scatter(-1, top.indices, (top.values > 0).float()) > 0
    best = torch.where(chosen, iou + 1e-6, 0).max(1)
    face = torch.where(best.values > 0, best.indices, -1)
    mine = chosen & (face[:, None] == torch.arange(faces.shape[1])[None, :, None])
    metric = metric * mine
    peak = metric.amax(-1, keepdim=True).clamp(min=1e-9)
    target = (metric / peak).sqrt().amax(1)
    return face, target.clamp(0, 1)


def detector_loss(
    rows: Tensor, cells: Tensor, faces: Tensor, real: Tensor, points: Tensor, ignored: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of the network's rows (B, A, 15) and its parts.

    points (B, G, 5, 2) px with NaN where unknown; ignored (B, M, 4) boxes, zeros as padding.
    """
    boxes = decode_boxes(rows, cells)
    face, target = assign(rows[..., 0].sigmoid(), boxes.detach(), cells, faces, real)
    positive = face >= 0
    score = varifocal(rows[..., 0], target)
    mute = (cells[:, None, :2] >= ignored[:, None, :, :2]).all(-1)
    mute &= (cells[:, None, :2] <= ignored[:, None, :, 2:]).all(-1)
    score = score * (positive | ~mute.any(-1))
    norm = target.sum().clamp(min=4.0)
    where = positive.nonzero(as_tuple=True)
    weight = target[where]
    mine = face[where]
    truth = faces[where[0], mine]
    known = ~points[where[0], mine].isnan()
    trust = torch.where(known.any((1, 2)), DERIVED_BOX_TRUST, 1.0)  # hand-drawn ones lack points
    box = (ciou_loss(boxes[where], truth) * weight * trust).sum() / norm
    centre, half = (truth[:, :2] + truth[:, 2:]) / 2, (truth[:, 2:] - truth[:, :2]) / 2
    wanted = (points[where[0], mine] - centre[:, None]) / half[:, None]
    given = rows[where][:, 5:].view(-1, 5, 2)
    error = F.smooth_l1_loss(given, wanted.nan_to_num(), beta=0.1, reduction="none") * known
    point = (error.sum((1, 2)) * weight).sum() / (weight * known.any((1, 2))).sum().clamp(min=4.0)
    total = score.sum() / norm + BOX_WEIGHT * box + POINT_WEIGHT * point
    parts = {"score": score.sum() / norm, "box": box, "point": point}
    return total, {k: float(v.detach()) for k, v in parts.items()}


def varifocal(logit: Tensor, target: Tensor) -> Tensor:
    """Return the varifocal loss (Zhang et al. 2021) per element: hard negatives weigh more."""
    plain = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    weight = torch.where(target > 0, target, 0.75 * logit.detach().sigmoid().square())
    return plain * weight
