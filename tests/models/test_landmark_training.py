"""Training of the landmark network on rendered faces: data checks, resume, export."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnxruntime as ort
import torch

from vidfilter.models.crops import (
    Crop,
    crop_from_box,
    crop_from_landmarks,
    follow_crop,
    transform_points,
)
from vidfilter.models.metrics import face_errors
from vidfilter.models.topology import topology
from vidfilter.models.training import export
from vidfilter.models.training.landmark_augment import Augmenter
from vidfilter.models.training.landmark_batches import COARSE, Settings, label_trust
from vidfilter.models.training.landmark_cache import FACE, LANDMARKS, FaceCache
from vidfilter.models.training.landmark_dataset import build_cache
from vidfilter.models.training.landmark_formats import (
    AnnotationError,
    read_helen,
    read_keypoint_csv,
    read_pts,
)
from vidfilter.models.training.landmark_loop import Run, load_checkpoint
from vidfilter.models.training.landmark_loss import HeatMapLoss, points_loss
from vidfilter.models.training.landmark_network import LandmarkNet, soft_argmax
from vidfilter.models.training.landmark_occlude import Occluder
from vidfilter.models.training.landmark_teach import load_taught, save_taught, taught
from vidfilter.models.training.landmark_transfer import with_inner_points
from vidfilter.pipeline.errors import WeightsError
from vidfilter.stages._testface import random_face_image

CHECKPOINT = Path(__file__).parents[2] / "models/training/checkpoints/landmarks.pt"


def write_pts(path: Path, points: np.ndarray, header: bool = True) -> None:
    lines = [f"{x + 1:.3f} {y + 1:.3f}" for x, y in points]
    if header:
        lines = ["version: 1", f"n_points: {len(points)}", "{", *lines, "}"]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set in the published formats."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "helen68" / "train").mkdir(parents=True)
    (folder / "helen194" / "annotation").mkdir(parents=True)
    rng = np.random.default_rng(3)
    for number in range(24):
        image, points = random_face_image(rng, 160)
        path = folder / "helen68" / "train" / f"face{number}_1.jpg"
        cv2.imwrite(str(path), image)
        write_pts(path.with_suffix(".pts"), points, header=number % 2 == 0)
        rows = [f"{x} , {y}" for x, y in np.resize(points, (194, 2))]
        text = "\n".join([path.stem, *rows])
        (folder / "helen194" / "annotation" / f"{number}.txt").write_text(text)
    return folder


def quick(**changes: float) -> Settings:
    return Settings(**{"minutes": 0.02, "size": 64, "batch": 4, **changes})


@pytest.mark.slow
def test_training_stops_resumes_and_exports(data: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    faces = build_cache(data, most=24)
    lines: list[str] = []
    first = Run(tmp_path, faces, quick())
    first.train(lines.append)
    assert any("held out" in line for line in lines)
    second = Run(tmp_path, faces, quick(minutes=0.03))
    second.resume(tmp_path / "last.pt")
    assert second.step == first.step > 0
    second.train(lines.append)
    assert second.step > first.step
    out = tmp_path / "mine.onnx"
    spec = export.run(export.Options(tmp_path / "last.pt", out, size=64))
    assert json.loads(out.with_suffix(".json").read_text()) == spec
    session = ort.InferenceSession(out)
    luma = np.full((3, 1, 64, 64), 90, dtype=np.float32)
    points, presence, visibility = session.run(None, {spec["input"]["name"]: luma})
    assert points.shape == (3, spec["points"], 2)
    assert presence.shape == (3,)
    assert ((visibility >= 0) & (visibility <= 1)).all()


@pytest.mark.slow
def test_the_coarse_network_trains_and_exports_by_itself(data: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    faces = build_cache(data, most=8)
    run = Run(tmp_path, faces, replace(COARSE, minutes=0.02, batch=4))
    run.train(lambda _line: None)
    spec = export.run(export.Options(tmp_path / "last.pt", tmp_path / "mine.onnx"))
    assert spec["input"]["size"] == 96
    assert "coarse" not in spec
    spec = export.run(export.Options(CHECKPOINT, tmp_path / "fine.onnx"))
    assert spec["coarse"] == "landmarks_coarse"
    with pytest.raises(WeightsError, match=r"last\.pt is of another network"):
        Run(tmp_path, faces, quick()).resume(tmp_path / "last.pt")


def test_a_bent_face_keeps_its_points(data: Path) -> None:
    """In a picture whose luma tells the place, the points still lie where they lay."""
    faces = build_cache(data, most=1)
    augmenter = Augmenter(faces, 160, np.random.default_rng(0), strength=10.0)
    ramp = np.tile(np.linspace(40, 200, 320), (320, 1)).astype(np.uint8)
    shrink = Crop(159.5, 159.5, 320.0).to_crop(160)
    before = np.random.default_rng(1).uniform(20, 140, (194, 2)).astype(np.float32)
    for picture, axis in ((ramp, 0), (ramp.T.copy(), 1)):
        points = {"helen194": before}
        bent = augmenter._warp(picture, shrink, points)
        after = points["helen194"]
        assert np.abs(after - before).max() > 1.5
        x, y = cv2.split(after[None])
        luma = cv2.remap(bent, x, y, cv2.INTER_LINEAR)[0].astype(float)
        assert np.abs(luma - (40 + before[:, axis])).max() < 2


def test_labels_lie_to_the_same_side_in_mirrored_crops(data: Path) -> None:
    """The annotators' step to the right is not turned round, that of exact renders is."""
    faces = build_cache(data, most=1)
    sides = {}
    for name in ("helen68/a", "render/a"):
        named = replace(faces, names=[name] * len(faces.names))
        augmenter = Augmenter(named, 160, np.random.default_rng(0), strength=0.0)
        sides[name] = np.stack([augmenter.draw(0).points["ibug68"].mean(axis=0) for _ in range(64)])
    apart = sides["helen68/a"] - sides["render/a"]
    apart = apart[np.isfinite(apart[:, 0])]  # without those that show no face
    assert set(np.sign(apart[:, 0].round(3)).tolist()) == {0.0, 1.0}
    assert np.abs(apart[:, 1]).max() < 1e-3


