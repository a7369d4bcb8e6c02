"""The overlay stage: which filter, on which faces, and what changes while it runs."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_faces import FORMATS, changed, make_face, make_frame
from pydantic import ValidationError

from vidfilter.filters.engine import filter_names
from vidfilter.pipeline.frame import Frame
from vidfilter.pipeline.registry import stage_class

Overlay = stage_class("overlay")
LEFT, RIGHT = make_face(80, 100, 30, track=4), make_face(230, 100, 50, track=9)


@pytest.fixture
def overlay(context):
    def start(frame: Frame, **params):
        stage = Overlay(Overlay.Params(**params), context)
        assert stage.start(frame.caps) == frame.caps
        return stage

    return start


def sides(stage, frame: Frame) -> tuple[bool, bool]:
    touched = changed(frame, stage.process(frame))
    return bool(touched[:, :150].any()), bool(touched[:, 150:].any())


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_draws_glasses_by_default(overlay, pixel_format: str) -> None:
    frame = make_frame(LEFT, RIGHT, pixel_format=pixel_format)
    assert sides(overlay(frame), frame) == (True, True)


def test_a_frame_without_faces_passes_as_it_is(overlay) -> None:
    frame = make_frame()
    assert overlay(frame).process(frame) is frame


@pytest.mark.parametrize(
    ("which", "drawn"),
    [
        ("all", (True, True)),
        ("largest", (False, True)),
        ("leftmost", (True, False)),
        (4, (True, False)),
        ("9", (False, True)),
        (5, (False, False)),
    ],
)
def test_faces_chooses_whom_to_draw_on(overlay, which: str | int, drawn: tuple) -> None:
    frame = make_frame(LEFT, RIGHT)
    assert sides(overlay(frame, faces=which), frame) == drawn


def test_faces_much_alike_do_not_pass_the_filter_to_and_fro(overlay) -> None:
    def drawn(which: str, *others: float, field: str) -> list[bool]:
        """Whether each frame draws on the one at the right, by how the other stands to it."""
        stage, seen = None, []
        for value in others:
            x, size = (80, value) if field == "size" else (value, 40)
            y = 60 if field == "size" else 180
            frame = make_frame(make_face(x, 60, size, track=4), make_face(230, y, 40, track=9))
            stage = stage or overlay(frame, faces=which)
            touched = changed(frame, stage.process(frame))
            seen.append(bool(touched[:, 150:].any() if field == "size" else touched[140:].any()))
        return seen

    assert drawn("largest", 39, 41, 39, 42, 60, 41, 39, field="size") == [True] * 4 + [False] * 3
    assert drawn("leftmost", 232, 228, 232, 200, 228, 232, field="x") == [True] * 3 + [False] * 3


def test_every_name_can_be_chosen(overlay) -> None:
    frame = make_frame(LEFT)
    for name in filter_names():
        assert overlay(frame, filter=name).process(frame) is not frame


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"filter": "glases"}, "did you mean 'glasses'"),
        ({"filter": "./nowhere"}, "filter.yaml is needed"),
        ({"faces": "biggest"}, "all, largest, leftmost or a face's id"),
        ({"opacity": 2}, "less than or equal to 1"),
        ({"filters": "glasses"}, "Extra inputs"),
    ],
)
def test_a_wrong_property_is_refused_before_anything_opens(params: dict, text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Overlay.Params(**params)


def test_next_filter_goes_through_all_and_comes_round(overlay) -> None:
    frame = make_frame(LEFT)
    stage = overlay(frame)
    seen = [stage.options.filter]
    for _ in filter_names():
        stage.set_property("next_filter", None)
        seen.append(stage.options.filter)
        stage.process(frame)
    assert sorted(seen[:-1]) == sorted(filter_names())
    assert seen[-1] == seen[0]
    stage.set_property("previous_filter", None)
    assert stage.options.filter == seen[-2]


def test_a_filter_can_be_changed_while_running(overlay) -> None:
    frame = make_frame(LEFT)
    stage = overlay(frame, filter="lips")
    lips = stage.process(frame).planes[0].copy()
    stage.set_property("filter", "pixelate")
    assert not np.array_equal(stage.process(frame).planes[0], lips)
    stage.set_property("filter", "lips")
    assert np.array_equal(stage.process(frame).planes[0], lips)


def test_a_wrong_change_is_refused_and_the_old_filter_stays(overlay) -> None:
    frame = make_frame(LEFT)
    stage = overlay(frame)
    with pytest.raises(ValueError, match="did you mean"):
        stage.set_property("filter", "glases")
    with pytest.raises(AttributeError, match="speed"):
        stage.set_property("speed", 2)
    assert stage.process(frame) is not frame


def test_opacity_none_at_all_leaves_the_picture(overlay) -> None:
    frame = make_frame(LEFT)
    assert not changed(frame, overlay(frame, opacity=0).process(frame)).any()


def test_a_second_start_forgets_lost_faces(overlay) -> None:
    frame = make_frame(LEFT)
    stage = overlay(frame, filter="pixelate")
    stage.process(frame)
    stage.stop()
    stage.stop()
    stage.start(frame.caps)
    later = make_frame(pts=2000)
    assert stage.process(later) is later
