"""The shipped detector: what it finds, what it leaves alone, and odd pictures."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidfilter.models.detector import (
    FaceDetector,
    hand_drawn_from_tight,
    tight_box_from_detection,
)
from vidfilter.models.runtime import WEIGHTS
from vidfilter.pipeline.errors import WeightsError
from vidfilter.stages._testface import FaceScene


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """A real face that no training has seen, as luma."""
    data = pytest.importorskip("skimage.data")
    return cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inter = np.clip(high - low, 0, None).prod()
    return float(inter / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inter))


def test_the_best_find_is_the_face_with_its_key_points(
    detector: FaceDetector, portrait: np.ndarray
) -> None:
    found = detector.detect(portrait)
    assert overlap(found.boxes_xyxy_px[0], np.array([176, 66, 274, 184])) > 0.6
    left_eye, right_eye, nose, mouth_left, mouth_right = found.keypoints_px[0]
    assert np.linalg.norm(left_eye - (202, 107)) < 12
    assert np.linalg.norm(right_eye - (246, 107)) < 12
    assert left_eye[0] < nose[0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])


def test_results_are_float32_and_best_first(detector: FaceDetector, portrait: np.ndarray) -> None:
    found = detector.detect(np.hstack([portrait, portrait[:, ::-1]]), min_score=0.05)
    assert len(found) >= 2
    assert found.boxes_xyxy_px.dtype == found.scores.dtype == found.keypoints_px.dtype == np.float32
    assert found.keypoints_px.shape == (len(found), 5, 2)
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize("faces", [1, 3])
def test_finds_every_rendered_face(detector: FaceDetector, faces: int) -> None:
    scene = FaceScene(640, 360, faces=faces, seed=3)
    luma = cv2.cvtColor(scene.render(1.0), cv2.COLOR_BGR2GRAY)
    found = tight_box_from_detection(detector.detect(luma).boxes_xyxy_px)
    assert len(found) == faces
    for truth in scene.truth(1.0):
        assert max(overlap(box, truth.box_xyxy_px) for box in found) > 0.5


@pytest.mark.parametrize(("gain", "offset"), [(219 / 255, 16), (0.4, 10), (0.6, 100)])
def test_range_and_light_do_not_matter(
    detector: FaceDetector, portrait: np.ndarray, gain: float, offset: int
) -> None:
    found = detector.detect((portrait * gain + offset).astype(np.uint8))
    usual = detector.detect(portrait)
    assert overlap(found.boxes_xyxy_px[0], usual.boxes_xyxy_px[0]) > 0.8


def test_max_faces_keeps_the_best(detector: FaceDetector) -> None:
    luma = cv2.cvtColor(FaceScene(640, 360, faces=4).render(0), cv2.COLOR_BGR2GRAY)
    every = detector.detect(luma)
    best = detector.detect(luma, max_faces=1)
    assert len(every) > len(best) == 1
    np.testing.assert_allclose(best.boxes_xyxy_px, every.boxes_xyxy_px[:1], atol=0.01)


def test_a_face_scores_the_same_whatever_else_is_asked_for(
    detector: FaceDetector, portrait: np.ndarray
) -> None:
    usual = detector.detect(portrait).scores[0]
    low = detector.detect(portrait, min_score=0.02)
    high = detector.detect(portrait, min_score=float(usual) - 0.01, max_faces=1)
    assert low.scores[0] == high.scores[0] == usual
    assert (low.scores >= 0.02).all()
    assert len(detector.detect(portrait, min_score=float(usual) + 0.01)) == 0


def test_sizes_do_not_leak_between_calls(detector: FaceDetector, portrait: np.ndarray) -> None:
    fresh = detector.detect(portrait)
    detector.detect(np.full((90, 400), 255, np.uint8), long_side=480)
    detector.detect(np.full((400, 390), 255, np.uint8))
    again = detector.detect(portrait)
    np.testing.assert_array_equal(fresh.boxes_xyxy_px, again.boxes_xyxy_px)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (31, 33), (4000, 6000)])
def test_faceless_pictures_of_any_size_give_nothing(
    detector: FaceDetector, shape: tuple[int, int]
) -> None:
    assert len(detector.detect(np.full(shape, 128, np.uint8))) == 0


def test_noise_is_no_face(detector: FaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320), dtype=np.uint8)
    assert len(detector.detect(noise)) == 0


def test_a_view_with_any_strides_gives_the_same_result(
    detector: FaceDetector, portrait: np.ndarray
) -> None:
    wide = np.repeat(portrait, 2, axis=1)
    views = wide[:, ::2], np.asfortranarray(portrait), portrait[::-1][::-1]
    expected = detector.detect(portrait).boxes_xyxy_px
    for view in views:
        np.testing.assert_array_equal(detector.detect(view).boxes_xyxy_px, expected)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((0, 10), np.uint8), "empty"),
        (np.zeros((10, 10, 3), np.uint8), "luma"),
        (np.zeros((10, 10, 4), np.uint8), "luma"),
        (np.zeros((10, 10), np.float32), "uint8"),
    ],
)
def test_wrong_pictures_are_refused(
    detector: FaceDetector, picture: np.ndarray, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        detector.detect(picture)


def test_boxes_stay_inside_the_picture(detector: FaceDetector, portrait: np.ndarray) -> None:
    luma = portrait[100:300, 200:400]
    found = detector.detect(luma, min_score=0.05)
    assert (found.boxes_xyxy_px >= 0).all()
    assert (found.boxes_xyxy_px <= 200).all()


def test_box_conventions_convert_both_ways() -> None:
    tight = np.array([[10, 20, 110, 140], [0, 0, 8, 9]], np.float32)
    drawn = hand_drawn_from_tight(tight)
    assert (drawn[:, 1] < tight[:, 1]).all(), "a hand-drawn box includes the forehead"
    np.testing.assert_allclose(tight_box_from_detection(drawn), tight, atol=1e-4)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    for suffix in (".onnx", ".json"):
        shutil.copy(WEIGHTS / f"detector{suffix}", tmp_path)
    path = tmp_path / "detector.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="sha256"):
        FaceDetector(path)


def test_a_network_that_is_no_detector_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"landmarks68\.onnx is no detector .* tensor\(float\)"):
        FaceDetector(WEIGHTS / "landmarks68.onnx")


def test_shipped_files_say_what_they_are() -> None:
    spec = json.loads((WEIGHTS / "detector.json").read_text())
    assert {"name", "sha256", "licence", "strides", "default_min_score", "input"} <= set(spec)
    assert (WEIGHTS / "detector.onnx").stat().st_size <= 1_000_000


def test_finds_held_out_faces(detector: FaceDetector, shared_data: Path) -> None:
    """Most faces of boxed pictures kept out of training are found, and few others."""
    names = (Path(__file__).parents[2] / "models/training/heldout_detector.txt").read_text()
    held = {n.split("/")[1] for n in names.split() if n.startswith("facedet/")}
    truth: dict[str, list[list[float]]] = {}
    with (shared_data / "facedet/boxes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["image"] in held:
                box = [float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax")]
                truth.setdefault(row["image"], []).append(box)
    hits = total = false = pictures = 0
    for name in sorted(truth)[::4]:
        luma = cv2.imread(str(shared_data / "facedet/images" / name), cv2.IMREAD_GRAYSCALE)
        boxes, small = np.array(truth[name]), (24 * max(luma.shape) / 320) ** 2
        found = detector.detect(luma).boxes_xyxy_px
        big = (boxes[:, 2:] - boxes[:, :2]).prod(1) >= small
        total += int(big.sum())
        hits += sum(max((overlap(b, f) for f in found), default=0) >= 0.4 for b in boxes[big])
        alarms = found[(found[:, 2:] - found[:, :2]).prod(1) >= small]
        false += sum(max(overlap(b, f) for b in boxes) < 0.2 for f in alarms)
        pictures += 1
    assert hits >= 0.75 * total
    assert false <= 0.25 * pictures


def test_finds_nobody_in_a_clip_without_faces(detector: FaceDetector, shared_media: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(shared_media / "noface_720p_raw.264")) as clip:
        for i, frame in enumerate(clip.decode(video=0)):
            if i % 25 == 0:
                luma = frame.to_ndarray(format="gray")
                assert len(detector.detect(luma)) == 0, f"frame {i}"
