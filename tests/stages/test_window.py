from __future__ import annotations

import subprocess
import sys
import threading
from fractions import Fraction
from itertools import product
from textwrap import dedent

import numpy as np
import pytest

from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.errors import DeviceError
from vidfilter.pipeline.frame import Frame, allocate
from vidfilter.pipeline.registry import stage_class

# Colours as (B, G, R) and the YUV they have in each matrix and range, from the standards' formulas.
RED, GREEN, BLUE, GREY = (0, 0, 255), (0, 255, 0), (255, 0, 0), (128, 128, 128)
LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}  # Kr, Kb


def to_yuv(bgr, matrix, color_range):
    kr, kb = LUMA[matrix]
    b, g, r = (value / 255 for value in bgr)
    y = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    if color_range == "full":
        return round(255 * y), *(min(round(128 + 255 * c), 255) for c in (u, v))
    return round(16 + 219 * y), round(128 + 224 * u), round(128 + 224 * v)


def halves(left, right, caps, seq=0):
    """A frame whose left and right half have one colour each."""
    buffer, planes = allocate(caps)
    for bgr, side in ((left, slice(0, 0.5)), (right, slice(0.5, 1))):
        part = [p[:, int(side.start * p.shape[1]) : int(side.stop * p.shape[1])] for p in planes]
        if caps.pixel_format == "bgr24":
            part[0][:] = bgr
        elif caps.pixel_format == "bgra":
            part[0][:] = (*bgr, 255)
        else:
            y, u, v = to_yuv(bgr, caps.matrix, caps.color_range)
            part[0][:] = y
            chroma = part[1:] if len(part) == 3 else [part[1][..., 0], part[1][..., 1]]
            for plane, value in zip(chroma, (u, v), strict=True):
                plane[:] = value
    return Frame(planes, seq, Fraction(1, 25), seq, caps, duration=1, owner=buffer)


CAPS = Caps("yuv420p", 320, 240, Fraction(25), matrix="bt601", live=True)


@pytest.fixture
def opened(screen, context):
    """Open windows as the runner would; they are closed before the screen goes away."""
    sinks = []

    def make(caps=CAPS, **properties):
        cls = stage_class("window")
        sink = cls(cls.Params(**properties), context)
        sinks.append(sink)
        sink.start(caps)
        return sink

    yield make
    for sink in sinks:
        sink.stop()


@pytest.fixture
def shows(screen, eventually):
    """Pump until the pixels at left and right of the middle have these colours."""

    def check(sink, left, right, tolerance=4):
        def seen():
            sink.pump()
            row = screen.pixels()[240].astype(int)
            return all(
                np.abs(row[x] - colour).max() <= tolerance
                for x, colour in ((240, left), (400, right))
            )

        return eventually(seen, 5)

    return check


FORMATS = [
    *product(("yuv420p", "nv12"), ("bt601", "bt709"), ("limited", "full")),
    ("bgr24", "rgb", "full"),
    ("bgra", "rgb", "full"),
]


@pytest.mark.parametrize(("pixel_format", "matrix", "color_range"), FORMATS)
def test_colours_on_screen_are_those_of_the_frame(opened, shows, pixel_format, matrix, color_range):
    caps = CAPS.with_(pixel_format=pixel_format, matrix=matrix, color_range=color_range)
    sink = opened(caps)
    for left, right in ((RED, GREEN), (BLUE, GREY)):
        sink.write(halves(left, right, caps))
        assert shows(sink, left, right)


def test_mirror_flips_the_preview_only(opened, shows):
    sink = opened(mirror=True)
    frame = halves(RED, BLUE, CAPS)
    before = [plane.copy() for plane in frame.planes]
    sink.write(frame)
    assert shows(sink, BLUE, RED)
    assert all(np.array_equal(a, b) for a, b in zip(before, frame.planes, strict=True))


def test_padded_rows_and_odd_sizes_are_shown_right(opened, shows):
    caps = CAPS.with_(width=321, height=241)
    y, u, v = to_yuv(GREEN, "bt601", "limited")
    luma, chroma = np.zeros((241, 352), np.uint8), np.zeros((2, 121, 192), np.uint8)
    luma[:, :321], chroma[0, :, :161], chroma[1, :, :161] = y, u, v
    sink = opened(caps)
    planes = (luma[:, :321], chroma[0][:, :161], chroma[1][:, :161])
    sink.write(Frame(planes, 0, Fraction(1, 25), 0, caps))
    assert shows(sink, GREEN, GREEN)


