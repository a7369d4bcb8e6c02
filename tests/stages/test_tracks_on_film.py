"""Identities and presence with the real detector and network, on pictures of test people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from filmed import HEIGHT, follow, ids, middle, noisy, paste, person, wall

from vidfilter.pipeline.frame import Frame

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

EVERY = 10


def cut_out(seed: int, number: int) -> np.ndarray:
    """Head and shoulders (270, 220)."""
    return person(seed, number)[30:300, 40:260]


def crossing(speed: int, lower: int) -> Iterator[np.ndarray]:
    """Two people walk past each other; who comes from the right passes in front."""
    for number in range(480 // speed):
        picture = paste(wall(), cut_out(3, number), speed * number, 40)
        yield paste(picture, cut_out(5, number), 420 - speed * number, 40 + lower)


@pytest.mark.parametrize(("speed", "lower"), [(6, 0), (8, 25), (15, 0)])
def test_ids_do_not_switch_when_two_people_cross(context: Any, speed: int, lower: int) -> None:
    frames = follow(crossing(speed, lower), context)
    left, right = sorted(ids(frames)[5], key=lambda track_id: middle(frames[5], track_id))
    last = frames[-3]
    assert sorted(ids([last])[0]) == sorted((left, right))
    assert middle(last, left) > 350 > 290 > middle(last, right)


def test_ids_do_not_switch_when_two_people_meet_and_part(context: Any) -> None:
    def pictures() -> Iterator[np.ndarray]:
        for number in range(66):
            near = 6 * min(number, 66 - number)
            picture = paste(wall(), cut_out(3, number), near, 40)
            yield paste(picture, cut_out(5, number), 420 - near, 45)

    frames = follow(pictures(), context)
    for track_id in ids(frames)[5]:
        assert abs(middle(frames[5], track_id) - middle(frames[-3], track_id)) < 90


def passing(width: int, speed: int) -> Iterator[np.ndarray]:
    """A dark bar passes in front of somebody, from the left, from frame 15 on."""
    for number in range(75):
        picture = paste(wall(), cut_out(3, number), 200, 40)
        bar = np.full((HEIGHT, width), 40, np.uint8)
        yield paste(picture, bar, speed * max(number - 15, 0) - width, 0)


@pytest.mark.parametrize(("width", "speed"), [(120, 20), (200, 40), (200, 25), (150, 60)])
def test_a_face_keeps_its_id_behind_something_that_passes(
    context: Any, width: int, speed: int
) -> None:
    found = ids(follow(passing(width, speed), context))
    assert [] in found[15:], "the bar hides the face"
    assert all(row in ([], [1]) for row in found)
    assert found[-10:] == [[1]] * 10


def test_a_newcomer_is_there_within_every_frames(context: Any) -> None:
    def pictures() -> Iterator[np.ndarray]:
        for number in range(30):
            picture = paste(wall(), cut_out(3, number), 30, 40)
            yield picture if number < 14 else paste(picture, cut_out(5, number), 380, 40)

    found = follow(pictures(), context, detect={"every": EVERY})
    assert [len(frame.faces) for frame in found[1:14]] == [1] * 13
    assert [len(frame.faces) for frame in found[14 + EVERY :]] == [2] * (16 - EVERY)


def grey(part: np.ndarray) -> np.ndarray:
    return np.full_like(part, int(part.mean()))


def blurred(part: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(part, (0, 0), 40)


def snow(part: np.ndarray) -> np.ndarray:
    return np.random.default_rng(int(part[0, 0])).integers(0, 255, part.shape).astype(np.uint8)


COVERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "grey": grey,
    "black": lambda part: np.full_like(part, 16),
    "white": lambda part: np.full_like(part, 235),
    "blurred": blurred,
    "noise": snow,
}


def counts(pictures: Iterator[np.ndarray], context: Any) -> list[int]:
    frames: list[Frame] = follow(pictures, context)
    return [len(frame.faces) for frame in frames]


@pytest.mark.parametrize("cover", COVERS)
@pytest.mark.parametrize("since", [22, 27])
def test_a_covered_face_is_lost_within_three_frames(context: Any, cover: str, since: int) -> None:
    def pictures() -> Iterator[np.ndarray]:
        rng = np.random.default_rng(0)
        for number in range(45):
            picture = paste(wall(), cut_out(3, number), 200, 40)
            if number >= since:  # head and hair; neck and shoulders stay
                part = picture[40:260, 215:405]
                picture[40:260, 215:405] = COVERS[cover](part)
            yield noisy(picture, rng, 2)

    found = counts(pictures(), context)
    assert found[1:since] == [1] * (since - 1)
    assert found[since + 3 :] == [0] * (45 - since - 3)


def test_a_face_that_vanishes_or_walks_out_is_lost_within_three_frames(context: Any) -> None:
    vanished = (paste(wall(), cut_out(3, n), 200, 40 if n < 22 else 999) for n in range(40))
    assert counts(vanished, context)[25:] == [0] * 15
    # The face ends 170 px from the cut-out's left edge, and so has left at frame 23.
    walking = (paste(wall(), cut_out(3, n), 200 - 16 * n, 40) for n in range(40))
    found = counts(walking, context)
    assert found[1:8] == [1] * 7
    assert found[26:] == [0] * 14
