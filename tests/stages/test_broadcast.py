"""Streams that somebody sends live: how they come in, and what is said when they end."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clip_files import times, tracks, write_clip

from vidfilter.pipeline.cli import main
from vidfilter.stages import _media


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Send 3 s of picture and sound to the first caller, then what `ending` says; gives a URL."""
    clip = write_clip(tmp_path / "clip.ts", frames=75, audio=1, options={"g": "5"})
    data, over = clip.read_bytes(), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(ending: str) -> None:
        caller, _ = listener.accept()
        with caller:
            for start in range(0, len(data), len(data) // 30):
                caller.sendall(data[start : start + len(data) // 30])
                time.sleep(0.05)
            if ending == "silence":
                over.wait(60)
            elif ending == "reset":
                time.sleep(1.0)  # what was sent shall arrive before
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def begin(ending: str) -> str:
        threading.Thread(target=serve, args=(ending,), daemon=True).start()
        return f"tcp://127.0.0.1:{listener.getsockname()[1]}"

    yield begin
    over.set()
    listener.close()


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("version: 1\nstages:\n  - capture: test\n  - file: out.mp4\n")
    return "p.yaml"


def test_a_sender_who_hangs_up_ends_the_run(
    sender: Callable[[str], str], pipeline: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", pipeline, "-i", sender("end")]) == 0
    said = capfd.readouterr().err
    assert "damaged" not in said
    assert "early" not in said
    assert len(times(Path("out.mp4"))) > 10


def test_a_sender_who_falls_silent_fails_the_run_and_the_file_is_whole(
    sender: Callable[[str], str], pipeline: str, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(_media, "NETWORK_TIMEOUT_S", (2.0, 2.0))
    url = sender("silence")
    assert main(["run", pipeline, "-i", url]) == 1
    said = capfd.readouterr().err
    assert f"error: capture: {url} has sent nothing for 2 s" in said
    assert "damaged" not in said
    assert len(times(Path("out.mp4"))) > 10


def test_a_connection_that_breaks_is_said_once(
    sender: Callable[[str], str], pipeline: str, capfd: pytest.CaptureFixture[str]
) -> None:
    url = sender("reset")
    assert main(["run", pipeline, "-i", url]) == 0
    said = capfd.readouterr().err
    assert f"{url} ends early: Connection reset by peer" in said
    assert "damaged in" not in said
    assert len(times(Path("out.mp4"))) > 10


def test_a_silent_answer_is_told_from_a_bad_one(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/x"
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        assert main(["run", "-i", url, "--sink", "null"]) == 1
    assert f"error: cannot open {url}: no video came from there" in capfd.readouterr().err


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg, which sends, is not installed")
def test_rtmp_comes_in_with_its_sound(pipeline: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=150, audio=1, options={"g": "12", "bf": "0"})
    url = f"rtmp://127.0.0.1:{_free_port()}/live/clip"
    sends = ["ffmpeg", "-v", "quiet", "-re", "-i", str(clip), "-c", "copy", "-f", "flv"]
    server = subprocess.Popen([*sends, "-listen", "1", url], stdin=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 30
        while main(["run", pipeline, "-q", "-i", url]) and time.monotonic() < give_up:
            time.sleep(0.5)  # it does not listen yet
    finally:
        server.kill()
        server.wait()
    shown, (sound,) = times(Path("out.mp4")), tracks(Path("out.mp4"))
    assert len(shown) > 50
    assert abs(sound.end_s - sound.start_s - float(shown[-1])) < 0.3


@pytest.mark.parametrize("scheme", ["srt", "rist"])
def test_a_protocol_that_is_not_there_is_said_with_a_way_round(
    scheme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-i", f"{scheme}://127.0.0.1:9", "--sink", "null"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert f"does not speak {scheme}" in line
    assert f"`ffmpeg -i '{scheme}://127.0.0.1:9' -c copy -f mpegts - | vidfilter run -i -`" in line
