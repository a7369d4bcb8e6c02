"""Pasted heads and drawn masks of the detector's training: what they hide and what they leave."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidfilter.models.training import detector_masks, detector_paste
from vidfilter.models.training.detector_augment import Canvas
from vidfilter.models.training.detector_data import Sample, renders, split
from vidfilter.models.training.detector_masks import MASK, Dresser, axes_of
from vidfilter.models.training.detector_moves import turn
from vidfilter.models.training.detector_paste import Crowd, cut_out


@pytest.fixture(scope="module")
def faces() -> list[Sample]:
    """Return rendered portraits, said to be photos."""
    some = list(renders(singles=6, scenes=0))
    for sample in some:
        sample.kind = "portrait"
    return some


def _empty(size: int) -> Canvas:
    boxes, points = np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32)
    return Canvas(np.full((size, size), 128, np.uint8), boxes, points, boxes)


def test_heads_are_pasted_where_no_face_is(
    faces: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector_paste, "PASTED", 1.0)
    crowd = Crowd(faces, np.random.default_rng(0))
    pasted = 0
    for _ in range(30):
        canvas = _empty(256)
        known = np.array([[60, 60, 150, 170]], np.float32)
        canvas.boxes, canvas.keypoints = known, np.full((1, 5, 2), np.nan, np.float32)
        canvas.ignored = np.array([[190, 20, 240, 90]], np.float32)
        crowd.paste(canvas, 64)
        pasted += len(canvas.boxes) - 1
        assert np.array_equal(canvas.boxes[0], known[0])
        assert len(canvas.keypoints) == len(canvas.boxes)
        assert (canvas.luma[75:155, 75:135] == 128).all()
        assert (canvas.luma[30:80, 200:230] == 128).all()
        for x0, y0, x1, y1 in canvas.boxes[1:].astype(int):
            assert canvas.luma[y0:y1, x0:x1].std() > 2, "a pasted box shows a face"
    assert pasted >= 30


def test_a_pasted_head_shows_the_face_at_its_key_points(faces: list[Sample]) -> None:
    head = cut_out(faces[0], 0)
    assert head is not None
    x0, y0, x1, y1 = faces[0].boxes[0].round().astype(int)
    u0, v0, u1, v1 = head.box.round().astype(int)
    once = cv2.resize(faces[0].luma[y0:y1, x0:x1], (32, 40), interpolation=cv2.INTER_AREA)
    again = cv2.resize(head.pictures[0][v0:v1, u0:u1], (32, 40), interpolation=cv2.INTER_AREA)
    assert np.abs(once.astype(float) - again).mean() < 6
    inside = (head.keypoints > head.box[:2]) & (head.keypoints < head.box[2:])
    assert inside.all()


def test_no_head_is_cut_out_beside_another_or_where_it_is_small(faces: list[Sample]) -> None:
    sample = Sample("a", "a", "portrait", faces[0].luma, faces[0].boxes, faces[0].keypoints)
    assert cut_out(sample, 0) is not None
    width = sample.boxes[0, 2] - sample.boxes[0, 0]
    sample.unsure = sample.boxes + np.array([width, 0, width, 0], np.float32)
    assert cut_out(sample, 0) is None
    small = Sample("a", "a", "portrait", faces[0].luma, faces[0].boxes * 0.1, sample.keypoints)
    assert cut_out(small, 0) is None


def test_what_is_pasted_of_faceless_pictures_is_no_face(
    faces: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector_paste, "PASTED", 1.0)
    monkeypatch.setattr(detector_paste, "DECOYS", 1.0)
    noise = np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8)
    crowd = Crowd([*faces, Sample("n", "n", "negative", noise)], np.random.default_rng(1))
    canvas = _empty(192)
    crowd.paste(canvas, 64)
    assert (canvas.luma != 128).any()
    assert len(canvas.boxes) == 0


def test_a_mask_hides_nose_and_mouth_and_leaves_the_eyes(faces: list[Sample]) -> None:
    dresser = Dresser([], np.random.default_rng(2))
    for sample in faces:
        luma, points = sample.luma.copy(), sample.keypoints[0]
        axes = axes_of(sample.boxes[0], points)
        assert axes is not None
        dresser._draw(luma, axes, MASK, 1.0)
        changed = luma != sample.luma
        x, y = points[3:].mean(0).round().astype(int)
        assert changed[y - 2 : y + 3, x - 2 : x + 3].mean() > 0.9
        for x, y in points[:2].round().astype(int):
            assert not changed[y - 1 : y + 2, x - 1 : x + 2].any()
        x0, y0, x1 = sample.boxes[0, :3].astype(int)
        outside = changed.copy()
        outside[y0:, x0 - 6 : x1 + 6] = False
        assert not outside.any(), "the mask stays on the face"


def test_faces_are_dressed_only_where_their_features_are_known(
    faces: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector_masks, "DRESSED", 1.0)
    noise = np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8)
    dresser = Dresser([noise], np.random.default_rng(3))
    sample = faces[0]
    plain = sample.luma.copy()
    dresser.dress(plain, sample.boxes, np.full((1, 5, 2), np.nan, np.float32))
    assert np.array_equal(plain, sample.luma)
    shares = []
    for _ in range(40):
        luma = sample.luma.copy()
        dresser.dress(luma, sample.boxes, sample.keypoints)
        x0, y0, x1, y1 = sample.boxes[0].astype(int)
        shares.append(float((luma != sample.luma)[y0:y1, x0:x1].mean()))
    assert min(shares) > 0.02
    assert np.median(shares) < 0.8, "most faces are hidden in part, not altogether"


def test_a_turned_face_has_its_nose_to_one_side() -> None:
    front = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
    side = front + np.array([[0, 0], [0, 0], [14, 0], [0, 0], [0, 0]], np.float32)
    assert turn(front) == pytest.approx(0, abs=1e-6)
    assert turn(side) == pytest.approx(0.35)
    upside_down = 100 - side
    assert turn(upside_down) == pytest.approx(0.35)


def test_photos_the_landmarks_hold_out_are_not_trained_on() -> None:
    names = ("helen68/103236168_2.jpg", "afw68/111076519.jpg", "facedet/any.jpg")
    luma = np.zeros((8, 8), np.uint8)
    train, held = split([Sample(name, f"{name}0", "portrait", luma) for name in names])
    assert not {"helen68/103236168_2.jpg", "afw68/111076519.jpg"} & {s.name for s in train}
    assert "facedet/any.jpg" in {s.name for s in [*train, *held]}
