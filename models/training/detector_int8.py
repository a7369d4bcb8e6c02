"""Quantise the detector to 8 bits after training, and measure what that costs."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader

from ..detector import MULTIPLE, FaceDetector, squares
from .detector_data import HELDOUT_NAMES, facedet
from .detector_eval import heldout_names, judge, report
from .detector_net import MIDDLE, SPREAD
from .export_int8 import eight_bit
from .landmark_formats import AnnotationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onnx import GraphProto, NodeProto

    from .detector_data import Sample

CALIBRATION, JUDGED = 128, 400
LONG_SIDE = 320


class Pictures(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no stubs
    """Feeds pictures to the calibration, one at a time."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._feeds: Iterator[dict[str, Any]] = ({"squares": _padded(s)} for s in samples)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input, or None after the last."""
        return next(self._feeds, None)


def quantise(network: bytes, spec: dict[str, Any], data: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the network in 8 bits, and its spec with the average precision of both.

    Calibrated on boxed scenes of `data` that training may see, judged on others. Raises
    AnnotationError where `data` has none.
    """
    samples = list(facedet(data))
    seen, judged = _parted(samples)
    if not seen or not judged:
        raise AnnotationError(f"{data}: too few boxed pictures to calibrate and to judge by")
    with tempfile.TemporaryDirectory(prefix="vidfilter-int8-") as folder:
        before = _stored(Path(folder) / "fp32.onnx", network, spec)
        content = _of_bytes(eight_bit(Path(folder), Pictures(seen), lambda _graph: []))
        changed = {**spec, "sha256": hashlib.sha256(content).hexdigest(), "precision": "int8"}
        after = _stored(Path(folder) / "int8.onnx", content, changed)
        found = {
            "ap_40_fp32": _precision(before, data, judged),
            "ap_40_int8": _precision(after, data, judged),
        }
    return content, {**changed, "int8": {"n": len(judged), **found}}


def _parted(samples: list[Sample]) -> tuple[list[Sample], set[str]]:
    """Return what to calibrate on, and the names of what to judge by: held out, if any is."""
    held = heldout_names(HELDOUT_NAMES)
    judged = [s for s in samples if s.group in held] or samples[::5]
    names = {s.group for s in judged[:JUDGED]}
    rest = [s for s in samples if s.group not in held and s.group not in names]
    return rest[:: max(1, len(rest) // CALIBRATION)], names


def _padded(sample: Sample) -> np.ndarray:
    small = sample.luma
    canvas = np.zeros([-(-side // MULTIPLE) * MULTIPLE for side in small.shape], np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return squares(canvas)


def _stored(path: Path, content: bytes, spec: dict[str, Any]) -> FaceDetector:
    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps(spec), encoding="utf-8")
    return FaceDetector(path)


def _precision(detector: FaceDetector, data: Path, names: set[str]) -> float:
    folder = data / "facedet"
    found, ms = judge(
        detector, folder / "boxes.csv", folder / "images", names=names, long_side=LONG_SIDE
    )
    return float(report(found.values(), ms)["ap_40"])


def _of_bytes(network: bytes) -> bytes:
    """Return the same network with its input taken as it is, not made float and 8 bits again.

    (luma - MIDDLE) / SPREAD is what 8 bits of that scale and zero point say, so nothing changes.
    """
    model = onnx.load_from_string(network)
    graph = model.graph
    chain = [_user(graph, "squares")]  # transposes
    while chain[-1].op_type != "QuantizeLinear":
        chain.append(_user(graph, chain[-1].output[0]))
    scale, zero = chain[-1].input[1:]
    values = {scale: np.float32(1 / SPREAD), zero: np.uint8(MIDDLE)}
    _user(graph, chain[-1].output[0]).input[0] = chain[0].output[0]
    for node in chain[1:]:
        graph.node.remove(node)
    for tensor in graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(np.array(values[tensor.name]), tensor.name))
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _user(graph: GraphProto, name: str) -> NodeProto:
    """Return the only node that takes a tensor."""
    users: list[NodeProto] = [node for node in graph.node if name in node.input]
    (node,) = users
    return node
