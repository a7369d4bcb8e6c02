"""The test face shows what its truth says, at any size, again and again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidfilter.stages._testface import BACKGROUNDS, FaceScene, FaceTruth, random_face_image

FLIP = np.r_[16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47, 46, 39:35:-1, 41, 40,
             54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1]  # fmt: skip


@pytest.fixture(scope="module")
def scene() -> FaceScene:
    return FaceScene(640, 480, seed=3)


def _inside(points: np.ndarray, shape: tuple[int, ...], shrink: float = 1.0) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    centre = points.mean(axis=0)
    cv2.fillPoly(mask, [np.round(centre + shrink * (points - centre)).astype(np.int32)], 255)
    return mask > 0


def _eye_distance(truth: FaceTruth) -> float:
    return float(np.hypot(*(truth.landmarks_px[45] - truth.landmarks_px[36])))


def _time_of(scene: FaceScene, name: str, *, highest: bool) -> float:
    times = np.arange(0, 20, 0.04)
    values = [scene.truth(t)[0].expressions[name] for t in times]
    return float(times[np.argmax(values) if highest else np.argmin(values)])


def test_picture_and_truth_have_the_promised_form(scene: FaceScene) -> None:
    picture, (truth,) = scene.render(1.0), scene.truth(1.0)
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8
    assert truth.landmarks_px.shape == (68, 2)
    assert truth.landmarks_px.dtype == truth.box_xyxy_px.dtype == np.float32
    low, high = truth.landmarks_px.min(axis=0), truth.landmarks_px.max(axis=0)
    np.testing.assert_array_equal(truth.box_xyxy_px, [*low, *high])
    assert all(0 <= value <= 1 for value in truth.expressions.values())
    assert set(truth.expressions) == {
        "mouth_open", "eye_open_l", "eye_open_r", "brow_raise", "smile"
    }  # fmt: skip


def test_same_arguments_give_the_same_picture() -> None:
    one, other = FaceScene(320, 240, seed=5), FaceScene(320, 240, seed=5)
    one.render(3.0)  # what was drawn before must not matter
    np.testing.assert_array_equal(one.render(1.2), other.render(1.2))
    np.testing.assert_array_equal(one.truth(1.2)[0].landmarks_px, other.truth(1.2)[0].landmarks_px)


def test_seed_changes_person_and_motion() -> None:
    one, other = FaceScene(320, 240, seed=1), FaceScene(320, 240, seed=2)
    assert np.abs(one.render(0.5).astype(int) - other.render(0.5)).mean() > 5
    assert one.truth(0.5)[0].yaw_deg != other.truth(0.5)[0].yaw_deg


def test_no_motion_means_a_still_neutral_face() -> None:
    still = FaceScene(320, 240, motion=0.0)
    np.testing.assert_array_equal(still.render(0.0), still.render(2.7))
    (truth,) = still.truth(2.7)
    assert truth.yaw_deg == truth.pitch_deg == truth.roll_deg == 0
    assert truth.expressions["eye_open_l"] == 1
    assert truth.expressions["mouth_open"] == 0


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4])
def test_pupils_are_the_darkest_part_of_open_eyes(seed: int) -> None:
    scene = FaceScene(1280, 720, seed=seed, motion=0.0)
    grey = cv2.GaussianBlur(cv2.cvtColor(scene.render(0.0), cv2.COLOR_BGR2GRAY), (9, 9), 3)
    (truth,) = scene.truth(0.0)
    for eye in (truth.landmarks_px[36:42], truth.landmarks_px[42:48]):
        inside = _inside(eye, grey.shape, 0.7)
        darkest = np.unravel_index(np.where(inside, grey, 255).argmin(), grey.shape)
        assert np.hypot(*(np.array(darkest)[::-1] - eye.mean(axis=0))) < 0.05 * _eye_distance(truth)


def test_blink_hides_the_white_of_the_eyes(scene: FaceScene) -> None:
    shut = _time_of(scene, "eye_open_l", highest=False)
    (closed,), (opened,) = scene.truth(shut), scene.truth(shut + 0.5)
    assert closed.expressions["eye_open_l"] < 0.1
    assert opened.expressions["eye_open_l"] > 0.9
    heights = [
        float(np.hypot(*(t.landmarks_px[[37, 38]] - t.landmarks_px[[41, 40]]).mean(axis=0)))
        for t in (closed, opened)
    ]
    assert heights[0] < 0.35 * heights[1]


def test_lips_are_redder_than_the_chin(scene: FaceScene) -> None:
    for time_s in (0.3, 2.0, 4.5):
        picture, (truth,) = scene.render(time_s).astype(float), scene.truth(time_s)
        points = truth.landmarks_px
        lower = _inside(points[[54, 55, 56, 57, 58, 59, 60, 67, 66, 65]], picture.shape, 0.85)
        chin = _inside(points[[58, 57, 56, 9, 8, 7]], picture.shape, 0.6)
        red = [float((picture[m, 2] / picture[m].sum(axis=1)).mean()) for m in (lower, chin)]
        assert red[0] > red[1] + 0.01


def test_open_mouth_shows_its_inside(scene: FaceScene) -> None:
    time_s = _time_of(scene, "mouth_open", highest=True)
    picture, (truth,) = scene.render(time_s), scene.truth(time_s)
    inner = truth.landmarks_px[60:68]
    assert float(np.hypot(*(inner[6] - inner[2]))) > 0.1 * _eye_distance(truth)
    light = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[_inside(inner, picture.shape, 0.8)]
    assert int(light.max()) - int(light.min()) > 80  # teeth against the dark of the mouth


def test_expressions_move_their_landmarks() -> None:
    scene = FaceScene(640, 480, seed=9)

    def measure(time_s: float) -> tuple[float, float]:
        (truth,) = scene.truth(time_s)
        points, scale = truth.landmarks_px, _eye_distance(truth)
        brow = points[[19, 24]].mean(axis=0) - points[[37, 44]].mean(axis=0)
        return float(np.hypot(*(points[66] - points[62]))) / scale, float(np.hypot(*brow)) / scale

    for k, name in enumerate(("mouth_open", "brow_raise")):
        high = measure(_time_of(scene, name, highest=True))[k]
        low = measure(_time_of(scene, name, highest=False))[k]
        assert high > low + 0.05


def test_angles_have_their_documented_sense() -> None:
    times = np.arange(0, 20, 0.1)
    scene = FaceScene(640, 480, seed=4)
    truths = [scene.truth(t)[0] for t in times]
    nose, roll = [], []
    for truth in truths:
        points = truth.landmarks_px
        along = points[45] - points[36]
        size = float(np.hypot(*along))
        nose.append(float((points[30] - points[[36, 45]].mean(axis=0)) @ along) / size**2)
        roll.append(float(np.degrees(np.arctan2(along[1], along[0]))))
    assert np.corrcoef(nose, [t.yaw_deg for t in truths])[0, 1] > 0.95
    np.testing.assert_allclose(roll, [t.roll_deg for t in truths], atol=9)  # yaw and pitch tilt too
    pitch = [t.pitch_deg for t in truths]
    tip = [
        float(np.hypot(*(t.landmarks_px[30] - t.landmarks_px[[36, 45]].mean(axis=0))))
        / _eye_distance(t)
        for t in truths
    ]
    assert np.corrcoef(tip, pitch)[0, 1] > 0.5  # looking down lowers the tip of the nose


def test_points_are_ordered_from_left_to_right_of_the_picture() -> None:
    (truth,) = FaceScene(640, 480, motion=0.0).truth(0.0)
    x, y = truth.landmarks_px.T
    assert (np.diff(x[0:9]) > 0).all()
    assert (np.diff(x[8:17]) > 0).all()
    assert (np.diff(x[17:27]) > 0).all()
    assert (np.diff(y[27:31]) > 0).all()
    assert x[36] < x[39] < x[42] < x[45]
    assert y[8] == y.max()
    assert y[62] < y[66]
    mirrored = truth.landmarks_px[FLIP] * (-1, 1) + (2 * x[8], 0)
    np.testing.assert_allclose(mirrored, truth.landmarks_px, atol=0.6)


@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (360, 640)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_face_stays_in_the_picture(size: tuple[int, int], seed: int) -> None:
    scene = FaceScene(*size, seed=seed)
    for time_s in np.arange(0, 30, 0.25):
        (truth,) = scene.truth(time_s)
        assert truth.visible
        assert (truth.box_xyxy_px >= 0).all()
        assert (truth.box_xyxy_px[2:] < size).all()
        assert abs(truth.yaw_deg) <= 30
        assert abs(truth.pitch_deg) <= 15
        assert abs(truth.roll_deg) <= 20


def test_motion_is_smooth() -> None:
    scene = FaceScene(640, 480, seed=2)
    points = np.array([scene.truth(k / 60)[0].landmarks_px for k in range(300)])
    jaw = points[:, :17]
    jerk = np.abs(np.diff(jaw, n=2, axis=0)).max()
    assert jerk < 0.03 * _eye_distance(scene.truth(0)[0])


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_several_faces_keep_apart(count: int) -> None:
    scene = FaceScene(1280, 720, faces=count)
    for time_s in (0.0, 1.3, 4.0, 9.7):
        boxes = [t.box_xyxy_px for t in scene.truth(time_s)]
        assert len(boxes) == count
        for k, one in enumerate(boxes):
            for other in boxes[k + 1 :]:
                apart = np.maximum(one[:2], other[:2]) > np.minimum(one[2:], other[2:])
                assert apart.any()


def test_background_without_faces() -> None:
    scene = FaceScene(64, 48, faces=0)
    assert scene.truth(0) == ()
    np.testing.assert_array_equal(scene.render(0), scene.render(5))


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (33, 17), (3, 200), (161, 1)])
def test_tiny_and_odd_sizes(size: tuple[int, int], background: str) -> None:
    scene = FaceScene(*size, faces=2, background=background)
    assert scene.render(1.0).shape == (size[1], size[0], 3)
    assert len(scene.truth(1.0)) == 2
    y, u, v = scene.render_yuv420p(1.0)
    assert y.shape == (size[1], size[0])
    assert u.shape == v.shape == (-(-size[1] // 2), -(-size[0] // 2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"width": 0, "height": 5}, "0x5"),
        ({"width": 9, "height": 9, "faces": -1}, "-1"),
        ({"width": 9, "height": 9, "background": "sea"}, "room"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FaceScene(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (65, 49)])
def test_yuv_planes_show_the_same_picture(size: tuple[int, int]) -> None:
    scene = FaceScene(*size, seed=1)
    picture = scene.render(2.0).astype(float)
    kr, kb = (0.2126, 0.0722) if size[1] >= 720 else (0.299, 0.114)
    luma = picture @ (kb, 1 - kr - kb, kr)
    y, u, v = scene.render_yuv420p(2.0)
    np.testing.assert_allclose(y, 16 + luma * 219 / 255, atol=0.6)
    blue = 128 + (picture[..., 0] - luma) / (2 * (1 - kb)) * 224 / 255
    red = 128 + (picture[..., 2] - luma) / (2 * (1 - kr)) * 224 / 255
    h, w = size[1] // 2 * 2, size[0] // 2 * 2
    for plane, full in ((u, blue), (v, red)):
        mean = full[:h, :w].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(plane[: h // 2, : w // 2], mean, atol=1.6)


def test_random_faces_vary_and_repeat() -> None:
    first = [random_face_image(np.random.default_rng(k), 96) for k in range(8)]
    again = random_face_image(np.random.default_rng(3), 96)
    np.testing.assert_array_equal(first[3][0], again[0])
    np.testing.assert_array_equal(first[3][1], again[1])
    for picture, points in first:
        assert picture.shape == (96, 96, 3)
        assert points.shape == (68, 2)
        assert points.dtype == np.float32
        assert (points.mean(axis=0) > 0).all()
        assert (points.mean(axis=0) < 96).all()
    assert np.std([p.mean() for p, _ in first]) > 5
    assert np.std([pts[30, 0] - pts[[36, 45], 0].mean() for _, pts in first]) > 2
