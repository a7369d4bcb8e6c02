"""A full disk, a killed process, a failing device: what is left of the file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from clip_files import times, tracks, write_clip

from vidfilter.pipeline import registry
from vidfilter.pipeline.errors import EncodeError

# A copy of a file to a file in a process of its own; `frames` per line tell how far it is.
COPY = """
import resource, sys, time
sys.path.insert(0, sys.argv[1])
from conftest import RecordingContext
from vidfilter.pipeline import registry
from vidfilter.pipeline.errors import MediaError

source, target, limit, pause_s = sys.argv[2], sys.argv[3], *map(float, sys.argv[4:])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
context = RecordingContext()
capture, sink = registry.stage_class("capture"), registry.stage_class("file")
reader = capture(capture.Params(source=source), context)
caps = reader.open()
writer = sink(sink.Params(path=target), context)
writer.start(caps)
try:
    for number, frame in enumerate(reader.frames(), 1):
        writer.write(frame)
        print(number, flush=True)
        time.sleep(pause_s)
    writer.finish()
except MediaError as exc:
    print("error:", exc, flush=True)
finally:
    writer.stop()
"""


def _start(source: Path, target: Path, limit: int = 0, pause_s: float = 0.0) -> Any:
    here = str(Path(__file__).parent)
    arguments = [sys.executable, "-c", COPY, here, str(source), str(target)]
    return subprocess.Popen(
        [*arguments, str(limit), str(pause_s)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_full_disk_is_one_error_and_no_half_file(tmp_path: Path, extension: str) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=100, width=320, height=240, audio=1)
    target = tmp_path / f"out.{extension}"
    output, _ = _start(source, target, limit=100_000).communicate(timeout=50)
    last = output.splitlines()[-1]
    assert last.startswith(f"error: cannot write {target}: ")
    assert f"out.part.{extension}" in last
    assert not target.exists()
    assert (tmp_path / f"out.part.{extension}").stat().st_size <= 100_000


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
@pytest.mark.parametrize("fps", [3, 10, 25])
def test_a_killed_run_leaves_all_but_two_seconds(tmp_path: Path, extension: str, fps: int) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=fps * 9, time_base=Fraction(1, fps), audio=1)
    target = tmp_path / f"out.{extension}"
    with _start(source, target, pause_s=0.001) as process:
        for line in process.stdout:
            if int(line) >= fps * 7:
                break
        process.send_signal(signal.SIGKILL)
        sent = max([fps * 7, *map(int, process.stdout.read().split())])
    assert not target.exists()
    kept = times(tmp_path / f"out.part.{extension}")
    assert sent / fps - float(kept[-1]) <= 2.0
    assert kept == [pts for pts in times(source) if pts <= kept[-1]] or extension == "mkv"
    assert tracks(tmp_path / f"out.part.{extension}")[0].end_s >= float(kept[-1]) - 0.5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_device_without_space_is_named(tmp_path: Path, context: Any) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=60)
    capture, sink = registry.stage_class("capture"), registry.stage_class("file")
    (tmp_path / "out.part.mkv").symlink_to("/dev/full")
    reader = capture(capture.Params(source=str(source)), context)
    writer = sink(sink.Params(path=tmp_path / "out.mkv", overwrite=True), context)
    writer.start(reader.open())
    started = time.monotonic()
    with pytest.raises(EncodeError, match="No space left on device"):
        _write_all(reader, writer)
    writer.stop()
    reader.stop()
    assert time.monotonic() - started < 20
    assert not (tmp_path / "out.mkv").exists()


def _write_all(reader: Any, writer: Any) -> None:
    for frame in reader.frames():
        writer.write(frame)
    writer.finish()
