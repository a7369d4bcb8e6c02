"""What the file sink writes, frame by frame and track by track."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_files import decoded, noise, times, tracks, write_clip
from pydantic import ValidationError

from vidfilter.pipeline import registry
from vidfilter.pipeline.caps import Caps, fixate
from vidfilter.pipeline.errors import EncodeError, MediaError
from vidfilter.pipeline.frame import Frame, allocate


@pytest.fixture
def sink(context: Any) -> Any:
    """Make a file sink that is stopped after the test."""
    made = []

    def make(path: Path, **params: Any) -> Any:
        stage_class = registry.stage_class("file")
        stage = stage_class(stage_class.Params(path=path, **params), context)
        made.append(stage)
        return stage

    yield make
    for stage in made:
        stage.stop()


@pytest.fixture
def copy(context: Any, sink: Any) -> Any:
    """Copy a source to a file, converting as the builder would; returns the source's caps."""

    def run(source: Path, path: Path, stop_after: int | None = None, **params: Any) -> Caps:
        capture = registry.stage_class("capture")
        stage = capture(capture.Params(source=str(source)), context)
        caps = stage.open()
        output = sink(path, **params)
        link = _converted(caps, output.accepts, context)
        output.start(link.negotiate(caps) if link else caps)
        for count, frame in enumerate(stage.frames(), 1):
            output.write(link.process(frame) if link else frame)
            if count == stop_after:
                context.stop.set()
        output.finish()
        stage.stop()
        return caps

    return run


def _converted(caps: Caps, accepted: Iterable[str], context: Any) -> Any:
    to = fixate(caps.pixel_format, accepted)
    if to == caps.pixel_format:
        return None
    convert = registry.stage_class("convert")
    return convert(convert.Params(to=to), context)


def _frames(count: int = 10, name: str = "yuv420p", **changes: Any) -> list[Frame]:
    """Frames as a stage that draws would send them."""
    rgb = name in ("bgr24", "bgra")
    caps = Caps(name, 64, 48, Fraction(25), "rgb" if rgb else "bt601", "full" if rgb else "limited")
    caps = caps.with_(**changes)
    frames = []
    for number in range(count):
        buffer, planes = allocate(caps)
        buffer[:] = np.random.default_rng(number).integers(0, 256, buffer.shape, np.uint8)
        frames.append(Frame(planes, number, Fraction(1, 25), number, caps, 1, owner=buffer))
    return frames


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
    output, frames = sink(tmp_path / f"out.{extension}"), _frames(20)
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame.with_(pts=frame.pts - 10))
    output.finish()
    assert times(tmp_path / f"out.{extension}") == [Fraction(n, 25) for n in range(20)]
    assert "starts at 0" in context.warnings[0]


def test_times_that_do_not_increase_are_named(sink: Any, tmp_path: Path) -> None:
    output, frames = sink(tmp_path / "out.mp4"), _frames(2)
    output.start(frames[0].caps)
    output.write(frames[1])
    with pytest.raises(EncodeError, match=r"a frame of 0\.000000 s follows one of 0\.040000 s"):
        output.write(frames[0])


@pytest.mark.parametrize("extension", ["mp4", "mov"])
def test_the_start_is_kept_to_the_tick(sink: Any, tmp_path: Path, extension: str) -> None:
    output, frames = sink(tmp_path / f"out.{extension}"), _frames(20)
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
              for f in _frames(4, framerate=None)]  # fmt: skip
    output = sink(tmp_path / "out.mp4")
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.finish()
    assert times(tmp_path / "out.mp4") == [0, 20, 40, 60]


def test_a_last_frame_of_unknown_length_lasts_one_period(sink: Any, tmp_path: Path) -> None:
    frames = [frame.with_(duration=None) for frame in _frames(10, framerate=None, live=True)]
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
    frames = _frames(name=name, height=height)
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.finish()
    for frame, seen in zip(frames, decoded(tmp_path / "out.mkv"), strict=True):
        assert np.array_equal(seen.reshape(-1), frame.owner.reshape(-1))


def test_a_view_of_a_larger_picture_is_encoded_right(sink: Any, tmp_path: Path) -> None:
    output = sink(tmp_path / "out.mkv", codec="ffv1")
    frames = _frames(count=2, name="bgra")
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
    frames = _frames(matrix=matrix, color_range=limits, sample_aspect=Fraction(4, 3),
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


def test_sound_outlasts_the_picture_of_a_whole_file_only(copy: Any, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=25, audio=1, audio_s=3.0)
    copy(source, tmp_path / "whole.mp4")
    assert tracks(tmp_path / "whole.mp4")[0].checksum == tracks(source)[0].checksum
    copy(source, tmp_path / "stopped.mp4", stop_after=10)
    assert len(times(tmp_path / "stopped.mp4")) == 10
    assert abs(tracks(tmp_path / "stopped.mp4")[0].end_s - 0.4) < 0.05


def test_sound_can_be_left_out(copy: Any, tmp_path: Path) -> None:
    copy(write_clip(tmp_path / "in.mp4", audio=1), tmp_path / "out.mp4", audio="none")
    assert tracks(tmp_path / "out.mp4") == []


def test_sound_that_does_not_fit_is_converted_and_said(
    copy: Any, tmp_path: Path, context: Any
) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=50, audio=1)
    copy(source, tmp_path / "out.webm")
    (track,) = tracks(tmp_path / "out.webm")
    assert (track.codec, track.language) == ("opus", "eng")
    assert abs(track.end_s - 2.0) < 0.1
    assert context.warnings == ["webm cannot hold aac audio: it is converted to libopus"]


