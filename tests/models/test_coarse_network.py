"""The small network that sets a first, rough crop right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidfilter.models import landmarks
from vidfilter.models.crops import Crop
from vidfilter.models.landmarks import LandmarkModel
from vidfilter.models.topology import topology
from vidfilter.pipeline.errors import WeightsError

WEIGHTS = Path(landmarks.__file__).parent / "weights"
FACE = Crop(222.0, 120.0, 170.0)  # of the portrait


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)


def rough_crops(crop: Crop) -> list[Crop]:
    """Crops as far off as the crop protocol's may be."""
    rng = np.random.default_rng(0)
    crops = []
    for _ in range(12):
        x, y = rng.uniform(-0.1, 0.1, 2) * crop.side / 1.4
        side, angle = crop.side * rng.uniform(0.9, 1.15), np.radians(rng.uniform(-15, 15))
        crops.append(Crop(crop.centre_x + x, crop.centre_y + y, side, crop.angle + float(angle)))
    return crops


def copy_of_shipped(folder: Path, **changes: str | None) -> Path:
    """Copy the network and change its spec; None takes a key away."""
    shutil.copy(WEIGHTS / "landmarks68.onnx", folder / "net.onnx")
    spec = json.loads((WEIGHTS / "landmarks68.json").read_text())
    kept = {key: value for key, value in {**spec, **changes}.items() if value is not None}
    (folder / "net.json").write_text(json.dumps(kept))
    return folder / "net.onnx"


@pytest.mark.parametrize("scheme", ["ibug68", "helen194"])
def test_a_rough_crop_is_set_right(portrait: np.ndarray, scheme: str) -> None:
    model, crop = LandmarkModel(scheme), FACE
    for _ in range(4):
        settled = model.run(portrait, [crop]).points_px[0]
        crop = model.next_crop(settled)
    rough = rough_crops(crop)
    errors = []
    for find in (model.look, model.run):
        found = find(portrait, rough).points_px
        away = np.linalg.norm(found - settled, axis=2).mean(axis=1)
        errors.append(away / float(topology(scheme).interocular(settled)))
    assert errors[0].max() < 0.03
    assert errors[0].mean() < 0.75 * errors[1].mean()


def test_a_network_that_names_no_coarse_one_goes_without(
    portrait: np.ndarray, tmp_path: Path
) -> None:
    model = LandmarkModel(copy_of_shipped(tmp_path, coarse=None))
    crops = rough_crops(FACE)
    np.testing.assert_array_equal(
        model.look(portrait, crops).points_px, model.run(portrait, crops).points_px
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [("nonsense", "no network 'nonsense'"), ("landmarks194", "'landmarks194' finds no 68 points")],
)
def test_a_coarse_network_of_another_kind_is_refused(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=words):
        LandmarkModel(copy_of_shipped(tmp_path, coarse=name))
