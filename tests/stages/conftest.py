"""A pipeline's side of a stage, for tests that run one stage alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidfilter.pipeline import registry
from vidfilter.pipeline.caps import Caps, fixate
from vidfilter.pipeline.clock import Clock
from vidfilter.pipeline.frame import Frame


@dataclass
class RecordingContext:
    """A `Context` that keeps what the stage says; `stop` is what the runner would set."""

    stage_id: str = "stage"
    realtime: bool = False
    traits_wanted: bool = True
    packet_takers: int = 1
    aborting: bool = False
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)
    dropped: list[tuple[Frame, str]] = field(default_factory=list)
    repeated: int = 0
    tags: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Clock = field(default_factory=Clock)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def info(self, text: str) -> None:
        self.infos.append(text)

    def drop(self, frame: Frame, cause: str) -> None:
        self.dropped.append((frame, cause))

    def repeat(self, count: int = 1) -> None:
        self.repeated += count

    def tag(self, key: str, value: Any) -> None:
        self.tags[key] = value

    def request(self, action: str, value: Any = None) -> None:
        self.requests.append((action, value))

    def wait(self, seconds: float) -> bool:
        return self.stop.wait(max(seconds, 0.0))

    def wait_until(self, time_s: float, duration_s: float) -> float:
        wait_s = self.clock.due(time_s, duration_s)
        if wait_s > 0:
            self.wait(wait_s)
        return max(-wait_s, 0.0)

    @property
    def stopping(self) -> bool:
        return self.stop.is_set()

    def idle(self) -> AbstractContextManager[None]:
        return nullcontext()

    @property
    def causes(self) -> dict[str, int]:
        """How many frames were dropped by cause."""
        return dict(Counter(cause for _, cause in self.dropped))


def wait_for(condition: Callable[[], Any], timeout_s: float = 10.0) -> bool:
    """Wait until `condition()` is true; returns whether it became so."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def eventually() -> Callable[..., bool]:
    return wait_for


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


class Screen:
    """A screen in memory; `display` is its X11 name, `server` the process that keeps it."""

    def __init__(self, display: str, framebuffer: Path, server: subprocess.Popen[bytes]) -> None:
        self.display, self._framebuffer, self.server = display, framebuffer, server

    def pixels(self) -> np.ndarray:
        """What is on the screen now, (H, W, 3) BGR: the server keeps its memory in XWD format."""
        data = self._framebuffer.read_bytes()
        header = np.frombuffer(data, ">u4", 25)
        size, width, height, stride, colours = (int(header[k]) for k in (0, 4, 5, 12, 19))
        start = size + 12 * colours
        rows = np.frombuffer(data, np.uint8, height * stride, start).reshape(height, stride)
        return rows[:, : 4 * width].reshape(height, width, 4)[:, :, :3]

    def press(self, key: str) -> None:
        """Press and release a key as a user would; skips the test without xdotool."""
        self.act("key", key)

    def act(self, *command: str) -> None:
        """Run one xdotool command; skips the test without xdotool."""
        if shutil.which("xdotool") is None:
            pytest.skip("xdotool is not installed")
        environment = {**os.environ, "DISPLAY": self.display}
        subprocess.run(
            ["xdotool", *command], env=environment, check=True, stdout=subprocess.DEVNULL
        )


@contextmanager
def x_server(folder: Path) -> Iterator[Screen]:
    """Run an X server of 640x480 in memory, or skip the test."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    told, tell = os.pipe()
    options = ["-noreset", "-screen", "0", "640x480x24", "-fbdir", str(folder)]
    command = ["Xvfb", "-displayfd", str(tell), *options]
    server = subprocess.Popen(
        command, pass_fds=[tell], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(tell)
    with os.fdopen(told) as pipe:
        number = pipe.readline().strip()
    if not number:
        pytest.skip("Xvfb does not start here")
    yield Screen(f":{number}", folder / "Xvfb_screen0", server)
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def _x_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    with x_server(tmp_path_factory.mktemp("screen")) as screen:
        yield screen


@pytest.fixture
def own_screen(
    tmp_path_factory: pytest.TempPathFactory, no_screen: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Screen]:
    """A screen of the test's own, where nobody had the keyboard before."""
    with x_server(tmp_path_factory.mktemp("screen")) as screen:
        monkeypatch.setenv("DISPLAY", screen.display)
        yield screen


@pytest.fixture
def screen(_x_server: Screen, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A screen of 640x480, or skip."""
    monkeypatch.setenv("DISPLAY", _x_server.display)
    for name in ("WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    return _x_server


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a screen, or skip."""
    if sys.platform in ("darwin", "win32"):
        pytest.skip("this system always has a screen")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sink(context: Any) -> Any:
    """Make a file sink that is stopped after the test."""
    made = []

    def make(path: Path, **params: Any) -> Any:
        stage_class = registry.stage_class("file")
        stage = stage_class(stage_class.Params(path=path, **params), context)
        made.append(stage)
        return stage

    yield make
    for stage in made:
        stage.stop()


@pytest.fixture
def copy(context: Any, sink: Any) -> Any:
    """Copy a source to a file, converting as the builder would; returns the source's caps."""

    def run(source: Path, path: Path, stop_after: int | None = None, **params: Any) -> Caps:
        capture = registry.stage_class("capture")
        stage = capture(capture.Params(source=str(source)), context)
        caps = stage.open()
        output = sink(path, **params)
        link = _converted(caps, output.accepts, context)
        output.start(link.negotiate(caps) if link else caps)
        for count, frame in enumerate(stage.frames(), 1):
            output.write(link.process(frame) if link else frame)
            if count == stop_after:
                context.stop.set()
        output.finish()
        stage.stop()
        return caps

    return run


def _converted(caps: Caps, accepted: Iterable[str], context: Any) -> Any:
    to = fixate(caps.pixel_format, accepted)
    if to == caps.pixel_format:
        return None
    convert = registry.stage_class("convert")
    return convert(convert.Params(to=to), context)
