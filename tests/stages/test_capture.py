"""How the source is chosen: test face, pictures, cameras, addresses."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clip_files import noise, write_clip

from vidfilter.pipeline import registry
from vidfilter.pipeline.errors import DecodeError, DeviceError, MediaError
from vidfilter.stages._camera import CameraReader
from vidfilter.stages._devices import list_cameras
from vidfilter.stages._newest import NewestFrame


@pytest.fixture
def capture(context: Any) -> Any:
    """Make a source that is stopped after the test."""
    made = []

    def make(**params: Any) -> Any:
        stage_class = registry.stage_class("capture")
        stage = stage_class(stage_class.Params(**params), context)
        made.append(stage)
        return stage

    yield make
    for stage in made:
        stage.stop()


def test_the_test_face_moves_and_tells_the_truth(capture: Any) -> None:
    stage = capture(source="test", width=320, height=240, fps=25, faces=2)
    caps = stage.open()
    assert (caps.pixel_format, caps.width, caps.height, caps.framerate) == ("yuv420p", 320, 240, 25)
    frames = list(islice(stage.frames(), 3))
    assert [f.pts * f.time_base for f in frames] == [0, Fraction(1, 25), Fraction(2, 25)]
    assert len(frames[0].tags["truth"]) == 2
    assert frames[0].tags["truth"][0].landmarks_px.shape == (68, 2)
    assert not np.array_equal(frames[0].planes[0], frames[2].planes[0])


def test_the_test_face_has_right_colours(capture: Any) -> None:
    stage = capture(source="test", width=320, height=240)
    stage.open()
    frame = next(stage.frames())
    stacked = np.concatenate([plane.reshape(-1) for plane in frame.planes]).reshape(360, 320)
    seen = cv2.cvtColor(stacked, cv2.COLOR_YUV2BGR_I420)  # 601, limited: what caps say
    assert frame.caps.matrix == "bt601"
    reader = stage._reader
    assert np.abs(seen.astype(int) - reader._scene.render(0.0)).mean() < 3


def test_duration_limits_the_endless_test_face(capture: Any) -> None:
    stage = capture(source="test", width=64, height=48, fps=10, duration=0.5)
    stage.open()
    assert stage.total_duration_s == 0.5
    assert len(list(stage.frames())) == 5


@pytest.mark.skipif(bool(list_cameras()), reason="this machine has a camera")
def test_without_a_camera_auto_is_the_test_face_and_says_so(capture: Any, context: Any) -> None:
    capture(source="auto", width=64, height=48).open()
    assert context.infos == ["source: the test face, since no camera was found"]


@pytest.mark.skipif(bool(list_cameras()), reason="this machine has a camera")
@pytest.mark.parametrize("source", ["camera", "camera:7", "7", "/dev/video99"])
def test_a_missing_camera_is_named(capture: Any, source: str) -> None:
    with pytest.raises(DeviceError, match="no camera"):
        capture(source=source).open()


def test_an_unreachable_address_is_refused(capture: Any) -> None:
    with pytest.raises(MediaError, match="cannot open rtsp://127"):
        capture(source="rtsp://127.0.0.1:9/x").open()


@pytest.mark.parametrize("url", ["file://clip.mp4", "file://", "file://host/clip.mp4"])
def test_a_file_url_without_a_path_is_refused(capture: Any, url: str) -> None:
    with pytest.raises(MediaError, match="write the path alone"):
        capture(source=url).open()


def test_a_file_url_is_a_file(capture: Any, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "with space.mp4")
    stage = capture(source=path.as_uri())
    stage.open()
    assert len(list(stage.frames())) == 10


def _picture(path: Path, width: int, height: int, *, alpha: bool = False) -> np.ndarray:
    image = noise(width, width, height)
    if alpha:
        image = np.dstack([image, noise(1, width, height)[:, :, :1]])
    cv2.imwrite(str(path), image)
    return image


def test_one_picture_is_one_frame(capture: Any, tmp_path: Path) -> None:
    image = _picture(tmp_path / "a.png", 41, 30, alpha=True)
    stage = capture(source=str(tmp_path / "a.png"))
    caps = stage.open()
    (frame,) = stage.frames()
    assert (caps.pixel_format, caps.width, caps.height) == ("bgra", 42, 30)
    assert np.array_equal(frame.planes[0][:, :41], image)
    assert frame.tags["file"] == "a.png"


def test_a_folder_gives_each_picture_in_its_own_size(
    capture: Any, tmp_path: Path, context: Any
) -> None:
    for number, size in ((10, (20, 20)), (2, (31, 17)), (1, (40, 30))):
        _picture(tmp_path / f"p{number}.png", *size)
    (tmp_path / "p3.jpg").write_text("not a picture")
    (tmp_path / "notes.txt").write_text("ignored")
    stage = capture(source=str(tmp_path), fps=10)
    assert (stage.open().width, stage.total_duration_s) == (40, 0.4)
    frames = list(stage.frames())
    assert [f.tags["file"] for f in frames] == ["p1.png", "p2.png", "p10.png"]
    assert [f.planes[0].shape for f in frames] == [(30, 40, 3), (18, 32, 3), (20, 20, 3)]
    assert all((f.caps.height, f.caps.width) == f.planes[0].shape[:2] for f in frames)
    assert all(f.discontinuity for f in frames)
    assert [f.pts for f in frames] == [0, 1, 2]
    assert "p3.jpg" in context.warnings[0]
    assert context.tags == {"skipped_pictures": 1, "truncated": True}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_picture_of_floating_point_numbers_is_refused_in_words(
    capture: Any, tmp_path: Path, context: Any, kind: type, channels: int
) -> None:
    image = np.linspace(0, 1, 40 * 30 * channels, dtype=kind).reshape(30, 40, channels)
    assert cv2.imwrite(str(tmp_path / "a.tiff"), image)
    stage = capture(source=str(tmp_path / "a.tiff"))
    with pytest.raises(DecodeError):
        stage.open()
    (said,) = context.warnings
    assert "floating-point" in said
    assert "8 or 16 bits" in said


def test_photos_are_turned_as_the_camera_was_held(capture: Any, tmp_path: Path) -> None:
    image = noise(0, 60, 40)
    _, data = cv2.imencode(".jpg", image)
    # An Exif block with one entry: orientation 6, a quarter turn clockwise.
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    raw = data.tobytes()
    (tmp_path / "photo.jpg").write_bytes(raw[:2] + segment + raw[2:])
    caps = capture(source=str(tmp_path / "photo.jpg")).open()
    assert (caps.width, caps.height) == (40, 60)


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_photo_that_is_cut_off_gives_what_it_has_and_is_named(
    capture: Any, tmp_path: Path, context: Any, progressive: int
) -> None:
    image = noise(0, 400, 300)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
    (tmp_path / "1.jpg").write_bytes(data.tobytes())
    (tmp_path / "2.jpg").write_bytes(data.tobytes()[: len(data) // 2])
    (tmp_path / "3.jpg").write_bytes(data.tobytes()[:-2])  # all but its end mark
    stage = capture(source=str(tmp_path))
    stage.open()
    whole, cut, endless = (frame.planes[0].astype(int) for frame in stage.frames())
    assert np.abs(cut - whole)[:100].mean() < 40
    assert np.array_equal(endless, whole)
    assert context.warnings == [
        f"{tmp_path / name} is cut off: what is there is kept" for name in ("2.jpg", "3.jpg")
    ]
    assert context.tags == {"truncated": True}


def test_a_photo_that_is_damaged_inside_is_named(
    capture: Any, tmp_path: Path, context: Any
) -> None:
    _, data = cv2.imencode(".jpg", noise(0, 400, 300))
    whole, half = data.tobytes(), len(data) // 2
    (tmp_path / "1.jpg").write_bytes(whole)
    # A second start of a picture in the middle: the first one ends there.
    (tmp_path / "2.jpg").write_bytes(whole[:half] + b"\xff\xd8" + whole[half + 2 :])
    stage = capture(source=str(tmp_path))
    stage.open()
    assert len(list(stage.frames())) == 2
    assert context.warnings == [f"{tmp_path / '2.jpg'} is damaged: what can be read is kept"]
    assert context.tags == {"truncated": True}


@pytest.mark.parametrize("name", ["moving.png", "moving.webp"])
def test_of_a_moving_picture_the_first_is_shown_and_that_is_said(
    capture: Any, tmp_path: Path, context: Any, name: str
) -> None:
    film = cv2.Animation()
    film.frames = [noise(0, 32, 32), noise(1, 32, 32)]
    film.durations = [100, 100]
    if not cv2.imwriteanimation(str(tmp_path / name), film):
        pytest.skip(f"this OpenCV writes no {name}")
    stage = capture(source=str(tmp_path / name))
    stage.open()
    assert len(list(stage.frames())) == 1
    assert context.warnings == [f"{tmp_path / name} moves: only its first picture is read"]


@pytest.mark.parametrize("files", [[], ["words.txt"], ["broken.png"]])
def test_a_folder_without_pictures_is_refused(
    capture: Any, tmp_path: Path, files: list[str]
) -> None:
    for name in files:
        (tmp_path / name).write_text("nothing to see")
    with pytest.raises(MediaError, match="picture"):
        capture(source=str(tmp_path)).open()


# OpenCV opens a file as it opens a camera: a device that sends some pictures, then none.


@pytest.fixture
def fake_device(tmp_path: Path) -> str:
    clip = write_clip(
        tmp_path / "cam.avi", codec="mjpeg", pixel_format="yuvj420p", frames=12, width=65, height=48
    )
    return str(clip)


def test_camera_frames_are_live_and_stamped_on_arrival(fake_device: str, context: Any) -> None:
    reader = CameraReader(fake_device, context, 640, 480, Fraction(30), patience_s=0.3)
    caps = reader.open()
    try:
        assert (caps.pixel_format, caps.live) == ("bgr24", True)
        assert (caps.width, caps.height) == (66, 48)
        assert "65x48, not 640x480" in context.infos[0]
        frame = next(reader.frames())
        assert frame.planes[0].shape == (48, 66, 3)
        assert abs(frame.captured_ns - time.monotonic_ns()) < 10e9
    finally:
        reader.close()


def test_a_camera_that_falls_silent_is_an_error(fake_device: str, context: Any) -> None:
    reader = CameraReader(fake_device, context, 64, 48, Fraction(30), patience_s=0.3)
    reader.open()
    try:
        with pytest.raises(DeviceError, match=r"unplugged|sent nothing"):
            list(reader.frames())
    finally:
        reader.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("read-camera")]


def test_interrupt_wakes_a_source_that_waits(context: Any) -> None:
    hold = threading.Event()

    def silent() -> Any:
        hold.wait()
        yield from ()

    newest = NewestFrame("camera", context, patience_s=30)
    newest.start(silent())
    ended = threading.Event()

    def consume() -> None:
        list(newest.frames())
        ended.set()

    threading.Thread(target=consume, daemon=True).start()
    assert not ended.wait(0.1)
    newest.interrupt()
    assert ended.wait(5)
    hold.set()
    assert newest.close()


def test_only_the_newest_frame_is_kept(context: Any, capture: Any) -> None:
    stage = capture(source="test", width=64, height=48, duration=1.0)
    stage.open()
    all_read = threading.Event()

    def fast() -> Any:
        yield from stage.frames()
        all_read.set()
        threading.Event().wait(0.2)

    def cut(frames: Any) -> Any:
        for frame in frames:
            yield frame.with_(discontinuity=frame.pts == 5)

    newest = NewestFrame("camera", context, patience_s=5)
    newest.start(cut(fast()))
    assert all_read.wait(10)
    frames = list(newest.frames())
    assert [frame.pts for frame in frames] == [29]
    assert frames[0].discontinuity  # no later stage saw the one after which it all changed
    assert frames[0].seq == 0
    newest.close()
