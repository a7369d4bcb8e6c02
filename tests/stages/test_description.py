"""What a film says of itself, chapters, cover and preferred tracks, in the file written."""

from __future__ import annotations

import os
import struct
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import pytest
from clip_files import decoded, noise, times, write_clip

from vidfilter.pipeline import Pipeline, stage
from vidfilter.pipeline.frame import Frame
from vidfilter.pipeline.registry import register_stage

COVER = av.stream.Disposition.attached_pic
CHAPTERS = [(0.0, 1.5, "one"), (1.5, 3.0, "two"), (3.0, 4.0, "three")]


@register_stage("test-stop")
class Stop(stage.Transform):
    """Ends the run like a first Ctrl-C once 45 frames went by."""

    def process(self, frame: Frame) -> Frame:
        if frame.seq == 45:
            self.context.request("quit")
        return frame


def _again(
    source: Path, path: Path, *, chapters: bool = False, cover: bool = False, begin_s: float = 0.0
) -> Path:
    """Write the tracks of `source` once more, after a picture as its cover, with chapters."""
    with av.open(str(source)) as clip, av.open(str(path), "w") as output:
        if cover:
            picture = output.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
            picture.disposition = COVER
            picture.metadata["title"] = "the cover"
        copies = {s.index: output.add_stream_from_template(s) for s in clip.streams}
        for stream in clip.streams.video:
            copies[stream.index].metadata["language"] = "deu"
            copies[stream.index].disposition = av.stream.Disposition.default
        if chapters:
            output.set_chapters([_chapter(number, begin_s) for number in range(len(CHAPTERS))])
        if cover:
            data = cv2.imencode(".jpg", noise(0, 32, 32))[1].tobytes()
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.pts = picture, Fraction(1, 1000), 0
            packet.dts, packet.is_keyframe = 0, True
            output.mux(packet)
        for packet in clip.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    return path


def _chapter(number: int, begin_s: float) -> Any:
    start_s, end_s, title = CHAPTERS[number]
    start, end = (round((begin_s + time_s) * 1000) for time_s in (start_s, end_s))
    unit = Fraction(1, 1000)
    metadata = {"title": title}
    return {"id": number, "start": start, "end": end, "time_base": unit, "metadata": metadata}


def _run(source: Path, path: Path, **capture: Any) -> Any:
    return Pipeline.line(capture={"source": str(source), **capture}, file=str(path)).run()


def _chapters(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]),
             c["metadata"]["title"])
            for c in container.chapters()
        ]  # fmt: skip


def _header_duration_s(path: Path) -> float:
    """Return the length that an mp4 announces to players (ISO/IEC 14496-12, 8.2.2)."""
    data = path.read_bytes()
    at = data.rindex(b"mvhd") + 4
    wide = data[at] == 1
    scale, length = struct.unpack_from(">IQ" if wide else ">II", data, at + (20 if wide else 12))
    return length / scale


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_the_beginning_of_a_film_has_the_chapters_of_the_beginning(
    tmp_path: Path, extension: str
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=100, audio=1)
    film = _again(clip, tmp_path / "film.mkv", chapters=True)
    output = tmp_path / f"out.{extension}"
    _run(film, output, duration=2.0)
    assert _chapters(output) == [(0.0, 1.5, "one"), (1.5, 2.0, "two")]
    if extension == "mp4":
        assert _header_duration_s(output) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("extension", ["mp4", "mov", "mkv"])
def test_an_interrupted_film_has_the_chapters_of_what_was_written(
    tmp_path: Path, extension: str
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=100, audio=1)
    film = _again(clip, tmp_path / "film.mkv", chapters=True)
    output = tmp_path / f"out.{extension}"
    stages = {"capture": str(film), "test-stop": {}, "file": str(output)}
    report = Pipeline.line(**stages).run()
    length_s = report.sinks[0].written / 25
    assert 1.8 <= length_s < 3.0
    assert [c[2] for c in _chapters(output)] == ["one", "two"]
    assert _chapters(output)[-1][1] == pytest.approx(length_s, abs=0.05)
    assert decoded(output)[-1].shape == (72, 64)
    if extension != "mkv":
        assert _header_duration_s(output) == pytest.approx(length_s, abs=0.05)


