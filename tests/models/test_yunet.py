"""OpenCV's own YuNet code on a file with YuNet's outputs.

The published weights are not here; tests/yunet_stand_in.py builds a file like theirs.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidfilter.models.detector import FaceDetector
from vidfilter.models.yunet import YuNet, open_detector
from vidfilter.pipeline import Pipeline, PipelineSpec, StageSpec
from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.errors import WeightsError
from vidfilter.pipeline.frame import Frame

pytest.importorskip("onnx", reason="onnx, of the train extra, builds the network")

from yunet_stand_in import build

WEIGHTS = Path(__file__).parents[2] / "models/weights"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return build(tmp_path / "yunet.onnx")


def picture(width: int = 320, height: int = 176) -> np.ndarray:
    """A dark picture with a white cell at column 10, row 5 and a greyer one at 30, 12."""
    luma = np.full((height, width), 16, np.uint8)
    luma[40:48, 80:88] = 255
    luma[96:104, 240:248] = 240
    return luma


def test_boxes_points_and_scores_are_those_of_opencv(weights: Path) -> None:
    found = YuNet(weights).detect(picture(), long_side=320)
    np.testing.assert_allclose(found.scores, (1.0, 240 / 255), atol=1e-3)
    np.testing.assert_allclose(found.boxes_xyxy_px[0], (76, 32, 92, 56), atol=0.01)
    left_eye, right_eye, nose, left_mouth, right_mouth = found.keypoints_px[0]
    np.testing.assert_allclose(left_eye, (78, 40), atol=0.01)
    np.testing.assert_allclose(right_eye, (88, 40), atol=0.01)
    np.testing.assert_allclose(nose, (84, 44), atol=0.01)
    np.testing.assert_allclose(left_mouth, (80, 48), atol=0.01)
    np.testing.assert_allclose(right_mouth, (86, 48), atol=0.01)


def test_scores_and_numbers_are_limited(weights: Path) -> None:
    detector = YuNet(weights)
    assert len(detector.detect(picture(), min_score=0.97)) == 1
    assert len(detector.detect(picture(), max_faces=1)) == 1
    nobody = detector.detect(np.zeros((90, 120), np.uint8))
    assert nobody.boxes_xyxy_px.shape == (0, 4)
    assert nobody.keypoints_px.shape == (0, 5, 2)


@pytest.mark.parametrize("factor", [2, 4])
def test_results_are_in_px_of_the_picture_given(weights: Path, factor: int) -> None:
    large = np.kron(picture(), np.ones((factor, factor), np.uint8))
    small = YuNet(weights).detect(picture()).boxes_xyxy_px
    found = YuNet(weights).detect(large, long_side=320).boxes_xyxy_px
    np.testing.assert_allclose(found, small * factor, atol=0.01 * factor)


def test_sizes_that_are_no_multiple_of_32_and_changing_sizes_work(weights: Path) -> None:
    detector = YuNet(weights)
    for width, height in ((320, 176), (300, 131), (177, 320), (320, 176)):
        found = detector.detect(picture(width, height), long_side=max(width, height))
        np.testing.assert_allclose(found.boxes_xyxy_px[0], (76, 32, 92, 56), atol=0.01)


def test_a_frame_is_seen_in_colour(weights: Path) -> None:
    luma = np.where(picture() > 100, 235, 16).astype(np.uint8)
    chroma = np.full((88, 160), 128, np.uint8)
    caps = Caps("yuv420p", 320, 176, Fraction(30))
    frame = Frame((luma, chroma, chroma), 0, Fraction(1, 30), 0, caps)
    white = YuNet(weights).detect(frame)
    np.testing.assert_allclose(white.scores, (1.0, 1.0), atol=0.01)
    red = Frame((luma, chroma, np.full_like(chroma, 240)), 0, Fraction(1, 30), 0, caps)
    assert YuNet(weights).detect(red, min_score=0.1).scores.max() < 0.95


def test_a_pipeline_takes_the_file(weights: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "picture.png"), picture())
    stages = (
        StageSpec("capture", "capture", {"source": str(tmp_path / "picture.png")}),
        StageSpec("detect", "detect", {"model": str(weights)}),
        StageSpec("appsink", "appsink"),
    )
    (frame,) = Pipeline(PipelineSpec(stages)).frames()
    np.testing.assert_allclose(frame.faces[0].box_xyxy_px, (76, 32, 92, 56), atol=0.01)
    assert frame.faces[0].keypoints_px.shape == (5, 2)
    settings = frame.tags["settings"]["detect"]
    assert (settings["model"], len(settings["sha256"])) == (str(weights), 64)


def test_a_file_of_this_project_and_none_mean_our_own_detector() -> None:
    assert isinstance(open_detector(), FaceDetector)
    assert isinstance(open_detector(WEIGHTS / "detector.onnx"), FaceDetector)


def test_unusable_files_are_named_in_one_line(tmp_path: Path, weights: Path) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    cut_off = tmp_path / "cut.onnx"
    cut_off.write_bytes(weights.read_bytes()[:-200])
    other = tmp_path / "other.onnx"
    other.write_bytes((WEIGHTS / "landmarks68.onnx").read_bytes())
    for path, words in (
        (tmp_path / "none.onnx", "cannot read"),
        (text, "no usable ONNX"),
        (cut_off, "no usable ONNX"),
        (other, "neither YuNet"),
        (WEIGHTS / "landmarks68.onnx", "is no detector"),
    ):
        with pytest.raises(WeightsError, match=words) as caught:
            open_detector(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_outputs_of_other_shapes_are_refused_before_opencv_reads_them(tmp_path: Path) -> None:
    path = build(tmp_path / "short.onnx", lambda name, n: 4 if name == "kps_16" else n)
    with pytest.raises(WeightsError, match=r"kps_16 holds 960 .* expected 2400"):
        YuNet(path).detect(picture())


@pytest.mark.parametrize("shape", [(0, 0), (4, 4, 4, 1)])
def test_what_is_no_picture_is_refused(weights: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot look for faces"):
        YuNet(weights).detect(np.zeros(shape, np.uint8))
