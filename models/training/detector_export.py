"""Turn a checkpoint of the detector into ONNX and its spec."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from ...pipeline.errors import ModelError
from ..detector import TIGHT_TO_HAND_DRAWN
from .detector_net import STRIDES, DetectorNet

if TYPE_CHECKING:
    from pathlib import Path

OPSET = 17
PARITY = 2e-3  # of score logits and of boxes in strides


def export(checkpoint: Path, out: Path, min_score: float) -> None:
    """Write the averaged network as ONNX and its spec as JSON beside it.

    Raises ModelError where ONNX Runtime disagrees with torch.
    """
    state = torch.load(checkpoint, weights_only=True)
    net, folded = DetectorNet().eval(), DetectorNet().eval()
    for each in (net, folded):
        each.load_state_dict(state["average"])
    folded.fold()
    axes = {"luma": {2: "height", 3: "width"}, "rows": {1: "cells"}}
    torch.onnx.export(
        folded,
        (torch.zeros(1, 1, 192, 320),),
        str(out),
        input_names=["luma"],
        output_names=["rows"],
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(out)
    onnx.checker.check_model(model)
    check_parity(net, out)
    spec = spec_of(out, min_score)
    out.with_suffix(".json").write_text(json.dumps(spec, indent=2) + "\n")


def check_parity(net: DetectorNet, path: Path) -> None:
    """Raise ModelError where ONNX Runtime gives other rows than torch, in two sizes."""
    session = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for height, width in ((64, 96), (192, 320)):
        luma = rng.uniform(0, 255, (1, 1, height, width)).astype(np.float32)
        with torch.inference_mode():
            wanted = net(torch.from_numpy(luma)).numpy()
        gap = float(np.abs(session.run(None, {"luma": luma})[0] - wanted).max())
        if not gap <= PARITY:
            raise ModelError(f"ONNX Runtime differs from torch by {gap:.2g} at {width}x{height}")


def spec_of(path: Path, min_score: float) -> dict[str, Any]:
    """Return what a user of the network must know."""
    return {
        "name": "detector",
        "task": "face detection with five key points",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "non-commercial research (see MODEL-LICENSE)",
        "input": {
            "name": "luma",
            "shape": [1, 1, "height", "width"],
            "dtype": "float32",
            "range": [0, 255],
            "multiple_of": 32,
            "note": "one luma plane, limited or full range; normalisation is inside the network",
        },
        "output": {
            "name": "rows",
            "row": "score logit, centre x y, log width height, five key points x y",
        },
        "strides": list(STRIDES),
        "default_min_score": min_score,
        "box_convention": "upper forehead to chin, cheek to cheek, as drawn by hand",
        "box_from_tight_68": [round(float(v), 4) for v in TIGHT_TO_HAND_DRAWN],
        "key_points": ["eye_left", "eye_right", "nose_tip", "mouth_left", "mouth_right"],
    }
