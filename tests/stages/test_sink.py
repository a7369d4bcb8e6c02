from __future__ import annotations

import pytest

from vidfilter.pipeline.errors import DeviceError
from vidfilter.pipeline.registry import stage_class
from vidfilter.pipeline.runner import Pipeline
from vidfilter.pipeline.spec import PipelineSpec, StageSpec, TeeSpec


def resolve(source, **properties):
    cls = stage_class("sink")
    return cls.resolve(cls.Params(**properties), {"source": source, "source_name": "x"})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("source", ["camera", "test", "file", "image"])
def test_auto_is_a_window_where_there_is_a_screen(screen, here, source):
    choice = resolve(source)
    assert (choice.name, choice.properties) == ("window", {})
    assert "x11" in choice.reason


def test_auto_without_a_screen_is_a_file_of_the_test_face(no_screen, here):
    choice = resolve("test")
    assert (choice.name, choice.properties) == ("file", {"path": "vidfilter-001.mp4"})
    assert "10 s of the test face" in choice.reason
    assert "vidfilter-001.mp4" in choice.reason
    assert "no screen" in choice.reason
    assert choice.source_properties == {"duration": 10.0}
    assert not list(here.iterdir())


def test_duration_is_told(no_screen, here):
    choice = resolve("test", duration=2.5)
    assert "2.5 s" in choice.reason
    assert choice.source_properties == {"duration": 2.5}


def test_limit_of_the_source_itself_is_told(no_screen, here):
    cls = stage_class("sink")
    assert "4 s" in cls.resolve(cls.Params(), {"source": "test", "duration": 4.0}).reason


def test_auto_without_a_screen_writes_a_whole_file(no_screen, here):
    choice = resolve("file")
    assert choice.name == "file"
    assert "10 s" not in choice.reason
    assert not choice.source_properties


@pytest.mark.parametrize("driver", ["offscreen", "dummy"])
def test_drivers_that_show_nothing_are_no_screen(no_screen, here, monkeypatch, driver):
    monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    assert resolve("test").name == "file"


def test_display_that_does_not_answer_is_no_screen(no_screen, here, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":4096")
    assert resolve("test").name == "file"


def test_existing_and_half_written_files_are_left_alone(no_screen, here):
    (here / "vidfilter-001.mp4").touch()
    (here / "vidfilter-002.part.mp4").touch()
    assert resolve("test").properties == {"path": "vidfilter-003.mp4"}


def test_every_branch_of_a_tee_gets_a_file_of_its_own(no_screen, here):
    sinks = (
        StageSpec("sink", "one"),
        StageSpec("file", "two", {"path": "vidfilter-002.mp4"}),
        StageSpec("sink", "three", {"kind": "file"}),
    )
    source = StageSpec("capture", "capture", {"source": "test", "duration": 0.1})
    Pipeline(PipelineSpec((source, TeeSpec(tuple((sink,) for sink in sinks))))).run()
    assert sorted(path.name for path in here.iterdir()) == [
        f"vidfilter-{number:03d}.mp4" for number in (1, 2, 3)
    ]


def test_camera_is_recorded_only_when_asked(no_screen, here):
    with pytest.raises(DeviceError) as caught:
        resolve("camera")
    assert "--output" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert resolve("camera", kind="file").properties == {"path": "vidfilter-001.mp4"}


@pytest.mark.parametrize("kind", ["window", "virtualcam", "null"])
def test_a_sink_that_was_asked_for_is_taken(no_screen, here, kind):
    assert resolve("camera", kind=kind).name == kind


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="auto"):
        resolve("test", kind="wrong")
