"""Training of the landmark network: what it learns from, resume, early stop, export."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnxruntime as ort
import torch
from rendered_set import CHECKPOINT

from vidfilter.models.training import export
from vidfilter.models.training.landmark_batches import COARSE, Settings
from vidfilter.models.training.landmark_dataset import build_cache
from vidfilter.models.training.landmark_loop import Run, load_checkpoint
from vidfilter.models.training.landmark_loss import HeatMapLoss, points_loss
from vidfilter.models.training.landmark_network import LandmarkNet, soft_argmax
from vidfilter.pipeline.errors import WeightsError


def quick(**changes: float) -> Settings:
    return Settings(**{"minutes": 0.02, "size": 64, "batch": 4, **changes})


@pytest.mark.slow
def test_training_stops_resumes_and_exports(data: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    faces = build_cache(data, most=24)
    lines: list[str] = []
    first = Run(tmp_path, faces, quick())
    first.train(lines.append)
    assert any("held out" in line for line in lines)
    second = Run(tmp_path, faces, quick(minutes=0.03))
    second.resume(tmp_path / "last.pt")
    assert second.step == first.step > 0
    second.train(lines.append)
    assert second.step > first.step
    out = tmp_path / "mine.onnx"
    spec = export.run(export.Options(tmp_path / "last.pt", out, size=64))
    assert json.loads(out.with_suffix(".json").read_text()) == spec
    shown = 24 - int((faces.held_out | first.aside).sum())
    assert spec["trained_on"] == {"helen68": shown, "render": 24}
    session = ort.InferenceSession(out)
    luma = np.full((3, 1, 64, 64), 90, dtype=np.float32)
    points, presence, visibility = session.run(None, {spec["input"]["name"]: luma})
    assert points.shape == (3, spec["points"], 2)
    assert presence.shape == (3,)
    assert ((visibility >= 0) & (visibility <= 1)).all()


@pytest.mark.slow
def test_the_coarse_network_trains_and_exports_by_itself(data: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    faces = build_cache(data, most=8)
    run = Run(tmp_path, faces, replace(COARSE, minutes=0.02, batch=4))
    run.train(lambda _line: None)
    spec = export.run(export.Options(tmp_path / "last.pt", tmp_path / "mine.onnx"))
    assert spec["input"]["size"] == 96
    assert "coarse" not in spec
    spec = export.run(export.Options(CHECKPOINT, tmp_path / "fine.onnx"))
    assert spec["coarse"] == "landmarks_coarse"
    with pytest.raises(WeightsError, match=r"last\.pt is of another network"):
        Run(tmp_path, faces, quick()).resume(tmp_path / "last.pt")


def test_network_does_not_see_exposure_or_luma_range() -> None:
    net = LandmarkNet().eval()
    luma = torch.randint(60, 200, (1, 1, 64, 64)).float()
    with torch.inference_mode():
        points = [
            soft_argmax(net.maps["ibug68"](net.features(x)[0])) for x in (luma, luma * 0.8 + 16)
        ]
    assert torch.allclose(points[0], points[1], atol=0.05)


def test_a_truncated_or_foreign_checkpoint_is_refused(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"average": LandmarkNet().state_dict()}, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"last\.pt"):
        load_checkpoint(path)
    torch.save({"average": {"other": torch.zeros(3)}}, path)
    with pytest.raises(WeightsError, match=r"last\.pt"):
        load_checkpoint(path)
    torch.save({"average": LandmarkNet().state_dict()}, path)  # and nothing to continue with
    with pytest.raises(WeightsError, match=r"last\.pt is of another network"):
        Run(tmp_path, build_cache(data, most=1), quick()).resume(path)


def test_the_hand_written_gradient_is_that_of_the_formulas() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 9, 9, requires_grad=True)
    truth, share = torch.rand(2, 5, 2) * 40 - 2, torch.rand(2, 5)
    loss, distance = HeatMapLoss.apply(logits, truth, share)
    loss.backward()
    assert logits.grad is not None
    by_hand, logits.grad = logits.grad.clone(), None
    miss = soft_argmax(logits) - truth
    cells = torch.stack([(truth[..., axis] - 3.5) / 8 for axis in (0, 1)])
    grid = torch.arange(9.0)
    across, down = torch.softmax(-0.5 * (grid - cells[..., None]) ** 2, dim=-1)
    target = down[..., :, None] * across[..., None, :]
    heat = torch.logsumexp(logits.flatten(2), 2) - (target * logits).sum((2, 3))
    away = 0.6 * ((miss.square().sum(2) + 0.75**2).sqrt() - 0.75)
    expected = ((away + 0.5 * heat) * share).sum()
    expected.backward()
    assert torch.allclose(loss, expected, atol=1e-4)
    assert torch.allclose(distance, miss.norm(dim=2), atol=1e-4)
    assert torch.allclose(by_hand, logits.grad, atol=1e-5)


def test_points_that_are_unknown_or_off_the_crop_teach_nothing() -> None:
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)
    truth = torch.tensor([[[8.0, 9.0], [float("nan"), float("nan")], [99.0, 4.0]]])
    loss, error = points_loss(logits, torch.zeros(1, 3), truth, torch.ones(1), 64)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(loss)
    assert np.isfinite(error)
    taught = logits.grad.abs().amax(dim=(0, 2, 3)) > 0
    assert taught.tolist() == [True, False, False]


@pytest.mark.slow
def test_training_ends_when_nothing_is_gained(data: Path, tmp_path: Path) -> None:
    faces = build_cache(data, most=24)
    lines: list[str] = []
    run = Run(tmp_path, faces, quick(minutes=5.0, patience=2, check_every_s=0.1, rate=0.0))
    run.train(lines.append)
    assert run.trained_s < 120
    assert any(line.startswith("stopped early: 2 checks") for line in lines)
