"""The main job as a user does it: real commands, the shipped models, rendered and real faces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def vidfilter(*args: str, cwd: Path, expected: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command without a screen; check its exit code."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-m", "vidfilter.pipeline", *args],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == expected, done.stderr
    assert "Traceback" not in done.stderr
    return done


def pictures(path: Path) -> list[np.ndarray]:
    """Decode a video to BGR."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def rows(path: Path) -> list[dict]:
    """Read tracks."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder that holds two seconds of the test face as face.mp4."""
    here = tmp_path_factory.mktemp("job")
    small = ["--set", "capture.width=640", "--set", "capture.height=360"]
    (here / "plain.yaml").write_text(
        "version: 1\nstages:\n  - capture: test\n  - file: {path: face.mp4}\n", encoding="utf-8"
    )
    vidfilter("run", "plain.yaml", "--duration", "2", *small, cwd=here)
    return here


def test_without_anything_the_test_face_gets_glasses_in_a_new_file(tmp_path):
    done = vidfilter("run", "--duration", "1", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["vidfilter-001.mp4"]
    assert "the test face, since no camera was found" in done.stderr
    assert "because there is no screen" in done.stderr
    shown = pictures(tmp_path / "vidfilter-001.mp4")
    assert len(shown) == 30
    assert shown[0].shape == (720, 1280, 3)


def test_the_filter_changes_the_face_and_nothing_far_from_it(folder):
    vidfilter("run", "-i", "face.mp4", "-o", "glasses.mkv", "--set", "file.codec=ffv1", cwd=folder)
    before, after = pictures(folder / "face.mp4"), pictures(folder / "glasses.mkv")
    assert len(before) == len(after) == 60
    for old, new in zip(before, after, strict=True):
        changed = np.argwhere((old != new).any(axis=2))
        assert len(changed) > 500
        assert changed.min(axis=0)[1] > 60
        assert changed.max(axis=0)[1] < 580


def test_tracks_can_be_drawn_again_without_models(folder):
    vidfilter("analyze", "face.mp4", "-o", "tracks.jsonl", cwd=folder)
    found = rows(folder / "tracks.jsonl")
    assert [row["seq"] for row in found] == list(range(60))
    assert {face["id"] for row in found for face in row["faces"]} == {1}
    face = found[30]["faces"][0]
    assert np.shape(face["landmarks_px"]) == (68, 2)
    assert set(face["pose"]) == {"yaw_deg", "pitch_deg", "roll_deg"}
    assert set(face["expressions"]) == {
        "mouth_open", "eye_open_l", "eye_open_r", "brow_raise", "smile",
    }  # fmt: skip
    lossless = ["--set", "file.codec=ffv1", "--filter", "lips"]
    vidfilter("run", "-i", "face.mp4", "-o", "live.mkv", *lossless, cwd=folder)
    again = ["--tracks", "tracks.jsonl", *lossless]
    vidfilter("run", "-i", "face.mp4", "-o", "again.mkv", *again, cwd=folder)
    pairs = zip(pictures(folder / "live.mkv"), pictures(folder / "again.mkv"), strict=True)
    # Tracks are written with a hundredth of a pixel, so an edge may differ by a shade.
    assert max(float(cv2.absdiff(a, b).mean()) for a, b in pairs) < 0.01


def test_tracks_of_another_file_are_refused(folder):
    vidfilter("analyze", "face.mp4", "-o", "mine.jsonl", cwd=folder)
    (folder / "plain.yaml").rename(folder / "plain.yaml.txt")
    (folder / "plain.yaml.txt").rename(folder / "plain.yaml")
    vidfilter("run", "plain.yaml", "--duration", "1", "-o", "other.mp4", cwd=folder)
    done = vidfilter(
        "run", "-i", "other.mp4", "-o", "x.mp4", "--tracks", "mine.jsonl", cwd=folder, expected=1
    )
    assert done.stderr.splitlines()[-1].startswith("vidfilter: error: ")
    assert not (folder / "x.mp4").exists()


def test_a_real_face_among_pictures_is_found_by_itself(tmp_path):
    data = pytest.importorskip("skimage.data", reason="the test extra holds the portrait")
    portrait = data.astronaut()[:, :, ::-1]
    pictures_folder = tmp_path / "pictures"
    pictures_folder.mkdir()
    cv2.imwrite(str(pictures_folder / "a_portrait.png"), portrait)
    cv2.imwrite(str(pictures_folder / "b_grey.png"), np.full((120, 160, 3), 128, np.uint8))
    cv2.imwrite(str(pictures_folder / "c_small.png"), cv2.resize(portrait, (301, 301)))
    vidfilter("analyze", "pictures", "-o", "tracks.jsonl", cwd=tmp_path)
    first, grey, small = rows(tmp_path / "tracks.jsonl")
    assert [row["file"] for row in (first, grey, small)] == [
        "a_portrait.png", "b_grey.png", "c_small.png",
    ]  # fmt: skip
    assert grey["faces"] == []
    for row, scale in ((first, 1.0), (small, 301 / 512)):
        (face,) = (face for face in row["faces"] if face["landmarks_px"])
        points = np.array(face["landmarks_px"]) / scale
        # Where the eyes, nose tip and mouth of this portrait are, read off the picture.
        eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        assert np.allclose(eyes, [(204, 101), (247, 104)], atol=4)
        assert np.allclose(points[30], (225, 127), atol=5)
        assert np.allclose(points[48:60].mean(axis=0), (223, 145), atol=5)


def test_several_sinks_at_once(folder):
    (folder / "tee.yaml").write_text(
        "version: 1\nstages:\n  - capture: face.mp4\n  - detect:\n  - landmarks:\n  - smooth:\n"
        "  - overlay: googly-orange\n  - tee:\n      - [file: {path: one.mp4}]\n"
        "      - [file: {id: second, path: two.mkv}]\n      - [null]\n",
        encoding="utf-8",
    )
    vidfilter("run", "tee.yaml", "--report", "report.json", "--strict", cwd=folder)
    assert len(pictures(folder / "one.mp4")) == len(pictures(folder / "two.mkv")) == 60
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [sink["unaccounted"] for sink in report["sinks"]] == [0, 0, 0]