@pytest.mark.parametrize(
    ("given", "codec", "extension", "becomes"),
    [
        ("mkv", "libopus", "mov", "aac"),
        ("avi", "pcm_alaw", "mp4", "aac"),
        ("mkv", "pcm_s16le", "mp4", "pcm_s16le"),
        ("mkv", "ac3", "mp4", "ac3"),
    ],
)
def test_every_container_gets_sound_it_can_hold(
    copy: Any, tmp_path: Path, given: str, codec: str, extension: str, becomes: str
) -> None:
    source = write_clip(tmp_path / f"in.{given}", frames=50, audio=1, audio_codec=codec)
    copy(source, tmp_path / f"out.{extension}")
    (track,) = tracks(tmp_path / f"out.{extension}")
    assert track.codec == becomes
    with av.open(str(tmp_path / f"out.{extension}")) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(heard / _sample_rate(tmp_path / f"out.{extension}") - 2.0) < 0.05


def _sample_rate(path: Path) -> int:
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.sample_rate


def _chapter(second: int, title: str) -> Any:
    times_ = {"start": second, "end": second + 1, "time_base": Fraction(1)}
    return {"id": second + 1, "metadata": {"title": title}, **times_}


def _subtitles(path: Path, source: Path) -> Path:
    """Mux `source` with a text track, a font, a title and two chapters."""
    text = path.with_suffix(".srt")
    text.write_text("1\n00:00:00,200 --> 00:00:01,000\nHello\n\n2\n00:00:01,200 --> 00:00:02,000\n"
                    "Good bye\n")  # fmt: skip
    with (
        av.open(str(source)) as video,
        av.open(str(text)) as words,
        av.open(str(path), "w") as output,
    ):
        inputs = [*video.streams, *words.streams]
        targets = [output.add_stream_from_template(stream) for stream in inputs]
        output.add_attachment("a.ttf", "application/x-truetype-font", b"font")
        output.metadata["title"] = "Tëst"
        output.set_chapters([_chapter(0, "one"), _chapter(1, "two")])
        for container, offset in ((video, 0), (words, len(video.streams))):
            for packet in container.demux():
                if packet.dts is not None:
                    packet.stream = targets[packet.stream_index + offset]
                    output.mux(packet)
    return path


def test_subtitles_and_their_fonts_are_kept(copy: Any, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=60, audio=1)
    source = _subtitles(tmp_path / "in.mkv", clip)
    copy(source, tmp_path / "out.mkv")
    assert [t.kind for t in tracks(tmp_path / "out.mkv")] == ["audio", "subtitle"]
    assert [t.checksum for t in tracks(tmp_path / "out.mkv")] == [
        t.checksum for t in tracks(source)
    ]
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [bytes(s.data) for s in container.streams if s.type == "attachment"] == [b"font"]


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_titles_and_chapters_are_kept(copy: Any, tmp_path: Path, extension: str) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=60)
    copy(_subtitles(tmp_path / "in.mkv", clip), tmp_path / f"out.{extension}")
    with av.open(str(tmp_path / f"out.{extension}")) as container:
        assert container.metadata["title"] == "Tëst"
        titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
    assert titles == ["one", "two"]


@pytest.mark.parametrize("extension", ["mp4", "webm"])
def test_subtitles_that_do_not_fit_are_rewritten(
    copy: Any, tmp_path: Path, context: Any, extension: str
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=60)
    output = tmp_path / f"out.{extension}"
    copy(_subtitles(tmp_path / "in.mkv", clip), output)
    assert len(times(output)) == 60
    assert "converted to" in context.warnings[0]
    assert _texts(output) == [(0.2, "Hello"), (1.2, "Good bye")]
    copy(output, tmp_path / "back.mkv")
    assert _texts(tmp_path / "back.mkv") == [(0.2, "Hello"), (1.2, "Good bye")]


def _texts(path: Path) -> list[tuple[float, str]]:
    with av.open(str(path)) as container:
        found = []
        for packet in container.demux(subtitles=0):
            for text in packet.decode() if packet.size else []:
                found.append(
                    (round(float(packet.pts * packet.time_base), 3), text.dialogue.decode())
                )
        return found


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
    frames = _frames(name="nv12")
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
        sink(path).start(_frames(1)[0].caps)
    assert path.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_overwriting_replaces_at_the_very_end(sink: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("old")
    output = sink(path, overwrite=True)
    frames = _frames()
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
        assert path.read_text() == "old"
    output.finish()
    assert len(times(path)) == 10


def test_a_part_left_behind_is_spared(sink: Any, tmp_path: Path) -> None:
    (tmp_path / "out.part.mp4").write_text("rescue me")
    with pytest.raises(EncodeError, match="interrupted"):
        sink(tmp_path / "out.mp4").start(_frames(1)[0].caps)
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
        sink(tmp_path / place).start(_frames(1)[0].caps)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "missing").exists()


def test_no_frame_is_no_file(sink: Any, tmp_path: Path) -> None:
    output = sink(tmp_path / "out.mp4")
    output.start(_frames(1)[0].caps)
    with pytest.raises(MediaError, match="no frame arrived"):
        output.finish()
    output.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_broken_off_keeps_its_part(sink: Any, tmp_path: Path, context: Any) -> None:
    output = sink(tmp_path / "out.mp4")
    frames = _frames(80)
    output.start(frames[0].caps)
    for frame in frames:
        output.write(frame)
    output.stop()
    output.stop()
    assert [p.name for p in tmp_path.iterdir()] == ["out.part.mp4"]
    written = len(times(tmp_path / "out.part.mp4"))
    assert written >= 30
    assert context.causes == {"still in the encoder": 80 - written}
