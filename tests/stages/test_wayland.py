"""The window on a Wayland compositor: weston, inside an X server in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

RED, BLUE = (0, 0, 255), (255, 0, 0)
PIPELINE = """version: 1
stages:
  - capture: {source: halves.png}
  - sink: auto
"""


@pytest.fixture
def wayland(own_screen: Any, eventually: Any) -> Iterator[dict[str, str]]:
    """The environment of programs on a Wayland screen, which `own_screen` shows; or skip."""
    if shutil.which("weston") is None:
        pytest.skip("weston is not installed")
    with tempfile.TemporaryDirectory() as runtime:  # names of sockets must be short
        environment = {**os.environ, "XDG_RUNTIME_DIR": runtime}
        command = ["weston", "--backend=x11-backend.so", "--use-pixman", "--no-config"]
        server = subprocess.Popen(
            [*command, "--socket=test", "--width=640", "--height=480", "--idle-time=0"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if not eventually((Path(runtime) / "test").exists, 20):
                pytest.skip("weston does not start here")
            del environment["DISPLAY"]
            yield {**environment, "WAYLAND_DISPLAY": "test"}
        finally:
            server.kill()
            server.wait()


@pytest.fixture
def shown(wayland: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that was not told where to show a picture, red at the left and blue at the right."""
    picture = np.full((240, 320, 3), RED, np.uint8)
    picture[:, 160:] = BLUE
    cv2.imwrite(str(tmp_path / "halves.png"), picture)
    (tmp_path / "p.yaml").write_text(PIPELINE)
    run = subprocess.Popen(
        [sys.executable, "-m", "vidfilter.pipeline", "run", "p.yaml"],
        env=wayland,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield run
    run.kill()
    run.communicate()


def _order(screen: Any) -> str:
    """Return which colour is left of the other on screen; "" where both are not to be seen."""
    pixels = screen.pixels()
    red, blue = ((pixels == colour).all(axis=2).nonzero()[1] for colour in (RED, BLUE))
    if min(len(red), len(blue)) < 30_000:
        return ""
    return "red, blue" if red.mean() < blue.mean() else "blue, red"


def test_a_window_opens_by_itself_and_listens_to_keys(
    shown: subprocess.Popen[str], own_screen: Any, eventually: Callable[..., bool]
) -> None:
    assert eventually(lambda: _order(own_screen) == "red, blue", 40)
    own_screen.act("mousemove", "320", "240")
    own_screen.press("m")
    assert eventually(lambda: _order(own_screen) == "blue, red")
    own_screen.press("q")
    _, said = shown.communicate(timeout=20)
    assert shown.returncode == 0
    assert "a window, because there is a screen (wayland)" in said
