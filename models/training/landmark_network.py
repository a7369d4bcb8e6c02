"""Heat-map landmark network with a shared trunk and one head per point scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping

    Widths = tuple[int, int, int, int]

SCHEMES = {"ibug68": 68, "helen194": 194}
STRIDE = 8
# The network that follows faces, and the small one that only sets a first crop right.
FINE_WIDTHS, FINE_HEAD = (16, 32, 64, 128), 64
COARSE_WIDTHS, COARSE_HEAD = (16, 32, 32, 64), 32


class ConvUnit(nn.Sequential):
    """3x3 (or 1x1) convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 3, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions around an identity (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvUnit(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(self.first(x)))


class Separable(nn.Sequential):
    """3x3 convolution of each channel alone, batch norm, then a 1x1 `ConvUnit`."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Conv2d(width, width, 3, 1, 1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            ConvUnit(width, width, kernel=1),
        )


class LandmarkNet(nn.Module):
    """Find face points in a luma crop.

    Input (N, 1, S, S) float in 0..255, S a multiple of 32. A wide first layer quarters it, which
    costs little and sees all detail; a pyramid of dense convolutions ends in heat maps at stride
    8, whose soft-argmax gives coordinates (Sun et al. 2018, integral regression). Sizes near those
    used in training work, others badly. Widths are multiples of 16, the block of ONNX Runtime's
    kernels: others cost as much as the next multiple.
    """

    def __init__(self, widths: Widths = FINE_WIDTHS, head: int = FINE_HEAD) -> None:
        super().__init__()
        w0, w1, w2, w3 = widths
        self.head = head
        self.stem = nn.Sequential(ConvUnit(1, w0, 4, 6), ConvUnit(w0, w1, 2))
        self.stage1 = Residual(w1)
        self.stage2 = nn.Sequential(ConvUnit(w1, w2, 2), Residual(w2))
        self.stage3 = nn.Sequential(ConvUnit(w2, w3, 2), Residual(w3))
        self.lateral3 = nn.Conv2d(w3, w2, 1)
        self.merge2 = ConvUnit(w2, w2)
        self.lateral2 = nn.Conv2d(w2, head, 1)
        self.lateral1 = nn.Conv2d(w1, head, 1)
        self.merge1 = Separable(head)
        heads = {k: nn.Conv2d(head, n, 1, bias=False) for k, n in SCHEMES.items()}
        self.maps = nn.ModuleDict(heads)  # a bias would not move a soft-argmax
        self.squeeze = nn.Sequential(nn.Linear(w3, 96), nn.ReLU(inplace=True))
        self.presence = nn.Linear(96, 1)
        self.spread = nn.ModuleDict({k: nn.Linear(96, n) for k, n in SCHEMES.items()})

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the stride-4 map and the pooled vector of a batch of luma crops."""
        x = standardise(x)
        c1 = self.stage1(self.stem(x))
        c2 = self.stage2(c1)
        c3 = self.stage3(c2)
        pooled = self.squeeze(c3.mean(dim=(2, 3)))
        up2 = functional.interpolate(self.lateral3(c3), scale_factor=2.0, mode="nearest")
        p2 = self.merge2(c2 + up2)
        up1 = functional.interpolate(self.lateral2(p2), scale_factor=2.0, mode="nearest")
        return self.merge1(functional.relu(self.lateral1(c1) + up1)), pooled


def net_of(state: Mapping[str, Tensor]) -> LandmarkNet:
    """Return the network that saved weights belong to, with these weights."""
    layers = ("stem.0.0", "stem.1.0", "stage2.0.0", "stage3.0.0")
    w0, w1, w2, w3 = (len(state[f"{layer}.weight"]) for layer in layers)
    net = LandmarkNet((w0, w1, w2, w3), len(state["lateral1.weight"]))
    net.load_state_dict(state)
    return net


def standardise(x: Tensor) -> Tensor:
    """Give each crop zero mean and unit spread, so that luma range and exposure do not matter."""
    # One node in ONNX, instead of seven that take twice as long; what `functional` offers checks
    # the size of `x` first, which a trace cannot hold.
    return torch.instance_norm(x, None, None, None, None, True, 0.0, 16.0, False)


def heat_maps(head: nn.Module, maps: Tensor) -> Tensor:
    """Apply a 1x1 convolution as one product, so that each heat map lies in one piece.

    Training scores heat map by heat map; the convolution itself would interleave them.
    """
    weight = head.weight
    assert isinstance(weight, Tensor)
    rows = maps.permute(0, 2, 3, 1).flatten(1, 2)
    product = torch.bmm(weight[:, :, 0, 0].expand(len(maps), -1, -1), rows.transpose(1, 2))
    return product.reshape(*product.shape[:2], *maps.shape[2:])


def soft_argmax(logits: Tensor) -> Tensor:
    """Expected position (N, K, 2), x then y, in input pixels, of heat-map logits (N, K, H, W)."""
    weights = functional.softmax(logits.flatten(2), dim=2)
    return weights @ cell_centres(*logits.shape[2:])


def cell_centres(height: int, width: int) -> Tensor:
    """Return x, y (H * W, 2) of the middle of each heat-map cell, in input pixels."""
    rows, columns = (torch.arange(n, dtype=torch.float32) for n in (height, width))
    ys, xs = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((xs.flatten(), ys.flatten()), dim=1) * STRIDE + (STRIDE - 1) / 2
