"""Real clips, file to file: every frame, time and packet arrives."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_files import times, tracks

from vidfilter.pipeline import registry

CLIPS = {
    "talk_512_30fps_aac.mp4": 448,
    "talk_square_aac.mp4": 125,
    "press_720p_2997_aac.mp4": 600,
    "selfie_720x1280.mp4": 352,
    "glasses_512x480.mp4": 587,
    "stage_six_faces_cuts_aac.mp4": 275,
    "enter_leave_10fps.mp4": 1394,
    "grid_mpeg1_mp2.mpg": 75,
    "carphone_qcif.mp4": 120,
    "noface_720p_raw.264": 300,
    "two_people_turning.gif": 56,
    "long_talk_200s_vp8.webm": 4998,
}
SHORT = ["talk_square_aac.mp4", "grid_mpeg1_mp2.mpg", "carphone_qcif.mp4", "two_people_turning.gif"]


def _copy(source: Path, output: Path, context: Any, **params: Any) -> int:
    capture, sink = registry.stage_class("capture"), registry.stage_class("file")
    reader = capture(capture.Params(source=str(source)), context)
    writer = sink(sink.Params(path=output, **params), context)
    caps, link = reader.open(), None
    if caps.pixel_format not in writer.accepts:
        convert = registry.stage_class("convert")
        link = convert(convert.Params(to="yuv420p"), context)
        caps = link.negotiate(caps)
    writer.start(caps)
    count = 0
    for frame in reader.frames():
        writer.write(link.process(frame) if link else frame)
        count += 1
    writer.finish()
    reader.stop()
    return count


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIPS)
def test_all_frames_times_and_sound_arrive(
    shared_media: Path, tmp_path: Path, context: Any, name: str
) -> None:
    source, output = shared_media / name, tmp_path / "out.mp4"
    assert _copy(source, output, context, preset="ultrafast") == CLIPS[name]
    seen, wanted = times(output), times(source)
    if not wanted:  # a stream without timestamps, 30 frames per second
        wanted = [Fraction(n, 30) for n in range(CLIPS[name])]
    assert seen == wanted  # mp4 counts in the source's own unit
    before, after = tracks(source), tracks(output)
    assert [t.checksum for t in before] == [t.checksum for t in after]
    assert all(abs(a.start_s - b.start_s) < 0.001 for a, b in zip(before, after, strict=True))
    assert context.tags == {}
    assert context.warnings == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_lossless_copies_are_exact(
    shared_media: Path, tmp_path: Path, context: Any, name: str
) -> None:
    source, output = shared_media / name, tmp_path / "out.mkv"
    _copy(source, output, context, codec="ffv1")
    with av.open(str(source)) as one, av.open(str(output)) as other:
        for a, b in zip(one.decode(video=0), other.decode(video=0), strict=True):
            assert np.array_equal(a.to_ndarray(), b.to_ndarray())
