"""Which pictures and places a file sink takes, and what is left where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_files import decoded, noise, times, write_clip
from file_frames import drawn_frames
from pydantic import ValidationError

from vidfilter.pipeline import registry
from vidfilter.pipeline.errors import EncodeError, MediaError


def test_pictures_of_many_sizes_fit_the_first(copy: Any, tmp_path: Path, context: Any) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, size in enumerate([(64, 48), (20, 40), (200, 100)]):
        av.VideoFrame.from_ndarray(noise(number, *size), "bgr24").save(folder / f"{number}.png")
    copy(folder, tmp_path / "out.mp4")
    assert [image.shape for image in decoded(tmp_path / "out.mp4", "bgr24")] == [(48, 64, 3)] * 3
    assert "scaled to fit" in context.warnings[0]


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "libvpx-vp9"])
def test_other_codecs_keep_every_time(copy: Any, tmp_path: Path, codec: str) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=12, width=128, height=96)
    copy(source, tmp_path / "out.mkv", codec=codec)
    assert len(times(tmp_path / "out.mkv")) == 12


@pytest.mark.parametrize(("codec", "smallest"), [("libx265", 16), ("libsvtav1", 4)])
def test_pictures_too_small_for_a_codec_are_refused_in_words(
    copy: Any, tmp_path: Path, codec: str, smallest: int
) -> None:
    small = write_clip(tmp_path / "small.mkv", width=smallest - 2, height=64)
    with pytest.raises(EncodeError) as error:
        copy(small, tmp_path / "out.mkv", codec=codec)
    wanted = f"{codec} takes no pictures under {smallest}x{smallest}, these are {smallest - 2}x64"
    assert wanted in str(error.value)
    assert list(tmp_path.iterdir()) == [small]
    fits = write_clip(tmp_path / "fits.mkv", width=smallest, height=64)
    copy(fits, tmp_path / "out.mkv", codec=codec)
    assert times(tmp_path / "out.mkv") == times(fits)


def test_nv12_goes_in_directly(sink: Any, tmp_path: Path) -> None:
    output = sink(tmp_path / "out.mp4", crf=1)
    assert "nv12" in output.accepts
    frames = drawn_frames(name="nv12")
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.finish()
    luma = decoded(tmp_path / "out.mp4")[0][:48]
    assert np.abs(luma.astype(int) - frames[0].planes[0]).mean() < 2


def test_the_codec_decides_which_formats_fit(sink: Any, tmp_path: Path) -> None:
    assert sink(tmp_path / "a.mp4").accepts == ("yuv420p", "nv12")
    assert set(sink(tmp_path / "a.mkv", codec="ffv1").accepts) == {"yuv420p", "bgra"}
    assert sink(tmp_path / "a.mkv", codec="ffv1", pixel_format="yuv420p").accepts == ("yuv420p",)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"path": "out.xyz"}, r"known: \.mp4"),
        ({"path": "out"}, r"known: \.mp4"),
        ({"path": "out.mp4", "codec": "h266"}, "unknown codec 'h266'"),
        ({"path": "out.mp4", "codec": "ffv1"}, r"\.mp4 files do not take ffv1"),
        ({"path": "out.mp4", "preset": "quick"}, "'ultrafast', 'superfast'"),
        ({"path": "out.mp4", "pixel_format": "bgra"}, r"does not take bgra \(it takes: yuv420p"),
        ({"path": "out.mp4", "keyframe_interval": 10}, "less than or equal to 2"),
    ],
)
def test_bad_parameters_are_refused_before_anything_opens(params: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        registry.stage_class("file").Params(**params)


def test_an_existing_file_is_spared(sink: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("precious")
    with pytest.raises(EncodeError, match="exists already"):
        sink(path).start(drawn_frames(1)[0].caps)
    assert path.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_overwriting_replaces_at_the_very_end(sink: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("old")
    output = sink(path, overwrite=True)
    frames = drawn_frames()
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
        assert path.read_text() == "old"
    output.finish()
    assert len(times(path)) == 10


def test_a_part_left_behind_is_spared(sink: Any, tmp_path: Path) -> None:
    (tmp_path / "out.part.mp4").write_text("rescue me")
    with pytest.raises(EncodeError, match="interrupted"):
        sink(tmp_path / "out.mp4").start(drawn_frames(1)[0].caps)
    assert (tmp_path / "out.part.mp4").read_text() == "rescue me"


@pytest.mark.parametrize("how", ["same", "link", "symlink", "part"])
def test_the_input_is_never_the_output(copy: Any, tmp_path: Path, how: str) -> None:
    source = write_clip(tmp_path / ("out.part.mp4" if how == "part" else "in.mp4"))
    content = source.read_bytes()
    output = tmp_path / "out.mp4"
    match how:
        case "same":
            output = source
        case "link":
            output.hardlink_to(source)
        case "symlink":
            output.symlink_to(source)
    with pytest.raises(EncodeError, match="is the input itself"):
        copy(source, output, overwrite=True)
    assert source.read_bytes() == content


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("missing/out.mp4", "does not exist"),
        ("/proc/out.mp4", "cannot write /proc/out.mp4"),
        ("file.txt/out.mp4", "does not exist"),
        ("folder.mp4", "is a folder"),
        (f"{'long' * 80}.mp4", "File name too long"),
    ],
)
def test_places_that_cannot_be_written_are_refused(
    sink: Any, tmp_path: Path, place: str, says: str
) -> None:
    (tmp_path / "file.txt").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(EncodeError, match=says) as caught:
        sink(tmp_path / place).start(drawn_frames(1)[0].caps)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "missing").exists()


def test_no_frame_is_no_file(sink: Any, tmp_path: Path) -> None:
    output = sink(tmp_path / "out.mp4")
    output.start(drawn_frames(1)[0].caps)
    with pytest.raises(MediaError, match="no frame arrived"):
        output.finish()
    output.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_broken_off_keeps_its_part(sink: Any, tmp_path: Path, context: Any) -> None:
    output = sink(tmp_path / "out.mp4")
    frames = drawn_frames(80)
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.stop()
    output.stop()
    assert [p.name for p in tmp_path.iterdir()] == ["out.part.mp4"]
    written = len(times(tmp_path / "out.part.mp4"))
    assert written >= 30
    assert context.causes == {"still in the encoder": 80 - written}
