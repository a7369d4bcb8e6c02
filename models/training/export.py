"""Turn a checkpoint of any network into ONNX and its spec: what `vidfilter export` does."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import nn

from ...pipeline.errors import ConfigError, ModelError, WeightsError
from . import detector_export, detector_int8, export_int8, landmark_export
from .landmark_formats import SCHEMES
from .landmark_network import COARSE_HEAD, net_of
from .recipe_checkpoint import read_checkpoint
from .recipe_network import RECIPES, TransferNet, build
from .whole_files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

PARITY_PX = 0.02
OPSET = 17
DEFAULT_SIZE = 160  # of checkpoints that do not tell theirs
DEFAULT_SCORE = 0.5
COARSE_NAME = "landmarks_coarse"


@dataclass(frozen=True, slots=True)
class Options:
    """What `vidfilter export` was asked for.

    `size` and `scheme` are of `landmarks` alone, `min_score` of `detector`; None is the default.
    `int8` is a folder of faces to quantise a landmark network or the detector by.
    """

    checkpoint: Path
    out: Path
    scheme: str | None = None
    size: int | None = None
    min_score: float | None = None
    int8: Path | None = None


def run(options: Options) -> dict[str, Any]:
    """Write `out` and its `.json`, both whole or not at all; returns the spec.

    Raises WeightsError naming a checkpoint that cannot be used, also where ONNX Runtime disagrees
    with torch; ConfigError for options of another network.
    """
    if options.out.suffix != ".onnx":
        raise ConfigError(f"{options.out}: give a name that ends in .onnx")
    state = read_checkpoint(options.checkpoint)
    try:
        data, spec = _convert(state, options)
        spec |= _trained_on(state)
    except (KeyError, AttributeError, TypeError, RuntimeError, ModelError) as error:
        reason = str(error).strip("\"' ").partition("\n")[0][:160]
        raise WeightsError(f"{options.checkpoint} cannot be exported: {reason}") from error
    if options.int8 is not None:
        small = detector_int8 if "strides" in spec else export_int8
        data, spec = small.quantise(data, spec, options.int8)
    write(options.out, data, spec)
    return spec


def write(out: Path, data: bytes, spec: dict[str, Any]) -> None:
    """Write a network and its spec, each in one rename."""
    text = json.dumps(spec, indent=2) + "\n"
    for path, content in ((out, data), (out.with_suffix(".json"), text.encode())):
        write_bytes(path, content)


def _trained_on(state: dict[str, Any]) -> dict[str, Any]:
    """Return how many faces or pictures of which set it learned from, where that is known."""
    told = state.get("trained_on")
    if not isinstance(told, dict):
        return {}
    return {"trained_on": {str(name): n for name, n in told.items() if isinstance(n, int)}}


def _convert(state: dict[str, Any], options: Options) -> tuple[bytes, dict[str, Any]]:
    if "recipe" in state:
        _refuse(options, "scheme", "size", "min_score")
        return _recipe(state, options.out.stem)
    if "average" not in state:
        raise KeyError("it is of no network that vidfilter trains")
    if any(name.startswith("maps.") for name in state["average"]):
        _refuse(options, "min_score")
        return _landmarks(state, options)
    _refuse(options, "scheme", "size")
    return _detector(state, options)


def _refuse(options: Options, *names: str) -> None:
    """Raise where an option is given that this kind of network knows nothing of."""
    for name in names:
        if getattr(options, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} is not for a network such as {options.checkpoint} holds")


# The default networks


def _landmarks(state: dict[str, Any], options: Options) -> tuple[bytes, dict[str, Any]]:
    net = net_of(state["average"])
    size = options.size or int(state.get("size", DEFAULT_SIZE))
    scheme = options.scheme or "ibug68"
    shape = state.get("shape", {}).get(scheme)
    data = landmark_export.export_onnx(net, scheme, size, shape)
    spec = {**landmark_export.spec(scheme, size, data), "name": options.out.stem}
    if net.head != COARSE_HEAD:
        spec["coarse"] = COARSE_NAME  # sets its first crop right
    return data, spec


def _detector(state: dict[str, Any], options: Options) -> tuple[bytes, dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        data = detector_export.to_onnx(state["average"])
    score = DEFAULT_SCORE if options.min_score is None else options.min_score
    return data, {**detector_export.spec_of(data, score), "name": options.out.stem}


# The recipes


def _recipe(state: dict[str, Any], name: str) -> tuple[bytes, dict[str, Any]]:
    if state["recipe"] not in RECIPES:
        raise KeyError(f"unknown recipe {str(state['recipe'])[:40]!r}")
    net = build(state["recipe"], int(state["depth"]), normalised=bool(state["normalised"]))
    net.load_state_dict(state["net"])
    data = to_onnx(net.eval())
    check_parity(net, data)
    return data, recipe_spec(net, name, data)


def to_onnx(net: TransferNet) -> bytes:
    """Return the network as ONNX: RGB 0..255 in, points in crop px out, all else in the graph."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            net,
            (torch.rand(1, 3, net.recipe.size, net.recipe.size) * 255,),
            file,  # type: ignore[arg-type]  # a stream is taken, whatever the stub says
            dynamo=False,
            input_names=["rgb"],
            output_names=["landmarks"],
            dynamic_axes={"rgb": {0: "faces"}, "landmarks": {0: "faces"}},
            opset_version=OPSET,
        )
    data = file.getvalue()
    onnx.checker.check_model(onnx.load_from_string(data))
    return data


def check_parity(net: nn.Module, data: bytes) -> None:
    """Raise ModelError where ONNX Runtime finds other points than torch, on noise pictures."""
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    size = session.get_inputs()[0].shape[-1]
    rgb = np.random.default_rng(0).uniform(0, 255, (2, 3, size, size)).astype(np.float32)
    with torch.inference_mode():
        wanted = net(torch.from_numpy(rgb)).numpy()
    gap = float(np.abs(session.run(None, {"rgb": rgb})[0] - wanted).max())
    if not gap <= PARITY_PX:
        raise ModelError(f"ONNX Runtime differs from torch by {gap:.3f} px")


def recipe_spec(net: TransferNet, name: str, data: bytes) -> dict[str, Any]:
    """Describe an exported recipe."""
    note = "float32 (N, 3, S, S); mean and deviation are applied inside the graph"
    return {
        "name": name,
        "recipe": net.recipe.name,
        "scheme": SCHEMES[net.recipe.points],
        "points": net.recipe.points,
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "that of the encoder's checkpoint and of the data it was trained on",
        "input": landmark_export.input_spec("rgb", net.recipe.size, 3, note),
        "outputs": {"landmarks": landmark_export.POINTS_OUT},
        "crop": landmark_export.CROP,
    }
