"""Real clips from end to end: a face is found where there is one, and none where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidfilter.pipeline import Pipeline, PipelineSpec, StageSpec


def analyze(source: Path, output: Path, **detect: Any) -> list[dict[str, Any]]:
    """Run the stages of `vidfilter analyze`; returns the rows of the tracks file."""
    stages = (
        StageSpec("capture", "capture", {"source": str(source)}),
        StageSpec("detect", "detect", detect),
        StageSpec("landmarks", "landmarks"),
        StageSpec("smooth", "smooth"),
        StageSpec("tracks_file", "tracks_file", {"path": str(output), "overwrite": True}),
    )
    Pipeline(PipelineSpec(stages)).run()
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["carphone_qcif.mp4", "grid_mpeg1_mp2.mpg", "talk_square_aac.mp4"])
def test_a_talking_head_is_followed_under_one_id(
    shared_media: Path, tmp_path: Path, name: str
) -> None:
    wanted = np.load(shared_media / "refs" / f"{name}.npz")["lm68"]
    rows = analyze(shared_media / name, tmp_path / "tracks.jsonl")
    assert len(rows) == len(wanted)
    found = [n for n, row in enumerate(rows) if row["faces"]]
    assert len(found) >= 0.97 * len(rows)
    assert {face["id"] for row in rows for face in row["faces"]} == {1}
    got = np.array([rows[n]["faces"][0]["landmarks_px"] for n in found])
    true = wanted[found]
    away = np.linalg.norm(got - true, axis=2).mean(axis=1)
    span = np.linalg.norm(true[:, 36] - true[:, 45], axis=1)
    assert np.median(away / span) <= 0.06


@pytest.mark.slow
def test_two_people_keep_their_ids(shared_media: Path, tmp_path: Path) -> None:
    rows = analyze(shared_media / "two_people_turning.gif", tmp_path / "tracks.jsonl")
    assert {tuple(face["id"] for face in row["faces"]) for row in rows} == {(1, 2)}


@pytest.mark.slow
def test_a_clip_without_faces_shows_none(shared_media: Path, tmp_path: Path) -> None:
    rows = analyze(shared_media / "noface_720p_raw.264", tmp_path / "tracks.jsonl")
    assert len(rows) == 300
    assert not any(row["faces"] for row in rows)


@pytest.mark.slow
def test_a_second_run_gives_the_same_tracks(shared_media: Path, tmp_path: Path) -> None:
    clip = shared_media / "stage_six_faces_cuts_aac.mp4"
    rows = analyze(clip, tmp_path / "one.jsonl")
    assert analyze(clip, tmp_path / "two.jsonl") == rows
    assert sum(bool(row["faces"]) for row in rows) > 130
