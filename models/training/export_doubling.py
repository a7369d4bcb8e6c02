"""Double 8-bit maps by copying them, which ONNX Runtime does far quicker than by Resize."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def doubled_by_copies(network: bytes) -> bytes:
    """Return the same quantised network without the Resize nodes that repeat each cell 2 x 2.

    Resize works out where each 8-bit value comes from, one by one; joining pieces of memory gives
    the same and took a fifth of the time. What scales in another way stays.
    """
    model = onnx.load_from_string(network)
    for resize in [node for node in model.graph.node if node.op_type == "Resize"]:
        _replace(model, resize)
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.checker.check_model(model)
    result: bytes = model.SerializeToString()
    return result


def _replace(model: ModelProto, resize: NodeProto) -> None:
    """Replace DequantizeLinear, `resize`, QuantizeLinear by copies, where they are just these."""
    graph = model.graph
    before = [node for node in graph.node if resize.input[0] in node.output]
    after = [node for node in graph.node if resize.output[0] in node.input]
    kinds = [node.op_type for node in (*before, *after)]
    if kinds != ["DequantizeLinear", "QuantizeLinear"] or not _doubles(graph, resize):
        return
    (dequantise,), (quantise,) = before, after
    if list(dequantise.input[1:]) != list(quantise.input[1:]):
        return
    place = list(graph.node).index(quantise)
    copies = _copies(graph, resize.name, dequantise.input[0], quantise.output[0])
    for node in reversed(copies):
        graph.node.insert(place, node)
    graph.node.remove(quantise)
    graph.node.remove(resize)
    if not any(resize.input[0] in node.input for node in graph.node):
        graph.node.remove(dequantise)


def _doubles(graph: GraphProto, resize: NodeProto) -> bool:
    """Return whether each cell becomes the 2 x 2 cells that cover the same."""
    kinds = {a.name: a.s.decode() for a in resize.attribute if a.type == a.STRING}
    nearest = kinds.get("mode", "nearest") == "nearest"
    wanted = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if not nearest or any(kinds.get(name) != value for name, value in wanted.items()):
        return False
    return len(resize.input) == 3 and _constant(graph, resize.input[2]) == [1.0, 1.0, 2.0, 2.0]


def _constant(graph: GraphProto, name: str) -> list[float]:
    tensors = [tensor for tensor in graph.initializer if tensor.name == name]
    makers = [node for node in graph.node if node.op_type == "Constant" and name in node.output]
    tensors += [node.attribute[0].t for node in makers]
    return list(numpy_helper.to_array(tensors[0]).tolist()) if tensors else []


def _copies(graph: GraphProto, name: str, source: str, target: str) -> list[NodeProto]:
    """Return nodes that double `source` (N, C, H, W), whatever its size, to `target`.

    With the channels last, as 8-bit convolutions have them anyway, so that the transpositions fall
    away: first each cell stands twice in its row, then each row stands twice.
    """
    steps = ["last", "cells", "row", "rows", "whole"]
    last, cells, row, rows, whole = (f"{name}/{step}" for step in steps)
    size, doubled = f"{name}/size", f"{name}/doubled"
    row_shape = _stored(graph, f"{name}/row_shape", (0, 0, -1))  # 0: as it is
    factors = _stored(graph, f"{name}/factors", (1, 2, 2, 1))

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
        return helper.make_node(kind, inputs, [output], f"{output}/{kind}", **attributes)

    return [
        node("Transpose", [source], last, perm=(0, 2, 3, 1)),
        node("Concat", [last, last], cells, axis=3),
        node("Reshape", [cells, row_shape], row),
        node("Concat", [row, row], rows, axis=2),
        node("Shape", [last], size),
        node("Mul", [size, factors], doubled),
        node("Reshape", [rows, doubled], whole),
        node("Transpose", [whole], target, perm=(0, 3, 1, 2)),
    ]


def _stored(graph: GraphProto, name: str, size: tuple[int, ...]) -> str:
    graph.initializer.append(numpy_helper.from_array(np.array(size, np.int64), name))
    return name