def test_network_does_not_see_exposure_or_luma_range() -> None:
    net = LandmarkNet().eval()
    luma = torch.randint(60, 200, (1, 1, 64, 64)).float()
    with torch.inference_mode():
        points = [
            soft_argmax(net.maps["ibug68"](net.features(x)[0])) for x in (luma, luma * 0.8 + 16)
        ]
    assert torch.allclose(points[0], points[1], atol=0.05)


def test_training_crops_keep_points_on_the_face(data: Path) -> None:
    faces = build_cache(data, most=24)
    augmenter = Augmenter(faces, 64, np.random.default_rng(0))
    examples = [augmenter.draw(row) for row in range(len(faces.names)) for _ in range(4)]
    shown = [example for example in examples if example.presence == 1.0]
    assert len(shown) > len(examples) * 0.7
    for example in shown:
        inside = (example.points["ibug68"] > -12) & (example.points["ibug68"] < 76)
        assert inside.mean() > 0.8
        left, right = topology("ibug68").eye_corners
        assert example.points["ibug68"][left, 0] < example.points["ibug68"][right, 0] + 40


def test_crop_matrices_undo_each_other() -> None:
    points = np.random.default_rng(0).uniform(50, 90, (68, 2))
    scheme = topology("ibug68")
    for crop in (
        crop_from_box(np.array([10.0, 20.0, 80.0, 70.0])),
        crop_from_landmarks(points, scheme.region("eye.left"), scheme.region("eye.right")),
    ):
        there = transform_points(crop.to_crop(96), points)
        assert np.allclose(transform_points(crop.to_picture(96), there), points, atol=1e-3)


def test_crop_turns_a_tilted_face_upright() -> None:
    _, points = random_face_image(np.random.default_rng(5), 200)
    scheme = topology("ibug68")
    eyes = scheme.region("eye.left"), scheme.region("eye.right")
    turn = np.radians(40)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    tilted = points @ rotation.T
    crop = crop_from_landmarks(tilted, *eyes)
    upright = transform_points(crop.to_crop(96), tilted)
    across = upright[eyes[1]].mean(axis=0) - upright[eyes[0]].mean(axis=0)
    assert abs(across[1]) < 1e-3 < across[0]
    assert np.ptp(upright, axis=0).max() == pytest.approx(96 / 1.4, abs=0.1)


