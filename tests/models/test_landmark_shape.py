"""The last layer of the landmark networks: points that agree with each other."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnxruntime as ort  # noqa: E402

from vidfilter.models.topology import topology  # noqa: E402
from vidfilter.models.training import landmark_shape  # noqa: E402
from vidfilter.models.training.landmark_cache import LANDMARKS, FaceCache  # noqa: E402
from vidfilter.models.training.landmark_export import export_onnx  # noqa: E402
from vidfilter.models.training.landmark_network import LandmarkNet, soft_argmax  # noqa: E402
from vidfilter.stages._testface import random_face_image  # noqa: E402


def drawn_faces(count: int, held_out: int = 0) -> FaceCache:
    """Faces under the name of photos that count, and as many that do not."""
    rng = np.random.default_rng(4)
    images, points = zip(*(random_face_image(rng, 96) for _ in range(count)), strict=True)
    luma = [image.mean(axis=2).astype(np.uint8) for image in images]
    return FaceCache(
        np.stack(luma * 2),
        np.full(2 * count, LANDMARKS),
        np.zeros(2 * count, np.float32),
        {
            "ibug68": np.stack(points * 2).astype(np.float32),
            "helen194": np.full((2 * count, 194, 2), np.nan, np.float32),
        },
        [f"helen68/{n}" for n in range(count)] + [f"ytf68/{n}" for n in range(count)],
        np.arange(2 * count) < held_out,
    )


def test_a_layer_corrects_what_labelled_faces_contradict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmark_shape, "FEWEST", 8)
    torch.manual_seed(0)
    net, faces = LandmarkNet().eval(), drawn_faces(16)
    layers = landmark_shape.shape_layers(net, faces, 64)
    assert {scheme: tuple(layer.shape) for scheme, layer in layers.items()} == {
        "ibug68": (137, 136)
    }
    rows = np.arange(16)
    found, truth = landmark_shape._answers(net, faces, rows, "ibug68", 64, landmark_shape.NEAR)
    found, truth = (found + 0.5) * 64, (truth + 0.5) * 64
    before = np.linalg.norm(found - truth, axis=2).mean()
    after = np.linalg.norm(
        landmark_shape.shaped(found, layers["ibug68"], 64) - truth, axis=2
    ).mean()
    assert after < 0.5 * before  # of a network that has learned nothing


def test_less_exact_photos_draw_the_layer_less() -> None:
    """As many further photos with points a fiftieth to the right: a sixth of that is learned."""
    faces = drawn_faces(4)
    faces.names = [f"helen68/{n}" for n in range(4)] + [f"helen194_extra/{n}" for n in range(4)]
    photo = np.tile(np.arange(8), 60)
    rng = np.random.default_rng(0)
    found = rng.normal(0, 0.1, (len(photo), 5, 2)).astype(np.float32)
    truth = found.copy()
    truth[photo >= 4, :, 0] += 0.02
    trust = landmark_shape._trust(faces, photo)
    layer = landmark_shape._fit(found, truth, trust, photo % 4 == 0)
    np.testing.assert_allclose(layer[-1, ::2], 0.02 * 0.2 / 1.2, atol=3e-4)
    np.testing.assert_allclose(layer[-1, 1::2], 0, atol=1e-5)


def test_too_few_photos_and_those_held_out_teach_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmark_shape, "FEWEST", 8)
    net = LandmarkNet().eval()
    assert landmark_shape.shape_layers(net, drawn_faces(7), 64) == {}
    assert landmark_shape.shape_layers(net, drawn_faces(20, held_out=13), 64) == {}


@pytest.mark.parametrize("scheme", ["ibug68", "helen194"])
def test_the_exported_network_has_the_layer(scheme: str) -> None:
    torch.manual_seed(1)
    net, count = LandmarkNet().eval(), 2 * topology(scheme).points
    layer = 0.02 * torch.randn(count + 1, count)
    luma = np.random.default_rng(0).uniform(0, 255, (3, 1, 96, 96)).astype(np.float32)
    with torch.inference_mode():
        plain = soft_argmax(net.maps[scheme](net.features(torch.from_numpy(luma))[0])).numpy()
    session = ort.InferenceSession(export_onnx(net, scheme, 96, layer))
    (found,) = session.run(["landmarks"], {"luma": luma})
    np.testing.assert_allclose(found, landmark_shape.shaped(plain, layer, 96), atol=0.02)
    assert np.abs(found - plain).max() > 1
