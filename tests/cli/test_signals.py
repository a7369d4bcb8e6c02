"""Ctrl-C and SIGTERM, once and twice, and stages that do not follow."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from giving import start

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
SLOW = ("--set", "k-source.delay_s=0.02", "--set", "k-source.frames=100000")


def wait_for(path: Path, size: int = 1) -> None:
    """Wait until `size` bytes are written to `path`."""
    deadline = time.monotonic() + 30
    while not (path.exists() and path.stat().st_size >= size):
        assert time.monotonic() < deadline
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


def test_a_stalled_stage_is_named_with_its_stack(folder: Path):
    process = start(["run", "p.yaml", "--set", "k-fault.fault=stall"])
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "vidfilter: error: stage k-fault made no progress for 1 s" in err.splitlines()
    assert "time.sleep(1000)" in err
    assert (folder / "out.part.bin").exists()
