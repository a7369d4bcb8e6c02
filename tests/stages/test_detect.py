"""When the detector looks, at what size, and what counts as a cut."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from filmed import paste, person, wall
from followed import HEIGHT, WIDTH, World, at, install

from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.frame import Frame
from vidfilter.pipeline.registry import stage_class
from vidfilter.stages._cuts import CutDetector


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch, context: Any) -> Any:
    """Run a world through `detect` alone."""

    def run(world: World, frames: list[Frame] | None = None, **params: Any) -> list[Frame]:
        install(world, monkeypatch)
        cls = stage_class("detect")
        stage = cls(cls.Params(**params), context)
        stage.start(Caps("yuv420p", WIDTH, HEIGHT))
        numbers = range(len(world.faces))
        return [stage.process(f) for f in frames or [world.frame(n) for n in numbers]]

    return run


def test_it_looks_at_the_start_every_n_frames_and_after_a_cut(look: Any) -> None:
    world = World([[at(300, 150)]] * 40, scenes=[0] * 17 + [1] * 23)
    frames = look(world, every=10)
    assert world.looks == [0, 10, 17, 27, 37]
    assert [f.seq for f in frames if f.faces] == world.looks
    assert [f.seq for f in frames if f.discontinuity] == [17]


def test_faces_come_best_first_with_key_points(look: Any) -> None:
    world = World([[at(300, 150), at(100, 150, 40)]])
    first, second = look(world)[0].faces
    assert first.score > second.score
    assert first.keypoints_px.shape == (5, 2)
    np.testing.assert_allclose(first.keypoints_px[2], at(300, 150)[30], atol=0.01)


def test_narrow_and_doubtful_faces_are_ignored(look: Any) -> None:
    world = World([[at(100 * k + 50, 150, 20 + 10 * k) for k in range(1, 6)]])
    widths = [np.ptp(f.box_xyxy_px[[0, 2]]) for f in look(world, min_face_px=80)[0].faces]
    assert len(widths) == 3
    assert min(widths) >= 80
    assert len(look(world, min_score=0.85)[0].faces) == 2


def test_any_later_stage_can_look_again(look: Any) -> None:
    world = World([[at(300, 150)]] * 5)
    frames = look(world, every=10)
    assert world.looks == [0]
    again = frames[3].tags["look"](frames[3])
    assert world.looks == [0, 3]
    assert len(again) == 1
    assert [f.tags["candidates"] is not None for f in frames] == [True] + [False] * 4


def test_weak_finds_are_only_for_landmarks_to_confirm(look: Any) -> None:
    world = World([[at(60 + 75 * k, 150, 20) for k in range(8)]])
    frame = look(world)[0]
    assert [f.score for f in frame.faces] == sorted((f.score for f in frame.faces), reverse=True)
    assert min(f.score for f in frame.faces) >= 0.5
    assert len(frame.tags["candidates"]) == 8
    assert look(world, min_score=0.6)[0].tags["candidates"] is not None
    assert min(f.score for f in look(world, min_score=0.6)[0].tags["candidates"]) >= 0.6


def test_auto_size_looks_closer_for_small_faces_and_for_nobody(look: Any) -> None:
    cases = {"near": [at(300, 150)], "small": [at(300, 150, 10)], "nobody": []}
    sizes = {}
    for name, faces in cases.items():
        world = World([faces] * 41)
        look(world, every=10)
        sizes[name] = world.sizes
    assert sizes["near"] == [320] * 5
    assert sizes["small"] == [320] + [640] * 4
    assert sizes["nobody"] == [320, 640, 320, 640, 320]
    world = World([[]] * 41)
    look(world, every=10, size=256)
    assert world.sizes == [256] * 5


def test_settings_and_weights_travel_with_the_frames(look: Any, context: Any) -> None:
    settings = look(World([[]]), every=7)[0].tags["settings"]["detect"]
    assert (settings["every"], settings["sha256"]) == (7, "perfect")
    assert context.tags["model_sha256"] == "perfect"


def cuts(pictures: list[np.ndarray]) -> list[int]:
    detector = CutDetector()
    return [n for n, p in enumerate(pictures) if detector.is_cut(p)]


def test_cuts_are_told_from_motion_light_and_noise() -> None:
    rng = np.random.default_rng(0)
    blocks = rng.integers(20, 230, (2, 9, 16))
    one, two = (np.kron(b, np.ones((20, 20))).astype(np.uint8) for b in blocks)
    moving = [np.roll(one, 3 * n, axis=1) for n in range(10)]
    flash = [one, np.clip(one * 1.6, 0, 255).astype(np.uint8), one]
    grain = [rng.integers(0, 12, (90, 160)).astype(np.uint8) for _ in range(5)]
    assert cuts([one, one, two, two, one]) == [2, 4]
    assert not cuts(moving)
    assert not cuts(flash)
    assert not cuts(grain)


def test_somebody_passing_near_the_camera_is_no_cut() -> None:
    pictures = [paste(wall(), person(3, n)[30:300, 40:260], 200, 40) for n in range(12)]
    for n, picture in enumerate(pictures):
        paste(picture, np.full((360, 200), 30, np.uint8), 60 * n - 200, 0)
    assert not cuts(pictures)
    assert cuts([pictures[0], pictures[0][:, ::-1]]) == [1]


@pytest.mark.parametrize(("right", "down"), [(40, 0), (-70, 0), (0, 20), (30, -15)])
def test_a_camera_that_turns_makes_no_cut(right: int, down: int) -> None:
    rng = np.random.default_rng(3)
    place = cv2.resize(rng.integers(20, 230, (24, 60)).astype(np.uint8), (1600, 640))
    there = [place[230 + down * n :, 640 + right * n :][:180, :320] for n in range(8)]
    elsewhere = place[:180, :320]
    assert cuts([*there, elsewhere]) == [8]


@pytest.mark.parametrize("shape", [(1, 1), (2, 2000), (2000, 2), (7, 13)])
def test_any_size_has_no_cut_in_itself(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    assert not cuts([picture, picture])