def test_aspect_is_kept_with_black_around(opened, screen, shows, eventually):
    caps = CAPS.with_(width=400, height=100)
    sink = opened(caps)
    sink.write(halves(RED, GREEN, caps))
    assert shows(sink, RED, GREEN)
    assert screen.pixels()[170:310, 120:520].max(axis=(1, 2)).nonzero()[0].size == 100
    screen.act("search", "--class", ".", "windowsize", "640", "480", "windowmove", "0", "0")

    def filled():
        shows(sink, RED, GREEN)
        return screen.pixels().max(axis=(1, 2)).nonzero()[0].tolist() == list(range(160, 320))

    assert eventually(filled)


def test_pixels_that_are_not_square_are_shown_wide(opened, screen, shows):
    caps = CAPS.with_(width=160, height=240, sample_aspect=Fraction(2))
    sink = opened(caps)
    sink.write(halves(RED, GREEN, caps))
    assert shows(sink, RED, GREEN)
    lit = np.flatnonzero(screen.pixels()[240].max(axis=1) > 100)
    assert lit[-1] - lit[0] + 1 == 320


def test_large_pictures_fit_the_desktop(opened, screen, shows):
    caps = CAPS.with_(width=1920, height=1080)
    sink = opened(caps)
    sink.write(halves(RED, GREEN, caps))
    assert shows(sink, RED, GREEN)
    assert screen.pixels()[0].max() == 0


@pytest.mark.parametrize(
    ("key", "action"),
    [
        ("q", "quit"),
        ("Escape", "quit"),
        ("n", "next_filter"),
        ("Right", "next_filter"),
        ("p", "previous_filter"),
        ("Left", "previous_filter"),
        ("space", "pause"),
    ],
)
def test_keys_become_requests(opened, screen, context, eventually, key, action):
    sink = opened()
    sink.pump()

    def pressed():
        screen.press(key)
        sink.pump()
        return context.requests

    assert eventually(pressed)
    assert set(context.requests) == {(action, None)}


def test_m_mirrors_this_window_without_a_new_frame(opened, screen, shows):
    sink = opened()
    sink.write(halves(RED, BLUE, CAPS))
    assert shows(sink, RED, BLUE)
    screen.press("m")
    assert shows(sink, BLUE, RED)
    screen.press("m")
    assert shows(sink, RED, BLUE)


@pytest.mark.parametrize("key", ["s", "h"])
def test_statistics_and_help_lie_over_the_picture(opened, screen, shows, eventually, key):
    sink = opened()
    sink.write(halves(GREY, GREY, CAPS))
    assert shows(sink, GREY, GREY)
    screen.press(key)

    def corner():
        sink.pump()
        return screen.pixels()[120:180, 160:300]  # the window stands in the middle of 640x480

    assert eventually(lambda: corner().max() > 180)  # letters
    assert corner().min() < 80  # on a dark panel
    screen.press(key)
    assert eventually(lambda: corner().max() < 140)


def test_mirror_and_title_change_while_running(opened, shows):
    sink = opened()
    sink.write(halves(RED, BLUE, CAPS))
    assert shows(sink, RED, BLUE)
    sink.set_property("mirror", True)
    sink.set_property("title", "vidfilter - glasses")
    assert shows(sink, BLUE, RED)
    with pytest.raises(AttributeError):
        sink.set_property("wrong", 1)


def test_replaced_frames_are_dropped_and_the_newest_is_shown(opened, shows, context):
    sink = opened()
    for seq, colour in enumerate((RED, BLUE, GREEN)):
        sink.write(halves(colour, colour, CAPS, seq))
    assert shows(sink, GREEN, GREEN)
    assert context.causes == {"replaced": 2}


def test_recorded_frames_wait_for_their_time(opened, context, eventually):
    waits = []
    context.wait = lambda seconds: waits.append(seconds) or False
    caps = CAPS.with_(live=False)
    sink = opened(caps)
    for seq in range(3):  # a frame per second: painting takes less on any machine
        frame = halves(RED, RED, caps, seq).with_(pts=seq, time_base=Fraction(1), duration=1)
        sink.write(frame)
        sink.pump()
    assert 0 < max(waits) <= 2


