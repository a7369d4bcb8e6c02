"""Tracks as data: what is written, and that replaying it needs no model."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.errors import EncodeError, MediaError
from vidfilter.pipeline.frame import Face, Frame, Pose
from vidfilter.pipeline.registry import stage_class
from vidfilter.stages._media import MediaInfo

CAPS = Caps("bgr24", 64, 48)
PLANES = (np.zeros((48, 64, 3), np.uint8),)
EXPRESSIONS = {"mouth_open": 0.25, "smile": 0.5}


def face(track_id: int = 1, points: int = 68) -> Face:
    rng = np.random.default_rng(track_id)
    return Face(
        track_id,
        np.array((1.5, 2, 33.123456, 44), np.float32),
        0.987654,
        rng.uniform(0, 40, (points, 2)).astype(np.float32),
        np.full(points, 0.5, np.float32),
        Pose(1.23456, -2.0, 3.0),
        EXPRESSIONS,
        "ibug68" if points == 68 else "helen194",
    )


def frame(number: int, *faces: Face, caps: Caps = CAPS, **tags: Any) -> Frame:
    return Frame(PLANES, 100 + 3 * number, Fraction(1, 30), number, caps, faces=faces, tags=tags)


def make(name: str, context: Any, **properties: Any) -> Any:
    cls = stage_class(name)
    made = cls(cls.Params(**properties), context)
    made.start(CAPS)
    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"a clip")
    return path


def write(context: Any, path: Path, frames: list[Frame], **properties: Any) -> None:
    sink = make("tracks_file", context, path=str(path), **properties)
    for each in frames:
        sink.write(each)
    sink.finish()
    sink.stop()


def clip(source: Path) -> list[Frame]:
    media = MediaInfo(str(source))
    faces = [(), (face(),), (face(), face(2, points=194)), (Face(3, np.zeros(4, np.float32)),)]
    return [frame(n, *f, media=media) for n, f in enumerate(faces)]


def test_one_object_per_frame(context: Any, tmp_path: Path, source: Path) -> None:
    path = tmp_path / "tracks.jsonl"
    write(context, path, clip(source))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [list(row) for row in rows] == [["seq", "pts", "time_s", "faces"]] * 4
    assert [(r["seq"], r["pts"], len(r["faces"])) for r in rows] == [
        (0, 100, 0), (1, 103, 1), (2, 106, 2), (3, 109, 1)
    ]  # fmt: skip
    assert rows[1]["time_s"] == pytest.approx(103 / 30)
    one = rows[1]["faces"][0]
    assert one["box_xyxy_px"] == [1.5, 2.0, 33.12, 44.0]
    assert one["score"] == 0.9877
    assert np.shape(one["landmarks_px"]) == (68, 2)
    assert one["pose"] == {"yaw_deg": 1.23, "pitch_deg": -2.0, "roll_deg": 3.0}
    assert one["expressions"] == EXPRESSIONS
    assert rows[3]["faces"][0]["landmarks_px"] is None
    assert not list(tmp_path.glob("*.part*"))


def test_pictures_carry_their_file_name(context: Any, tmp_path: Path) -> None:
    path = tmp_path / "tracks.jsonl"
    write(context, path, [frame(0, file="a.jpg")])
    assert json.loads(path.read_text())["file"] == "a.jpg"


def test_the_side_file_says_what_the_tracks_belong_to(
    context: Any, tmp_path: Path, source: Path
) -> None:
    path = tmp_path / "tracks.jsonl"
    frames = [frame(0, media=MediaInfo(str(source)), settings={"detect": {"every": 7}})]
    write(context, path, frames)
    meta = json.loads((tmp_path / "tracks.jsonl.meta.json").read_text())
    assert meta["source"]["name"] == "clip.mp4"
    assert (meta["source"]["bytes"], len(meta["source"]["sha256"])) == (6, 64)
    assert (meta["width"], meta["height"]) == (64, 48)
    assert meta["settings"] == {"detect": {"every": 7}}


def test_standard_output(context: Any, capsys: pytest.CaptureFixture[str], source: Path) -> None:
    write(context, Path("-"), clip(source))
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.parametrize("place", ["old.jsonl", "absent/new.jsonl", "."])
def test_bad_places_are_refused_at_the_start(context: Any, tmp_path: Path, place: str) -> None:
    (tmp_path / "old.jsonl").write_text("old")
    with pytest.raises(EncodeError, match=r"exists already|does not exist|is a folder"):
        make("tracks_file", context, path=str(tmp_path / place))
    assert (tmp_path / "old.jsonl").read_text() == "old"
    write(context, tmp_path / "old.jsonl", [frame(0)], overwrite=True)
    assert json.loads((tmp_path / "old.jsonl").read_text())["seq"] == 0


@pytest.mark.parametrize("name", ["clip.mp4", "clip.part.mp4", "clip.mp4.meta.json"])
def test_the_input_itself_is_not_overwritten(context: Any, tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    source.write_bytes(b"a clip")
    sink = make("tracks_file", context, path=str(tmp_path / "clip.mp4"), overwrite=True)
    with pytest.raises(EncodeError, match="is the input itself"):
        sink.write(clip(source)[0])
    sink.stop()
    assert source.read_bytes() == b"a clip"


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.meta.json", "t.part.jsonl"])
def test_what_is_there_is_replaced_only_when_asked(
    context: Any, tmp_path: Path, source: Path, name: str
) -> None:
    (tmp_path / name).write_text("old\n")
    with pytest.raises(EncodeError, match=f"{name} exists already: --overwrite"):
        make("tracks_file", context, path=str(tmp_path / "t.jsonl"))
    assert (tmp_path / name).read_text() == "old\n"
    write(context, tmp_path / "t.jsonl", clip(source), overwrite=True)
    assert "old" not in (tmp_path / "t.jsonl").read_text()
    assert sorted(p.name for p in tmp_path.glob("t.*")) == ["t.jsonl", "t.jsonl.meta.json"]


def test_tracks_of_pictures_belong_to_those_pictures(context: Any, tmp_path: Path) -> None:
    path, folder = tmp_path / "t.jsonl", tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a picture")
    frames = [frame(0, file="a.png", source=str(folder))]
    write(context, path, frames)
    (folder / "notes.txt").write_text("of no matter")
    assert len(replay(context, path, frames)) == 1
    (folder / "a.png").write_bytes(b"another one")
    with pytest.raises(MediaError, match=r"belongs to another source \(pictures\)"):
        replay(context, path, frames)


def test_without_a_clean_end_only_the_part_stays(
    context: Any, tmp_path: Path, source: Path
) -> None:
    path = tmp_path / "tracks.jsonl"
    sink = make("tracks_file", context, path=str(path))
    sink.write(clip(source)[1])
    sink.stop()
    sink.stop()
    assert not path.exists()
    assert len((tmp_path / "tracks.part.jsonl").read_text().splitlines()) == 1


def replay(context: Any, path: Path, frames: list[Frame]) -> list[Frame]:
    stage = make("tracks", context, path=path)
    try:
        return [stage.process(f) for f in frames] + list(stage.flush())
    finally:
        stage.stop()


def test_replay_gives_the_same_faces(context: Any, tmp_path: Path, source: Path) -> None:
    path, frames = tmp_path / "tracks.jsonl", clip(source)
    write(context, path, frames)
    back = replay(context, path, [f.with_(faces=()) for f in frames])
    for mine, wanted in zip(back, frames, strict=True):
        assert [f.track_id for f in mine.faces] == [f.track_id for f in wanted.faces]
        for a, b in zip(mine.faces, wanted.faces, strict=True):
            np.testing.assert_allclose(a.box_xyxy_px, b.box_xyxy_px, atol=0.006)
            assert (a.landmarks_px is None) == (b.landmarks_px is None)
            if a.landmarks_px is not None:
                np.testing.assert_allclose(a.landmarks_px, b.landmarks_px, atol=0.006)
                assert (a.scheme, a.expressions) == (b.scheme, b.expressions)
                assert a.pose.yaw_deg == pytest.approx(b.pose.yaw_deg, abs=0.006)
    assert not context.warnings


def test_replay_tells_of_cuts(context: Any, tmp_path: Path, source: Path) -> None:
    path = tmp_path / "tracks.jsonl"
    frames = [f.with_(discontinuity=n == 2) for n, f in enumerate(clip(source))]
    write(context, path, frames)
    assert "discontinuity" not in path.read_text()
    back = replay(context, path, [f.with_(faces=(), discontinuity=False) for f in frames])
    assert [f.discontinuity for f in back] == [False, False, True, False]


def test_cuts_that_are_no_times_are_refused(context: Any, tmp_path: Path, source: Path) -> None:
    path, frames = tmp_path / "tracks.jsonl", clip(source)
    write(context, path, frames)
    meta = tmp_path / "tracks.jsonl.meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"cuts_pts": ["2"]}))
    with pytest.raises(MediaError, match=r"meta\.json is damaged: cuts_pts is no list of integers"):
        replay(context, path, frames)


def test_replay_matches_by_time(context: Any, tmp_path: Path, source: Path) -> None:
    path, frames = tmp_path / "tracks.jsonl", clip(source)
    write(context, path, [frames[0], frames[2], frames[3]])
    back = replay(context, path, [frames[1], frames[2]])
    assert [len(f.faces) for f in back] == [0, 2]
    assert context.warnings == [f"{path} has no entry for 1 frames"]


def test_tracks_of_another_file_are_refused(context: Any, tmp_path: Path, source: Path) -> None:
    path, frames = tmp_path / "tracks.jsonl", clip(source)
    write(context, path, frames)
    source.write_bytes(b"b clip")
    with pytest.raises(MediaError, match=r"belongs to another source \(clip\.mp4\)"):
        replay(context, path, frames)
    with pytest.raises(MediaError, match="belongs to another source"):
        replay(context, path, [frame(0)])
    with pytest.raises(MediaError, match="belongs to pictures of 64x48, not 32x48"):
        replay(context, path, [frames[0].with_(caps=CAPS.with_(width=32))])
    (tmp_path / "tracks.jsonl.meta.json").unlink()
    with pytest.raises(MediaError, match=r"cannot read .*meta\.json"):
        replay(context, path, frames)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"pts": 1}',
        '{"pts": 1.5, "faces": []}',
        '{"pts": 1, "faces": [3]}',
        '{"pts": 1, "faces": [{"id": 1}]}',
        '{"pts": 1, "faces": [{"id": 1, "score": 1, "box_xyxy_px": [1], "landmarks_px": null}]}',
        '{"pts": 1, "faces": [{"id": 1, "score": 1, "box_xyxy_px": [0,0,1,NaN],'
        ' "landmarks_px": null}]}',
        '{"pts": 1, "faces": [{"id": 1, "score": 1, "box_xyxy_px": [0,0,1,1],'
        ' "landmarks_px": [[1, 2], [3]]}]}',
        '{"pts": 1, "faces": [{"id": 1, "score": 1, "box_xyxy_px": [0,0,1,1],'
        ' "landmarks_px": [[1, 2]]}]}',
        "\x00\xff",
    ],
)
def test_damaged_lines_are_named(context: Any, tmp_path: Path, source: Path, line: str) -> None:
    path, frames = tmp_path / "tracks.jsonl", clip(source)
    write(context, path, frames)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + line.encode("latin-1") + b"\n" + lines[1])
    with pytest.raises(MediaError, match=r"tracks\.jsonl:2: "):
        replay(context, path, frames)
