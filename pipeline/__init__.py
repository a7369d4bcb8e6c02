"""The runtime: frames, caps, queues, threads; knows nothing of faces, files or cameras."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .caps import Caps
    from .errors import CapsError, ConfigError, StageError, StallError, VidfilterError
    from .frame import Face, Frame
    from .ledger import Report
    from .registry import register_stage
    from .runner import Pipeline, State
    from .spec import Leaky, PipelineSpec, QueueSpec, StageSpec, TeeSpec
    from .stage import Params, Sink, Source, Transform

_HOMES = {
    "Caps": "caps",
    "CapsError": "errors",
    "ConfigError": "errors",
    "Face": "frame",
    "Frame": "frame",
    "Leaky": "spec",
    "Params": "stage",
    "Pipeline": "runner",
    "PipelineSpec": "spec",
    "QueueSpec": "spec",
    "Report": "ledger",
    "Sink": "stage",
    "Source": "stage",
    "StageError": "errors",
    "StageSpec": "spec",
    "StallError": "errors",
    "State": "runner",
    "TeeSpec": "spec",
    "Transform": "stage",
    "VidfilterError": "errors",
    "register_stage": "registry",
}

__all__ = [
    "Caps",
    "CapsError",
    "ConfigError",
    "Face",
    "Frame",
    "Leaky",
    "Params",
    "Pipeline",
    "PipelineSpec",
    "QueueSpec",
    "Report",
    "Sink",
    "Source",
    "StageError",
    "StageSpec",
    "StallError",
    "State",
    "TeeSpec",
    "Transform",
    "VidfilterError",
    "register_stage",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `--help` loads next to nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
