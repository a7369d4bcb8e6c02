"""Quantise a landmark network to 8 bits after training, and measure what that costs."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from ..colour_crops import cut_rgb
from ..landmarks import LandmarkModel, cut
from .evaluate_data import find_faces, is_held_out
from .evaluate_landmarks import crop_protocol, jittered_crop, picture_for, report
from .export_doubling import doubled_by_copies
from .landmark_formats import AnnotationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from .evaluate_data import AnnotatedFace

CALIBRATION, JUDGED = 96, 200
QUANTISED = ["Conv", "Add", "Relu", "Resize"]


class Crops(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no stubs
    """Feeds jittered crops of faces to the calibration, one at a time."""

    def __init__(self, model: LandmarkModel, name: str, faces: Iterable[AnnotatedFace]) -> None:
        rng = np.random.default_rng(1)
        self._feeds = ({name: crop_batch(model, face, rng)} for face in faces)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input, or None after the last."""
        return next(self._feeds, None)


def crop_batch(
    model: LandmarkModel, face: AnnotatedFace, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return one jittered crop, set right, as the network takes it, (1, C, S, S)."""
    picture = picture_for(model, face.image)
    (crop,) = model.set_right(picture, [jittered_crop(face.points_px, rng)])
    if model.colour:
        return cut_rgb(picture, crop, model.size, cut)[None]
    return cut(picture, crop, model.size).astype(np.float32)[None, None]


def quantise(network: bytes, spec: dict[str, Any], data: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the network in 8 bits, and its spec with both errors.

    Calibrated on faces of `data` that training may see, judged on up to 200 others by the crop
    protocol.
    """
    faces = find_faces(data, int(spec["points"]))
    held = [face for face in faces if is_held_out(face)]
    rest = [face for face in faces if not is_held_out(face)]
    if not held:
        held, rest = faces[::5], [face for number, face in enumerate(faces) if number % 5]
    if not rest:
        raise AnnotationError(f"{data}: too few faces to calibrate and to judge by")
    rng = np.random.default_rng(0)
    seen = [rest[i] for i in rng.permutation(len(rest))[:CALIBRATION]]
    judged = [held[i] for i in np.sort(rng.permutation(len(held))[:JUDGED])]
    with tempfile.TemporaryDirectory(prefix="vidfilter-int8-") as folder:
        model = _stored(Path(folder) / "fp32.onnx", network, spec)
        content = eight_bit(Path(folder), Crops(model, str(spec["input"]["name"]), seen), _kept)
        onnx.checker.check_model(onnx.load_from_string(content))
        changed = {**spec, "sha256": hashlib.sha256(content).hexdigest(), "precision": "int8"}
        small = _stored(Path(folder) / "int8.onnx", content, changed)
        errors = {"nme_fp32": _error(model, judged), "nme_int8": _error(small, judged)}
    return content, {**changed, "int8": {"n": len(judged), **errors}}


def _stored(path: Path, content: bytes, spec: dict[str, Any]) -> LandmarkModel:
    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps(spec), encoding="utf-8")
    return LandmarkModel(path)


def eight_bit(
    folder: Path,
    calibration: CalibrationDataReader,
    kept: Callable[[onnx.GraphProto], list[str]],
) -> bytes:
    """Return the network `fp32.onnx` in a folder with 8-bit convolutions, but for the nodes `kept`.

    Weights use 7 bits, since processors without VNNI sum pairs of 8 x 8 bit products in 16.
    """
    folded, small = folder / "folded.onnx", folder / "small.onnx"
    quant_pre_process(str(folder / "fp32.onnx"), str(folded), skip_symbolic_shape=True)
    quantize_static(
        str(folded),
        str(small),
        calibration,
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=QUANTISED,
        nodes_to_exclude=kept(onnx.load(str(folded)).graph),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return doubled_by_copies(small.read_bytes())


def _kept(graph: onnx.GraphProto) -> list[str]:
    """Name what stays float: the outer convolutions, and sums with a number, such as an offset.

    The first sees few channels, and the last one's output decides where a point lies, as the
    soft-argmax after it does.
    """
    numbers = {tensor.name for tensor in graph.initializer}
    numbers |= {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    rectified = {node.input[0] for node in graph.node if node.op_type == "Relu"}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    # Where points come from a product of maps, the last convolution is one of many.
    ends = [node.name for node in convolutions[-1:] if node.output[0] not in rectified]
    sums = (node for node in graph.node if node.op_type == "Add")
    offsets = [node.name for node in sums if numbers & set(node.input)]
    return [convolutions[0].name, *ends, *offsets]


def _error(model: LandmarkModel, faces: list[AnnotatedFace]) -> float:
    found = crop_protocol(model, faces)
    return float(report(faces, found, model.scheme)["nme_interocular"])
