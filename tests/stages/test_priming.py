"""Sound that a film holds but does not play, such as what an encoder needs to get going."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from clip_files import U8, tracks, write_clip

from vidfilter.pipeline import Pipeline

INDEX_FIRST = {"movflags": "faststart"}


def _sound(path: Path) -> tuple[float, U8]:
    """When the sound begins in seconds, and all its samples."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    first = frames[0]
    return float(first.pts * first.time_base), np.hstack([f.to_ndarray() for f in frames])


def _trimmed(source: Path, path: Path, cut_s: float) -> Path:
    """Write the sound of `source` anew, of which players leave out the first `cut_s`."""
    with (
        av.open(str(source)) as clip,
        av.open(str(path), "w", container_options=INDEX_FIRST) as output,
    ):
        copies = {s.index: output.add_stream_from_template(s) for s in clip.streams}
        for packet in clip.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                late = round(cut_s / packet.time_base)
                packet.pts, packet.dts = packet.pts - late, packet.dts - late
            packet.stream = copies[packet.stream_index]
            output.mux(packet)
    return path


@pytest.mark.parametrize("cut_s", [0.0, 0.5])
@pytest.mark.parametrize("extension", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("piped", [False, True])
def test_what_the_film_does_not_play_stays_unheard(
    tmp_path: Path, extension: str, cut_s: float, piped: bool
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=50, audio=1, container_options=INDEX_FIRST)
    if cut_s:
        clip = _trimmed(clip, tmp_path / "cut.mp4", cut_s)
    begin_s, samples = _sound(clip)
    assert begin_s >= 0.0
    given, output = clip, tmp_path / f"out.{extension}"
    if piped:
        given = tmp_path / "pipe"
        os.mkfifo(given)
        threading.Thread(target=given.write_bytes, args=(clip.read_bytes(),), daemon=True).start()
    Pipeline.line(capture=str(given), file=str(output)).run()
    got_s, got = _sound(output)
    assert got_s == pytest.approx(begin_s, abs=0.022)
    more = got.shape[1] - samples.shape[1]
    if extension == "webm":
        assert abs(more) < 2048
    else:  # a packet that is to be heard in part sounds whole in Matroska
        assert 0 <= more < 1024
        (before,), (after,) = tracks(clip), tracks(output)
        assert (after.count, after.checksum) == (before.count, before.checksum)
