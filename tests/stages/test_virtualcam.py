from __future__ import annotations

import sys
import threading
import time
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
import pyvirtualcam
from pyvirtualcam.camera import BACKENDS

from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.errors import DeviceError
from vidfilter.pipeline.frame import Frame, allocate
from vidfilter.pipeline.registry import stage_class

CAPS = Caps("yuv420p", 32, 16, Fraction(50), live=True)


class Recorder:
    """A camera as pyvirtualcam sees one; keeps what it is sent and when."""

    opened: ClassVar[list[Recorder]] = []

    def __init__(self, *, width, height, fps, fourcc, device, **extra):
        if device == "/dev/video-busy":
            raise RuntimeError("Device or resource busy\n")
        self.width, self.height, self.fps, self.fourcc = width, height, fps, fourcc
        self.name = device or "recorder"
        self.sent: list[np.ndarray] = []
        self.addresses: list[int] = []
        self.times: list[float] = []
        self.closed = 0
        self.fails = False
        self.gate = threading.Event()
        self.gate.set()
        Recorder.opened.append(self)

    def send(self, frame):
        self.gate.wait(20)
        if self.fails:
            raise RuntimeError("cable pulled")
        assert frame.dtype == np.uint8
        assert frame.ndim == 1
        assert frame.flags.c_contiguous
        assert frame.size == self.width * self.height * 3 // 2
        self.times.append(time.monotonic())
        self.addresses.append(frame.ctypes.data)
        self.sent.append(frame.copy())

    def close(self):
        self.closed += 1

    def device(self):
        return self.name

    def native_fourcc(self):
        return self.fourcc


@pytest.fixture(autouse=True)
def backend():
    Recorder.opened = []
    pyvirtualcam.register_backend("recorder", Recorder)
    yield Recorder.opened
    del BACKENDS["recorder"]


@pytest.fixture
def start(context):
    sinks = []

    def make(caps=CAPS, **properties):
        cls = stage_class("virtualcam")
        sink = cls(cls.Params(**{"backend": "recorder", **properties}), context)
        sinks.append(sink)
        sink.start(caps)
        return sink, Recorder.opened[-1]

    yield make
    for sink in sinks:
        sink.stop()


def picture(value, caps=CAPS, seq=0):
    buffer, planes = allocate(caps)
    buffer[:] = value
    return Frame(planes, seq, Fraction(1, 50), seq, caps, duration=1, owner=buffer)


def write_on(sink):
    for k in range(200):
        time.sleep(0.01)
        sink.write(picture(1, seq=k))


def test_stalled_pipeline_still_sends_at_the_rate_asked(start, context, eventually):
    sink, camera = start(fps=100)
    sink.write(picture(7))
    assert eventually(lambda: len(camera.sent) >= 31)
    sink.stop()
    assert np.diff(camera.times).mean() == pytest.approx(0.01, rel=0.3)
    assert context.repeated == len(camera.sent) - 1
    assert all((data == 7).all() for data in camera.sent)


def test_every_frame_is_sent_or_dropped_once(start, context):
    sink, camera = start(fps=20)
    total = 40
    for k in range(total):
        sink.write(picture(k, seq=k))
        time.sleep(0.005)
    sink.finish()
    sink.stop()
    values = [int(data[0]) for data in camera.sent]
    fresh = sorted(set(values))
    assert values == sorted(values)
    assert values[-1] == total - 1
    assert context.causes == {"cadence": total - len(fresh)}
    assert len(values) == len(fresh) + context.repeated
    assert {f.seq for f, _ in context.dropped}.isdisjoint(fresh)


def test_contiguous_frames_are_sent_without_a_copy(start):
    sink, camera = start(fps=50)
    frame = picture(3)
    sink.write(frame)
    sink.finish()
    sink.stop()
    assert camera.addresses[0] == frame.owner.ctypes.data


@pytest.mark.parametrize("layout", ["padded rows", "plane replaced", "no owner"])
def test_other_memory_layouts_arrive_right(start, layout):
    rng = np.random.default_rng(1)
    frame = picture(0)
    planes = tuple(rng.integers(0, 255, p.shape, np.uint8) for p in frame.planes)
    if layout == "padded rows":
        wide = [np.zeros((p.shape[0], p.shape[1] + 8), np.uint8) for p in planes]
        for into, plane in zip(wide, planes, strict=True):
            into[:, : plane.shape[1]] = plane
        planes = tuple(w[:, : p.shape[1]] for w, p in zip(wide, planes, strict=True))
    if layout == "plane replaced":
        planes = (frame.planes[0], planes[1], frame.planes[2])
    owner = frame.owner if layout == "plane replaced" else None
    sink, camera = start(fps=50)
    sink.write(frame.with_(planes=planes, owner=owner))
    sink.finish()
    sink.stop()
    assert np.array_equal(camera.sent[0], np.concatenate([p.ravel() for p in planes]))


def test_mirror_flips_what_is_sent(start):
    frame = picture(0)
    frame.planes[0][:] = np.arange(32, dtype=np.uint8)
    sink, camera = start(fps=50, mirror=True)
    sink.write(frame)
    sink.finish()
    sink.stop()
    assert np.array_equal(camera.sent[0][:32], np.arange(32)[::-1])


