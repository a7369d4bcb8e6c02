"""Write trained weights as ONNX beside their spec, after comparing ONNX Runtime with torch."""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..crops import SIDE_PER_EXTENT
from .landmark_network import SCHEMES, STRIDE, LandmarkNet, cell_centres, net_of

NAMES = {"ibug68": "landmarks68", "helen194": "landmarks194"}
OUTPUTS = ("landmarks", "presence", "visibility")
HALF_VISIBLE = 0.08
PARITY_PX = 0.01
POINTS_OUT = "(N, K, 2) x, y in crop px, pixel centres at whole numbers"
CROP = {"side_per_extent": SIDE_PER_EXTENT, "upright": "eye line", "border": "replicate"}


class ExportNet(nn.Module):
    """One head of a trained network with the outputs that inference uses.

    All that depends on weights and size alone is worked out here, so that the graph holds few
    nodes: small ones cost as much as they compute.
    """

    grid: Tensor
    rows: Tensor

    def __init__(
        self, net: LandmarkNet, scheme: str, size: int, shape: Tensor | None = None
    ) -> None:
        super().__init__()
        self.net, self.scheme, self.cells = fused(net), scheme, (size // STRIDE) ** 2
        self.register_buffer("grid", cell_centres(size // STRIDE, size // STRIDE))
        weight = self.net.maps[scheme].weight
        assert isinstance(weight, Tensor)
        self.register_buffer("rows", weight.detach()[:, :, 0, 0])
        self.sure = _sureness(net.presence, net.spread[scheme], HALF_VISIBLE * size * 0.4)
        self.shape = nn.Identity() if shape is None else _shape_layer(shape, size)

    def forward(self, luma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return landmarks (N, K, 2) in crop px, presence (N,) and visibility (N, K) in 0..1.

        Visibility falls with the spread that the network expects of its own error: 0.5 where
        that is 8 % of a typical inter-ocular distance.
        """
        maps, pooled = self.net.features(luma)
        # As a product, the 1x1 convolution needs its input and output in no order of its own.
        logits = self.rows @ maps.reshape(-1, self.net.head, self.cells)
        found = functional.softmax(logits, dim=2) @ self.grid
        found = self.shape(found.flatten(1)).reshape(-1, SCHEMES[self.scheme], 2)
        sure = torch.sigmoid(self.sure(pooled))
        return found, sure[:, 0], sure[:, 1:]


def _shape_layer(shape: Tensor, size: int) -> nn.Linear:
    """Return what `landmark_shape.shaped` does, on px and as one layer."""
    step, bias = shape[:-1], shape[-1]
    layer = nn.Linear(len(step), len(step))
    with torch.no_grad():
        layer.weight.copy_((torch.eye(len(step)) + step).T)
        layer.bias.copy_(size * (bias - 0.5 * step.sum(dim=0)))
    return layer


def _sureness(presence: nn.Linear, spread: nn.Module, half_px: float) -> nn.Linear:
    """Join both layers: the sigmoid of the result is presence, then 1 / (1 + (spread / half)^2)."""
    assert isinstance(spread, nn.Linear)
    joined = nn.Linear(presence.in_features, presence.out_features + spread.out_features)
    with torch.no_grad():
        joined.weight.copy_(torch.cat((presence.weight, -2 * spread.weight)))
        joined.bias.copy_(torch.cat((presence.bias, 2 * (math.log(half_px) - spread.bias))))
    return joined


def fused(net: LandmarkNet) -> LandmarkNet:
    """Return a copy in inference mode whose batch norms are folded into the convolutions."""
    copy = net_of(net.state_dict()).eval()
    for module in copy.modules():
        if isinstance(module, nn.Sequential) and len(module) >= 2:
            convolution, norm = module[0], module[1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[0], module[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return copy


def export_onnx(net: LandmarkNet, scheme: str, size: int, shape: Tensor | None = None) -> bytes:
    """Return the ONNX file of one head; RuntimeError when it disagrees with torch.

    `shape` is the scheme's layer of `landmark_shape`.
    """
    model = ExportNet(net, scheme, size, shape).eval()
    axes = {name: {0: "faces"} for name in ("luma", *OUTPUTS)}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "ONNX export mode", UserWarning)  # of instance_norm
        torch.onnx.export(
            model,
            (torch.rand(2, 1, size, size) * 255,),
            file,  # type: ignore[arg-type]  # a stream is taken, whatever the stub says
            dynamo=False,
            input_names=["luma"],
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=17,
        )
    data = file.getvalue()
    onnx.checker.check_model(onnx.load_from_string(data))
    _check_parity(model, data, size)
    return data


def _check_parity(model: nn.Module, data: bytes, size: int) -> None:
    luma = np.random.default_rng(0).uniform(0, 255, (3, 1, size, size)).astype(np.float32)
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        wanted = [value.numpy() for value in model(torch.from_numpy(luma))]
    for name, have, want in zip(OUTPUTS, session.run(None, {"luma": luma}), wanted, strict=True):
        gap = float(np.abs(np.asarray(have) - want).max())
        if not gap <= PARITY_PX:
            raise RuntimeError(f"ONNX output {name} differs from torch by {gap:.4f}")


def spec(scheme: str, size: int, data: bytes) -> dict[str, Any]:
    """Describe an exported file: how to cut its input, what its outputs are, and its terms."""
    return {
        "name": NAMES[scheme],
        "scheme": scheme,
        "points": SCHEMES[scheme],
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "see MODEL-LICENSE: trained on research data sets, listed in the card",
        "input": input_spec(
            "luma", size, 1, "float32 (N, 1, S, S); each crop is standardised inside the graph"
        ),
        "outputs": {
            "landmarks": POINTS_OUT,
            "presence": "(N,) probability that the crop holds a face",
            "visibility": "(N, K) 0..1, low where the network expects a large error",
        },
        "crop": CROP,
    }


def input_spec(name: str, size: int, channels: int, note: str) -> dict[str, Any]:
    """Describe an input of 0..255 values; three channels are RGB."""
    order = {"order": "rgb"} if channels == 3 else {}
    values = {"range": [0, 255], "mean": 0.0, "std": 1.0}
    return {"name": name, "size": size, "channels": channels, **order, **values, "note": note}
