"""What every filter must keep to, in every format. A new filter folder needs no edit here."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_faces import FORMATS, changed, face_of, make_face, make_frame, shape, to_bgr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidfilter.filters.engine import filter_names, load_filter
from vidfilter.pipeline.frame import Face, Frame

FILTERS = filter_names()
LARGEST_REACH = 3.0
"""No filter reaches farther from the eyes than this many distances of the eye corners."""

pytestmark = pytest.mark.parametrize("name", FILTERS)
every_format = pytest.mark.parametrize("pixel_format", FORMATS)


def draw(name: str, frame: Frame, **options: float):
    return load_filter(name).painter(frame.caps, **options).draw(frame)


def outside(frame: Frame, rects: tuple) -> np.ndarray:
    mask = np.ones((frame.caps.height, frame.caps.width), bool)
    for rect in rects:
        mask[rect.y0 : rect.y1, rect.x0 : rect.x1] = False
    return mask


@every_format
def test_changes_only_what_it_reports(name: str, pixel_format: str) -> None:
    frame = make_frame(make_face(100, 80, 40, roll_deg=12), pixel_format=pixel_format)
    before = [plane.copy() for plane in frame.planes]
    drawn = draw(name, frame)
    assert drawn.frame is not frame
    assert (drawn.frame.pts, drawn.frame.caps, drawn.frame.faces) == (0, frame.caps, frame.faces)
    for mine, theirs, kept in zip(drawn.frame.planes, frame.planes, before, strict=True):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        assert np.array_equal(theirs, kept), "the input frame was written to"
    touched = changed(frame, drawn.frame)
    assert touched.any()
    assert not touched[outside(frame, drawn.rects)].any()
    ys, xs = np.nonzero(touched)
    assert np.hypot(xs - 100, ys - 80).max() < LARGEST_REACH * 40
    assert all(value % 2 == 0 for rect in drawn.rects for value in rect)


@every_format
def test_without_a_face_the_frame_passes_as_it_is(name: str, pixel_format: str) -> None:
    frame = make_frame(pixel_format=pixel_format)
    drawn = draw(name, frame)
    assert drawn.frame is frame
    assert drawn.rects == ()


def test_a_face_outside_the_picture_costs_no_copy(name: str) -> None:
    frame = make_frame(make_face(-500, -500, 40))
    assert draw(name, frame).frame is frame


def test_is_deterministic(name: str) -> None:
    frame = make_frame(make_face(150, 100, 50, roll_deg=-20, mouth_open=0.2))
    first, second = draw(name, frame), draw(name, frame)
    assert all(
        np.array_equal(a, b) for a, b in zip(first.frame.planes, second.frame.planes, strict=True)
    )


def test_a_painter_gives_the_same_picture_again(name: str) -> None:
    frame = make_frame(make_face(150, 100, 50), make_face(60, 200, 30, track=2))
    painter = load_filter(name).painter(frame.caps)
    first = [plane.copy() for plane in painter.draw(frame).frame.planes]
    again = painter.draw(frame).frame.planes
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@every_format
def test_planes_with_padded_lines_draw_the_same(name: str, pixel_format: str) -> None:
    frame = make_frame(make_face(100, 80, 40), pixel_format=pixel_format)
    padded = tuple(
        np.pad(plane, [(0, 3), (0, 32)] + [(0, 0)] * (plane.ndim - 2))[
            : plane.shape[0], : plane.shape[1]
        ]
        for plane in frame.planes
    )
    for plane in padded:
        plane.flags.writeable = False
    expected, drawn = draw(name, frame), draw(name, frame.with_(planes=padded))
    assert all(
        np.array_equal(a, b) for a, b in zip(expected.frame.planes, drawn.frame.planes, strict=True)
    )


def test_an_exclusive_frame_is_drawn_in_place(name: str) -> None:
    frame = make_frame(make_face(100, 80, 40))
    expected = draw(name, frame).frame
    owned = frame.writable()
    drawn = draw(name, owned).frame
    assert all(np.array_equal(a, b) for a, b in zip(expected.planes, drawn.planes, strict=True))


def test_formats_agree_on_the_colours(name: str) -> None:
    face = make_face(160, 110, 60, mouth_open=0.15)
    drawn = {f: draw(name, make_frame(face, pixel_format=f)).frame for f in FORMATS}
    planar, semi = drawn["yuv420p"].planes, drawn["nv12"].planes
    assert np.array_equal(planar[0], semi[0])
    assert np.abs(np.dstack(planar[1:]).astype(int) - semi[1]).max() <= 1
    packed = drawn["bgr24"].planes[0]
    assert np.array_equal(packed, drawn["bgra"].planes[0][:, :, :3])
    assert (drawn["bgra"].planes[0][:, :, 3] == 255).all()
    # Subsampled chroma cannot follow sharp edges: compare what the eye sees from some way off.
    near, far = (
        cv2.GaussianBlur(p, (0, 0), 3).astype(int) for p in (to_bgr(drawn["yuv420p"]), packed)
    )
    difference = np.abs(near - far)
    assert difference.mean() < 2
    assert np.percentile(difference, 99) < 12


def test_half_opacity_lies_between(name: str) -> None:
    frame = make_frame(make_face(150, 100, 50))
    full, half = draw(name, frame).frame, draw(name, frame, opacity=0.5).frame
    if name == "pixelate":
        assert np.array_equal(full.planes[0], half.planes[0]), "a face would shine through"
        return
    middle = (frame.planes[0].astype(int) + full.planes[0]) / 2
    assert np.abs(half.planes[0] - middle).max() <= 1


broken = st.sampled_from((np.nan, np.inf, -np.inf, 1e30, -1e9, 0.0))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 45)),
    pixel_format=st.sampled_from(FORMATS),
    place=st.tuples(st.floats(-60, 180), st.floats(-60, 150)),
    scale=st.floats(0.01, 400),
    roll_deg=st.floats(-180, 180),
    noise=st.floats(0, 1),
    seed=st.integers(0, 999),
    spoil=st.none() | st.tuples(st.integers(0, 67), broken),
)
def test_survives_any_face(
    name: str, size, pixel_format, place, scale, roll_deg, noise, seed, spoil
) -> None:
    step = 1 if pixel_format.startswith("bgr") else 2  # only packed pictures may be odd
    width, height = step * size[0], step * size[1]
    turn = np.radians(roll_deg)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    wobble = np.random.default_rng(seed).normal(0, noise, (68, 2))
    points = (shape() + wobble) @ rotation * scale + place
    if spoil is not None:
        points[spoil[0], seed % 2] = spoil[1]
    frame = make_frame(face_of(points), pixel_format=pixel_format, width=width, height=height)
    drawn = draw(name, frame)
    assert not changed(frame, drawn.frame)[outside(frame, drawn.rects)].any()


def test_a_face_without_points_is_no_error(name: str) -> None:
    box = np.array([80, 60, 140, 130], np.float32)
    for face in (
        Face(1, box),
        Face(1, np.full(4, np.nan, np.float32)),
        Face(1, box, landmarks_px=np.zeros((5, 2), np.float32)),
        Face(1, box, landmarks_px=np.zeros((68, 2), np.float32)),
        Face(1, box, landmarks_px=shape().astype(np.float32), scheme="unheard-of"),
    ):
        draw(name, make_frame(face))


def test_ships_small_art_with_its_source(name: str) -> None:
    folder = load_filter(name).folder
    for art in folder.glob("*.png"):
        assert art.with_suffix(".svg").is_file()
        assert art.stat().st_size < 150_000