def test_odd_sizes_are_padded_by_the_edge(start):
    caps = CAPS.with_(width=5, height=3)
    luma = np.arange(15, dtype=np.uint8).reshape(3, 5)
    chroma = np.full((2, 3), 9, np.uint8)
    sink, camera = start(caps, fps=50)
    assert (camera.width, camera.height) == (6, 4)
    sink.write(Frame((luma, chroma, chroma), 0, Fraction(1, 50), 0, caps))
    sink.finish()
    sink.stop()
    sent = camera.sent[0][:24].reshape(4, 6)
    assert np.array_equal(sent[:3, :5], luma)
    assert (sent[:3, 5] == luma[:, 4]).all()
    assert np.array_equal(sent[3], sent[2])


def test_recorded_media_is_sent_at_its_times(start, context):
    caps = CAPS.with_(live=False)
    sink, camera = start(caps, fps=100)
    began = time.monotonic()
    for k in range(0, 30, 10):
        sink.write(picture(k, caps, seq=k).with_(duration=10))
    sink.finish()
    sink.stop()
    assert time.monotonic() - began >= 0.4
    assert not context.dropped
    assert sorted({int(data[0]) for data in camera.sent}) == [0, 10, 20]


@pytest.mark.parametrize(
    ("rate", "expected"), [(Fraction(25), 25), (None, 30), (Fraction(240), 60)]
)
def test_rate_follows_the_input(start, rate, expected):
    _, camera = start(CAPS.with_(framerate=rate))
    assert camera.fps == expected


def test_only_planar_frames_are_taken():
    assert stage_class("virtualcam").accepts == ("yuv420p",)


def test_frame_not_yet_sent_at_a_hard_stop_is_dropped(start, context, eventually):
    sink, camera = start(fps=1)
    sink.write(picture(0))
    assert eventually(lambda: camera.sent)
    sink.write(picture(1, seq=1))
    sink.stop()
    sink.stop()
    assert context.causes == {"stopped": 1}
    assert camera.closed == 1


def test_stop_leaves_no_thread(start):
    sink, _ = start(fps=50)
    sink.write(picture(0))
    names = {thread.name for thread in threading.enumerate()}
    assert "vidfilter-stage-ticker" in names
    sink.stop()
    assert "vidfilter-stage-ticker" not in {thread.name for thread in threading.enumerate()}


def test_stop_before_start_and_after_a_failed_start(context):
    cls = stage_class("virtualcam")
    sink = cls(cls.Params(device="/dev/video-busy", backend="recorder"), context)
    sink.stop()
    with pytest.raises(DeviceError):
        sink.start(CAPS)
    sink.stop()


def test_camera_that_fails_while_sending_stops_the_pipeline(start):
    sink, camera = start(fps=50)
    sink.write(picture(0))
    camera.fails = True
    with pytest.raises(DeviceError, match="cable pulled"):
        write_on(sink)


def test_camera_that_blocks_for_ever_is_noticed(start, context, eventually, monkeypatch):
    monkeypatch.setattr(sys.modules["vidfilter.stages.virtualcam"], "STUCK_S", 0.2)
    sink, camera = start(fps=50)
    sink.write(picture(0))
    assert eventually(lambda: camera.sent)
    camera.gate.clear()
    with pytest.raises(DeviceError, match="took no frame"):
        write_on(sink)
    sink.stop()
    assert camera.closed == 0
    assert context.warnings
    camera.gate.set()


@pytest.mark.parametrize(
    ("properties", "parts"),
    [
        ({"device": "/dev/video-busy"}, ["/dev/video-busy", "resource busy"]),
        ({"backend": "wrong"}, ["'wrong'", "recorder"]),
    ],
)
def test_missing_device_is_one_line_that_says_what_to_do(start, properties, parts):
    with pytest.raises(DeviceError) as caught:
        start(**properties)
    text = str(caught.value)
    assert "\n" not in text
    assert all(part in text for part in parts)


@pytest.mark.skipif(sys.platform != "linux", reason="the advice is Linux's")
def test_no_driver_names_every_backend_and_the_remedy(context):
    class Broken:
        def __init__(self, **given):
            raise RuntimeError("no such thing")

    pyvirtualcam.register_backend("recorder", Broken)
    cls = stage_class("virtualcam")
    with pytest.raises(DeviceError) as caught:
        cls(cls.Params(device="/dev/video-none"), context).start(CAPS)
    text = str(caught.value)
    assert "'v4l2loopback' backend" in text
    assert "'recorder' backend: no such thing" in text
    assert "modprobe v4l2loopback" in text
    assert "vidfilter devices" in text
    assert "\n" not in text


def test_full_range_pictures_leave_in_the_range_that_readers_expect(start):
    caps = CAPS.with_(color_range="full")
    sink, camera = start(caps)
    for value in (0, 255, 128):
        sink.write(picture(value, caps))
        sink.finish()
    sink.stop()
    luma = CAPS.width * CAPS.height
    seen = {(int(data[0]), int(data[luma]), int(data[-1])) for data in camera.sent}
    assert seen == {(16, 16, 16), (235, 240, 240), (126, 128, 128)}
