"""`ignore_static`: faces on posters are left alone, living ones never."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filmed import follow, ids, noisy, paste, person, wall
from skimage import data

from vidfilter.pipeline import Pipeline, PipelineSpec, StageSpec
from vidfilter.stages._association import iou
from vidfilter.stages._still import STILL_S, StillFaces

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

IGNORE = {"ignore_static": True}
FPS, EVERY = 10, 3
SLOW = {"fps": FPS, "detect": IGNORE | {"every": EVERY}}
GONE = int(STILL_S * FPS) + 2 * EVERY  # in frames: known as a picture for sure


def portrait(width: float) -> np.ndarray:
    """A photo, luma, whose face is `width` px wide; the face fills 0.42 of the photo."""
    photo = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)[:220, 130:330]
    size = round(width / 0.42), round(width / 0.42 * 1.1)
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def room(
    count: int, *, living: bool = True, sigma: float = 4.0
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield number and picture of a room with a poster on the left, and a person if `living`."""
    rng, poster = np.random.default_rng(0), portrait(70)
    for number in range(count):
        picture = paste(wall(), poster, 40, 60)
        if living:
            paste(picture, person(3, 3 * number), 330, 10)
        yield number, noisy(picture, rng, sigma)


def seen(frames: list[Any]) -> list[tuple[int, int]]:
    """How many faces each frame shows on the left and on the right."""
    left = [sum(f.box_xyxy_px[0] < 260 for f in frame.faces) for frame in frames]
    return [(few, len(frame.faces) - few) for few, frame in zip(left, frames, strict=True)]


def test_a_poster_is_left_alone_and_the_person_beside_it_is_not(context: Any) -> None:
    frames = follow((p for _, p in room(GONE + 20)), context, **SLOW)
    assert seen(frames)[EVERY:50] == [(1, 1)] * (50 - EVERY)
    assert seen(frames)[GONE:] == [(0, 1)] * 20
    (person_id,) = ids(frames)[-1]
    assert all(person_id in row for row in ids(frames)), "the person keeps the id"


def test_a_poster_is_a_face_by_default(context: Any) -> None:
    frames = follow((p for _, p in room(GONE + 10, living=False)), context, FPS)
    assert seen(frames)[1:] == [(1, 0)] * (GONE + 9)


def test_a_poster_stays_ignored_when_somebody_passes_or_the_light_changes(context: Any) -> None:
    def pictures() -> Iterator[np.ndarray]:
        for number, picture in room(GONE + 50, living=False):
            if number > GONE + 30:
                picture = np.clip(picture * 1.3 + 10, 0, 255).astype(np.uint8)
            if GONE <= number < GONE + 20:
                paste(picture, person(3, 3 * number), 32 * (number - GONE) - 300, 10)
            yield picture

    frames = follow(pictures(), context, **SLOW)
    assert any(frame.faces for frame in frames[GONE : GONE + 20]), "who passes shows"
    assert seen(frames)[GONE + 25 :] == [(0, 0)] * 25


def test_who_sat_like_a_picture_and_moves_is_a_face_again(context: Any) -> None:
    def pictures() -> Iterator[np.ndarray]:
        rng = np.random.default_rng(0)
        for number in range(GONE + 20):
            shift = 4 * max(number - GONE, 0)
            yield noisy(paste(wall(), portrait(70), 40 + shift, 60), rng)

    frames = follow(pictures(), context, **SLOW)
    assert not frames[GONE].faces
    assert all(frame.faces for frame in frames[GONE + 1 + EVERY :])


def test_pictures_of_a_folder_stand_alone(tmp_path: Path) -> None:
    for number, picture in room(9, living=False):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    stages = (
        StageSpec("capture", "capture", {"source": str(tmp_path), "fps": 1}),
        StageSpec("detect", "detect", IGNORE),
        StageSpec("appsink", "appsink"),
    )
    assert all(frame.faces for frame in Pipeline(PipelineSpec(stages)).frames())


def declared(face: float, sigma: float, step: float, quality: int = 75) -> bool:
    """Whether a portrait with a face so wide, that moves by `step` widths in all, is a picture."""
    rng, still = np.random.default_rng(1), StillFaces()
    photo, seconds = portrait(face), np.arange(0, STILL_S + 1.5, 1 / 3)
    x, y = 60 + 0.29 * photo.shape[1], 40 + 0.28 * photo.shape[0]
    box = np.array((x, y, x + face, y + 1.3 * face), np.float32)
    boxes: tuple[np.ndarray, ...] = ()
    for now in seconds:
        shift = step * face * (now / seconds[-1])
        picture = paste(wall(), photo, 60, 40)
        matrix = np.float32([[1, 0, shift], [0, 1, 0]])
        picture = cv2.warpAffine(picture, matrix, None, borderMode=cv2.BORDER_REPLICATE)
        coded = cv2.imencode(".jpg", noisy(picture, rng, sigma), [1, quality])[1]
        boxes = still.update(cv2.imdecode(coded, 0), [box + rng.normal(0, 0.03 * face, 4)], now)
    return bool(boxes)


@pytest.mark.parametrize("face", [22, 40, 100])
@pytest.mark.parametrize("sigma", [2, 8])
def test_noise_and_compression_are_no_motion(face: int, sigma: int) -> None:
    assert declared(face, sigma, 0.0)


@pytest.mark.parametrize("face", [22, 40, 100])
def test_a_hundredth_of_the_face_is_motion(face: int) -> None:
    assert not declared(face, 4, 0.013)


@pytest.mark.parametrize(
    "clip",
    [
        "talk_512_30fps_aac.mp4",
        "press_720p_2997_aac.mp4",
        "selfie_720x1280.mp4",
        "glasses_512x480.mp4",
        "long_talk_200s_vp8.webm",
    ],
)
def test_people_who_sit_and_talk_are_never_taken_for_pictures(
    shared_media: Path, clip: str
) -> None:
    stages = (
        StageSpec("capture", "capture", {"source": str(shared_media / clip)}),
        StageSpec("detect", "detect", IGNORE),
        StageSpec("appsink", "appsink"),
    )
    known: list[np.ndarray] = []  # where a face was at the look before
    looks = 0
    for frame in Pipeline(PipelineSpec(stages)).frames():
        if frame.tags["candidates"] is None:
            continue
        # Doubtful finds on the background may be declared pictures, and rightly so.
        assert not any(iou(a, b) > 0.3 for a in frame.tags["still"] for b in known)
        known = [face.box_xyxy_px for face in frame.faces] or known
        looks += 1
    assert looks > 30
    assert known