def test_a_followed_crop_ignores_noise_but_not_motion() -> None:
    still = Crop(100.0, 80.0, 200.0, 3.14)
    assert follow_crop(still, Crop(101.5, 79.0, 201.0, -3.14)) == still
    for wanted in (Crop(160.0, 80.0, 200.0, 3.14), Crop(100.0, 80.0, 300.0, 2.0)):
        crop = follow_crop(still, wanted)
        assert abs(crop.centre_x - wanted.centre_x) <= 2.0 + 1e-9
        assert crop.side == pytest.approx(wanted.side, rel=0.011)
        assert crop.angle == pytest.approx(wanted.angle, abs=0.0126)


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


def test_a_truncated_or_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"average": LandmarkNet().state_dict()}, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"last\.pt"):
        load_checkpoint(path)
    torch.save({"average": {"other": torch.zeros(3)}}, path)
    with pytest.raises(WeightsError, match=r"last\.pt"):
        load_checkpoint(path)


def test_the_hand_written_gradient_is_that_of_the_formulas() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 9, 9, requires_grad=True)
    truth, share = torch.rand(2, 5, 2) * 40 - 2, torch.rand(2, 5)
    loss, distance = HeatMapLoss.apply(logits, truth, share)
    loss.backward()
    assert logits.grad is not None
    by_hand, logits.grad = logits.grad.clone(), None
    miss = soft_argmax(logits) - truth
    cells = torch.stack([(truth[..., axis] - 3.5) / 8 for axis in (0, 1)])
    grid = torch.arange(9.0)
    across, down = torch.softmax(-0.5 * (grid - cells[..., None]) ** 2, dim=-1)
    target = down[..., :, None] * across[..., None, :]
    heat = torch.logsumexp(logits.flatten(2), 2) - (target * logits).sum((2, 3))
    away = 0.6 * ((miss.square().sum(2) + 0.75**2).sqrt() - 0.75)
    expected = ((away + 0.5 * heat) * share).sum()
    expected.backward()
    assert torch.allclose(loss, expected, atol=1e-4)
    assert torch.allclose(distance, miss.norm(dim=2), atol=1e-4)
    assert torch.allclose(by_hand, logits.grad, atol=1e-5)


def test_points_that_are_unknown_or_off_the_crop_teach_nothing() -> None:
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)
    truth = torch.tensor([[[8.0, 9.0], [float("nan"), float("nan")], [99.0, 4.0]]])
    loss, error = points_loss(logits, torch.zeros(1, 3), truth, torch.ones(1), 64)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(loss)
    assert np.isfinite(error)
    taught = logits.grad.abs().amax(dim=(0, 2, 3)) > 0
    assert taught.tolist() == [True, False, False]


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


def test_a_network_labels_what_nobody_labelled(data: Path, tmp_path: Path) -> None:
    """The network that the project keeps, on rendered faces whose points are known and hidden."""
    torch.set_num_threads(1)
    faces = build_cache(data, most=8)
    truth = faces.points["ibug68"]
    hidden = truth.copy()
    hidden[:] = np.nan
    kind = np.full_like(faces.kind, FACE)
    held = np.arange(len(kind)) % 4 == 0
    net = LandmarkNet().eval()
    net.load_state_dict(load_checkpoint(CHECKPOINT)["average"])
    points = {"ibug68": hidden, "helen194": np.full_like(faces.points["helen194"], np.nan)}
    before = replace(faces, points=points, kind=kind, held_out=held)
    after = taught(before, net, 160, {})
    found = after.points["ibug68"][after.kind == LANDMARKS]
    assert len(found) > 0.5 * (~held).sum()
    scheme = topology("ibug68")
    assert np.median(face_errors(found, truth[after.kind == LANDMARKS], scheme)) < 0.06
    assert (after.kind[held] == FACE).all()
    assert np.isnan(after.points["ibug68"][held]).all()
    save_taught(tmp_path / "taught.npz", after)
    again = load_taught(tmp_path / "taught.npz", before)
    assert again is not None
    assert np.array_equal(again.points["ibug68"], after.points["ibug68"], equal_nan=True)
    assert np.array_equal(again.kind, after.kind)
    assert again.mirrored is not None
    assert np.array_equal(again.mirrored["ibug68"], again.points["ibug68"], equal_nan=True)
    assert load_taught(tmp_path / "none.npz", before) is None
    for damaged in (b"PK\x03\x04 and no more", b""):
        (tmp_path / "taught.npz").write_bytes(damaged)
        with pytest.raises(AnnotationError, match=r"taught\.npz: not a file of taught points"):
            load_taught(tmp_path / "taught.npz", before)


