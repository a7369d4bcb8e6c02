"""`vidfilter eval steadiness`: shake, lag and gain of the points, through the stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from giving import Command

from vidfilter.models.training.evaluate_steadiness import deviation, lag_and_gain, motion_px

SHORT = ("--seeds", "1", "--seconds", "3")


def measure(vidfilter: Command, *args: object) -> dict[str, Any]:
    done = vidfilter("eval", "steadiness", *map(str, args), *SHORT, "--json")
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of a face, the astronaut that comes with scikit-image."""
    data = pytest.importorskip("skimage.data")
    path = tmp_path_factory.mktemp("portrait") / "astronaut.png"
    cv2.imwrite(str(path), data.astronaut()[..., ::-1])
    return path


def test_a_portrait_is_steady_and_hardly_late(portrait: Path, vidfilter: Command) -> None:
    seen = measure(vidfilter, portrait)
    (row,) = seen["pictures"]
    assert row["picture"] == str(portrait)
    assert 0.005 < row["steadiness_percent"] == seen["steadiness_percent"] <= 0.15
    assert abs(row["lag_frames"]) <= 0.3
    assert row["gain"] == pytest.approx(1, abs=0.03)


def test_the_rendered_face_serves_where_no_picture_is_given(vidfilter: Command) -> None:
    calm = measure(vidfilter)
    wild = measure(vidfilter, "--steadiness", 0)
    assert calm["steadiness_percent"] <= 0.15
    assert wild["steadiness_percent"] > 1.3 * calm["steadiness_percent"]
    assert calm["pictures"][0]["picture"] == "the rendered test face"


def test_what_shows_no_face_is_named(tmp_path: Path, vidfilter: Command) -> None:
    grey, text = tmp_path / "grey.png", tmp_path / "text.png"
    cv2.imwrite(str(grey), np.full((200, 200, 3), 128, np.uint8))
    text.write_text("no picture")
    for path, what in ((grey, "no face found"), (text, "not a readable image")):
        done = vidfilter("eval", "steadiness", str(path), *SHORT)
        assert done.code == 1
        assert f"{path}: {what}" in done.error


@pytest.mark.parametrize("late", [-1.5, 0.0, 0.25, 2.0])
def test_a_known_lag_and_gain_are_found(late: float) -> None:
    times = np.arange(300, dtype=float)
    found = 0.9 * np.interp(times - late, times, motion_px(10.0)) + 256
    lag, gain = lag_and_gain(found, motion_px(10.0))
    assert lag == pytest.approx(late, abs=0.011)
    assert gain == pytest.approx(0.9, abs=0.005)


def test_known_noise_is_found() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (900, 68, 2)).astype(np.float32)
    assert deviation(noise + 50) == pytest.approx(0.1 * np.sqrt(2) / 100, rel=0.02)
