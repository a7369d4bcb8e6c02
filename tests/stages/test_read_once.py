"""What can be read only once, pipes and live streams, keeps its sound in the file."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_files import decoded, noise, tracks, write_clip

from vidfilter.pipeline import Pipeline
from vidfilter.pipeline.errors import DecodeError
from vidfilter.stages import _packet_lane

Heard = list[tuple[float, bytes]]


def heard(path: Path, track: int = 0) -> Heard:
    """Times in seconds and bytes of all packets of one sound or subtitle track."""
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type in ("audio", "subtitle")]
        packets = [p for p in container.demux(streams[track]) if p.size and p.pts is not None]
        return [(float(p.pts * p.time_base), bytes(p)) for p in packets]


def run(source: Any, output: Path, **capture: Any) -> Any:
    """Copy `source` to `output` in a pipeline; returns its report."""
    properties = {"source": str(source), **capture}
    return Pipeline.line(capture=properties, file=str(output)).run()


@pytest.fixture
def piped(tmp_path: Path) -> Callable[[Path], Path]:
    """Make a named pipe through which a file comes."""

    def make(clip: Path) -> Path:
        pipe = tmp_path / f"pipe-{time.monotonic_ns()}"
        os.mkfifo(pipe)

        def feed() -> None:
            with suppress(BrokenPipeError):
                pipe.write_bytes(clip.read_bytes())

        threading.Thread(target=feed, daemon=True).start()
        return pipe

    return make


class Station:
    """Sends an MPEG-TS clip over TCP to whoever comes, at the pace of its pictures."""

    def __init__(self, clip: Path, seconds: float) -> None:
        self._data, self._seconds = clip.read_bytes(), seconds
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                threading.Thread(target=self._send, args=(caller,), daemon=True).start()

    def _send(self, caller: socket.socket) -> None:
        step = 188 * 7
        pause_s = self._seconds * step / len(self._data)
        with caller, suppress(OSError):
            for start in range(0, len(self._data), step):
                caller.sendall(self._data[start : start + step])
                time.sleep(pause_s)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    clip = write_clip(tmp_path / "live.ts", frames=75, audio=2, options={"g": "5"})
    made = Station(clip, 3.0)
    run(clip, tmp_path / "file.mkv")  # without the headers of broadcast sound
    yield made
    made.close()


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_pipe_gives_what_a_file_gives(piped: Any, tmp_path: Path, extension: str) -> None:
    clip = write_clip(tmp_path / "clip.ts", frames=60, audio=2, options={"bf": "2"})
    run(clip, tmp_path / f"file.{extension}")
    report = run(piped(clip), tmp_path / f"pipe.{extension}")
    for track in (0, 1):
        expected = heard(tmp_path / f"file.{extension}", track)
        assert len(expected) > 100
        assert heard(tmp_path / f"pipe.{extension}", track) == expected
    assert report.warnings == []
    languages = [track.language for track in tracks(tmp_path / f"pipe.{extension}")]
    assert languages == ["eng", "fra"]


def test_standard_input_keeps_its_sound(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", frames=50, audio=1)
    run(clip, tmp_path / "file.mp4")
    command = (
        "from vidfilter.pipeline import Pipeline as P; P.line(capture='-', file='-.mp4').run()"
    )
    subprocess.run(
        [sys.executable, "-c", command], input=clip.read_bytes(), cwd=tmp_path, check=True
    )
    assert heard(tmp_path / "-.mp4") == heard(tmp_path / "file.mp4")


def test_an_index_at_the_end_cannot_come_through_a_pipe(piped: Any, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", width=320, height=240, frames=40, audio=1)
    with pytest.raises(DecodeError, match="its index at its end"):
        run(piped(clip), tmp_path / "out.mp4")


@pytest.mark.parametrize("data", [b"no film" * 99, b""])
def test_a_pipe_without_a_film_is_refused(piped: Any, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "clip.ts").write_bytes(data)
    with pytest.raises(DecodeError, match="is no video"):
        run(piped(tmp_path / "clip.ts"), tmp_path / "out.mp4")


def test_a_duration_cuts_the_sound_of_a_pipe_as_that_of_a_file(piped: Any, tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "clip.ts", frames=100, audio=1, container_options={"muxdelay": "0"}
    )
    run(clip, tmp_path / "file.mp4", duration=1.5)
    run(piped(clip), tmp_path / "pipe.mp4", duration=1.5)
    expected = heard(tmp_path / "file.mp4")
    assert 60 < len(expected) < 80
    assert heard(tmp_path / "pipe.mp4") == expected


def test_sound_that_does_not_fit_is_converted_alike(piped: Any, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=50, audio=1, audio_codec="libopus")
    run(clip, tmp_path / "file.mov")
    run(piped(clip), tmp_path / "pipe.mov")
    assert len(heard(tmp_path / "file.mov")) > 50
    assert heard(tmp_path / "pipe.mov") == heard(tmp_path / "file.mov")


def test_every_file_of_a_tee_gets_the_sound(piped: Any, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", frames=50, audio=1)
    (tmp_path / "p.yaml").write_text(
        f"""version: 1
stages:
  - capture: {{source: "{piped(clip)}"}}
  - tee:
      - [file: {{path: "{tmp_path}/a.mkv"}}]
      - [file: {{path: "{tmp_path}/b.webm", id: b}}]
      - [file: {{path: "{tmp_path}/silent.mkv", id: silent, audio: none}}]
