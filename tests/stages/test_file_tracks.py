"""What the file sink takes over beside the pictures: sound, subtitles, titles, chapters."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from clip_files import times, tracks, write_clip


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