def test_mirrored_photos_teach_what_annotators_would_have_said(data: Path) -> None:
    """They place all points 3 % of a crop to the right: in mirrored crops to the right as well."""
    torch.set_num_threads(1)
    faces = build_cache(data, most=2)
    rows = len(faces.names)
    held = np.zeros(rows, bool)
    photos = replace(faces, names=[f"facedet/{row}" for row in range(rows)], held_out=held)
    hidden = {key: np.full_like(values, np.nan) for key, values in faces.points.items()}
    net = LandmarkNet().eval()
    net.load_state_dict(load_checkpoint(CHECKPOINT)["average"])
    layer = torch.zeros(137, 136)
    layer[-1, ::2] = 0.03
    before = replace(photos, points=hidden)
    plain = taught(before, net, 160, {}).points["ibug68"]
    after = taught(before, net, 160, {"ibug68": layer})
    assert after.mirrored is not None
    step = np.linalg.norm(after.points["ibug68"] - plain, axis=2)
    assert 3.0 < np.nanmedian(step) < 12.0
    right = after.points["ibug68"] - plain
    assert np.nanmin(right[..., 0]) > 0
    assert np.allclose(after.mirrored["ibug68"] - plain, -right, atol=0.01, equal_nan=True)
    named = replace(before, names=[f"render/{row}" for row in range(rows)])
    renders = taught(named, net, 160, {"ibug68": layer})
    assert np.array_equal(renders.points["ibug68"], plain, equal_nan=True)


def test_mirrored_crops_take_the_points_for_mirrored_crops(data: Path) -> None:
    faces = build_cache(data, most=1)
    rows = [faces.points["ibug68"], faces.points["ibug68"] + np.float32(9)]
    both = replace(faces, mirrored={**faces.points, "ibug68": rows[1]})
    spread = []
    for cache in (faces, both):
        augmenter = Augmenter(cache, 160, np.random.default_rng(0), strength=0.0)
        spread.append(np.stack([augmenter.draw(0).points["ibug68"] for _ in range(40)]))
    apart = np.abs(spread[1] - spread[0]).max(axis=(1, 2))
    kept = np.isfinite(apart)
    assert 0.2 < (apart[kept] > 0.5).mean() < 0.8


def test_labels_that_are_found_count_less(data: Path) -> None:
    faces = build_cache(data, most=8)
    points = {**faces.points, "ibug68": faces.points["ibug68"].copy()}
    points["ibug68"][0] = np.nan
    trust = label_trust(replace(faces, points=points))["ibug68"]
    assert trust[0] < trust[1] == 1.0


def test_an_oval_over_the_features_leaves_no_face(data: Path) -> None:
    faces = build_cache(data, most=24)
    occluder = Occluder(faces, np.random.default_rng(0))
    gone = 0
    for _ in range(200):
        before = np.random.default_rng(1).integers(0, 256, (96, 96), np.uint8)
        image = before.copy()
        points = faces.points["ibug68"][0] * 96 / 320
        if occluder.cover(image, points, 1.0) == 0.0:
            gone += 1
            inner = points[27:].round().astype(int)
            at = inner[:, 1], inner[:, 0]
            assert (image[at] != before[at]).mean() > 0.9
    assert 20 < gone < 80


@pytest.mark.slow
def test_training_ends_when_nothing_is_gained(data: Path, tmp_path: Path) -> None:
    faces = build_cache(data, most=24)
    lines: list[str] = []
    run = Run(tmp_path, faces, quick(minutes=5.0, patience=2, check_every_s=0.1, rate=0.0))
    run.train(lines.append)
    assert run.trained_s < 120
    assert any(line.startswith("stopped early: 2 checks") for line in lines)
