"""The pictures that landmark networks train on still show what their points say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")


from vidfilter.models.crops import (
    Crop,
)
from vidfilter.models.topology import topology
from vidfilter.models.training.landmark_augment import Augmenter
from vidfilter.models.training.landmark_dataset import build_cache
from vidfilter.models.training.landmark_occlude import Occluder


def test_a_bent_face_keeps_its_points(data: Path) -> None:
    """In a picture whose luma tells the place, the points still lie where they lay."""
    faces = build_cache(data, most=1)
    augmenter = Augmenter(faces, 160, np.random.default_rng(0), strength=10.0)
    ramp = np.tile(np.linspace(40, 200, 320), (320, 1)).astype(np.uint8)
    shrink = Crop(159.5, 159.5, 320.0).to_crop(160)
    before = np.random.default_rng(1).uniform(20, 140, (194, 2)).astype(np.float32)
    for picture, axis in ((ramp, 0), (ramp.T.copy(), 1)):
        points = {"helen194": before}
        bent = augmenter._warp(picture, shrink, points)
        after = points["helen194"]
        assert np.abs(after - before).max() > 1.5
        x, y = cv2.split(after[None])
        luma = cv2.remap(bent, x, y, cv2.INTER_LINEAR)[0].astype(float)
        assert np.abs(luma - (40 + before[:, axis])).max() < 2


def test_labels_lie_to_the_same_side_in_mirrored_crops(data: Path) -> None:
    """The annotators' step to the right is not turned round, that of exact renders is."""
    faces = build_cache(data, most=1)
    sides = {}
    for name in ("helen68/a", "render/a"):
        named = replace(faces, names=[name] * len(faces.names))
        augmenter = Augmenter(named, 160, np.random.default_rng(0), strength=0.0)
        sides[name] = np.stack([augmenter.draw(0).points["ibug68"].mean(axis=0) for _ in range(64)])
    apart = sides["helen68/a"] - sides["render/a"]
    apart = apart[np.isfinite(apart[:, 0])]  # without those that show no face
    assert set(np.sign(apart[:, 0].round(3)).tolist()) == {0.0, 1.0}
    assert np.abs(apart[:, 1]).max() < 1e-3


def test_training_crops_keep_points_on_the_face(data: Path) -> None:
    faces = build_cache(data, most=24)
    augmenter = Augmenter(faces, 64, np.random.default_rng(0))
    examples = [augmenter.draw(row) for row in range(len(faces.names)) for _ in range(4)]
    shown = [example for example in examples if example.presence == 1.0]
    assert len(shown) > len(examples) * 0.7
    for example in shown:
        inside = (example.points["ibug68"] > -12) & (example.points["ibug68"] < 76)
        assert inside.mean() > 0.8
        left, right = topology("ibug68").eye_corners
        assert example.points["ibug68"][left, 0] < example.points["ibug68"][right, 0] + 40


def test_mirrored_crops_take_the_points_for_mirrored_crops(data: Path) -> None:
    faces = build_cache(data, most=1)
    rows = [faces.points["ibug68"], faces.points["ibug68"] + np.float32(9)]
    both = replace(faces, mirrored={**faces.points, "ibug68": rows[1]})
    spread = []
    for cache in (faces, both):
        augmenter = Augmenter(cache, 160, np.random.default_rng(0), strength=0.0)
        spread.append(np.stack([augmenter.draw(0).points["ibug68"] for _ in range(40)]))
    apart = np.abs(spread[1] - spread[0]).max(axis=(1, 2))
    kept = np.isfinite(apart)
    assert 0.2 < (apart[kept] > 0.5).mean() < 0.8


def test_an_oval_over_the_features_leaves_no_face(data: Path) -> None:
    faces = build_cache(data, most=24)
    occluder = Occluder(faces, np.random.default_rng(0))
    gone = 0
    for _ in range(200):
        before = np.random.default_rng(1).integers(0, 256, (96, 96), np.uint8)
        image = before.copy()
        points = faces.points["ibug68"][0] * 96 / 320
        if occluder.cover(image, points, 1.0) == 0.0:
            gone += 1
            inner = points[27:].round().astype(int)
            at = inner[:, 1], inner[:, 0]
            assert (image[at] != before[at]).mean() > 0.9
    assert 20 < gone < 80
