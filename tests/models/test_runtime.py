"""Loading networks: what is checked before one is run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from vidfilter.models import runtime
from vidfilter.pipeline.errors import WeightsError

onnx = pytest.importorskip("onnx", reason="builds a small network with onnx (train extra)")


@pytest.fixture
def doubler(tmp_path: Path) -> Path:
    """A network that doubles its input, with its spec."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "doubler",
        [helper.make_tensor_value_info("x", kind, ["n"])],
        [helper.make_tensor_value_info("y", kind, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "doubler.onnx"
    path.write_bytes(model.SerializeToString())
    write_spec(path)
    return path


def write_spec(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"sha256": digest, "points": 68}))


def test_a_network_at_a_path_runs(doubler: Path) -> None:
    model = runtime.load_model(doubler)
    out = model.session.run(None, {model.input_name: np.array([1, 2], np.float32)})[0]
    assert out.tolist() == [2, 4]
    assert (model.name, model.output_names, model.spec["points"]) == ("doubler", ["y"], 68)


def test_weights_that_differ_from_their_spec_are_refused(doubler: Path) -> None:
    doubler.write_bytes(doubler.read_bytes() + b" ")
    with pytest.raises(WeightsError, match=r"doubler\.onnx is not the network.*sha256"):
        runtime.load_model(doubler)


def test_a_damaged_network_is_named(doubler: Path) -> None:
    doubler.write_bytes(b"not a network")
    write_spec(doubler)
    with pytest.raises(WeightsError, match=r"doubler\.onnx is no usable ONNX network"):
        runtime.load_model(doubler)


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_damaged_spec_is_named(doubler: Path, text: str) -> None:
    doubler.with_suffix(".json").write_text(text)
    with pytest.raises(WeightsError, match=r"doubler\.json"):
        runtime.load_model(doubler)


def test_missing_files_are_named(doubler: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^cannot read .*absent\.onnx"):
        runtime.load_model(tmp_path / "absent.onnx")
    doubler.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"^cannot read .*doubler\.json"):
        runtime.load_model(doubler)


@pytest.mark.parametrize("name", ["nothing-like-it", "../secret", ""])
def test_unknown_names_list_what_is_shipped(name: str) -> None:
    with pytest.raises(WeightsError, match="shipped: "):
        runtime.load_model(name)


def test_shipped_networks_load() -> None:
    for name in runtime.available():
        assert runtime.load_model(name).spec["sha256"]
