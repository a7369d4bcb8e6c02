"""The recipes' frozen encoders (random, trained by ourselves, published) and their features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor, nn

from ...pipeline.errors import WeightsError
from .recipe_checkpoint import load_encoder
from .whole_files import new_array

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .recipe_network import TransferNet

F16 = NDArray[np.float16]
FEATURE_BATCH, CALIBRATION = 8, 48


def rgb_tensor(images: NDArray[np.uint8]) -> Tensor:
    """Return crops (N, S, S, 3) as the float batch (N, 3, S, S) that the networks take."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()


def calibrate(net: TransferNet, images: NDArray[np.uint8]) -> None:
    """Give the batch norms of random weights the statistics of some crops.

    Without that, each layer of an untrained network would shrink its input towards nothing.
    """
    norms = [m for m in net.encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    with torch.inference_mode():
        for start in range(0, min(CALIBRATION, len(images)), FEATURE_BATCH):
            net(rgb_tensor(images[start : start + FEATURE_BATCH]))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def set_encoder(net: TransferNet, trunk: str, own: Path, images: NDArray[np.uint8]) -> None:
    """Give `net` the encoder called `trunk`: random, own (pretrained at `own`) or a checkpoint."""
    if trunk == "random":
        calibrate(net, images)
    else:
        load_encoder(net.encoder, str(own) if trunk == "own" else trunk)


def computes_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 faster than float32."""
    known: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def cached_features(
    net: TransferNet,
    images: NDArray[np.uint8],
    path: Path,
    progress: Callable[[float], None],
    *,
    exact: bool = True,
) -> F16:
    """Return the frozen part's output (N, ...) for all crops, computed once and kept at `path`.

    A run that was stopped half way continues at the first crop that is missing. Not `exact` may
    compute in bfloat16 where that is faster: good enough to learn from, not to judge by.
    """
    bfloat16 = not exact and computes_bfloat16()
    net.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        shape = (len(images), *net.frozen(rgb_tensor(images[:1])).shape[1:])
    note = path.with_suffix(".json")
    done = _done(note) if path.is_file() else 0
    features = _kept(path, shape) if done else new_array(path, np.float16, shape)
    for start in range(done, len(images), FEATURE_BATCH):
        rgb = rgb_tensor(images[start : start + FEATURE_BATCH])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            part = net.frozen(rgb.contiguous(memory_format=torch.channels_last))
        features[start : start + FEATURE_BATCH] = part.float().clamp(-6e4, 6e4).numpy()
        progress(min(start + FEATURE_BATCH, len(images)) / len(images))
        if start // FEATURE_BATCH % 16 == 15 or start + FEATURE_BATCH >= len(images):
            features.flush()
            note.write_text(str(min(start + FEATURE_BATCH, len(images))), encoding="utf-8")
    return features


def _done(note: Path) -> int:
    """Return how many crops an earlier run is done with; one killed may have left no number."""
    text = note.read_text(encoding="utf-8") if note.is_file() else ""
    return int(text) if text.isascii() and text.isdigit() else 0


def _kept(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    try:
        open_memmap(path, mode="r")  # to write, a file cut short is filled up with zeros
        features = open_memmap(path, mode="r+")
    except (ValueError, EOFError) as error:
        raise WeightsError(f"{path} is damaged: delete it to have it made again") from error
    if features.shape != shape or features.dtype != np.float16:
        raise WeightsError(f"{path} is of another run: choose another folder")
    return features
