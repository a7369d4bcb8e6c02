"""Ctrl-C and SIGTERM, once and twice, and stages that do not follow."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import pytest
from giving import STAGES, start

from vidfilter.pipeline.cli import main

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
COPY = """version: 1
stages:
  - capture: {source: test, width: 160, height: 120}
  - file: {path: out.mkv}
"""
SLOW = ("--set", "k-source.delay_s=0.02", "--set", "k-source.frames=100000")


def wait_for(path: Path, size: int = 1) -> None:
    """Wait until `size` bytes are written to `path`."""
    deadline = time.monotonic() + 30
    while not (path.exists() and path.stat().st_size >= size):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_no_more(path: Path) -> None:
    """Wait until `path` has not grown for a second and a half."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < 1.5:
        if path.stat().st_size != size:
            size, since = path.stat().st_size, time.monotonic()
        time.sleep(0.02)


@contextmanager
def writing_end(pipe: Path) -> Iterator[None]:
    """Wait until somebody reads `pipe`, and give him nothing."""
    deadline = time.monotonic() + 30
    while True:
        try:
            handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    yield
    os.close(handle)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_drains(number: signal.Signals, code: int, folder: Path):
    process = start(["run", "p.yaml", *SLOW])
    wait_for(folder / "out.part.bin")
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    last = err.splitlines()[-1]
    assert last.startswith("stopped early: ")
    assert last.endswith("wrote out.bin")
    assert str((folder / "out.bin").stat().st_size) == last.split()[2]
    assert not (folder / "out.part.bin").exists()


def take_terminal() -> None:
    """Make standard input the terminal of this new session, as if nobody had said `nohup`."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_terminal_that_is_closed_leaves_a_whole_file(folder: Path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, STAGES, "run", "p.yaml", *SLOW],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(theirs)
    wait_for(folder / "out.part.bin")
    os.close(ours)
    assert process.wait(timeout=20) == 129
    assert (folder / "out.bin").stat().st_size > 0
    assert not (folder / "out.part.bin").exists()


def test_nohup_is_respected(folder: Path):
    process = start(
        ["run", "p.yaml", "-q", "--set", "k-source.delay_s=0.02", "--set", "k-source.frames=60"],
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    wait_for(folder / "out.part.bin")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert (folder / "out.bin").stat().st_size == 60


def test_the_second_signal_ends_at_once_and_keeps_the_part(folder: Path):
    process = start(["run", "p.yaml", *SLOW, "--set", "k-fault.fault=stall"])
    wait_for(folder / "out.part.bin", 5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode in (1, 130)
    assert not (folder / "out.bin").exists()
    assert (folder / "out.part.bin").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_heard_while_the_input_does_not_answer(
    number: signal.Signals, code: int, folder: Path
):
    os.mkfifo(folder / "pipe")
    process = start(["run", "-i", "pipe", "-o", "out.mp4"])
    with writing_end(folder / "pipe"):
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err
    assert [path.name for path in folder.glob("out*")] == []


@contextmanager
def half_fed(pipe: Path, data: bytes) -> Iterator[None]:
    """Put most of `data` into `pipe`, and then nothing, but keep it open."""
    os.mkfifo(pipe)
    release = threading.Event()

    def feed() -> None:
        with suppress(BrokenPipeError), pipe.open("wb") as stream:
            stream.write(data[: len(data) * 3 // 4])
            stream.flush()
            release.wait(30)

    threading.Thread(target=feed, daemon=True).start()
    yield
    release.set()


@pytest.mark.parametrize("twice", [False, True])
def test_a_drain_makes_a_whole_file_of_an_input_that_stalled(folder: Path, twice: bool):
    (folder / "copy.yaml").write_text(COPY)
    assert main(["run", "copy.yaml", "-i", "test", "-o", "in.mkv", "--duration", "4"]) == 0
    with half_fed(folder / "pipe", (folder / "in.mkv").read_bytes()):
        process = start(["run", "copy.yaml", "-i", "pipe", "-o", "out.mkv", "--report", "r.json"])
        wait_for(folder / "out.part.mkv", 5_000)
        wait_for_no_more(folder / "out.part.mkv")
        process.send_signal(signal.SIGINT)
        if twice:
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert "capture" in err
    assert process.returncode == 1
    assert (folder / "out.part.mkv").exists() == twice
    assert (folder / "out.mkv").exists() != twice
    (sink,) = json.loads((folder / "r.json").read_text())["sinks"]
    assert sink["unaccounted"] == 0
    if not twice:
        with av.open(str(folder / "out.mkv")) as container:
            frames = sum(1 for _ in container.decode(video=0))
        assert frames == sink["written"] == sink["captured"] > 50


def test_a_stalled_stage_is_named_with_its_stack(folder: Path):
    process = start(["run", "p.yaml", "--set", "k-fault.fault=stall"])
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "vidfilter: error: stage k-fault made no progress for 1 s" in err.splitlines()
    assert "time.sleep(1000)" in err
    assert (folder / "out.part.bin").exists()
