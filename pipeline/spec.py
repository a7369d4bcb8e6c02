"""What a pipeline consists of, as plain values: the result of reading pipeline.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Leaky(StrEnum):
    """What a full queue does: block, drop the new item (upstream), drop the old (downstream)."""

    NONE = "none"
    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in a file: 1-based line and column."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """Limits of a stage's input queue; None = what suits the link (see `runner`)."""

    leaky: Leaky | None = None
    max_frames: int | None = None


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage: `name` resolves to a class, `id` is unique in the pipeline."""

    name: str
    id: str
    properties: dict[str, Any] = field(default_factory=dict)
    queue: QueueSpec = QueueSpec()
    where: Position | None = None


@dataclass(frozen=True, slots=True)
class TeeSpec:
    """A split: every branch gets every frame; branches end in sinks."""

    branches: tuple[tuple[StageSpec | TeeSpec, ...], ...]
    id: str = "tee"
    where: Position | None = None


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A whole pipeline, in order from the source; `stall_timeout_s` is the watchdog's patience."""

    stages: tuple[StageSpec | TeeSpec, ...]
    version: int = 1
    stall_timeout_s: float = 10.0
    first_frame_timeout_s: float = 60.0
    where: str = "<pipeline>"
