"""What the landmark network gets to see, and where its points land."""

from __future__ import annotations

import numpy as np
import pytest

from vidfilter.models.crops import (
    Crop,
    crop_from_box,
    crop_from_landmarks,
    follow_crop,
    transform_points,
)
from vidfilter.models.detector import hand_drawn_from_tight
from vidfilter.models.landmarks import LandmarkModel, cut
from vidfilter.models.pose import mean_face
from vidfilter.models.topology import topology
from vidfilter.stages._testface import random_face_image

SIZE = 64


def picture_px(crop: Crop) -> np.ndarray:
    """Picture coordinates (SIZE, SIZE, 2) of each pixel of a crop."""
    ys, xs = np.mgrid[:SIZE, :SIZE]
    back = crop.to_picture(SIZE)
    return np.stack((xs, ys), axis=-1) @ back[:, :2].T + back[:, 2]


@pytest.mark.parametrize("side", [30, 64, 100, 180, 333, 700])
@pytest.mark.parametrize("angle", [0.0, 0.4, -2.5])
@pytest.mark.parametrize("contiguous", [True, False])
def test_a_crop_shows_what_its_matrix_says(side: int, angle: float, contiguous: bool) -> None:
    ys, xs = np.mgrid[:480, :640]
    luma = ((xs + ys) * 0.2).astype(np.uint8)
    if not contiguous:
        luma = np.repeat(luma[:, :, None], 3, axis=2)[:, :, 1]
    crop = Crop(320.3, 240.6, side, angle)
    where = picture_px(crop).clip((0, 0), (639, 479))
    seen = cut(luma, crop, SIZE).astype(float) + 0.5
    inner = slice(8, -8)
    error = np.abs(seen - where.sum(axis=-1) * 0.2)[inner, inner]
    assert error.mean() < 0.5
    assert error.max() < 1.6


def test_a_large_face_is_averaged_not_sampled() -> None:
    noise = np.random.default_rng(0).normal(128, 20, (600, 600)).clip(0, 255).astype(np.uint8)
    assert cut(noise, Crop(300, 300, 512), SIZE).std() < 6


@pytest.mark.parametrize(
    "crop",
    [Crop(-500, -500, 300), Crop(5000, 300, 900, 2.0), Crop(5, 5, 20), Crop(50, 20, 5000, 1.0)],
)
@pytest.mark.parametrize("shape", [(48, 64), (1, 1), (2, 300)])
def test_crops_beyond_the_picture_repeat_its_edge(crop: Crop, shape: tuple[int, int]) -> None:
    luma = np.full(shape, 77, np.uint8)
    assert (cut(luma, crop, SIZE) == 77).all()


def test_the_batch_equals_its_rows() -> None:
    model = LandmarkModel()
    luma = np.random.default_rng(0).integers(0, 255, (200, 300)).astype(np.uint8)
    crops = [Crop(100, 100, 90), Crop(180, 90, 140, 0.5), Crop(30, 30, 80)]
    together = model.run(luma, crops)
    for row, crop in enumerate(crops):
        alone = model.run(luma, [crop])
        np.testing.assert_allclose(together.points_px[row], alone.points_px[0], atol=0.05)
        assert together.presence[row] == pytest.approx(alone.presence[0], abs=1e-3)
        assert together.visibility.shape == (3, 68)


def test_points_turn_with_the_picture() -> None:
    model = LandmarkModel()
    luma = np.random.default_rng(0).integers(0, 255, (160, 160)).astype(np.uint8)
    crop = Crop(79.5, 79.5, 120)
    upright = model.run(luma, [crop]).points_px[0]
    turned = model.run(np.rot90(luma, -1).copy(), [Crop(79.5, 79.5, 120, np.pi / 2)]).points_px[0]
    np.testing.assert_allclose(turned, np.stack((159 - upright[:, 1], upright[:, 0]), 1), atol=0.3)


def test_first_and_next_crop_agree_on_a_face() -> None:
    model = LandmarkModel()
    angle = 0.6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (mean_face()[:, :2] @ turn.T * 80 + (300, 200)).astype(np.float32)
    after = model.next_crop(points)
    assert after.angle == pytest.approx(angle, abs=0.02)
    tight = np.concatenate((points.min(axis=0), points.max(axis=0)))
    eyes = np.stack((points[36:42].mean(axis=0), points[42:48].mean(axis=0)))
    first = model.first_crop(hand_drawn_from_tight(tight), eyes)
    assert first.angle == pytest.approx(after.angle, abs=0.02)
    assert first.side == pytest.approx(after.side, rel=0.25)
    assert np.hypot(first.centre_x - after.centre_x, first.centre_y - after.centre_y) < 15


def test_crop_matrices_undo_each_other() -> None:
    points = np.random.default_rng(0).uniform(50, 90, (68, 2))
    scheme = topology("ibug68")
    for crop in (
        crop_from_box(np.array([10.0, 20.0, 80.0, 70.0])),
        crop_from_landmarks(points, scheme.region("eye.left"), scheme.region("eye.right")),
    ):
        there = transform_points(crop.to_crop(96), points)
        assert np.allclose(transform_points(crop.to_picture(96), there), points, atol=1e-3)


def test_crop_turns_a_tilted_face_upright() -> None:
    _, points = random_face_image(np.random.default_rng(5), 200)
    scheme = topology("ibug68")
    eyes = scheme.region("eye.left"), scheme.region("eye.right")
    turn = np.radians(40)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    tilted = points @ rotation.T
    crop = crop_from_landmarks(tilted, *eyes)
    upright = transform_points(crop.to_crop(96), tilted)
    across = upright[eyes[1]].mean(axis=0) - upright[eyes[0]].mean(axis=0)
    assert abs(across[1]) < 1e-3 < across[0]
    assert np.ptp(upright, axis=0).max() == pytest.approx(96 / 1.4, abs=0.1)


def test_a_followed_crop_ignores_noise_but_not_motion() -> None:
    still = Crop(100.0, 80.0, 200.0, 3.14)
    assert follow_crop(still, Crop(101.5, 79.0, 201.0, -3.14)) == still
    for wanted in (Crop(160.0, 80.0, 200.0, 3.14), Crop(100.0, 80.0, 300.0, 2.0)):
        crop = follow_crop(still, wanted)
        assert abs(crop.centre_x - wanted.centre_x) <= 2.0 + 1e-9
        assert crop.side == pytest.approx(wanted.side, rel=0.011)
        assert crop.angle == pytest.approx(wanted.angle, abs=0.0126)
