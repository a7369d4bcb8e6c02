"""The two transfer-learning networks: a published encoder, frozen, with a new end that trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .inception_resnet import WIDTH, InceptionResnetV1
from .resnet import ResNet

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CENTRE_PX, SPREAD_PX = 100.0, 50.0
DROPOUT = 0.6


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a recipe fixes: side of its crop in px, points, and how its end is trained.

    `pretraining` lists for an encoder of our own until which share of the time it sees crops of
    which side, in batches of which size; small crops cost less, so most of the time goes to them.
    """

    name: str
    size: int
    points: int
    rate: float
    pretraining: tuple[tuple[float, int, int], ...] = ((1.0, 96, 16),)
    pretraining_share: float = 0.5
    batch: int = 32
    epochs: int = 500
    patience: int = 40


RECIPES = {
    "facenet194": Recipe(
        "facenet194", 200, 194, 1e-4, ((0.5, 96, 32), (0.75, 144, 32), (1.0, 200, 16))
    ),
    "resnet68": Recipe(
        "resnet68",
        224,
        68,
        1e-3,
        ((0.3, 64, 48), (0.5, 96, 32), (0.7, 144, 24), (1.0, 224, 12)),
        0.9,
    ),
}


class TransferNet(nn.Module):
    """Points (N, K, 2) in crop px of RGB crops (N, 3, S, S) in 0..255.

    `frozen` is what never changes, so that its output can be cached; `end` trains. `trained` are
    the prefixes of the tensors that training may change. Points leave `end` in the unit of the
    targets: (px - `centre`) / `spread`.
    """

    encoder: InceptionResnetV1 | ResNet
    trained: tuple[str, ...]

    def __init__(self, recipe: Recipe, centre: float, spread: float) -> None:
        super().__init__()
        self.recipe, self.centre, self.spread = recipe, centre, spread

    def normalise(self, rgb: Tensor) -> Tensor:
        """Return the picture as the published encoder wants it."""
        raise NotImplementedError

    def frozen(self, rgb: Tensor) -> Tensor:
        """Return what the frozen part makes of RGB crops."""
        raise NotImplementedError

    def end(self, features: Tensor) -> Tensor:
        """Return points (N, 2 K) in the unit of the targets."""
        raise NotImplementedError

    def targets(self, points_px: Tensor) -> Tensor:
        """Return true points (N, K, 2) in px as (N, 2 K) in the unit of the targets."""
        return (points_px.flatten(1) - self.centre) / self.spread

    def to_px(self, values: Tensor) -> Tensor:
        """Return (N, 2 K) in the unit of the targets as points (N, K, 2) in crop px."""
        return (values * self.spread + self.centre).view(-1, self.recipe.points, 2)

    def forward(self, rgb: Tensor) -> Tensor:
        return self.to_px(self.end(self.frozen(rgb)))

    @property
    def last(self) -> nn.Linear:
        """The new linear layer that gives the points."""
        raise NotImplementedError

    def start_at(self, points_px: Tensor) -> None:
        """Let the end begin with the mean of (N, K, 2) px, instead of learning it step by step."""
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            self.last.bias.copy_(self.targets(points_px).mean(dim=0))

    def end_tensors(self) -> dict[str, Tensor]:
        """Return the tensors of the end, running statistics included."""
        return {k: v for k, v in self.state_dict().items() if k.startswith(self.trained)}

    def end_parameters(self) -> Iterator[nn.Parameter]:
        """Yield what the optimiser may change."""
        return (p for name, p in self.named_parameters() if name.startswith(self.trained))

    def train(self, mode: bool = True) -> TransferNet:
        """Set the end alone to training: the frozen statistics must not move."""
        super().train(False)
        for name, module in self.named_modules():
            if f"{name}.".startswith(self.trained) or isinstance(module, nn.Dropout):
                module.training = mode
        return self


class FacenetLandmarks(TransferNet):
    """FaceNet's encoder; `block8` and the new head train. Targets are fractions of the crop."""

    encoder: InceptionResnetV1
    trained = ("encoder.block8.", "head.")

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, 0.0, float(recipe.size))
        self.encoder = InceptionResnetV1()
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(WIDTH, 2 * recipe.points)

    @property
    def last(self) -> nn.Linear:
        return self.head

    def normalise(self, rgb: Tensor) -> Tensor:
        return (rgb - 127.5) / 128.0

    def frozen(self, rgb: Tensor) -> Tensor:
        return self.encoder.before_block8(self.normalise(rgb))

    def end(self, features: Tensor) -> Tensor:
        pooled = self.encoder.block8(features).mean(dim=(2, 3))
        out: Tensor = self.head(self.dropout(pooled))
        return out


class ResnetLandmarks(TransferNet):
    """ResNet with a new last layer; targets are px, or normalised by the course's constants."""

    encoder: ResNet
    trained = ("encoder.fc.",)
    mean: Tensor
    deviation: Tensor

    def __init__(self, recipe: Recipe, depth: int, *, normalised: bool) -> None:
        super().__init__(recipe, *((CENTRE_PX, SPREAD_PX) if normalised else (0.0, 1.0)))
        self.encoder = ResNet(depth, 2 * recipe.points)
        for name, values in (("mean", IMAGENET_MEAN), ("deviation", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    @property
    def last(self) -> nn.Linear:
        return self.encoder.fc

    def normalise(self, rgb: Tensor) -> Tensor:
        return (rgb / 255.0 - self.mean) / self.deviation

    def frozen(self, rgb: Tensor) -> Tensor:
        return self.encoder.features(self.normalise(rgb))

    def end(self, features: Tensor) -> Tensor:
        out: Tensor = self.encoder.fc(features)
        return out


def build(recipe: str, depth: int = 50, *, normalised: bool = False) -> TransferNet:
    """Return the network of a recipe with random weights; KeyError for an unknown one."""
    plan = RECIPES[recipe]
    if recipe == "facenet194":
        return FacenetLandmarks(plan).eval()
    return ResnetLandmarks(plan, depth, normalised=normalised).eval()
