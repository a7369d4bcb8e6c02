"""Lips, the orange and the debug view: what they do to the parts of a face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_faces import changed, make_face, make_frame

from vidfilter.filters.engine import load_filter
from vidfilter.pipeline.frame import Face, Frame


def draw(name: str, frame: Frame) -> Frame:
    return load_filter(name).painter(frame.caps).draw(frame).frame


def disc(frame: Frame, x: float, y: float, radius: float) -> np.ndarray:
    ys, xs = np.mgrid[0 : frame.caps.height, 0 : frame.caps.width]
    return np.hypot(xs - x, ys - y) <= radius


def flat_frame(face: Face, luma: int = 120) -> Frame:
    frame = make_frame(face)
    y, u, v = (np.full_like(plane, value) for plane, value in zip(
        frame.planes, (luma, 128, 128), strict=True
    ))  # fmt: skip
    return frame.with_(planes=(y, u, v))


def test_lips_turn_red_and_an_open_mouth_stays_as_it_is() -> None:
    frame = flat_frame(make_face(160, 80, 90, mouth_open=0.5))
    drawn = draw("lips", frame)
    inside = disc(frame, 160, 80 + 0.76 * 90, 8)
    assert not changed(frame, drawn)[inside].any()
    lower_lip = (80 + round((0.76 + 0.285) * 90)) // 2
    assert drawn.planes[2][lower_lip, 80] > 145
    assert frame.planes[2][lower_lip, 80] == 128


def test_closed_lips_are_red_without_a_gap() -> None:
    frame = flat_frame(make_face(160, 80, 90))
    v = draw("lips", frame).planes[2]
    middle = round(80 + 0.76 * 90) // 2
    assert v[middle - 2 : middle + 3, 80].min() > 140


def test_lips_keep_their_texture() -> None:
    frame = flat_frame(make_face(160, 80, 90))
    y = frame.planes[0].copy()
    y[::2] += 30
    drawn = draw("lips", frame.with_(planes=(y, *frame.planes[1:])))
    row = round(80 + 0.76 * 90)
    lines = drawn.planes[0][row - 3 : row + 4, 160].astype(int)
    assert np.abs(np.diff(lines)).min() > 12


@pytest.mark.parametrize("luma", [40, 200])
def test_lips_stay_dark_in_the_dark_and_bright_in_the_light(luma: int) -> None:
    frame = flat_frame(make_face(160, 80, 90), luma)
    drawn = draw("lips", frame)
    lip = drawn.planes[0][round(80 + 0.76 * 90), 160]
    assert abs(int(lip) - luma) < 90
    assert (lip < 100) == (luma == 40)


def orange_at(frame: Frame, drawn: Frame, x: float, y: float) -> bool:
    bgr = cv2.cvtColor(
        np.concatenate([p.reshape(-1) for p in drawn.planes]).reshape(-1, frame.caps.width),
        cv2.COLOR_YUV2BGR_I420,
    )[round(y), round(x)].astype(int)
    return bool(bgr[2] > bgr[1] + 30 > bgr[0] + 60)


@pytest.mark.parametrize("roll_deg", [0, 30])
def test_an_orange_covers_the_head_and_its_leaf_tilts_along(roll_deg: float) -> None:
    size = 50
    frame = flat_frame(make_face(160, 130, size, roll_deg=roll_deg))
    drawn = draw("googly-orange", frame)
    turn = np.radians(roll_deg)
    down = np.array([-np.sin(turn), np.cos(turn)])
    for height in (-1.0, -0.6, 0.35, 1.3):
        assert orange_at(frame, drawn, *(np.array([160, 130]) + height * size * down))
    leaf = np.array([160, 130]) - 1.6 * size * down + 0.55 * size * np.array([down[1], -down[0]])
    u, v = (plane[round(leaf[1]) // 2, round(leaf[0]) // 2] for plane in drawn.planes[1:])
    assert u < 120
    assert v < 128, "no green where the leaf should be"


def test_the_eyes_and_mouth_on_the_orange_are_the_persons_own() -> None:
    size = 50
    face = make_face(160, 130, size, mouth_open=0.3)
    frame = flat_frame(face)
    marked = frame.planes[0].copy()
    for points in (face.landmarks_px[36:42], face.landmarks_px[42:48], face.landmarks_px[60:68]):
        x, y = np.rint(points.mean(axis=0)).astype(int)
        marked[y - 1 : y + 2, x - 1 : x + 2] = 235
    drawn = draw("googly-orange", frame).planes[0].astype(int)
    alive = draw("googly-orange", frame.with_(planes=(marked, *frame.planes[1:]))).planes[0]
    moved = np.argwhere(np.abs(alive - drawn) > 40) - (130, 160)
    for x, y in ((-0.5, 0), (0.5, 0), (0, 0.92)):
        gap = np.hypot(moved[:, 1] - x * size, moved[:, 0] - y * size)
        assert gap.min() < 5
    inside_orange = np.hypot(moved[:, 1], moved[:, 0]) < 1.5 * size
    assert inside_orange.all()


def test_the_background_of_the_orange_stays() -> None:
    frame = make_frame(make_face(160, 130, 40))
    touched = changed(frame, draw("googly-orange", frame))
    assert not touched[~disc(frame, 160, 130, 2.3 * 40)].any()
    assert touched[disc(frame, 160, 132, 1.3 * 40)].mean() > 0.95


def test_the_debug_view_marks_every_point() -> None:
    face = make_face(160, 110, 80)
    frame = flat_frame(face)
    touched = changed(frame, draw("landmarks", frame))
    xs, ys = np.rint(face.landmarks_px).astype(int).T
    assert touched[ys, xs].all()
    x0, y0, x1, y1 = np.rint(face.box_xyxy_px).astype(int)
    assert touched[y0, x0:x1].all()
    assert touched[y0:y1, x1].all()


def test_the_debug_view_shows_a_box_where_points_are_missing() -> None:
    frame = flat_frame(Face(7, np.array([100, 60, 180, 150], np.float32), 0.5))
    assert changed(frame, draw("landmarks", frame))[60, 100:180].all()


def test_points_of_the_second_scheme_are_understood() -> None:
    """194 points: the same places by name, other numbers."""
    from vidfilter.models.topology import topology

    scheme = topology("helen194")
    points = np.zeros((194, 2))
    spots = {
        "face.contour": (0, 0.6), "nose": (0, 0.3), "brow.left": (-0.35, -0.2),
        "brow.right": (0.35, -0.2), "lips.outer": (0, 0.76), "lips.inner": (0, 0.76),
        "eye.left": (-0.35, 0), "eye.right": (0.35, 0),
    }  # fmt: skip
    for region, spot in spots.items():
        indices = scheme.regions[region]
        angle = np.linspace(np.pi, 3 * np.pi, len(indices), endpoint=False)
        points[indices] = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 0.15 + spot
    points = (points * 60 + (160, 100)).astype(np.float32)
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    frame = flat_frame(Face(1, box, 1.0, points, scheme="helen194"))
    for name in ("glasses", "lips", "googly-orange", "landmarks"):
        assert changed(frame, draw(name, frame)).any(), name
