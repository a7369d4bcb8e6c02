"""The face detector's network: one luma plane in, one row of 15 numbers per grid cell out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)
ROW = 15  # score logit, centre offset x y, log size w h, five key points x y
MAX_LOG_SIZE = 5.0
MIDDLE, SPREAD = 112.0, 64.0  # of luma; the spread is a power of two, so that folding is exact


def conv_bn(cin: int, cout: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Build convolution and batch norm, padded to keep the grid."""
    conv = nn.Conv2d(cin, cout, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout))


class Separable(nn.Module):
    """Depthwise then pointwise convolution, with a shortcut where the shapes allow (MobileNets)."""

    def __init__(self, cin: int, cout: int, stride: int = 1, size: int = 3) -> None:
        super().__init__()
        self.depthwise = conv_bn(cin, cin, size, stride, groups=cin)
        self.pointwise = conv_bn(cin, cout, 1)
        self.shortcut = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pointwise(F.relu(self.depthwise(x), inplace=True))
        return F.relu(x + y if self.shortcut else y, inplace=True)


def stage(cin: int, cout: int, blocks: int, size: int = 3) -> nn.Sequential:
    """Halve the grid, then refine it with `blocks` shortcut blocks."""
    rest = [Separable(cout, cout, size=size) for _ in range(blocks)]
    return nn.Sequential(Separable(cin, cout, stride=2), *rest)


class DetectorNet(nn.Module):
    """Single-shot anchor-free detector over strides 8, 16 and 32 with a top-down pyramid.

    Input (B, 1, H, W) float32 luma 0..255, H and W multiples of 32. Output (B, A, 15) with the
    cells of stride 8 first, row by row: score logit, then raw box and key point values
    (`decode` says what they mean).
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.scale = 1 / SPREAD
        self.pictures = 0  # of each call, 0 for any number
        self.stem = nn.Sequential(
            conv_bn(1, 16, 3, 2), nn.ReLU(inplace=True), Separable(16, 32, stride=2)
        )
        self.stage8 = stage(32, width, 3)
        self.stage16 = stage(width, 96, 4)
        self.stage32 = stage(96, 128, 3)
        self.lateral16 = conv_bn(96, width, 1)
        self.lateral32 = conv_bn(128, width, 1)
        self.smooth = nn.ModuleList(Separable(width, width) for _ in STRIDES)
        self.out = nn.ModuleList(nn.Conv2d(width, ROW, 1) for _ in STRIDES)
        for out in self.out:
            assert isinstance(out, nn.Conv2d)
            assert out.bias is not None
            nn.init.normal_(out.weight, std=0.01)
            nn.init.zeros_(out.bias)
            nn.init.constant_(out.bias[:1], -4.0)
            nn.init.constant_(out.bias[3:5], 1.0)

    def fold(self) -> None:
        """Do beforehand what can be, for single pictures; the rows stay what they are.

        The scale of the input goes into the first weights, and no shape is left to work out.
        """
        self.pictures = 1
        first = next(self.stem.parameters())
        first.data *= self.scale
        self.scale = 1.0

    def forward(self, luma: Tensor) -> Tensor:
        middled = luma - MIDDLE
        x8 = self.stage8(self.stem(middled if self.scale == 1 else middled * self.scale))
        x16 = self.stage16(x8)
        x32 = self.stage32(x16)
        p32 = self.smooth[2](self.lateral32(x32))
        p16 = self.smooth[1](F.relu(self.lateral16(x16) + F.interpolate(p32, scale_factor=2.0)))
        p8 = self.smooth[0](x8 + F.interpolate(p16, scale_factor=2.0))
        many = self.pictures or luma.shape[0]
        planes = (out(p) for p, out in zip((p8, p16, p32), self.out, strict=True))
        return torch.cat([p.permute(0, 2, 3, 1).reshape(many, -1, ROW) for p in planes], 1)


def grid(height: int, width: int) -> Tensor:
    """Return (A, 3): cell centre x, y in px and stride, in the order of the network's rows."""
    parts = []
    for s in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // s), torch.arange(width // s), indexing="ij")
        cell = torch.stack([(x + 0.5) * s, (y + 0.5) * s, torch.full_like(x, s, dtype=torch.float)])
        parts.append(cell.flatten(1).T)
    return torch.cat(parts)


def decode_boxes(rows: Tensor, cells: Tensor) -> Tensor:
    """Return boxes (..., A, 4) x0 y0 x1 y1 in px of the network's input."""
    stride = cells[:, 2:]
    centre = cells[:, :2] + rows[..., 1:3] * stride
    half = rows[..., 3:5].clamp(max=MAX_LOG_SIZE).exp() * stride / 2
    return torch.cat([centre - half, centre + half], -1)
