"""Addresses on the network: files elsewhere, live cameras, and what becomes of lost ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import pytest
from clip_files import noise, times, tracks, write_clip

from vidfilter.pipeline import Pipeline
from vidfilter.pipeline.errors import DeviceError
from vidfilter.stages._camera import CameraReader
from vidfilter.stages._stream import StreamReader
from vidfilter.stages.capture import Capture


class Server(ThreadingHTTPServer):
    """Serve `files` by name, `half/NAME` without its second half, and a camera of 12 pictures."""

    daemon_threads = True

    def __init__(self, files: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.hold = threading.Event()  # what a camera waits for before it hangs up

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if name == "camera":
            self.send_response(200)
            self.close_connection = True
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            self._film()
            return
        data = (self.server.files / name).read_bytes()
        if self.path.startswith("/chunks/"):
            self._send_chunks(data)
            return
        if self.path.startswith("/ranges/"):
            self._send_range(data)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        half = self.path.startswith("/half/")
        self.close_connection = half
        self.wfile.write(data[: len(data) // 2] if half else data)

    def _send_chunks(self, data: bytes) -> None:
        """Send without saying how much will come, for three seconds."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        step = max(1, len(data) // 60)
        with suppress(OSError):
            for start in range(0, len(data), step):
                chunk = data[start : start + step]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                time.sleep(0.05)
            self.wfile.write(b"0\r\n\r\n")

    def _send_range(self, data: bytes) -> None:
        start = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        with suppress(OSError):  # he may hang up to ask for another range
            self.wfile.write(data[start:])

    def _film(self) -> None:
        for number in range(12):
            _, data = cv2.imencode(".jpg", noise(number, 64, 48))
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data.tobytes() + b"\r\n")
        self.server.hold.wait(30)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.hold.set()
    made.shutdown()
    made.server_close()


@pytest.fixture
def camera(server: Server, context: Any) -> Iterator[StreamReader]:
    reader = StreamReader(server.url("camera"), context)
    server.hold.set()
    yield reader
    reader.close()


def test_a_camera_on_the_network_is_stamped_on_arrival(camera: StreamReader) -> None:
    caps = camera.open()
    assert (caps.live, caps.framerate) == (True, None)
    frames = list(camera.frames())
    assert {(frame.time_base, frame.duration) for frame in frames} == {
        (Fraction(1, 1_000_000), None)
    }
    arrived = [frame.captured_ns - frame.pts * 1000 for frame in frames]
    assert max(arrived) - min(arrived) < 1000  # nothing but the microsecond's rounding
    assert all(frame.caps == caps for frame in frames)


def test_frames_that_came_in_vain_are_counted(camera: StreamReader, context: Any) -> None:
    camera.open()
    frames = list(camera.frames())
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    dropped = context.causes.get("replaced by a newer one", 0)
    # The server hangs up within the last picture, which may be lost with the connection.
    assert len(frames) + dropped in (11, 12)


@pytest.mark.parametrize("name", ["clip.ts", "ranges/clip.ts"])
def test_of_a_file_elsewhere_no_frame_is_lost(
    server: Server, context: Any, tmp_path: Path, name: str
) -> None:
    write_clip(tmp_path / "clip.ts", frames=50, audio=1)
    for _ in range(6):  # what went wrong, went wrong now and then
        reader = StreamReader(server.url(name), context)
        assert not reader.open().live
        frames = list(reader.frames())
        reader.close()
        assert len(frames) == 50
    assert context.warnings == []


def test_a_file_elsewhere_that_breaks_off_gives_what_came(
    server: Server, context: Any, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.ts", frames=50, audio=1)
    reader = StreamReader(server.url("half/clip.ts"), context)
    assert not reader.open().live
    frames = list(reader.frames())
    reader.close()
    assert 10 < len(frames) < 50
    assert frames[0].tags["media"].path == server.url("half/clip.ts")
    assert context.tags["truncated"]
    assert "ends early" in context.warnings[0]


def test_a_camera_that_is_lost_ends_the_frames_and_fails_the_run(
    context: Any, tmp_path: Path
) -> None:
    device = write_clip(tmp_path / "cam.avi", codec="mjpeg", pixel_format="yuvj420p", frames=5)
    stage = Capture(Capture.Params(source=str(device)), context)
    stage._reader = CameraReader(str(device), context, 64, 48, Fraction(30), patience_s=0.3)
    stage.open()
    assert list(stage.frames())
    stage.stop()
    ((action, error),) = context.requests
    assert action == "fail"
    assert isinstance(error, DeviceError)


@pytest.mark.parametrize("name", ["clip.mp4", "ranges/clip.mp4"])
def test_a_file_elsewhere_keeps_its_sound(server: Server, tmp_path: Path, name: str) -> None:
    clip = write_clip(
        tmp_path / "clip.mp4", frames=50, audio=2, audio_s=3.0,
        container_options={"movflags": "faststart"},
    )  # fmt: skip
    report = Pipeline.line(capture=server.url(name), file=str(tmp_path / "out.mp4")).run()
    assert (report.sinks[0].written, report.warnings) == (50, [])
    for before, after in zip(tracks(clip), tracks(tmp_path / "out.mp4"), strict=True):
        assert (before.checksum, before.count) == (after.checksum, after.count)
        assert (before.start_s, before.language) == (after.start_s, after.language)


def test_sound_of_an_endless_answer_is_kept(server: Server, tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.ts", frames=75, audio=1, options={"g": "5"})
    output = tmp_path / "out.mkv"
    report = Pipeline.line(capture=server.url("chunks/clip.ts"), file=str(output)).run()
    assert report.sinks[0].unaccounted == 0
    (sound,) = tracks(output)
    shown = times(output)
    assert shown[0] == 0
    assert 0 <= sound.start_s < 0.1
    assert sound.end_s > float(shown[-1]) - 0.1
    assert sound.count > 46.875 * (sound.end_s - sound.start_s) - 3  # none is missing