"""
    )
    Pipeline.from_file(tmp_path / "p.yaml").run()
    run(clip, tmp_path / "file.mkv")
    assert heard(tmp_path / "a.mkv") == heard(tmp_path / "file.mkv")
    (opus,) = tracks(tmp_path / "b.webm")
    assert opus.codec == "opus"
    assert abs(opus.end_s - opus.start_s - 2.0) < 0.1
    assert tracks(tmp_path / "silent.mkv") == []


def test_sound_stays_in_step_where_times_begin_anew(piped: Any, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.ts", frames=75, audio=1, options={"bf": "2"})
    run(clip, tmp_path / "once.mkv")
    (tmp_path / "twice.ts").write_bytes(2 * clip.read_bytes())
    run(piped(tmp_path / "twice.ts"), tmp_path / "twice.mkv")
    once, twice = heard(tmp_path / "once.mkv"), heard(tmp_path / "twice.mkv")
    again = len(once)  # the first round's last packet and the second's first sound together
    skipped = [data for _, data in once].index(twice[again][1])
    assert skipped <= 2
    assert [data for _, data in twice] == [data for _, data in once + once[skipped:]]
    shown, shown_once = _shown(tmp_path / "twice.mkv"), _shown(tmp_path / "once.mkv")
    assert [index for _, index in shown] == 2 * list(range(75))
    for mine, theirs, picture in ((0, 0, 0), (again, skipped, 75), (-1, -1, -1)):
        lead_s = once[theirs][0] - shown_once[shown[picture][1]][0]
        assert abs(twice[mine][0] - shown[picture][0] - lead_s) < 0.002


def _shown(path: Path) -> list[tuple[float, int]]:
    """Times of all pictures, and which of the clip's they are."""
    clip = np.stack([_coarse(noise(index, 64, 48)) for index in range(75)])
    with av.open(str(path)) as container:
        at = [float(f.pts * f.time_base) for f in container.decode(video=0) if f.pts is not None]
    best = [int(abs(clip - _coarse(p)).mean((1, 2, 3)).argmin()) for p in decoded(path, "bgr24")]
    return list(zip(at, best, strict=True))


def _coarse(picture: np.ndarray) -> np.ndarray:
    return picture[::4, ::4].astype(int)


def _check_in_step(output: Path, clip: Path, track: int) -> Heard:
    """Sound is an unbroken run of the clip's, as far from the pictures as there; returns it."""
    before, after = heard(clip, track), heard(output, track)
    data = [bytes_ for _, bytes_ in before]
    first = data.index(after[0][1])
    assert [bytes_ for _, bytes_ in after] == data[first : first + len(after)]
    with av.open(str(clip)) as container:
        start_s = float(next(container.decode(video=0)).time)
    for at, index in _shown(output)[::10]:
        lead_s = before[first][0] - (start_s + index / 25)
        assert abs((after[0][0] - at) - lead_s) < 0.005
    assert all(
        abs((b[0] - after[0][0]) - (a[0] - before[first][0])) < 0.002
        for a, b in zip(before[first:], after, strict=False)
    )
    return after


def test_a_live_stream_keeps_its_sound_in_step(station: Station, tmp_path: Path) -> None:
    report = run(station.url, tmp_path / "out.mkv")
    (sink,) = report.sinks
    assert sink.unaccounted == 0
    shown = _shown(tmp_path / "out.mkv")
    assert shown[0][0] == 0.0
    for track in (0, 1):
        after = _check_in_step(tmp_path / "out.mkv", tmp_path / "file.mkv", track)
        assert 0 <= after[0][0] < 0.1
        assert after[-1][0] > shown[-1][0] - 0.1
    assert report.warnings == []


def test_a_drained_live_stream_has_sound_to_its_last_picture(
    station: Station, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    pipeline = Pipeline.line(capture=station.url, file=str(output)).start()
    time.sleep(1.8)
    pipeline.stop()
    report = pipeline.wait()
    (sink,) = report.sinks
    assert sink.unaccounted == 0
    after = _check_in_step(output, tmp_path / "file.mkv", 0)
    end_s = _shown(output)[-1][0] + 0.04
    assert abs(after[-1][0] - end_s) < 0.08
    assert end_s < 2.5


def test_sound_that_does_not_fit_into_memory_is_left_out_and_said_once(
    piped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_packet_lane, "MAX_WAITING_BYTES", 40_000)
    clip = tmp_path / "clip.nut"  # all sound, then all pictures: as bad as it can be
    with av.open(str(clip), "w", container_options={"max_interleave_delta": "1"}) as container:
        _write_sound_first(container)
    report = run(piped(clip), tmp_path / "out.mkv")
    before, after = heard(clip), heard(tmp_path / "out.mkv")
    assert 0 < len(after) < len(before)
    assert {bytes_ for _, bytes_ in after} <= {bytes_ for _, bytes_ in before}
    (warning,) = report.warnings
    assert "sound" in warning
    lost = f"{len(before) - len(after)} packets"
    assert lost in warning
    assert [lost in problem for problem in report.problems()] == [True]
    (sink,) = report.sinks
    assert (sink.written, sink.unaccounted) == (50, 0)


def _write_sound_first(container: Any) -> None:
    video = container.add_stream("libx264", rate=25, options={"bf": "0"})
    video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
    audio = container.add_stream("pcm_s16le", rate=48000, layout="mono")
    for start in range(0, 96000, 960):
        wave = np.random.default_rng(start).integers(-999, 999, (1, 960)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave, "s16", "mono")
        frame.sample_rate, frame.pts = 48000, start
        for packet in audio.encode(frame):
            container.mux_one(packet)
    for index in range(50):
        picture = av.VideoFrame.from_ndarray(noise(index, 64, 48), "bgr24")
        picture.pts, picture.time_base = index, Fraction(1, 25)
        for packet in video.encode(picture):
            container.mux_one(packet)
    for packet in video.encode(None):
        container.mux_one(packet)
