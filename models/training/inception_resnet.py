"""Inception-ResNet-v1 (Szegedy et al. 2017) with the tensor names of published FaceNet checkpoints.

Names, shapes and constants follow the PyTorch checkpoint trained on VGGFace2 faces; its
classifier `logits` is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 1792
EMBEDDING = 512
Size = int | tuple[int, int]


class Unit(nn.Module):
    """Convolution `conv`, batch norm `bn`, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: Size, stride: int = 1, padding: Size = 0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)))


class Residual(nn.Module):
    """Branches, joined by a 1x1 convolution `conv2d`, scaled and added to their input."""

    def __init__(
        self, branches: list[nn.Module], joined: int, width: int, scale: float, *, relu: bool = True
    ) -> None:
        super().__init__()
        for number, branch in enumerate(branches):
            setattr(self, f"branch{number}", branch)
        self.conv2d = nn.Conv2d(joined, width, 1)
        self.count, self.scale, self.relu = len(branches), scale, relu

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.cat([getattr(self, f"branch{n}")(x) for n in range(self.count)], dim=1)
        out: Tensor = self.conv2d(inner) * self.scale + x
        return functional.relu(out) if self.relu else out


class Reduction(nn.Module):
    """Branches of stride 2 beside a max pool, concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        for number, branch in enumerate(branches):
            setattr(self, f"branch{number}", branch)
        self.count = len(branches)

    def forward(self, x: Tensor) -> Tensor:
        parts = [getattr(self, f"branch{n}")(x) for n in range(self.count)]
        return torch.cat([*parts, functional.max_pool2d(x, 3, 2)], dim=1)


def block35() -> Residual:
    """Return an Inception-ResNet-A block on 256 channels."""
    second = nn.Sequential(Unit(256, 32, 1), Unit(32, 32, 3, padding=1))
    third = nn.Sequential(Unit(256, 32, 1), Unit(32, 32, 3, padding=1), Unit(32, 32, 3, padding=1))
    return Residual([Unit(256, 32, 1), second, third], 96, 256, 0.17)


def block17() -> Residual:
    """Return an Inception-ResNet-B block on 896 channels."""
    across, down = Unit(128, 128, (1, 7), padding=(0, 3)), Unit(128, 128, (7, 1), padding=(3, 0))
    return Residual(
        [Unit(896, 128, 1), nn.Sequential(Unit(896, 128, 1), across, down)], 256, 896, 0.1
    )


def block8(scale: float = 0.2, *, relu: bool = True) -> Residual:
    """Return an Inception-ResNet-C block on 1792 channels."""
    across, down = Unit(192, 192, (1, 3), padding=(0, 1)), Unit(192, 192, (3, 1), padding=(1, 0))
    branches = [Unit(WIDTH, 192, 1), nn.Sequential(Unit(WIDTH, 192, 1), across, down)]
    return Residual(branches, 384, WIDTH, scale, relu=relu)


class InceptionResnetV1(nn.Module):
    """The encoder; takes RGB (N, 3, H, W) as (value - 127.5) / 128, H and W at least 75."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d_1a = Unit(3, 32, 3, 2)
        self.conv2d_2a = Unit(32, 32, 3)
        self.conv2d_2b = Unit(32, 64, 3, padding=1)
        self.conv2d_3b = Unit(64, 80, 1)
        self.conv2d_4a = Unit(80, 192, 3)
        self.conv2d_4b = Unit(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*(block35() for _ in range(5)))
        self.mixed_6a = Reduction(
            Unit(256, 384, 3, 2),
            nn.Sequential(Unit(256, 192, 1), Unit(192, 192, 3, padding=1), Unit(192, 256, 3, 2)),
        )
        self.repeat_2 = nn.Sequential(*(block17() for _ in range(10)))
        self.mixed_7a = Reduction(
            nn.Sequential(Unit(896, 256, 1), Unit(256, 384, 3, 2)),
            nn.Sequential(Unit(896, 256, 1), Unit(256, 256, 3, 2)),
            nn.Sequential(Unit(896, 256, 1), Unit(256, 256, 3, padding=1), Unit(256, 256, 3, 2)),
        )
        self.repeat_3 = nn.Sequential(*(block8() for _ in range(5)))
        self.block8 = block8(1.0, relu=False)
        self.last_linear = nn.Linear(WIDTH, EMBEDDING, bias=False)
        self.last_bn = nn.BatchNorm1d(EMBEDDING, eps=0.001)

    def before_block8(self, x: Tensor) -> Tensor:
        """Return the map (N, 1792, h, w) that `block8` takes."""
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.conv2d_3b(functional.max_pool2d(x, 3, 2))
        x = self.repeat_1(self.conv2d_4b(self.conv2d_4a(x)))
        x = self.repeat_2(self.mixed_6a(x))
        out: Tensor = self.repeat_3(self.mixed_7a(x))
        return out

    def features(self, x: Tensor) -> Tensor:
        """Return the pooled features (N, 1792)."""
        mapped: Tensor = self.block8(self.before_block8(x))
        return mapped.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding (N, 512) of unit length."""
        embedded: Tensor = self.last_bn(self.last_linear(self.features(x)))
        return functional.normalize(embedded, dim=1)