def finish_aside(sink):
    thread = threading.Thread(target=sink.finish)
    thread.start()
    return thread


def test_single_picture_stays_until_the_user_quits(opened, screen, shows, eventually):
    sink = opened()
    sink.write(halves(RED, GREEN, CAPS))
    thread = finish_aside(sink)
    assert shows(sink, RED, GREEN)
    thread.join(0.3)
    assert thread.is_alive()

    def quitting():
        screen.press("q")
        sink.pump()
        return not thread.is_alive()

    assert eventually(quitting)


def test_video_ends_with_its_last_frame(opened, context, eventually):
    sink = opened()
    for seq in range(3):
        sink.write(halves(RED, RED, CAPS, seq))
        sink.pump()
    thread = finish_aside(sink)
    assert eventually(lambda: sink.pump() or not thread.is_alive())
    assert not context.dropped


def test_end_does_not_wait_for_a_main_thread_that_is_gone(opened, context):
    sink = opened()
    for seq in range(2):
        sink.write(halves(RED, RED, CAPS, seq))
    sink.finish()
    assert context.causes == {"replaced": 1, "not shown before the end": 1}


def test_stop_twice_and_without_start(opened, context):
    sink = opened()
    sink.write(halves(RED, RED, CAPS))
    sink.stop()
    sink.stop()
    sink.pump()
    assert context.causes == {"not shown before the end": 1}
    cls = stage_class("window")
    cls(cls.Params(), context).stop()


def test_window_can_be_opened_again(opened, shows):
    for _ in range(2):
        sink = opened()
        sink.write(halves(RED, GREEN, CAPS))
        assert shows(sink, RED, GREEN)
        sink.stop()


@pytest.mark.parametrize("driver", [None, "dummy", "offscreen"])
def test_no_screen_is_one_line_that_says_what_to_do(no_screen, context, monkeypatch, driver):
    if driver:
        monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    cls = stage_class("window")
    sink = cls(cls.Params(), context)
    with pytest.raises(DeviceError, match="no screen") as caught:
        sink.start(CAPS)
    assert "--output" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.stage == "stage"
    sink.stop()


def test_a_screen_that_is_gone_counts_as_quit(own_screen):
    """Xlib would end the process, and the file beside the window stay without its name."""
    program = """
        import sys
        from vidfilter.stages._sdl import Display

        window = Display("test", (64, 64))
        window.show(None, mirror=False)
        print("open", flush=True)
        sys.stdin.readline()
        print(window.actions()[:1], window.actions())
        window.show(None, mirror=False)
        window.set_title("gone")
        window.toggle_fullscreen()
        window.close()
    """
    command, pipe = [sys.executable, "-c", dedent(program)], subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert child.stdout.readline() == "open\n"
    own_screen.server.kill()
    own_screen.server.wait()
    said, errors = child.communicate("\n", timeout=30)
    assert (said, errors, child.returncode) == ("['quit'] []\n", "", 0)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["import av, cv2", "import cv2, av"])
def test_window_opens_beside_av_and_cv2_in_either_order(screen, order, tmp_path):
    """FFmpeg's and OpenCV's own X libraries have made windows hang for ever elsewhere."""
    program = f"""
        {order}
        import numpy as np
        from fractions import Fraction
        from vidfilter.pipeline.caps import Caps
        from vidfilter.pipeline.frame import Frame, allocate
        from vidfilter.stages._sdl import Display

        with av.open("clip.mkv", "w") as out:
            stream = out.add_stream("ffv1", rate=25, width=64, height=64, pix_fmt="yuv420p")
            for packet in stream.encode(av.VideoFrame(64, 64, "yuv420p")):
                out.mux(packet)
            out.mux(stream.encode(None))
        with av.open("clip.mkv") as media:
            decoded = next(media.decode(video=0)).to_ndarray()
        caps = Caps("yuv420p", 64, 64)
        buffer, planes = allocate(caps)
        buffer[:] = decoded
        window = Display("test", (64, 64))
        for k in range(5):
            window.actions()
            window.show(Frame(planes, k, Fraction(1, 25), k, caps), mirror=False)
        window.close()
        cv2.resize(buffer, (32, 32))
    """
    child = subprocess.run(
        [sys.executable, "-c", dedent(program)], cwd=tmp_path, timeout=50, capture_output=True
    )
    assert child.returncode == 0, child.stderr.decode()
