"""8-bit maps doubled by copies: the same values, and no Resize left that would cost time."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from vidfilter.models.training.export_doubling import doubled_by_copies

SCALE = 0.25


def network(mode: str = "nearest", factor: float = 2.0, output_scale: str = "scale") -> bytes:
    """Return a network that enlarges 8-bit maps (N, 3, H, W)."""
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", "mode": mode}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale", "zero"], ["real"]),
        helper.make_node("Resize", ["real", "", "factors"], ["large"], "grow", **how),
        helper.make_node("QuantizeLinear", ["large", output_scale, "zero"], ["y"]),
    ]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [SCALE]),
        helper.make_tensor("other", TensorProto.FLOAT, [], [2 * SCALE]),
        helper.make_tensor("zero", TensorProto.UINT8, [], [7]),
        helper.make_tensor("factors", TensorProto.FLOAT, [4], [1.0, 1.0, factor, factor]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, ["faces", 3, "height", "width"])
    y = helper.make_tensor_value_info("y", TensorProto.UINT8, ["faces", 3, None, None])
    graph = helper.make_graph(nodes, "doubling", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def kinds(content: bytes) -> set[str]:
    return {node.op_type for node in onnx.load_from_string(content).graph.node}


def output(content: bytes, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (3, 3, 4, 5), (1, 3, 7, 2)])
def test_each_cell_becomes_four(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    content = doubled_by_copies(network())
    assert kinds(content) == {"Transpose", "Reshape", "Concat", "Shape", "Mul"}
    np.testing.assert_array_equal(output(content, x), x.repeat(2, axis=2).repeat(2, axis=3))
    np.testing.assert_array_equal(output(content, x), output(network(), x))


@pytest.mark.parametrize(
    "other", [network(mode="linear"), network(factor=3.0), network(output_scale="other")]
)
def test_what_is_no_doubling_stays(other: bytes) -> None:
    assert kinds(doubled_by_copies(other)) == kinds(other)
