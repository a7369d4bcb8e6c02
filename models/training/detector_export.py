"""Turn a checkpoint of the detector into ONNX and its spec."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from ...pipeline.errors import ModelError
from ..detector import TIGHT_TO_HAND_DRAWN, squares
from .detector_net import SQUARE, STRIDES, DetectorNet, OfSquares

OPSET = 17
PARITY = 2e-3  # of score logits and of boxes in strides


def to_onnx(average: dict[str, Any]) -> bytes:
    """Return the network of a checkpoint's averaged weights as ONNX, for one picture at a time.

    Raises ModelError where ONNX Runtime disagrees with torch.
    """
    net = DetectorNet().eval()
    net.load_state_dict(average)
    target = io.BytesIO()
    torch.onnx.export(
        OfSquares(net),
        (torch.zeros(1, 96, 160, SQUARE**2, dtype=torch.uint8),),
        target,  # type: ignore[arg-type]  # takes a file as well
        input_names=["squares"],
        output_names=["rows"],
        dynamic_axes={"squares": {1: "half_height", 2: "half_width"}, "rows": {1: "cells"}},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(onnx.load_from_string(target.getvalue()))
    check_parity(net, target.getvalue())
    return target.getvalue()


def check_parity(net: DetectorNet, network: bytes) -> None:
    """Raise ModelError where ONNX Runtime gives other rows than torch, in two sizes."""
    session = ort.InferenceSession(network, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for height, width in ((64, 96), (192, 320)):
        luma = rng.integers(0, 256, (height, width), dtype=np.uint8)
        with torch.inference_mode():
            wanted = net(torch.from_numpy(luma)[None, None].float()).numpy()
        gap = float(np.abs(session.run(None, {"squares": squares(luma)})[0] - wanted).max())
        if not gap <= PARITY:
            raise ModelError(f"ONNX Runtime differs from torch by {gap:.2g} at {width}x{height}")


def spec_of(network: bytes, min_score: float) -> dict[str, Any]:
    """Return what a user of the network must know."""
    return {
        "name": "detector",
        "task": "face detection with five key points",
        "sha256": hashlib.sha256(network).hexdigest(),
        "licence": "non-commercial research (see MODEL-LICENSE)",
        "input": {
            "name": "squares",
            "shape": [1, "height/2", "width/2", SQUARE**2],
            "dtype": "uint8",
            "range": [0, 255],
            "multiple_of": 32,
            "note": "one luma plane, limited or full range, height and width multiples of 32;"
            " the last axis holds the pixels of each 2x2 square, row by row",
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
