"""The whole pipeline on real clips: nothing lost, nothing moved, nothing recoloured."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidfilter.pipeline import Pipeline, PipelineSpec, StageSpec, TeeSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CLIPS = (
    "talk_512_30fps_aac.mp4",
    "talk_square_aac.mp4",
    "press_720p_2997_aac.mp4",
    "selfie_720x1280.mp4",
    "glasses_512x480.mp4",
    "stage_six_faces_cuts_aac.mp4",
    "long_talk_200s_vp8.webm",
    "enter_leave_10fps.mp4",
    "grid_mpeg1_mp2.mpg",
    "carphone_qcif.mp4",
    "noface_720p_raw.264",
    "two_people_turning.gif",
)
LOSSLESS = {"codec": "ffv1"}


def chain(clip: Path, *tail: StageSpec | TeeSpec) -> Pipeline:
    """Return capture, detection, landmarks, smoothing and glasses on `clip`, then `tail`."""
    head = [StageSpec("capture", "capture", {"source": str(clip)})]
    head += [StageSpec(name, name) for name in ("detect", "landmarks", "smooth")]
    overlay = StageSpec("overlay", "overlay", {"filter": "glasses"})
    return Pipeline(PipelineSpec((*head, overlay, *tail)))


def file_sink(path: Path, **properties: object) -> StageSpec:
    """Return a file sink that spends little time on compression."""
    settings = {"preset": "ultrafast", "crf": 30} | properties
    return StageSpec("file", "file", {"path": str(path), **settings})


def video_times(path: Path) -> tuple[list[Fraction], Fraction]:
    """Return each frame's time in seconds and the length of a tick; frames if untimed."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = stream.guessed_rate or stream.average_rate
        frames = [frame.pts for frame in container.decode(stream)]
        if frames[0] is None:
            return [Fraction(n) / rate for n in range(len(frames))], 1 / rate
        return [pts * stream.time_base for pts in frames], Fraction(stream.time_base)


def audio_packets(path: Path) -> list[bytes]:
    """Return the bytes of every audio packet in order."""
    with av.open(str(path)) as container:
        streams = container.streams.audio
        if not streams:
            return []
        return [bytes(p) for p in container.demux(streams[0]) if p.size]


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_keeps_its_time_and_the_sound_its_bytes(name, shared_media, tmp_path):
    clip = shared_media / name
    out = tmp_path / ("out.mkv" if name.endswith((".gif", ".webm", ".mpg")) else "out.mp4")
    report = chain(clip, file_sink(out)).run()
    before, _ = video_times(clip)
    after, tick = video_times(out)
    assert len(after) == len(before)
    # A container's own clock decides how exactly a time can be written down.
    shifts = [abs(a - b) for a, b in zip(after, before, strict=True)]
    assert max(shifts) <= tick / 2
    assert audio_packets(out) == audio_packets(clip)
    (sink,) = report.sinks
    assert (sink.written, sink.unaccounted, sink.dropped) == (len(before), 0, [])
    assert report.problems() == []


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """Return the visible part of each plane."""
    if len(frame.planes) == 1:
        return [frame.to_ndarray()]
    buffers = [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in frame.planes
    ]
    return [
        buffer[: plane.height, : plane.width]
        for buffer, plane in zip(buffers, frame.planes, strict=True)
    ]


def drawn_region(faces, shape: tuple[int, int], scale: tuple[float, float]) -> np.ndarray:
    """Return where glasses may have been drawn: twice each face's box, in a plane's pixels."""
    mask = np.zeros(shape, bool)
    for face in faces:
        x0, y0, x1, y1 = face.box_xyxy_px
        dx, dy = (x1 - x0) / 2, (y1 - y0) / 2
        rows = slice(max(int((y0 - dy) * scale[1]) - 2, 0), max(int((y1 + dy) * scale[1]) + 2, 0))
        columns = slice(
            max(int((x0 - dx) * scale[0]) - 2, 0), max(int((x1 + dx) * scale[0]) + 2, 0)
        )
        mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(
    "name", ["talk_512_30fps_aac.mp4", "selfie_720x1280.mp4", "two_people_turning.gif"]
)
def test_outside_the_drawn_region_ffv1_equals_the_input_bit_for_bit(name, shared_media, tmp_path):
    clip, out = shared_media / name, tmp_path / "out.mkv"
    branches = ((file_sink(out, **LOSSLESS),), (StageSpec("appsink", "appsink"),))
    pipeline = chain(clip, TeeSpec(branches))
    faces = [frame.faces for frame in pipeline.frames()]
    changed = 0
    with av.open(str(clip)) as source, av.open(str(out)) as result:
        pairs = zip(source.decode(video=0), result.decode(video=0), strict=True)
        for (before, after), found in zip(pairs, faces, strict=True):
            assert after.format.name == before.format.name
            for mine, theirs in zip(planes(after), planes(before), strict=True):
                shape = theirs.shape[:2]
                scale = (shape[1] / before.width, shape[0] / before.height)
                outside = ~drawn_region(found, shape, scale)
                assert np.array_equal(mine[outside], theirs[outside])
                changed += int((mine != theirs).any())
    assert changed, "the glasses were drawn somewhere"


def test_no_face_means_no_change_at_all(shared_media, tmp_path):
    clip, out = shared_media / "noface_720p_raw.264", tmp_path / "out.mkv"
    chain(clip, file_sink(out, **LOSSLESS)).run()
    with av.open(str(clip)) as source, av.open(str(out)) as result:
        for before, after in zip(source.decode(video=0), result.decode(video=0), strict=True):
            assert all(map(np.array_equal, planes(after), planes(before)))
