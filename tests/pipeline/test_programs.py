"""Pipelines inside a program: frames are pushed and pulled, and nobody waits for it in vain."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from vidfilter.pipeline import CapsError, Pipeline

from stand_ins import line, stage


def test_frames_can_be_pushed():
    spec = line(stage("appsrc", width=8, height=6, fps=25), stage("t-file"))
    pipeline = Pipeline(spec)
    pipeline.prepare()
    with pipeline:
        source = pipeline.stage("appsrc")
        for number in range(12):
            source.push(np.full((6, 8, 3), number, np.uint8))
        with pytest.raises(ValueError, match=r"pushed uint8 \(4, 4\), expected uint8 \(6, 8, 3\)"):
            source.push(np.zeros((4, 4), np.uint8))
        source.end()
        pipeline.wait()
    assert [frame.planes[0][0, 0, 0] for frame in pipeline.stage("file").seen] == list(range(12))


def test_a_pipeline_that_was_started_has_its_stages():
    pipeline = Pipeline(line(stage("appsrc", width=8, height=6), stage("t-file"))).start()
    source = pipeline.stage("appsrc")
    source.push(np.zeros((6, 8, 3), np.uint8))
    source.end()
    assert pipeline.wait().sinks[0].written == 1


def test_a_pipeline_that_cannot_be_started_says_so_at_once():
    spec = line(stage("t-source", pixel_format="gray9"), stage("t-nothing"))
    with pytest.raises(CapsError, match="source gives gray9"):
        Pipeline(spec).start()


@pytest.mark.parametrize(
    "stages",
    [
        "appsrc={'width': 8, 'height': 6}, **{'null': {}}",
        "capture={'source': 'test', 'width': 64, 'height': 48}, appsink={}",
    ],
)
def test_a_program_that_fails_is_not_held_up_by_its_pipeline(stages):
    program = f"from vidfilter.pipeline import Pipeline; Pipeline.line({stages}).start(); 1 / 0"
    done = subprocess.run(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, timeout=100
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ZeroDivisionError")


@pytest.mark.parametrize(("name", "planes"), [("bgr24", 3), ("bgra", 4)])
def test_pushed_pictures_of_odd_size_are_padded(name, planes):
    spec = line(stage("appsrc", width=5, height=3, format=name), stage("t-bgr"))
    if name == "bgra":
        spec = line(stage("appsrc", width=5, height=3, format=name), stage("appsink"))
    pipeline = Pipeline(spec)
    graph = pipeline.prepare()
    caps = graph.links[0].caps
    assert (caps.width, caps.height, caps.matrix, caps.color_range) == (6, 4, "rgb", "full")
    source = pipeline.stage("appsrc")
    image = np.arange(15 * planes, dtype=np.uint8).reshape(3, 5, planes)
    with pipeline:
        source.push(image)
        source.end()
        if name == "bgra":
            (frame,) = pipeline.frames()
        pipeline.wait()
    if name == "bgr24":
        (frame,) = pipeline.stage("bgr").seen
    assert np.array_equal(frame.planes[0], np.pad(image, ((0, 1), (0, 1), (0, 0)), "edge"))


def test_pushed_times_must_increase():
    pipeline = Pipeline(line(stage("appsrc", width=8, height=6), stage("t-file")))
    pipeline.prepare()
    source, image = pipeline.stage("appsrc"), np.zeros((6, 8, 3), np.uint8)
    with pipeline:
        source.push(image, pts=5)
        with pytest.raises(ValueError, match="pts 5 does not follow 5"):
            source.push(image, pts=5)
        source.push(image)
        source.end()
        pipeline.wait()
    assert [frame.pts for frame in pipeline.stage("file").seen] == [5, 6]
