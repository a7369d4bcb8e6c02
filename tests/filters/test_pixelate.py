"""The privacy filter: it hides heads, holds on to lost ones, and then hides everything."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_faces import FORMATS, changed, make_face, make_frame

from vidfilter.filters.engine import Painter, load_filter
from vidfilter.pipeline.frame import Face, Frame

SIZE = 30
MIDDLE = (160, 110)


class Watcher:
    """Draws frame after frame and tells how much of each was hidden."""

    def __init__(self) -> None:
        self.painter: Painter = load_filter("pixelate").painter(make_frame().caps)

    def hidden(self, time_s: float, *faces: Face, cut: bool = False) -> np.ndarray:
        frame = make_frame(*faces, pts=round(time_s * 1000), discontinuity=cut, seed=3)
        self.last = self.painter.draw(frame)
        return np.asarray(changed(frame, self.last.frame))

    def covers(self, *args, **options) -> float:
        return float(self.hidden(*args, **options).mean())


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


def face(x: float = MIDDLE[0], y: float = MIDDLE[1], track: int = 1) -> Face:
    return make_face(x, y, SIZE, track=track)


def some(share: float) -> bool:
    return 0.02 < share < 0.5


def everything(share: float) -> bool:
    return share > 0.9


def test_the_whole_head_is_hidden_and_the_rest_is_not(watcher: Watcher) -> None:
    hidden = watcher.hidden(0, face())
    ys, xs = np.indices(hidden.shape)
    head = np.hypot((xs - 160) / (1.05 * SIZE), (ys - 112) / (1.4 * SIZE)) < 1
    assert hidden[head].mean() > 0.97, "hair to chin, ear to ear"
    assert not hidden[:, :70].any()
    assert not hidden[:, 250:].any()


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_no_detail_of_the_face_survives(pixel_format: str) -> None:
    """Two faces that differ in fine detail only come out the same."""
    plain = make_frame(make_face(160, 120, 60), pixel_format=pixel_format)
    planes = [plane.copy() for plane in plain.planes]
    checks = (np.indices(planes[0].shape[:2]).sum(axis=0) % 2).astype(np.uint8)
    amount = checks if planes[0].ndim == 2 else np.dstack([checks] * planes[0].shape[2])
    if pixel_format == "bgra":
        amount[:, :, 3] = 0
    planes[0] += amount * 20
    detailed = plain.with_(planes=tuple(planes))
    painter = load_filter("pixelate").painter(plain.caps)
    a, b = (painter.draw(frame).frame.planes[0].astype(int) for frame in (plain, detailed))
    inside = np.s_[80:160, 120:200]
    assert np.ptp((b - a)[inside]) <= (255 if pixel_format == "bgra" else 2)
    luma = a[inside] if a.ndim == 2 else a[inside][:, :, 1]
    edges = np.abs(np.diff(luma, axis=1)) > 0
    assert edges.mean() < 0.15, "not made of blocks"


def test_before_any_face_nothing_is_hidden(watcher: Watcher) -> None:
    frame = make_frame()
    assert watcher.painter.draw(frame).frame is frame
    assert watcher.covers(60.0) == 0


def test_a_lost_face_is_held_for_a_second_by_its_pts(watcher: Watcher) -> None:
    before = watcher.hidden(10.0, face())
    held = watcher.hidden(10.9)
    assert (held & before).sum() == before.sum()
    assert some(held.mean())


def test_then_the_whole_picture_is_hidden_for_five_seconds(watcher: Watcher) -> None:
    watcher.hidden(10.0, face())
    assert some(watcher.covers(11.0))
    assert everything(watcher.covers(11.1))
    assert everything(watcher.covers(15.9))
    assert watcher.covers(16.1) == 0
    assert watcher.covers(16.2) == 0


def test_the_hidden_picture_shows_no_face_sized_detail(watcher: Watcher) -> None:
    watcher.hidden(0, face())
    watcher.hidden(2)
    luma = watcher.last.frame.planes[0].astype(int)
    assert np.abs(np.diff(luma, axis=0)).any(axis=1).sum() < 10, "rows of blocks"
    assert np.abs(np.diff(luma, axis=1)).any(axis=0).sum() < 13, "columns of blocks"


@pytest.mark.parametrize("track", [1, 8])
def test_a_face_found_again_ends_it(watcher: Watcher, track: int) -> None:
    watcher.hidden(0, face())
    assert everything(watcher.covers(2))
    assert some(watcher.covers(2.1, face(180, 120, track=track)))
    assert some(watcher.covers(3.5, face(180, 120, track=track)))


def test_another_person_far_away_does_not_end_it(watcher: Watcher) -> None:
    watcher.hidden(0, make_face(40, 60, 10))
    watcher.hidden(0.04)
    assert everything(watcher.covers(1.2, make_face(290, 200, 10, track=2)))


def test_one_of_two_faces_lost_hides_everything(watcher: Watcher) -> None:
    left, right = face(60, 100, 1), face(250, 100, 2)
    watcher.hidden(0, left, right)
    assert some(watcher.covers(0.5, left))
    assert everything(watcher.covers(1.2, left))
    assert some(watcher.covers(1.3, left, right))


@pytest.mark.parametrize("spot", [(6, 110), (314, 110), (160, 8), (160, 225)])
def test_a_face_that_left_by_the_edge_is_let_go(watcher: Watcher, spot: tuple[int, int]) -> None:
    watcher.hidden(0, face(*spot))
    assert 0.005 < watcher.covers(0.9) < 0.5, "still held, in case"
    assert watcher.covers(1.1) == 0


def test_after_a_cut_the_people_of_the_last_picture_are_forgotten(watcher: Watcher) -> None:
    watcher.hidden(0, face(60, 100, 1), face(250, 100, 2))
    assert some(watcher.covers(0.04, face(track=3), cut=True))
    assert some(watcher.covers(2.0, face(track=3)))


def test_a_cut_to_a_picture_without_faces_is_not_trusted(watcher: Watcher) -> None:
    watcher.hidden(0, face())
    watcher.hidden(0.04, cut=True)
    assert everything(watcher.covers(1.5))


def test_a_new_run_starts_afresh(watcher: Watcher) -> None:
    watcher.hidden(5, face())
    assert watcher.covers(0) == 0


def test_a_face_not_chosen_is_neither_hidden_nor_missed(watcher: Watcher) -> None:
    left, right = face(60, 100, 1), face(250, 100, 2)
    both = make_frame(left, right)
    watcher.painter.draw(both, [left])
    later = make_frame(left, right, pts=2000)
    drawn = watcher.painter.draw(later, [right])
    touched = changed(later, drawn.frame)
    assert touched[100, 250]
    assert not touched[:, :120].any()


def test_unusable_points_count_as_a_loss(watcher: Watcher) -> None:
    watcher.hidden(0, face())
    broken = Face(1, np.full(4, np.nan, np.float32))
    assert some(watcher.covers(0.5, broken))
    assert everything(watcher.covers(1.5, broken))


def test_a_box_alone_is_enough(watcher: Watcher) -> None:
    box = np.array([140, 90, 180, 140], np.float32)
    assert watcher.hidden(0, Face(1, box))[115, 160]


def test_the_blocks_do_not_flicker_as_a_face_sways(watcher: Watcher) -> None:
    def block_edges(time_s: float, size: float) -> list[int]:
        watcher.hidden(time_s, make_face(*MIDDLE, size))
        luma = watcher.last.frame.planes[0][90:140, 140:180].astype(int)
        return np.flatnonzero(np.abs(np.diff(luma, axis=1)).any(axis=0)).tolist()

    sizes = (33, 31, 29, 30, 33, 29)
    shown = [block_edges(0.04 * step, size) for step, size in enumerate(sizes)]
    assert len(shown[0]) == 5, "blocks of 8 px"
    assert all(edges == shown[0] for edges in shown)


def test_a_hidden_frame_is_a_new_frame(watcher: Watcher) -> None:
    frame: Frame = make_frame(face())
    kept = [plane.copy() for plane in frame.planes]
    watcher.painter.draw(frame)
    assert all(np.array_equal(a, b) for a, b in zip(kept, frame.planes, strict=True))
