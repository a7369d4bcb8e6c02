"""The recipes from annotated pictures to a network that a pipeline can run."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch

from vidfilter.models.crops import crop_from_box
from vidfilter.models.landmarks import LandmarkModel
from vidfilter.models.topology import topology
from vidfilter.models.training import export, recipe_data
from vidfilter.models.training.evaluate_data import AnnotatedFace
from vidfilter.models.training.recipe_checkpoint import save
from vidfilter.models.training.recipe_network import FacenetLandmarks, Recipe
from vidfilter.models.training.recipe_settings import Settings, check_same, note_settings
from vidfilter.models.training.recipe_train import run
from vidfilter.models.training.recipe_trunk import cached_features
from vidfilter.models.training.whole_files import new_array
from vidfilter.pipeline.errors import ConfigError, VidfilterError, WeightsError
from vidfilter.stages._testface import random_face_image


def write_helen(folder: Path, count: int) -> None:
    """Write pictures with Helen's annotation; the 194 points repeat the 68 of the test face."""
    (folder / "annotation").mkdir(parents=True)
    rng = np.random.default_rng(0)
    spread = np.linspace(0, 67, 194).astype(int)
    for number in range(count):
        picture, points = random_face_image(rng, 160)
        cv2.imwrite(str(folder / f"face{number}.jpg"), picture)
        lines = [f"face{number}", *(f"{x:.3f} , {y:.3f}" for x, y in points[spread])]
        (folder / "annotation" / f"{number}.txt").write_text("\n".join(lines) + "\n")


def dotted_face(tmp_path: Path) -> tuple[np.ndarray, AnnotatedFace]:
    """A black picture with a dot on the nose tip, and 68 points of a face around it."""
    _, points = random_face_image(np.random.default_rng(3), 300)
    picture = np.zeros((300, 300, 3), np.uint8)
    x, y = (int(v) for v in points[30].round())
    cv2.circle(picture, (x, y), 5, (255, 255, 255), -1)
    points = points.astype(np.float32)
    points[30] = x, y
    return picture, AnnotatedFace("a", tmp_path / "a.png", points)


@pytest.mark.parametrize(("recipe", "size"), [("facenet194", 200), ("resnet68", 224)])
def test_points_stay_on_what_they_mark(recipe: str, size: int, tmp_path: Path) -> None:
    picture, face = dotted_face(tmp_path)
    rng = np.random.default_rng(0)
    for _ in range(8):
        rgb, points = recipe_data.training_crop(recipe, picture, face, size, rng)
        assert rgb.shape == (size, size, 3)
        lit = np.argwhere(rgb[:, :, 0] > 60)
        np.testing.assert_allclose(lit.mean(axis=0)[::-1], points[30], atol=1.0)


def test_arrays_are_written_once_and_never_mixed_up(tmp_path: Path) -> None:
    picture, face = dotted_face(tmp_path)
    cv2.imwrite(str(face.image), picture)
    draw = partial(recipe_data.training_crop, "facenet194")
    made = recipe_data.prepare(tmp_path, "train", [face], 64, 0, 3, draw)
    assert made.images.shape == (3, 64, 64, 3)
    assert made.points.shape == (3, 68, 2)
    again = recipe_data.prepare(tmp_path, "train", [face], 64, 0, 3, draw)
    np.testing.assert_array_equal(made.images, again.images)
    with pytest.raises(ConfigError, match="another run"):
        recipe_data.prepare(tmp_path, "train", [face], 64, 1, 3, draw)


def test_no_person_is_both_trained_on_and_judged_by(tmp_path: Path) -> None:
    points = np.zeros((68, 2), np.float32)
    faces = [
        AnnotatedFace(f"train/p{person}_{n}", tmp_path / f"p{person}_{n}.jpg", points)
        for person in range(40)
        for n in range(3)
    ]
    parts = recipe_data.split(faces, 0, None)
    people = [
        {face.image.stem.rpartition("_")[0] for face in part}
        for part in (parts.train, parts.validation, parts.held_out)
    ]
    assert sum(len(part) for part in people) == len(set.union(*people)) == 40


def test_features_continue_where_they_stopped(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = FacenetLandmarks(Recipe("facenet194", 80, 194, 1e-4)).eval()
    images = np.random.default_rng(0).integers(0, 255, (10, 80, 80, 3), dtype=np.uint8)
    path = tmp_path / "f.npy"
    whole = np.array(cached_features(net, images, path, lambda _share: None))
    path.with_suffix(".json").write_text("8")
    shares: list[float] = []
    again = cached_features(net, images, path, shares.append)
    assert len(shares) == 1
    np.testing.assert_array_equal(whole, again)
    path.with_suffix(".json").write_text("")  # killed before it wrote how far it was
    np.testing.assert_array_equal(whole, cached_features(net, images, path, shares.append))
    assert len(shares) == 3
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(WeightsError, match=r"f\.npy is damaged"):
        cached_features(net, images, path, shares.append)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"depth": 101}, "this run has depth 50, not 101"),
        ({"normalised": True}, "normalised False, not True"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"trunks": ("own", "b.pt")}, "published1 a.pt, not b.pt"),
    ],
)
def test_a_run_is_not_continued_with_other_settings(
    changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    first = Settings("resnet68", tmp_path, tmp_path, trunks=("own", "a.pt"))
    note_settings(first)
    check_same(replace(first, minutes=5.0, faces=9, trunks=("own", "a.pt", "random")))
    with pytest.raises(ConfigError, match=words):
        run(replace(first, resume=True, **changed), print, print)
    (tmp_path / "settings.json").write_text("[")
    with pytest.raises(ConfigError, match=r"settings\.json: not what"):
        run(replace(first, resume=True), print, print)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    """Checkpoints and arrays alike: `RLIMIT_FSIZE` stands in for the disk."""
    resource = pytest.importorskip("resource", reason="only Unix limits the size of files")
    path, hard = tmp_path / "last.pt", resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    save(path, {"a": torch.zeros(9)})
    before = path.read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match="too large") as told:
            save(path, {"a": torch.zeros(90_000)})
        assert told.value.filename == str(path)
        with pytest.raises(OSError, match="too large") as told:
            new_array(tmp_path / "train.npy", np.uint8, (90_000,))
        assert told.value.filename == str(tmp_path / "train.npy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.slow
def test_a_short_run_gives_a_network_that_finds_points(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    write_helen(data, 24)
    settings = Settings("facenet194", data, out, trunks=("random",), smoke=True)
    said: list[str] = []
    result = run(settings, said.append, lambda _share: None)
    assert result["trunks"][0]["n"] >= 2
    assert json.loads((out / "report.json").read_text())["trunks"] == result["trunks"]
    with pytest.raises(VidfilterError, match="--resume"):
        run(settings, said.append, lambda _share: None)
    spec = export.run(export.Options(out / "random.pt", tmp_path / "net.onnx"))
    assert spec["input"]["channels"] == 3
    assert spec["trained_on"] == {"annotation": result["trained_on"]}
    model = LandmarkModel(tmp_path / "net.onnx")
    assert (model.scheme, model.colour, model.tells_presence) == ("helen194", True, False)
    bgr = cv2.imread(str(data / "face0.jpg"))
    found = model.run(bgr, [crop_from_box(np.array([30.0, 30, 130, 130]))] * 2)
    assert found.points_px.shape == (2, topology("helen194").points, 2)
    assert found.presence.tolist() == [1.0, 1.0]
