"""A decoder's own pictures are drawn on, but only once it has let go of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_files import U8, Clip, decoded, noise, write_clip

from vidfilter.pipeline import registry
from vidfilter.pipeline.frame import Frame
from vidfilter.pipeline.registry import register_stage
from vidfilter.pipeline.runner import Pipeline
from vidfilter.pipeline.spec import PipelineSpec, StageSpec
from vidfilter.pipeline.stage import Source, Transform

SIZE = {"width": 128, "height": 96}


def rolling(index: int, width: int, height: int) -> U8:
    """One picture that moves, so that later ones are made of earlier ones."""
    return np.roll(noise(0, width, height), 2 * index, axis=1)


def flat(frame: Frame) -> U8:
    return np.concatenate([plane.reshape(-1) for plane in frame.planes])


def address(frame: Frame) -> int:
    return int(frame.planes[0].__array_interface__["data"][0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    options = {"crf": "18", "bf": "2", "refs": "3"}
    return write_clip(tmp_path / "a.mp4", Clip(**SIZE, frames=40, picture=rolling, options=options))


@pytest.fixture
def source(path: Path, context: Any) -> Iterator[Source]:
    capture = registry.stage_class("capture")
    stage = capture(capture.Params(source=str(path)), context)
    stage.open()
    yield stage
    stage.stop()


@pytest.mark.parametrize("delay", [0, 1, 3, 20])
def test_writing_to_a_frame_spoils_none_decoded_later(
    source: Source, path: Path, delay: int
) -> None:
    expected, waiting, done = decoded(path), deque[Frame](), 0
    for frame in chain(source.frames(), [None] * delay):
        if frame is not None:
            waiting.append(frame)
        if len(waiting) > delay or frame is None:
            mine = waiting.popleft().writable()
            assert np.array_equal(flat(mine), expected[done].reshape(-1))
            for plane in mine.planes:
                plane[:] = 255
            done += 1
    assert done == 40


def test_a_frame_that_the_decoder_let_go_of_is_not_copied(source: Source) -> None:
    early = list(source.frames())[0]  # noqa: RUF015 - all must have been decoded
    before = address(early)
    assert address(early.writable()) == before


def test_a_frame_seen_by_others_is_copied(source: Source, path: Path) -> None:
    early = next(iter(source.frames()))
    mine = early.shared().writable()
    mine.planes[0][:] = 255
    assert np.array_equal(flat(early), decoded(path)[0].reshape(-1))


@register_stage("t-keeper")
class Keeper(Transform):
    """Keeps each picture, and a copy of it, as a stage that compares pictures may."""

    def __init__(self, params: Any, context: Any) -> None:
        super().__init__(params, context)
        self.kept: list[tuple[Frame, U8]] = []

    def process(self, frame: Frame) -> Frame:
        self.kept.append((frame, flat(frame)))
        return frame


@register_stage("t-spoiler")
class Spoiler(Transform):
    """Writes over each picture."""

    keeps_pictures = False

    def process(self, frame: Frame) -> Frame:
        mine = frame.writable()
        for plane in mine.planes:
            plane[:] = 255
        return mine


def test_a_stage_that_keeps_pictures_keeps_them_as_they_were(path: Path) -> None:
    names = {"capture": {"source": str(path)}, "t-keeper": {}, "t-spoiler": {}, "null": {}}
    pipeline = Pipeline(PipelineSpec(tuple(StageSpec(n, n, p) for n, p in names.items())))
    pipeline.run()
    kept = pipeline.stage("t-keeper").kept
    assert len(kept) == 40
    assert all(np.array_equal(flat(frame), before) for frame, before in kept)
