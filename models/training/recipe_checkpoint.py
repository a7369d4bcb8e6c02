"""Read weights from files without running code from them, and put them into an encoder."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import torch
from torch import Tensor

from ...pipeline.errors import WeightsError
from .whole_files import write_bytes

if TYPE_CHECKING:
    from torch import nn

# The published classifiers: replaced by the recipes' own ends.
CLASSIFIERS = ("logits.", "fc.")
COUNTER = "num_batches_tracked"  # missing in old checkpoints; of no use to a frozen network


def local_path(source: str) -> Path:
    """Return the path that a path or a `file://` URL names; WeightsError for other URLs."""
    parts = urlsplit(source)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if "://" in source:
        raise WeightsError(f"{source}: download it, then give its path or a file:// URL")
    return Path(source)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a dict of tensors and plain values; WeightsError names a file that is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols of what is then refused
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise WeightsError(f"{path}: no such file") from error
    except UnpicklingError as error:
        raise WeightsError(f"{path} is no file of weights alone, or holds code: refused") from error
    except Exception as error:  # torch raises many kinds on damaged files, and tells little
        raise WeightsError(f"{path} is damaged or no checkpoint") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds {type(state).__name__}, expected named tensors")
    return state


def load_encoder(encoder: nn.Module, source: str) -> None:
    """Fill `encoder` with the checkpoint at a path or `file://` URL, but for its classifier.

    Every tensor must be there in its shape, and no other; raises WeightsError naming the first
    that is not.
    """
    path = local_path(source)
    given = read_checkpoint(path)
    own = encoder.state_dict()
    wanted = {name for name in own if not name.startswith(CLASSIFIERS)}
    usable = {name: value for name, value in given.items() if not name.startswith(CLASSIFIERS)}
    missing = sorted(n for n in wanted - set(usable) if not n.endswith(COUNTER))
    extra = sorted(set(usable) - wanted)
    if missing or extra:
        what = f"lacks {missing[0]}" if missing else f"has {extra[0]}"
        raise WeightsError(f"{path} {what}: it belongs to another network")
    for name, value in usable.items():
        _check(path, name, value, own[name])
    encoder.load_state_dict(usable, strict=False)


def _check(path: Path, name: str, value: Any, wanted: Tensor) -> None:
    if not isinstance(value, Tensor) or value.shape != wanted.shape:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise WeightsError(f"{path}: {name} is {shape}, expected {tuple(wanted.shape)}")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise WeightsError(f"{path}: {name} holds a value that is not finite")


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole; an OSError tells why not, which torch itself would not."""
    file = io.BytesIO()
    torch.save(state, file)
    write_bytes(path, file.getbuffer())
