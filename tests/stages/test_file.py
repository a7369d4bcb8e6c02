"""What the file sink writes, frame by frame."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_files import decoded, times, tracks, write_clip
from file_frames import drawn_frames

from vidfilter.pipeline import registry
from vidfilter.pipeline.errors import EncodeError


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv"])
def test_nothing_is_lost(copy: Any, tmp_path: Path, extension: str) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=60, audio=2, options={"bf": "2"})
    output = tmp_path / f"out.{extension}"
    copy(source, output)
    half_tick = Fraction(1, 2000) if extension == "mkv" else 0
    assert len(times(output)) == 60
    assert all(abs(a - b) <= half_tick for a, b in zip(times(source), times(output), strict=True))
    for before, after in zip(tracks(source), tracks(output), strict=True):
        assert (before.checksum, before.count) == (after.checksum, after.count)
        assert (before.codec, before.language) == (after.codec, after.language)
        assert abs(before.start_s - after.start_s) <= 0.001
    assert not list(tmp_path.glob("*.part.*"))


@pytest.mark.parametrize("start_s", [0.5, 0.013])
def test_offsets_between_picture_and_sound_are_kept(
    copy: Any, tmp_path: Path, start_s: float
) -> None:
    source = write_clip(
        tmp_path / "in.mkv", frames=50, pts=range(25, 75), audio=1, audio_start_s=start_s,
        container_options={"avoid_negative_ts": "disabled"},
    )  # fmt: skip
    for extension in ("mp4", "mkv"):
        output = tmp_path / f"out.{extension}"
        copy(source, output)
        assert times(output)[0] == times(source)[0] == 1
        assert abs(tracks(output)[0].start_s - tracks(source)[0].start_s) <= 0.001


def test_broadcast_sound_fits_into_mp4(copy: Any, tmp_path: Path, context: Any) -> None:
    source = write_clip(tmp_path / "in.ts", frames=60, audio=1)
    copy(source, tmp_path / "out.mp4")
    copy(source, tmp_path / "out.mkv")
    before, (mp4,), (mkv,) = (
        tracks(source)[0], tracks(tmp_path / "out.mp4"), tracks(tmp_path / "out.mkv")
    )  # fmt: skip
    assert before.count == mp4.count == mkv.count
    assert mp4.checksum == mkv.checksum  # the muxer of Matroska unwraps by itself
    assert abs(mp4.start_s - before.start_s) < 0.001
    assert context.warnings == []


def test_a_start_hours_away_becomes_zero(copy: Any, tmp_path: Path, context: Any) -> None:
    start = 25 * 3600
    source = write_clip(
        tmp_path / "in.ts", pts=range(start, start + 10), audio=1, audio_start_s=3600.2,
        container_options={"muxdelay": "0"},
    )  # fmt: skip
    copy(source, tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == [Fraction(n, 25) for n in range(10)]
    offset = tracks(source)[0].start_s - float(times(source)[0])
    assert abs(tracks(tmp_path / "out.mp4")[0].start_s - offset) < 0.001
    assert "starts at 0" in context.warnings[0]


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv", "webm"])
def test_a_start_before_zero_becomes_zero(
    sink: Any, tmp_path: Path, context: Any, extension: str
) -> None:
    output, frames = sink(tmp_path / f"out.{extension}"), drawn_frames(20)
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame.with_(pts=frame.pts - 10))
    output.finish()
    assert times(tmp_path / f"out.{extension}") == [Fraction(n, 25) for n in range(20)]
    assert "starts at 0" in context.warnings[0]


def test_times_that_do_not_increase_are_named(sink: Any, tmp_path: Path) -> None:
    output, frames = sink(tmp_path / "out.mp4"), drawn_frames(2)
    output.start(frames[0].caps)
    output.write(frames[1])
    with pytest.raises(EncodeError, match=r"a frame of 0\.000000 s follows one of 0\.040000 s"):
        output.write(frames[0])


@pytest.mark.parametrize("extension", ["mp4", "mov"])
def test_the_start_is_kept_to_the_tick(sink: Any, tmp_path: Path, extension: str) -> None:
    output, frames = sink(tmp_path / f"out.{extension}"), drawn_frames(20)
    output.start(frames[0].caps)
    tick = Fraction(1, 90000)
    for frame in frames:
        output.write(frame.with_(pts=1921 + 3600 * frame.pts, time_base=tick, duration=3600))
    output.finish()
    assert times(tmp_path / f"out.{extension}") == [(1921 + 3600 * n) * tick for n in range(20)]


def test_variable_rate_stays_variable(copy: Any, tmp_path: Path) -> None:
    pts = [0, 3, 4, 10, 11, 30, 31, 32, 33, 60]
    source = write_clip(tmp_path / "in.mp4", pts=pts, time_base=Fraction(1, 100), duration=3)
    copy(source, tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == [Fraction(p, 100) for p in pts]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.duration == 630_000  # the last frame lasts its 30 ms


def test_long_pauses_in_the_finest_units_are_kept(sink: Any, tmp_path: Path) -> None:
    nanosecond = Fraction(1, 10**9)
    frames = [f.with_(pts=f.pts * 20 * 10**9, time_base=nanosecond, duration=10**9)
              for f in drawn_frames(4, framerate=None)]  # fmt: skip
    output = sink(tmp_path / "out.mp4")
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.finish()
    assert times(tmp_path / "out.mp4") == [0, 20, 40, 60]


def test_a_last_frame_of_unknown_length_lasts_one_period(sink: Any, tmp_path: Path) -> None:
    frames = [frame.with_(duration=None) for frame in drawn_frames(10, framerate=None, live=True)]
    output = sink(tmp_path / "out.mp4")
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.finish()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert abs(container.duration - 400_000) <= 10_000


def test_key_frames_are_close_in_time_at_any_rate(copy: Any, tmp_path: Path) -> None:
    quick, slow = range(0, 200, 4), range(200, 2000, 60)
    source = write_clip(
        tmp_path / "in.mp4", frames=80, pts=[*quick, *slow], time_base=Fraction(1, 100)
    )
    copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        packets = [p for p in container.demux(video=0) if p.is_keyframe]
    keys = [float(packet.pts * packet.time_base) for packet in packets]
    assert max(b - a for a, b in pairwise(keys)) <= 2.0


@pytest.mark.parametrize("pixel_format", ["yuv420p", "bgra"])
@pytest.mark.parametrize("size", [(64, 48), (64, 50), (33, 25)])
def test_ffv1_copies_bit_by_bit(
    copy: Any, tmp_path: Path, pixel_format: str, size: tuple[int, int]
) -> None:
    source = write_clip(
        tmp_path / "in.mkv", codec="ffv1", pixel_format=pixel_format, width=size[0], height=size[1]
    )
    copy(source, tmp_path / "out.mkv", codec="ffv1")
    width, height = size
    for before, after in zip(decoded(source, "bgra"), decoded(tmp_path / "out.mkv", "bgra"),
                             strict=True):  # fmt: skip
        if pixel_format == "bgra" or width % 2 == 0:
            assert np.array_equal(before, after[:height, :width])
        assert after.shape[:2] == (height + height % 2, width + width % 2)


@pytest.mark.parametrize("height", [48, 50])
@pytest.mark.parametrize("name", ["yuv420p", "bgra"])
def test_drawn_frames_are_encoded_as_they_are(
    sink: Any, tmp_path: Path, name: str, height: int
) -> None:
    output = sink(tmp_path / "out.mkv", codec="ffv1")
    frames = drawn_frames(name=name, height=height)
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.finish()
    for frame, seen in zip(frames, decoded(tmp_path / "out.mkv"), strict=True):
        assert np.array_equal(seen.reshape(-1), frame.owner.reshape(-1))


def test_a_view_of_a_larger_picture_is_encoded_right(sink: Any, tmp_path: Path) -> None:
    output = sink(tmp_path / "out.mkv", codec="ffv1")
    frames = drawn_frames(count=2, name="bgra")
    whole = np.random.default_rng(5).integers(0, 256, (100, 200, 4), np.uint8)
    frames = [f.with_(planes=(whole[10:58, 20:84],), owner=whole) for f in frames]
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.finish()
    assert np.array_equal(decoded(tmp_path / "out.mkv")[0], whole[10:58, 20:84])


@pytest.mark.parametrize(("matrix", "limits"), [("bt709", "limited"), ("bt601", "full")])
def test_colours_and_pixel_shape_are_written_down(
    sink: Any, tmp_path: Path, matrix: str, limits: str
) -> None:
    frames = drawn_frames(matrix=matrix, color_range=limits, sample_aspect=Fraction(4, 3),
                     primaries="bt709", transfer="bt709")  # fmt: skip
    output = sink(tmp_path / "out.mp4")
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.finish()
    capture = registry.stage_class("capture")
    source = capture(capture.Params(source=str(tmp_path / "out.mp4")), output.context)
    caps = source.open()
    source.stop()
    assert (caps.matrix, caps.color_range, caps.sample_aspect) == (matrix, limits, Fraction(4, 3))
    assert (caps.primaries, caps.transfer) == ("bt709", "bt709")


def test_full_range_pixels_pass_unscaled(copy: Any, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=3)
    copy(source, tmp_path / "out.mkv", crf=0)
    before, after = decoded(source)[0], decoded(tmp_path / "out.mkv")[0]
    assert np.array_equal(before, after)
