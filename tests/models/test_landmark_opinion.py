"""Labels move towards what another program finds on the same faces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import torch

from vidfilter.models.metrics import face_errors
from vidfilter.models.topology import topology
from vidfilter.models.training import landmark_opinion
from vidfilter.models.training.landmark_batches import Settings
from vidfilter.models.training.landmark_cache import LANDMARKS, FaceCache
from vidfilter.models.training.landmark_dataset import build_cache
from vidfilter.models.training.landmark_formats import AnnotationError
from vidfilter.models.training.landmark_loop import Run
from vidfilter.models.training.landmark_opinion import Opinion, read_opinion, with_opinion
from vidfilter.models.training.landmark_teach import load_taught

FACES, MESH, LOOKS = 240, 30, 4
SCHEME = topology("ibug68")


def faces_and_meshes() -> tuple[FaceCache, np.ndarray, np.ndarray]:
    """Return labels that err, the true points, and the mesh of another program (L, N, 30, 2).

    Both are linear in the same six traits of a face, turned, scaled and moved alike.
    """
    rng = np.random.default_rng(3)
    traits = np.concatenate((np.ones((FACES, 1)), 0.1 * rng.normal(size=(FACES, 6))), axis=1)
    shapes = [traits @ (rng.normal(size=(7, k)) + 1j * rng.normal(size=(7, k))) for k in (68, MESH)]
    turn = np.exp(rng.normal(0, 0.2, FACES) * (1 + 1j))[:, None] * 30
    truth, mesh = (np.stack((z.real, z.imag), axis=2) + 160 for z in (turn * s for s in shapes))
    apart = SCHEME.interocular(truth.astype(np.float32))[:, None, None]
    labels = truth + rng.normal(0, 0.03, truth.shape) * apart
    meshes = mesh + rng.normal(0, 0.05, (LOOKS, *mesh.shape))
    outline = np.full((FACES, 194, 2), np.nan, np.float32)
    cache = FaceCache(
        np.zeros((FACES, 1, 1), np.uint8),
        np.full(FACES, LANDMARKS),
        np.zeros(FACES, np.float32),
        {"ibug68": labels.astype(np.float32), "helen194": outline},
        [f"helen68/{n}" for n in range(FACES)],
        np.arange(FACES) >= 200,
    )
    return cache, truth.astype(np.float32), meshes.astype(np.float32)


def errors(faces: FaceCache, truth: np.ndarray) -> np.ndarray:
    return face_errors(faces.points["ibug68"], truth, SCHEME)


def test_labels_that_err_come_nearer_to_the_truth() -> None:
    faces, truth, meshes = faces_and_meshes()
    after, moved = with_opinion(faces, Opinion("mesh", meshes, np.arange(FACES)))
    assert moved == 200
    ratio = errors(after, truth)[:200] / errors(faces, truth)[:200]
    assert ratio.max() < 0.75
    assert np.median(ratio) < 0.6  # half of the error, and a little of the map's own
    assert np.array_equal(after.points["ibug68"][200:], faces.points["ibug68"][200:])
    assert np.isnan(after.points["helen194"]).all()


def test_points_for_mirrored_crops_move_alike() -> None:
    faces, _, meshes = faces_and_meshes()
    other = {key: values + 3 for key, values in faces.points.items()}
    after, _ = with_opinion(replace(faces, mirrored=other), Opinion("m", meshes, np.arange(FACES)))
    assert after.mirrored is not None
    apart = after.mirrored["ibug68"] - after.points["ibug68"]
    np.testing.assert_allclose(apart, 3, atol=1e-3)


def test_labels_stay_where_the_opinion_is_no_use() -> None:
    """A render, another face, looks that disagree, a look in four, no look at all."""
    faces, _, meshes = faces_and_meshes()
    faces.names[0] = "render/0"
    meshes[:, 1] += 90
    meshes[::2, 2] += np.linspace(-9, 9, MESH)[:, None].astype(np.float32)
    meshes[1:, 3] = np.nan
    meshes[:, 4] = np.nan
    after, moved = with_opinion(faces, Opinion("mesh", meshes, np.arange(FACES)))
    assert np.array_equal(after.points["ibug68"][:5], faces.points["ibug68"][:5])
    assert moved == 195


def test_too_few_photos_to_learn_from_move_nothing() -> None:
    faces, _, meshes = faces_and_meshes()
    rows = np.arange(90)
    after, moved = with_opinion(faces, Opinion("mesh", meshes[:, rows], rows))
    assert moved == 0
    assert np.array_equal(after.points["ibug68"], faces.points["ibug68"])


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    faces, _, meshes = faces_and_meshes()
    np.savez(tmp_path / "mesh.npz", points=meshes[:, 10:20], rows=np.arange(10, 20))
    opinion = read_opinion(tmp_path / "mesh.npz", faces)
    assert opinion.name == "mesh"
    assert np.array_equal(opinion.points, meshes[:, 10:20])
    assert opinion.rows.tolist() == list(range(10, 20))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"rows": [0]}, "not a file of another program's points"),
        ({"points": np.array([{}]), "rows": [0]}, "not a file of another program's points"),
        (
            {"points": np.zeros((2, 3, 2)), "rows": [0]},
            "want points (L, R, M, 2) and rows (R,), got points (2, 3, 2), rows (1,)",
        ),
        (
            {"points": np.zeros((1, 2, 9, 2)), "rows": [0]},
            "want points (L, R, M, 2) and rows (R,), got points (1, 2, 9, 2), rows (1,)",
        ),
        (
            {"points": np.zeros((1, 2, 9, 2)), "rows": [0, 0]},
            "rows must be different ones of the 240 in faces.npz",
        ),
        (
            {"points": np.zeros((1, 2, 9, 2)), "rows": [0, 240]},
            "rows must be different ones of the 240 in faces.npz",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_named(arrays: dict, words: str, tmp_path: Path) -> None:
    faces, _, _ = faces_and_meshes()
    path = tmp_path / "mesh.npz"
    np.savez(path, allow_pickle=True, **arrays)
    with pytest.raises(AnnotationError) as caught:
        read_opinion(path, faces)
    assert str(caught.value) == f"{path}: {words}"


@pytest.mark.slow
def test_a_run_asks_once_and_remembers_whom(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(landmark_opinion, "FEWEST", 8)
    monkeypatch.setattr(landmark_opinion, "NEAR", 1.0)
    faces = build_cache(data, most=24)
    labels = faces.points["ibug68"]
    opinion = Opinion("mesh", labels[None] + 1.5, np.arange(len(labels)))
    settings = Settings(minutes=0.02, size=64, batch=4)
    lines: list[str] = []
    Run(tmp_path, faces, settings, opinion).train(lines.append)
    told = [line for line in lines if "half of the way to mesh" in line]
    assert len(told) == 1
    moved = int(told[0].split()[2])
    assert moved > 8
    kept = load_taught(tmp_path / "taught.npz", faces)
    assert kept is not None
    photos = [n for n, name in enumerate(faces.names) if not name.startswith("render/")]
    assert (kept.points["ibug68"] != labels).any(axis=(1, 2))[photos].sum() >= moved
    again = Run(tmp_path, faces, replace(settings, minutes=0.03), opinion)
    again.resume(tmp_path / "last.pt")
    assert again.trained_on["points of mesh"] == moved
    again.train(lines.append)
    assert f"{tmp_path / 'taught.npz'} is there: mesh is not asked again" in lines
