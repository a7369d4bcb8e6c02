"""The recipes' networks: names and shapes of published checkpoints, and what training changes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from vidfilter.models.training.inception_resnet import InceptionResnetV1
from vidfilter.models.training.recipe_checkpoint import load_encoder, local_path, read_checkpoint
from vidfilter.models.training.recipe_loop import EndTraining
from vidfilter.models.training.recipe_network import build
from vidfilter.models.training.resnet import ResNet
from vidfilter.pipeline.errors import WeightsError

HERE = Path(__file__).parent
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def written_list(name: str, replace: tuple[str, str] = ("", "")) -> dict[str, tuple[int, ...]]:
    """Expand a list of tensors; its first lines say how."""
    shapes: dict[str, tuple[int, ...]] = {}
    for line in (HERE / name).read_text().replace(*replace).splitlines():
        if line.startswith("#"):
            continue
        pattern, size, kind = line.split()
        shape = tuple(int(n) for n in size.split("x"))
        runs = re.search(r"(\d+)\.\.(\d+)", pattern)
        numbers = range(int(runs[1]), int(runs[2]) + 1) if runs else [0]
        for number in numbers:
            unit = pattern.replace(runs[0], str(number)) if runs else pattern
            norm = {"bn": f"{unit}.bn", "norm": unit}.get(kind)
            if kind != "norm":
                shapes[f"{unit}.conv.weight" if kind == "bn" else f"{unit}.weight"] = shape
            if kind == "bias":
                shapes[f"{unit}.bias"] = shape[:1]
            if norm:
                shapes |= {f"{norm}.{part}": shape[:1] for part in NORM[:4]}
                shapes[f"{norm}.num_batches_tracked"] = ()
    return shapes


def shapes_of(net: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def test_inception_resnet_has_the_published_names_and_shapes() -> None:
    assert shapes_of(InceptionResnetV1()) == written_list("checkpoint_inception_resnet_v1.txt")


def test_resnets_have_the_published_names_and_shapes() -> None:
    assert shapes_of(ResNet(50, 1000)) == written_list("checkpoint_resnet.txt")
    longer = written_list("checkpoint_resnet.txt", ("layer3.1..5.", "layer3.1..22."))
    with torch.device("meta"):
        assert shapes_of(ResNet(101, 1000)) == longer


@pytest.mark.parametrize("recipe", ["facenet194", "resnet68"])
def test_training_changes_the_end_and_nothing_else(recipe: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build(recipe)
    points = np.random.default_rng(0).uniform(20, 180, (4, net.recipe.points, 2))
    images = torch.rand(4, 3, 96, 96) * 255
    with torch.inference_mode():
        features = net.frozen(images).numpy().astype(np.float16)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    data = features, points.astype(np.float32)
    training = EndTraining(net, data, data, tmp_path / "last.pt", 0)
    training.run(60, 2, lambda _share: None)
    changed = {n for n, v in net.state_dict().items() if not torch.equal(v, before[n])}
    if recipe == "resnet68":
        assert changed == {"encoder.fc.weight", "encoder.fc.bias"}
        return
    block8 = {f"encoder.{n}" for n in shapes_of(net.encoder) if n.startswith("block8.")}
    assert changed == block8 | {"head.weight", "head.bias"}


def test_published_weights_load_by_path_and_url_without_their_classifier(tmp_path: Path) -> None:
    donor, net = InceptionResnetV1(), InceptionResnetV1()
    state = {**donor.state_dict(), "logits.weight": torch.zeros(9, 512)}
    path = tmp_path / "face weights.pt"
    torch.save(state, path)
    load_encoder(net, path.as_uri())
    name = "repeat_2.3.branch1.2.conv.weight"
    assert torch.equal(net.state_dict()[name], donor.state_dict()[name])
    with pytest.raises(WeightsError, match="download it"):
        local_path("https://somewhere/weights.pt")


def test_an_old_resnet_checkpoint_without_counters_loads(tmp_path: Path) -> None:
    donor = {k: v for k, v in ResNet(50, 1000).state_dict().items() if "num_batches" not in k}
    torch.save(donor, tmp_path / "resnet50.pth")
    net = build("resnet68")
    load_encoder(net.encoder, str(tmp_path / "resnet50.pth"))
    assert torch.equal(net.encoder.layer4[2].conv3.weight, donor["layer4.2.conv3.weight"])
    assert net.encoder.fc.weight.shape == (136, 2048)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    state = InceptionResnetV1().state_dict()
    net = InceptionResnetV1()
    torch.save({k: v for k, v in state.items() if k != "conv2d_1a.conv.weight"}, path)
    with pytest.raises(WeightsError, match=r"w\.pt lacks conv2d_1a\.conv\.weight"):
        load_encoder(net, str(path))
    torch.save({**state, "conv2d_1a.conv.weight": torch.zeros(32, 1, 3, 3)}, path)
    with pytest.raises(WeightsError, match=r"conv2d_1a\.conv\.weight is \(32, 1, 3, 3\)"):
        load_encoder(net, str(path))
    broken = torch.full((32, 3, 3, 3), float("nan"))
    torch.save({**state, "conv2d_1a.conv.weight": broken}, path)
    with pytest.raises(WeightsError, match="not finite"):
        load_encoder(net, str(path))


def test_a_truncated_checkpoint_and_one_with_code_are_refused(tmp_path: Path) -> None:
    path, proof = tmp_path / "c.pt", tmp_path / "proof"
    torch.save({"a": torch.zeros(2000)}, path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(WeightsError, match=r"c\.pt"):
        read_checkpoint(path)
    # A pickle that would create a file: global pathlib.Path.touch is called on load.
    call = f"cpathlib\nPath.touch\n(cpathlib\nPath\n(V{proof}\ntRtR."
    path.write_bytes(b"\x80\x02" + call.encode())
    with pytest.raises(WeightsError, match=r"c\.pt is no file of weights alone"):
        read_checkpoint(path)
    assert not proof.exists()


@pytest.mark.parametrize("normalised", [False, True])
def test_targets_and_px_are_inverse(normalised: bool) -> None:
    with torch.device("meta"):
        net = build("resnet68", normalised=normalised)
    px = torch.rand(3, 68, 2) * 224
    assert torch.allclose(net.to_px(net.targets(px)), px, atol=1e-4)


def test_training_of_the_end_resumes_and_stops_early(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 2048)).astype(np.float16)
    points = rng.uniform(20, 200, (40, 68, 2)).astype(np.float32)
    data, path = (features, points), tmp_path / "last.pt"
    first = EndTraining(build("resnet68", normalised=True), data, data, path, 0)
    first.run(60, 2, lambda _share: None)
    torch.manual_seed(5)
    second = EndTraining(build("resnet68", normalised=True), data, data, path, 0)
    second.resume()
    assert second.epoch == 2
    weight = "encoder.fc.weight"
    assert torch.equal(second.best[weight], first.best[weight])
    second.stale = second.net.recipe.patience
    assert "no more gain" in second.run(60, 500, lambda _share: None)
    assert second.epoch == 2
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(WeightsError, match=r"last\.pt"):
        second.resume()
