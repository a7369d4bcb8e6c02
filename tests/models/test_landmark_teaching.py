"""A landmark network labels what nobody labelled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch
from rendered_set import CHECKPOINT

from vidfilter.models.metrics import face_errors
from vidfilter.models.topology import topology
from vidfilter.models.training.landmark_batches import label_trust
from vidfilter.models.training.landmark_cache import FACE, LANDMARKS
from vidfilter.models.training.landmark_dataset import build_cache
from vidfilter.models.training.landmark_formats import (
    AnnotationError,
)
from vidfilter.models.training.landmark_loop import load_checkpoint
from vidfilter.models.training.landmark_network import LandmarkNet
from vidfilter.models.training.landmark_teach import load_taught, save_taught, taught


def test_a_network_labels_what_nobody_labelled(data: Path, tmp_path: Path) -> None:
    """The network that the project keeps, on rendered faces whose points are known and hidden."""
    torch.set_num_threads(1)
    faces = build_cache(data, most=8)
    truth = faces.points["ibug68"]
    hidden = truth.copy()
    hidden[:] = np.nan
    kind = np.full_like(faces.kind, FACE)
    held = np.arange(len(kind)) % 4 == 0
    net = LandmarkNet().eval()
    net.load_state_dict(load_checkpoint(CHECKPOINT)["average"])
    points = {"ibug68": hidden, "helen194": np.full_like(faces.points["helen194"], np.nan)}
    before = replace(faces, points=points, kind=kind, held_out=held)
    after = taught(before, net, 160, {})
    found = after.points["ibug68"][after.kind == LANDMARKS]
    assert len(found) > 0.5 * (~held).sum()
    scheme = topology("ibug68")
    assert np.median(face_errors(found, truth[after.kind == LANDMARKS], scheme)) < 0.06
    assert (after.kind[held] == FACE).all()
    assert np.isnan(after.points["ibug68"][held]).all()
    save_taught(tmp_path / "taught.npz", after)
    again = load_taught(tmp_path / "taught.npz", before)
    assert again is not None
    assert np.array_equal(again.points["ibug68"], after.points["ibug68"], equal_nan=True)
    assert np.array_equal(again.kind, after.kind)
    assert again.mirrored is not None
    assert np.array_equal(again.mirrored["ibug68"], again.points["ibug68"], equal_nan=True)
    assert load_taught(tmp_path / "none.npz", before) is None
    for damaged in (b"PK\x03\x04 and no more", b""):
        (tmp_path / "taught.npz").write_bytes(damaged)
        with pytest.raises(AnnotationError, match=r"taught\.npz: not a file of taught points"):
            load_taught(tmp_path / "taught.npz", before)


def test_mirrored_photos_teach_what_annotators_would_have_said(data: Path) -> None:
    """They place all points 3 % of a crop to the right: in mirrored crops to the right as well."""
    torch.set_num_threads(1)
    faces = build_cache(data, most=2)
    rows = len(faces.names)
    held = np.zeros(rows, bool)
    photos = replace(faces, names=[f"facedet/{row}" for row in range(rows)], held_out=held)
    hidden = {key: np.full_like(values, np.nan) for key, values in faces.points.items()}
    net = LandmarkNet().eval()
    net.load_state_dict(load_checkpoint(CHECKPOINT)["average"])
    layer = torch.zeros(137, 136)
    layer[-1, ::2] = 0.03
    before = replace(photos, points=hidden)
    plain = taught(before, net, 160, {}).points["ibug68"]
    after = taught(before, net, 160, {"ibug68": layer})
    assert after.mirrored is not None
    step = np.linalg.norm(after.points["ibug68"] - plain, axis=2)
    assert 3.0 < np.nanmedian(step) < 12.0
    right = after.points["ibug68"] - plain
    assert np.nanmin(right[..., 0]) > 0
    assert np.allclose(after.mirrored["ibug68"] - plain, -right, atol=0.01, equal_nan=True)
    named = replace(before, names=[f"render/{row}" for row in range(rows)])
    renders = taught(named, net, 160, {"ibug68": layer})
    assert np.array_equal(renders.points["ibug68"], plain, equal_nan=True)


def test_labels_that_are_found_count_less(data: Path) -> None:
    faces = build_cache(data, most=8)
    points = {**faces.points, "ibug68": faces.points["ibug68"].copy()}
    points["ibug68"][0] = np.nan
    trust = label_trust(replace(faces, points=points))["ibug68"]
    assert trust[0] < trust[1] == 1.0