def test_a_damaged_film_has_no_chapters_after_its_end(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=100, audio=1)
    film = _again(clip, tmp_path / "film.mkv", chapters=True)
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 4])
    _run(film, tmp_path / "out.mp4")
    length_s = len(times(tmp_path / "out.mp4")) / 25
    assert 0.2 < length_s < 1.5
    assert [c[2] for c in _chapters(tmp_path / "out.mp4")] == ["one"]
    assert _header_duration_s(tmp_path / "out.mp4") == pytest.approx(length_s, abs=0.3)


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_whole_film_keeps_all_chapters(tmp_path: Path, extension: str) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=100, audio=1)
    film = _again(clip, tmp_path / "film.mkv", chapters=True)
    output = tmp_path / f"out.{extension}"
    _run(film, output)
    assert _chapters(output) == CHAPTERS
    if extension == "mp4":  # Apple's players know chapters as a track of text only
        with av.open(str(output)) as container:
            assert [s.type for s in container.streams] == ["video", "audio", "data"]


def test_chapters_move_with_the_pictures(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", frames=100, pts=range(20_000, 20_100))
    film = _again(clip, tmp_path / "film.mkv", chapters=True, begin_s=800.0)
    assert _chapters(film)[1] == (801.5, 803.0, "two")
    _run(film, tmp_path / "out.mkv")
    assert _chapters(tmp_path / "out.mkv") == CHAPTERS


def test_the_picture_track_stays_the_preferred_one(tmp_path: Path) -> None:
    film = _again(write_clip(tmp_path / "clip.mkv", audio=1), tmp_path / "film.mkv")
    _run(film, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].disposition & av.stream.Disposition.default


def _covers(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        covers = [s for s in container.streams.video if s.disposition & COVER]
        return [bytes(next(iter(container.demux(stream)))) for stream in covers]


@pytest.mark.parametrize("extension", ["mp4", "m4v", "mkv"])
@pytest.mark.parametrize("given", ["mp4", "mkv"])
def test_a_cover_is_kept_beside_the_film(tmp_path: Path, given: str, extension: str) -> None:
    film = _again(write_clip(tmp_path / "clip.mp4", audio=1), tmp_path / "film.mp4", cover=True)
    if given == "mkv":
        _run(film, tmp_path / "film.mkv")
        film = tmp_path / "film.mkv"
    output = tmp_path / f"out.{extension}"
    report = _run(film, output)
    assert report.sinks[0].written == 10
    assert report.warnings == []
    assert _covers(output) == _covers(film) != []
    with av.open(str(output)) as container:
        (video,) = [s for s in container.streams.video if not s.disposition & COVER]
        assert (video.width, video.metadata["language"]) == (64, "deu")
        assert "title" not in video.metadata
        assert [s.type for s in container.streams] == ["video", "audio", "video"]


def test_a_cover_comes_through_a_pipe(tmp_path: Path) -> None:
    clip = _again(write_clip(tmp_path / "clip.mp4"), tmp_path / "film.mp4", cover=True)
    _run(clip, tmp_path / "film.mkv")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = (tmp_path / "film.mkv").read_bytes()
    threading.Thread(target=pipe.write_bytes, args=(data,), daemon=True).start()
    report = _run(pipe, tmp_path / "out.mp4")
    assert report.sinks[0].written == 10
    assert _covers(tmp_path / "out.mp4") == _covers(clip)


@pytest.mark.parametrize("extension", ["mov", "webm"])
def test_a_cover_that_a_file_cannot_hold_is_said_to_be_left_out(
    tmp_path: Path, extension: str
) -> None:
    film = _again(write_clip(tmp_path / "clip.mp4"), tmp_path / "film.mp4", cover=True)
    report = _run(film, tmp_path / f"out.{extension}")
    assert report.sinks[0].written == 10
    assert [w for w in report.warnings if "cover" in w] == ["the cover picture is left out"]
    with av.open(str(tmp_path / f"out.{extension}")) as container:
        assert len(container.streams) == 1
