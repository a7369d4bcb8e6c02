"""What landmark networks train on is read, and what cannot be used is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from rendered_set import write_pts

from vidfilter.models.training import landmark_mine
from vidfilter.models.training.landmark_cache import LANDMARKS, FaceCache, read_cache, save_cache
from vidfilter.models.training.landmark_dataset import build_cache
from vidfilter.models.training.landmark_formats import (
    AnnotationError,
    read_helen,
    read_keypoint_csv,
    read_pts,
)
from vidfilter.models.training.landmark_mine import joined, mine, to_cache
from vidfilter.models.training.landmark_transfer import with_inner_points


def test_pts_are_read_with_and_without_header(tmp_path: Path) -> None:
    points = np.random.default_rng(1).uniform(0, 300, (68, 2))
    for header in (True, False):
        path = tmp_path / f"{header}.pts"
        write_pts(path, points, header)
        assert np.allclose(read_pts(path), points, atol=1e-3)


@pytest.mark.parametrize(
    "text",
    ["", "1 2\n3 4\n", "nan 1\n" + "1 2\n" * 67, "a b\n" * 68, "1 inf\n" * 68],
    ids=["empty", "too few", "NaN", "words", "infinite"],
)
def test_a_bad_pts_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.pts"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=r"broken\.pts"):
        read_pts(path)


def test_bad_helen_and_csv_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "7.txt"
    path.write_text("photo_1\n1 , 2\n")
    with pytest.raises(AnnotationError, match=r"7\.txt: expected 194 points"):
        read_helen(path)
    table = tmp_path / "frames.csv"
    table.write_text(",0,1\nname.jpg,1.0\n")
    with pytest.raises(AnnotationError, match=r"frames\.csv"):
        read_keypoint_csv(table)


def test_an_unreadable_image_and_an_empty_folder_are_named(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "helen68" / "train"
    folder.mkdir(parents=True)
    with pytest.raises(AnnotationError, match="no annotated faces"):
        build_cache(tmp_path, most=1)
    write_pts(folder / "x.pts", np.random.default_rng(0).uniform(0, 99, (68, 2)))
    (folder / "x.jpg").write_bytes(b"not an image")
    with pytest.raises(AnnotationError, match=r"x\.jpg: not a readable image"):
        build_cache(tmp_path, most=1)


def test_held_out_pictures_do_not_depend_on_the_run(data: Path) -> None:
    first, second = (build_cache(data, most=24) for _ in range(2))
    assert np.array_equal(first.held_out, second.held_out)
    assert (first.kind == LANDMARKS).all()


def test_photos_with_194_points_get_the_inner_68(data: Path) -> None:
    faces = build_cache(data, most=24)
    both = ~np.isnan(faces.points["helen194"][:, 0, 0])
    several = [np.repeat(values[both], 12, axis=0) for values in faces.points.values()]
    rng = np.random.default_rng(0)
    moved = [p + rng.normal(0, 0.01, p.shape).astype(np.float32) for p in several]
    dense = moved[0].copy()
    dense[-5:] = np.nan
    rows = len(dense)
    cache = FaceCache(
        np.repeat(faces.images[both], 12, axis=0),
        np.full(rows, LANDMARKS),
        np.zeros(rows, np.float32),
        {"ibug68": dense, "helen194": moved[1]},
        [f"x/{row}" for row in range(rows)],
        np.zeros(rows, bool),
    )
    filled = with_inner_points(cache).points["ibug68"]
    assert np.isnan(filled[-5:, :17]).all()
    assert np.abs(filled[-5:, 17:] - moved[0][-5:, 17:]).max() < 2.0
    assert np.array_equal(filled[:-5], dense[:-5])


def test_a_detector_that_makes_no_mistake_adds_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landmark_mine, "MIN_SCORE", 0.3)  # above what plain grey is given
    (tmp_path / "facedet" / "images").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "facedet/images/a.png"), np.full((90, 120), 90, np.uint8))
    (tmp_path / "facedet/boxes.csv").write_text("image,xmin,ymin,xmax,ymax,label\na.png,,,,,\n")
    faces, mined = build_cache(data, most=1), tmp_path / "mined.npz"
    save_cache(mined, to_cache(list(mine(tmp_path))))
    assert joined(faces, read_cache(mined)).names == faces.names
