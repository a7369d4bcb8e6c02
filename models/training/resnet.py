"""ResNet-50 and ResNet-101 (He et al. 2016) with the tensor names of torchvision's checkpoints.

The stride of a bottleneck sits in its 3x3 convolution, as in those checkpoints.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
WIDTH = 2048
EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut, projected where the shape changes."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            project = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(project, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.bn1(self.conv1(x)))
        inner = functional.relu(self.bn2(self.conv2(inner)))
        return functional.relu(self.bn3(self.conv3(inner)) + self.downsample(x))


class ResNet(nn.Module):
    """The network of `depth` 50 or 101 whose last layer `fc` has `outputs` values."""

    def __init__(self, depth: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for number, blocks in enumerate(BLOCKS[depth]):
            width = 64 << number
            stride = 1 if number == 0 else 2
            first = Bottleneck(inputs, width, stride)
            inputs = width * EXPANSION
            rest = [Bottleneck(inputs, width, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{number + 1}", nn.Sequential(first, *rest))
        self.fc = nn.Linear(WIDTH, outputs)
        _initialise(self)

    def features(self, x: Tensor) -> Tensor:
        """Return the pooled features (N, 2048) of normalised RGB (N, 3, H, W)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)  # type: ignore[operator]  # set by name
        return x.mean(dim=(2, 3))

    def scale_features(self, factor: float) -> None:
        """Multiply the pooled features by `factor`, and change nothing else about them.

        Only the last group of blocks changes: the first block's output, what the others add to
        it, and the statistics by which these read it.
        """
        blocks: list[Any] = list(self.get_submodule("layer4").children())
        first, *rest = blocks
        for norm in (first.bn3, first.downsample[1], *(block.bn3 for block in rest)):
            norm.weight.data *= factor
            norm.bias.data *= factor
        for norm in (block.bn1 for block in rest):
            norm.running_mean *= factor
            norm.running_var += norm.eps
            norm.running_var *= factor * factor
            norm.running_var -= norm.eps

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.features(x))
        return out


def _initialise(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
