"""`vidfilter export`: whole networks or none."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from annotated import figures, write_csv, write_pts
from boxed import write_scenes
from giving import Command

from vidfilter.models.detector import FaceDetector

CHECKPOINTS = Path(__file__).parents[2] / "models/training/checkpoints"


@pytest.mark.parametrize(
    ("network", "options", "words"),
    [
        ("detector", ("--scheme", "helen194"), "--scheme is not for"),
        ("detector", ("--size", "128"), "--size is not for"),
        ("landmarks", ("--min-score", "0.3"), "--min-score is not for"),
        ("landmarks", ("--size", "80"), "80 is not a multiple of 32"),
    ],
)
def test_export_refuses_options_of_another_network(
    network: str, options: tuple[str, ...], words: str, tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("torch")
    checkpoint, out = CHECKPOINTS / f"{network}.pt", tmp_path / "net.onnx"
    done = vidfilter("export", str(checkpoint), "--out", str(out), *options)
    assert done.code == 2
    assert words in done.error
    assert not out.exists()


def test_a_failed_export_replaces_nothing(tmp_path: Path, vidfilter: Command) -> None:
    torch = pytest.importorskip("torch")
    out, spoilt = tmp_path / "net.onnx", tmp_path / "spoilt.pt"
    out.write_bytes(b"mine")
    good = str(CHECKPOINTS / "landmarks.pt")
    args = (good, "--out", str(out), "--int8", "--data", str(tmp_path / "none"), "--overwrite")
    assert "none: no such folder" in vidfilter("export", *args).error
    state = torch.load(CHECKPOINTS / "detector.pt", weights_only=True)
    state["average"] = {k: v * float("nan") for k, v in state["average"].items()}
    torch.save(state, spoilt)
    done = vidfilter("export", str(spoilt), "--out", str(out), "--overwrite")
    assert f"{spoilt} cannot be exported" in done.error
    assert out.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "spoilt.pt"]


def test_an_8_bit_export_tells_what_it_cost(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("torch")
    data, out = write_pts(tmp_path / "faces", 6), tmp_path / "small.onnx"
    args = ("--out", str(out), "--int8", "--data", str(data), "--size", "128", "--json")
    done = vidfilter("export", str(CHECKPOINTS / "landmarks.pt"), *args)
    assert done.code == 0, done.err
    spec = json.loads(out.with_suffix(".json").read_text())
    assert spec["int8"] == json.loads(done.out)["int8"]
    assert 0 < spec["int8"]["nme_int8"] < 0.2
    assert out.stat().st_size < 1_000_000
    assert figures(vidfilter, data, "--model", out)["n"] == 6


def test_an_8_bit_detector_finds_what_it_found_before(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("torch")
    folder, out = tmp_path / "data" / "facedet", tmp_path / "small.onnx"
    folder.mkdir(parents=True)
    table = write_scenes(folder / "images", 6)
    table.rename(folder / "boxes.csv")
    args = ("--out", str(out), "--int8", "--data", str(folder.parent), "--min-score", "0.4")
    done = vidfilter("export", str(CHECKPOINTS / "detector.pt"), *args)
    assert done.code == 0, done.err
    spec = json.loads(out.with_suffix(".json").read_text())
    told = spec["int8"]
    assert f"average precision on 2 pictures {told['ap_40_int8']:.3f}" in done.err + done.out
    assert told["ap_40_int8"] == pytest.approx(told["ap_40_fp32"], abs=0.05)
    assert (spec["default_min_score"], spec["precision"]) == (0.4, "int8")
    assert out.stat().st_size < 1_000_000
    luma = cv2.imread(str(folder / "images" / "1.png"), cv2.IMREAD_GRAYSCALE)
    ours, shipped = FaceDetector(out).detect(luma), FaceDetector().detect(luma)
    assert len(ours) == len(shipped) == 2
    np.testing.assert_allclose(ours.boxes_xyxy_px, shipped.boxes_xyxy_px, atol=2)


def test_8_bits_need_boxed_pictures(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("torch")
    folder, out = tmp_path / "data" / "facedet", tmp_path / "small.onnx"
    args = (str(CHECKPOINTS / "detector.pt"), "--out", str(out), "--int8", "--data")
    missing = vidfilter("export", *args, str(folder.parent))
    assert missing.code == 1
    assert str(folder / "boxes.csv") in missing.error
    folder.mkdir(parents=True)
    table = write_scenes(folder / "images", 1)
    table.rename(folder / "boxes.csv")
    done = vidfilter("export", *args, str(folder.parent))
    assert done.code == 1
    assert "too few boxed pictures" in done.error
    assert not out.exists()


def test_a_damaged_checkpoint_is_named_and_nothing_written(
    tmp_path: Path, vidfilter: Command
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    path, out = tmp_path / "c.pt", tmp_path / "net.onnx"
    torch.save({"average": {"a": torch.zeros(900)}}, path)
    for content in (path.read_bytes(), path.read_bytes()[:700], b"", b"text"):
        path.write_bytes(content)
        done = vidfilter("export", str(path), "--out", str(out))
        assert done.code == 1
        assert str(path) in done.error
    data = write_csv(tmp_path / "data")
    args = ("--data", str(data), "--out", str(tmp_path / "run"), "--trunk", str(path))
    torch.save({"a": torch.zeros(3)}, path)
    assert f"{path} lacks" in vidfilter("train", "resnet68", *args).error
    path.write_bytes(b"text")
    assert str(path) in vidfilter("train", "resnet68", *args).error
    out.write_bytes(b"mine")
    assert "--overwrite" in vidfilter("export", str(path), "--out", str(out)).error
    assert out.read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.pt", "data", "net.onnx"]
