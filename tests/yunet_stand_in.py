"""A file with the inputs, outputs and shapes of YuNet's published weights, which are not here.

It finds bright squares of 8 px, so that what `cv2.FaceDetectorYN` makes of it is known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from vidfilter.models.yunet import CHANNELS, STRIDES

# Of a find at stride 8: the box is 2 strides wide and 3 high around the cell's corner plus a
# half, and the points lie at these many strides from the corner.
BOX = (0.5, 0.5, np.log(2.0), np.log(3.0))
POINTS = (-0.25, 0.0, 1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 0.75, 1.0)


def build(path: Path, change: Callable[[str, int], int] | None = None) -> Path:
    """Write a network that scores each cell by its brightness; `change` spoils the channels."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes, constants, outputs = [], [], []
    for stride in STRIDES:
        pooled = f"pooled_{stride}"
        sides = [stride, stride]
        nodes.append(
            helper.make_node("AveragePool", ["input"], [pooled], kernel_shape=sides, strides=sides)
        )
        for kind, channels in CHANNELS.items():
            name = f"{kind}_{stride}"
            count = change(name, channels) if change else channels
            score = kind in ("cls", "obj") and stride == 8
            weights = np.full((count, 3, 1, 1), 1 / 3 / 255 if score else 0.0, np.float32)
            bias = np.resize({"bbox": BOX, "kps": POINTS}.get(kind, (0.0,)), count)
            for suffix, value in (("w", weights), ("b", bias.astype(np.float32))):
                constants.append(numpy_helper.from_array(value, f"{name}_{suffix}"))
            nodes += [
                helper.make_node("Conv", [pooled, f"{name}_w", f"{name}_b"], [f"{name}_map"]),
                helper.make_node("Transpose", [f"{name}_map"], [f"{name}_rows"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{name}_rows", f"{name}_shape"], [name]),
            ]
            shape = np.array([1, -1, count], np.int64)
            constants.append(numpy_helper.from_array(shape, f"{name}_shape"))
            outputs.append(helper.make_tensor_value_info(name, 1, [1, None, count]))
    source = helper.make_tensor_value_info("input", 1, [1, 3, "height", "width"])
    graph = helper.make_graph(nodes, "yunet", [source], outputs, constants)
    opset = [helper.make_opsetid("", 11)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path
