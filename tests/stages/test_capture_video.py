"""What the source makes of video files of all kinds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_files import Clip, corners, decoded, times, write_clip

from vidfilter.pipeline import registry
from vidfilter.pipeline.errors import MediaError
from vidfilter.pipeline.frame import Frame


@pytest.fixture
def read(context: Any) -> Any:
    """Read a whole source; returns its caps and frames."""
    capture = registry.stage_class("capture")

    def whole(source: Path | str, **params: Any) -> tuple[Any, list[Frame]]:
        stage = capture(capture.Params(source=str(source), **params), context)
        try:
            caps = stage.open()
            return caps, list(stage.frames())
        finally:
            stage.stop()

    return whole


def test_every_frame_comes_with_its_own_time(read: Any, tmp_path: Path) -> None:
    pts = [0, 3, 4, 10, 11, 30, 31, 32, 33, 60]
    path = write_clip(tmp_path / "vfr.mp4", pts=pts, time_base=Fraction(1, 100), duration=4)
    caps, frames = read(path)
    assert caps.framerate is None
    assert [f.pts * f.time_base for f in frames] == [Fraction(p, 100) for p in pts]
    assert [f.seq for f in frames] == list(range(10))


def test_planes_are_the_decoders_and_cannot_be_written(read: Any, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", codec="libx264", options={"crf": "18"})
    _, frames = read(path)
    rows = np.concatenate([plane.reshape(-1) for plane in frames[3].planes])
    assert np.array_equal(rows, decoded(path)[3].reshape(-1))
    assert not frames[3].exclusive
    with pytest.raises(ValueError, match="read-only"):
        frames[3].planes[0][:] = 0


def test_odd_sizes_are_padded_by_their_edge(read: Any, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "odd.mkv", width=33, height=25, codec="ffv1", frames=2)
    caps, frames = read(path)
    assert (caps.width, caps.height) == (34, 26)
    luma, chroma = frames[0].planes[:2]
    assert luma.shape == (26, 34)
    assert chroma.shape == (13, 17)
    assert np.array_equal(luma[:, 33], luma[:, 32])
    assert np.array_equal(luma[25], luma[24])


def test_one_pixel_is_a_picture_too(read: Any, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "tiny.mkv", width=1, height=1, codec="ffv1", frames=2)
    caps, frames = read(path)
    assert (caps.width, caps.height, len(frames)) == (2, 2, 2)


@pytest.mark.parametrize(
    ("rotation", "corner"),
    [
        ((0, False, False), (0, 0)),
        ((90, False, False), (1, 0)),
        ((-90, False, False), (0, 1)),
        ((180, False, False), (1, 1)),
        ((0, True, False), (0, 1)),
        ((0, False, True), (1, 0)),
    ],
)
def test_pictures_are_turned_upright(
    read: Any, tmp_path: Path, rotation: Any, corner: tuple[int, int]
) -> None:
    clip = Clip(frames=3, rotation=rotation, picture=corners, sample_aspect=Fraction(2, 1))
    caps, frames = read(write_clip(tmp_path / "turned.mp4", clip))
    on_its_side = abs(rotation[0]) == 90
    assert (caps.width, caps.height) == ((48, 64) if on_its_side else (64, 48))
    assert caps.sample_aspect == (Fraction(1, 2) if on_its_side else 2)
    luma = frames[0].planes[0]
    bright = luma[:: caps.height - 1, :: caps.width - 1] > 150
    assert [tuple(place) for place in np.argwhere(bright)] == [corner]


def test_raw_streams_get_times_from_their_rate(read: Any, tmp_path: Path, context: Any) -> None:
    path = write_clip(tmp_path / "raw.264", time_base=Fraction(1, 30), frames=20)
    caps, frames = read(path)
    assert [f.pts * f.time_base for f in frames] == [Fraction(n, 30) for n in range(20)]
    assert caps.framerate == 30
    assert "no timestamps" in context.infos[0]


def test_avi_frames_come_in_order_and_in_step(read: Any, tmp_path: Path, context: Any) -> None:
    options = {"bf": "2", "preset": "ultrafast"}
    _, frames = read(write_clip(tmp_path / "b.avi", frames=40, options=options))
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(n, 25) for n in range(40)]
    assert context.warnings == []


def test_mpeg_start_offset_is_kept(read: Any, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "late.ts", pts=list(range(40, 50)))
    _, frames = read(path)
    assert [f.pts * f.time_base for f in frames] == times(path)
    assert frames[0].time_s > 1


def test_a_file_that_was_cut_gives_what_it_has(read: Any, tmp_path: Path, context: Any) -> None:
    options = {"movflags": "faststart"}
    path = write_clip(
        tmp_path / "whole.mp4", frames=100, container_options=options, options={"g": "10"}
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    _, frames = read(path)
    assert 20 < len(frames) < 95
    assert context.tags["truncated"] is True
    assert any(str(path) in text for text in context.warnings)


@pytest.mark.parametrize("audio", [0, 1])
def test_a_cut_matroska_file_is_noticed(
    read: Any, tmp_path: Path, context: Any, audio: int
) -> None:
    path = write_clip(tmp_path / "whole.mkv", frames=100, audio=audio)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    _, frames = read(path)
    assert 20 < len(frames) < 80
    assert context.tags["truncated"] is True


def test_a_whole_file_is_not_called_truncated(read: Any, tmp_path: Path, context: Any) -> None:
    for name in ("a.mp4", "a.mkv", "a.ts"):
        read(write_clip(tmp_path / name, frames=60, audio=1, audio_s=4.0))
    assert context.tags == {}
    assert context.warnings == []


def test_damage_in_the_middle_loses_little(read: Any, tmp_path: Path, context: Any) -> None:
    path = write_clip(tmp_path / "hurt.ts", frames=60, options={"g": "10"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    _, frames = read(path)
    assert len(frames) >= 40
    assert all(a.pts < b.pts for a, b in pairwise(frames))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("just words\n" * 50), "is no video"),
        (lambda path: path.write_bytes(bytes(5000)), "is no video"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(
    read: Any, tmp_path: Path, make: Any, says: str
) -> None:
    path = tmp_path / "input.mp4"
    make(path)
    with pytest.raises(MediaError, match=says) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unfinished_mp4_is_told_from_other_files(read: Any, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(MediaError, match=r"before its index \(moov\)"):
        read(path)


@pytest.mark.parametrize("name", ["a:b.mp4", "100%d.mp4", "ä ö.mp4", "-x.mp4"])
def test_any_file_name_will_do(read: Any, tmp_path: Path, name: str) -> None:
    assert len(read(write_clip(tmp_path / "plain.mp4").rename(tmp_path / name))[1]) == 10


def test_sound_alone_is_refused(read: Any, tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        track = output.add_stream("aac", rate=48000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
        silence.sample_rate = 48000
        output.mux(track.encode(silence))
        output.mux(track.encode(None))
    with pytest.raises(MediaError, match="has no video, only audio"):
        read(path)


def test_hdr_is_refused(read: Any, tmp_path: Path) -> None:
    colour = {"color_trc": 16, "color_primaries": 9, "colorspace": 9}
    path = write_clip(tmp_path / "hdr.mp4", pixel_format="yuv420p10le", colour=colour, frames=2)
    with pytest.raises(MediaError, match=r"hdr\.mp4 is HDR \(PQ\): convert it"):
        read(path)


def test_ten_bits_are_reduced_with_a_warning(read: Any, tmp_path: Path, context: Any) -> None:
    path = write_clip(tmp_path / "deep.mp4", pixel_format="yuv420p10le", options={"crf": "1"})
    caps, frames = read(path)
    assert caps.pixel_format == "yuv420p"
    assert "10 bits" in context.warnings[0]
    deep = decoded(path)[0][:48].astype(np.float32) / 4
    assert np.abs(frames[0].planes[0] - deep).max() <= 1


def test_interlaced_video_is_announced(read: Any, tmp_path: Path, context: Any) -> None:
    options = {"x264-params": "tff=1", "preset": "ultrafast"}
    path = write_clip(tmp_path / "fields.mkv", options=options, frames=4)
    read(path)
    assert any("interlaced" in text for text in context.warnings)


@pytest.mark.parametrize("name", ["yuv422p", "yuv444p", "yuvj444p"])
def test_other_subsamplings_become_yuv420p(read: Any, tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / "wide.mkv", codec="ffv1" if "j" not in name else "mjpeg",
                      pixel_format=name, frames=2)  # fmt: skip
    caps, frames = read(path)
    assert caps.pixel_format == "yuv420p"
    assert caps.color_range == ("full" if "j" in name else "limited")
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
    stride = first.planes[0].line_size
    luma = np.frombuffer(first.planes[0], np.uint8).reshape(-1, stride)[:48, :64]
    assert np.array_equal(frames[0].planes[0], luma)


def test_full_range_stays_full_range(read: Any, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "full.mkv", codec="mjpeg", pixel_format="yuvj420p", frames=2)
    caps, frames = read(path)
    assert (caps.pixel_format, caps.color_range) == ("yuv420p", "full")
    assert np.array_equal(frames[0].planes[0], decoded(path)[0][:48])


def test_unknown_matrix_follows_the_number_of_lines(read: Any, tmp_path: Path) -> None:
    small, _ = read(write_clip(tmp_path / "small.mp4", frames=1))
    large, _ = read(write_clip(tmp_path / "large.mp4", frames=1, width=128, height=720))
    assert (small.matrix, large.matrix) == ("bt601", "bt709")


def test_grey_video_keeps_its_brightness(read: Any, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "grey.mkv", codec="ffv1", pixel_format="gray", frames=2)
    caps, frames = read(path)
    assert caps.pixel_format == "yuv420p"
    assert np.array_equal(frames[1].planes[0], decoded(path)[1])
    assert np.unique(frames[1].planes[1]).tolist() == [128]


def test_rgb_with_transparency_comes_as_it_is(read: Any, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "alpha.mkv", codec="ffv1", pixel_format="bgra", frames=2)
    caps, frames = read(path)
    assert (caps.pixel_format, caps.matrix, caps.color_range) == ("bgra", "rgb", "full")
    assert np.array_equal(frames[1].planes[0], decoded(path)[1])


def test_a_size_change_on_the_way_is_scaled(read: Any, tmp_path: Path, context: Any) -> None:
    first = write_clip(tmp_path / "1.ts", frames=5)
    second = write_clip(tmp_path / "2.ts", frames=5, width=96, height=64, pts=range(5, 10))
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    _, frames = read(both)
    assert len(frames) == 10
    assert {frame.planes[0].shape for frame in frames} == {(48, 64)}
    assert any("scaled to 64x48" in text for text in context.warnings)
    assert all(a.pts < b.pts for a, b in pairwise(frames))


def test_times_that_go_back_are_repaired_and_counted(
    read: Any, tmp_path: Path, context: Any
) -> None:
    clip = write_clip(tmp_path / "1.ts", frames=50)
    both = tmp_path / "both.ts"
    both.write_bytes(clip.read_bytes() * 2)
    _, frames = read(both)
    assert len(frames) == 100
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    assert context.tags["repaired_pts"] >= 1


def test_duration_ends_a_file_early(read: Any, tmp_path: Path) -> None:
    _, frames = read(write_clip(tmp_path / "a.mp4", frames=50), duration=0.4)
    assert len(frames) == 10
    assert not frames[0].tags["media"].complete


def test_stopping_ends_the_frames(tmp_path: Path, context: Any) -> None:
    capture = registry.stage_class("capture")
    stage = capture(capture.Params(source=str(write_clip(tmp_path / "a.mp4"))), context)
    stage.open()
    frames = stage.frames()
    next(frames)
    context.stop.set()
    assert list(frames) == []
    stage.stop()
    stage.stop()
