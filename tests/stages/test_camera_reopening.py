"""A camera that was unplugged comes back, or does not.

No camera was at hand: OpenCV opens a clip as it opens a device, one that sends some pictures and
then none. Its file is taken away and put back, as the node of a camera is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from clip_files import times, write_clip

from vidfilter.pipeline import Pipeline
from vidfilter.pipeline.errors import DeviceError
from vidfilter.pipeline.frame import Frame
from vidfilter.stages import _camera
from vidfilter.stages._camera import CameraReader


class Socket:
    """Where a camera is plugged in."""

    def __init__(self, folder: Path) -> None:
        self.device = folder / "camera.avi"
        self._folder = folder

    def plug(self, frames: int = 12, width: int = 64, height: int = 48) -> None:
        made = write_clip(
            self._folder / "made.avi", codec="mjpeg", pixel_format="yuvj420p",
            frames=frames, width=width, height=height,
        )  # fmt: skip
        made.replace(self.device)

    def unplug(self) -> None:
        self.device.unlink()


@pytest.fixture
def plugs(tmp_path: Path) -> Socket:
    made = Socket(tmp_path)
    made.plug()
    return made


@pytest.fixture
def reader(plugs: Socket, context: Any) -> Iterator[Callable[..., CameraReader]]:
    made: list[CameraReader] = []

    def make(**changes: Any) -> CameraReader:
        arguments = {"patience_s": 0.3, "reopen_s": 30.0, **changes}
        made.append(CameraReader(str(plugs.device), context, 64, 48, Fraction(30), **arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("read-camera")]


@pytest.mark.parametrize("size", [(64, 48), (65, 47), (32, 32)])
def test_a_camera_that_comes_back_goes_on(
    plugs: Socket, reader: Any, context: Any, eventually: Any, size: tuple[int, int]
) -> None:
    camera = reader()
    caps = camera.open()
    plugs.unplug()
    frames: list[Frame] = []
    thread = threading.Thread(target=lambda: frames.extend(camera.frames()), daemon=True)
    thread.start()
    assert eventually(lambda: camera.status)
    assert camera.status == "camera lost, waiting"
    before = len(frames)
    plugs.plug(width=size[0], height=size[1])
    assert eventually(lambda: any(frame.discontinuity for frame in frames))
    assert camera.status == ""
    plugs.unplug()
    context.stop.set()
    camera.interrupt()
    thread.join(10)
    assert [frame.discontinuity for frame in frames].index(True) == before
    assert sum(frame.discontinuity for frame in frames) == 1
    assert all(frame.caps == caps for frame in frames)
    assert {frame.planes[0].shape for frame in frames} == {(48, 64, 3)}
    pts = [frame.pts for frame in frames]
    assert pts == sorted(set(pts))
    assert frames[before].planes[0].mean() > 30
    assert any("lost" in text for text in context.warnings)
    assert any("is back" in text for text in context.infos)


def _unplugged_at_the_start(
    plugs: Socket, output: Path, monkeypatch: pytest.MonkeyPatch, reopen_s: float
) -> Pipeline:
    """Return a prepared pipeline from a camera, which is gone by now, to a file."""
    _plugged_into(monkeypatch, plugs)
    properties = {"source": "camera", "reopen_s": reopen_s}
    pipeline = Pipeline.line(capture=properties, file=str(output))
    pipeline.prepare()
    plugs.unplug()
    return pipeline


def test_a_camera_that_stays_away_ends_the_run_in_order(
    plugs: Socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.mkv"
    pipeline = _unplugged_at_the_start(plugs, output, monkeypatch, 0.5)
    with pytest.raises(DeviceError, match=r"0\.5 s"):
        pipeline.run()
    assert pipeline.ended_in_order
    (sink,) = pipeline.report().sinks
    assert sink.unaccounted == 0
    assert len(times(output)) == sink.written > 0


def test_a_file_shows_the_gap_of_a_camera_that_came_back(
    plugs: Socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    output = tmp_path / "out.mkv"
    pipeline = _unplugged_at_the_start(plugs, output, monkeypatch, 30)
    pipeline.start()
    assert eventually(lambda: pipeline.snapshot().get("status") == "camera lost, waiting")
    captured = pipeline.snapshot()["captured"]
    time.sleep(0.5)
    plugs.plug()
    assert eventually(lambda: pipeline.snapshot()["captured"] > captured)
    plugs.unplug()
    pipeline.stop()
    (sink,) = pipeline.wait().sinks
    assert sink.unaccounted == 0
    shown = times(output)
    assert len(shown) == sink.written
    assert float(max(after - before for before, after in pairwise(shown))) > 0.5


def _plugged_into(monkeypatch: pytest.MonkeyPatch, plugs: Socket) -> None:
    """Make `source: camera` mean the file, for there is none on this machine."""
    monkeypatch.setattr(_camera, "find_camera", lambda which: str(plugs.device))
    monkeypatch.setattr(_camera, "PATIENCE_S", 0.3)


def test_waiting_for_a_camera_ends_with_the_stop(
    plugs: Socket, reader: Any, context: Any, eventually: Any
) -> None:
    camera = reader()
    camera.open()
    plugs.unplug()
    thread = threading.Thread(target=lambda: list(camera.frames()), daemon=True)
    thread.start()
    assert eventually(lambda: camera.status)
    context.stop.set()
    camera.interrupt()
    thread.join(10)
    assert not thread.is_alive()


def test_the_wait_can_be_switched_off(plugs: Socket, reader: Any) -> None:
    camera = reader(reopen_s=0.0)
    camera.open()
    with pytest.raises(DeviceError, match=r"unplugged\?$|sent nothing for 0\.3 s"):
        list(camera.frames())
