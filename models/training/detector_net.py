"""The face detector's network: one luma plane in, one row of 15 numbers per grid cell out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)
ROW = 15  # score logit, centre offset x y, log size w h, five key points x y
MAX_LOG_SIZE = 5.0
MIDDLE, SPREAD = 112.0, 64.0  # of luma; 8 bits hold (luma - MIDDLE) / SPREAD exactly
SQUARE = 2  # px of a side; the pixels of each such square are the first layer's channels
FIRST, WIDTHS, MIDDLES, BLOCKS = 32, (48, 96, 160), (32, 48, 80), (1, 3, 2)
NECK, NECK_MIDDLE = 48, 32


def conv_bn(cin: int, cout: int, size: int, stride: int = 1) -> nn.Sequential:
    """Build convolution and batch norm, padded to keep the grid."""
    conv = nn.Conv2d(cin, cout, size, stride, size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout))


class Layer(nn.Module):
    """Dense convolution, batch norm and rectifier."""

    def __init__(self, cin: int, cout: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.body = conv_bn(cin, cout, size, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x), inplace=True)


class Bottleneck(nn.Module):
    """1x1 to fewer channels, 3x3 back, and a shortcut (He et al., 2016, without its third layer).

    Dense rather than separable: in 8 bits a dense convolution does four times as many products in
    the same time, while one by channels takes as long as in float.
    """

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.narrow = conv_bn(channels, middle, 1)
        self.widen = conv_bn(middle, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.widen(F.relu(self.narrow(x), inplace=True))
        return F.relu(x + y, inplace=True)


def stage(cin: int, cout: int, middle: int, blocks: int) -> nn.Sequential:
    """Halve the grid, then refine it with `blocks` bottlenecks."""
    return nn.Sequential(Layer(cin, cout, 3, 2), *(Bottleneck(cout, middle) for _ in range(blocks)))


class DetectorNet(nn.Module):
    """Single-shot anchor-free detector over strides 8, 16 and 32 with a top-down pyramid.

    Input (B, 1, H, W) float32 luma 0..255, H and W multiples of 32. Output (B, A, 15) with the
    cells of stride 8 first, row by row: score logit, then raw box and key point values
    (`decode_boxes` says what they mean).
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (FIRST, *WIDTHS)
        self.stem = Layer(SQUARE**2, FIRST, 3, 2)
        self.stage8, self.stage16, self.stage32 = (
            stage(*each) for each in zip(widths[:-1], widths[1:], MIDDLES, BLOCKS, strict=True)
        )
        self.lateral16 = conv_bn(WIDTHS[1], NECK, 1)
        self.lateral32 = Layer(WIDTHS[2], NECK, 1)
        self.smooth = nn.ModuleList(Bottleneck(NECK, NECK_MIDDLE) for _ in STRIDES)
        self.out = nn.ModuleList(_head() for _ in STRIDES)

    def forward(self, luma: Tensor) -> Tensor:
        return self.rows(F.pixel_unshuffle((luma - MIDDLE) * (1 / SPREAD), SQUARE), luma.shape[0])

    def rows(self, pixels: Tensor, many: int) -> Tensor:
        """Return the rows of `many` pictures, given as squares of centred luma (B, 4, H/2, W/2)."""
        x8 = self.stage8(self.stem(pixels))
        x16 = self.stage16(x8)
        x32 = self.stage32(x16)
        p32 = self.smooth[2](self.lateral32(x32))
        p16 = self.smooth[1](F.relu(self.lateral16(x16) + F.interpolate(p32, scale_factor=2.0)))
        p8 = self.smooth[0](F.relu(x8 + F.interpolate(p16, scale_factor=2.0)))
        flat = (p.permute(0, 2, 3, 1).reshape(-1, NECK) for p in (p8, p16, p32))
        rows = [out(p).reshape(many, -1, ROW) for p, out in zip(flat, self.out, strict=True)]
        return torch.cat(rows, 1)


class OfSquares(nn.Module):
    """The network for one picture as pixels of squares (1, H/2, W/2, 4) uint8, channels last."""

    def __init__(self, net: DetectorNet) -> None:
        super().__init__()
        self.net = net
        self.eval()

    def forward(self, squares: Tensor) -> Tensor:
        centred = (squares.permute(0, 3, 1, 2).float() - MIDDLE) * (1 / SPREAD)
        return self.net.rows(centred, 1)


def _head() -> nn.Linear:
    """Return the last layer of one stride, which says at first that no face is anywhere."""
    out = nn.Linear(NECK, ROW)
    nn.init.normal_(out.weight, std=0.01)
    nn.init.zeros_(out.bias)
    nn.init.constant_(out.bias[:1], -4.0)
    nn.init.constant_(out.bias[3:5], 1.0)
    return out


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
