"""An encoder of our own: its crops, and that its training resumes and learns."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from vidfilter.models.topology import topology
from vidfilter.models.training.evaluate_data import AnnotatedFace
from vidfilter.models.training.recipe_augment import WIDE_PX, vary, wide_crop
from vidfilter.models.training.recipe_data import Arrays
from vidfilter.models.training.recipe_network import FacenetLandmarks, Recipe
from vidfilter.models.training.recipe_pretrain import Pretraining
from vidfilter.models.training.resnet import ResNet
from vidfilter.pipeline.errors import WeightsError
from vidfilter.stages._testface import random_face_image

FLIP = topology("ibug68").flip
PLAN = Recipe("facenet194", 80, 194, 1e-4, ((0.5, 80, 4), (1.0, 96, 4)))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def wide_arrays(count: int) -> Arrays:
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        picture, points = random_face_image(rng, 200)
        face = AnnotatedFace("a", Path("a.png"), points.astype(np.float32))
        rows.append(wide_crop(picture, face, WIDE_PX, rng))
    images, points = zip(*rows, strict=True)
    return Arrays(np.stack(images), np.stack(points))


def pretraining(arrays: Arrays, path: Path) -> Pretraining:
    torch.manual_seed(0)
    return Pretraining(FacenetLandmarks(PLAN).eval(), [arrays], path, 0)


@pytest.mark.parametrize("size", [64, 224])
def test_points_stay_on_what_they_mark_in_every_crop(size: int) -> None:
    points = np.random.default_rng(1).uniform(80, 210, (68, 2)).astype(np.float32)
    points[30], points[36], points[45] = (144, 170), (110, 120), (180, 120)
    wide = np.zeros((WIDE_PX, WIDE_PX, 3), np.uint8)
    for channel, index in enumerate((30, 36)):  # the nose tip in red, one eye in green
        colour = tuple(255.0 * (c == channel) for c in range(3))
        cv2.circle(wide, points[index].astype(int).tolist(), 6, colour, -1)
    rng, eyes = np.random.default_rng(0), set()
    for _ in range(30):
        rgb, found = vary(wide, points, size, FLIP, rng)
        assert rgb.shape == (size, size, 3)
        if np.ptp(rgb, axis=2).max() < 20:
            continue  # grey by chance
        nose, eye = centre(rgb[..., 0] - rgb.min(axis=2)), centre(rgb[..., 1] - rgb.min(axis=2))
        np.testing.assert_allclose(nose, found[30], atol=0.02 * size)
        distances = np.linalg.norm(found[[36, 45]] - eye, axis=1)
        assert distances.min() < 0.03 * size
        eyes.add(int(distances.argmin()))  # a mirror image renames the eyes
    assert eyes == {0, 1}


def centre(weight: np.ndarray) -> tuple[float, float]:
    """Return the middle of what is lit clearly."""
    y, x = np.nonzero(weight > 0.5 * weight.max())
    return float(x.mean()), float(y.mean())


def test_pretraining_resumes_and_lowers_its_error(tmp_path: Path) -> None:
    arrays, path = wide_arrays(4), tmp_path / "state.pt"
    first = pretraining(arrays, path)
    first.run(1000, 3, lambda _share: None)
    second = pretraining(arrays, path)
    second.resume()
    assert second.step == 3
    for name, value in first.net.encoder.state_dict().items():
        torch.testing.assert_close(second.net.encoder.state_dict()[name], value)
    shares: list[float] = []
    second.run(1000, 6, shares.append)
    assert second.step == 6
    assert len(shares) == 3
    before = first.heads[0].weight.detach().clone()
    assert not torch.equal(before, second.heads[0].weight)


def test_a_state_of_another_data_set_is_refused(tmp_path: Path) -> None:
    arrays, path = wide_arrays(2), tmp_path / "state.pt"
    pretraining(arrays, path).save()
    other = Arrays(arrays.images, np.repeat(arrays.points, 3, axis=1)[:, :194])
    with pytest.raises(WeightsError, match=r"state\.pt is no state of this pretraining"):
        pretraining(other, path).resume()


def test_features_are_scaled_and_nothing_else() -> None:
    torch.manual_seed(0)
    net = ResNet(50, 4).train()
    picture = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        net(picture)  # moves the running statistics
        before = net.eval().features(picture)
        net.scale_features(20.0)
        after = net.features(picture)
    torch.testing.assert_close(after, 20 * before, rtol=1e-4, atol=1e-4)
