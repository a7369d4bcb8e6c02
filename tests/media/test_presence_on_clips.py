"""A face that is covered is lost soon; one that is there is never lost."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest
from hand_counts import analyze

from vidfilter.pipeline import Pipeline, PipelineSpec, StageSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TALKING = (
    "talk_512_30fps_aac.mp4",
    "talk_square_aac.mp4",
    "press_720p_2997_aac.mp4",
    "selfie_720x1280.mp4",
    "glasses_512x480.mp4",
    "grid_mpeg1_mp2.mpg",
    "carphone_qcif.mp4",
)


@pytest.mark.parametrize("clip", TALKING)
def test_nobody_who_talks_is_lost(clip: str, shared_media: Path) -> None:
    found = [[face["id"] for face in faces] for faces in analyze(shared_media / clip)]
    assert found == [[1]] * len(found)


def opening(clip: Path, count: int) -> list[np.ndarray]:
    """The first pictures of a clip, (H, W, 3) BGR."""
    video, pictures = cv2.VideoCapture(str(clip)), []
    while len(pictures) < count:
        ok, picture = video.read()
        assert ok
        pictures.append(picture)
    return pictures


def boxes(pictures: list[np.ndarray]) -> list[list[np.ndarray]]:
    """The boxes of the faces found in each picture of a stream."""
    height, width = pictures[0].shape[:2]
    size = {"width": width, "height": height, "max_frames": 4}
    names = ("detect", "landmarks", "appsink")
    stages = (StageSpec("appsrc", "appsrc", size), *(StageSpec(name, name) for name in names))
    pipeline = Pipeline(PipelineSpec(stages))
    pipeline.prepare()
    source: Any = pipeline.stage("appsrc")

    def push() -> None:
        for picture in pictures:
            source.push(picture)
        source.end()

    feeder = Thread(target=push)
    feeder.start()
    found = [[face.box_xyxy_px for face in frame.faces] for frame in pipeline.frames()]
    feeder.join()
    return found


@pytest.mark.parametrize("cover", ["grey", "blurred"])
@pytest.mark.parametrize("clip", [TALKING[0], TALKING[2], TALKING[6]])
def test_a_covered_face_is_lost_within_three_frames(
    clip: str, cover: str, shared_media: Path
) -> None:
    pictures, since = opening(shared_media / clip, 45), 26
    places = boxes(pictures)
    assert all(len(place) == 1 for place in places)
    for picture, ((x0, y0, x1, y1),) in list(zip(pictures, places, strict=True))[since:]:
        wide, high = 0.15 * (x1 - x0), 0.15 * (y1 - y0)
        rows = slice(max(int(y0 - high), 0), int(y1 + high))
        columns = slice(max(int(x0 - wide), 0), int(x1 + wide))
        part = picture[rows, columns]
        grey = np.full_like(part, int(part.mean()))
        picture[rows, columns] = grey if cover == "grey" else cv2.GaussianBlur(part, (0, 0), 40)
    found = boxes(pictures)
    assert all(found[:since])
    assert not any(found[since + 3 :])
