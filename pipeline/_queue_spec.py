"""What `queue:` of a stage says: from a draft to a QueueSpec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._yaml import Node, refuse
from .registry import unknown
from .spec import Leaky, QueueSpec

if TYPE_CHECKING:
    from ._draft import DraftStage

MAX_QUEUE_FRAMES = 256
_QUEUE_KEYS = ("leaky", "max_frames")


def queue_spec(stage: DraftStage) -> QueueSpec:
    """Return the limits that `queue:` gives; raises ConfigError."""
    if stage.queue is None:
        return QueueSpec()
    if not isinstance(stage.queue.value, dict):
        text = "queue must be a mapping such as {leaky: downstream, max_frames: 2}"
        raise refuse(stage.queue.where, f"{stage.name}: {text}")
    for key, node in stage.queue.value.items():
        if key not in _QUEUE_KEYS:
            text = unknown("key of queue", key, _QUEUE_KEYS)
            raise refuse(node.key_where or node.where, f"{stage.name}: {text}")
    leaky, frames = (stage.queue.value.get(key) for key in _QUEUE_KEYS)
    return QueueSpec(_leaky(stage, leaky), _max_frames(stage, frames))


def _leaky(stage: DraftStage, node: Node | None) -> Leaky | None:
    if node is None:
        return None
    modes = [mode.value for mode in Leaky]
    if node.value not in modes:
        text = f"leaky must be one of {', '.join(modes)}, got {node.text or 'a mapping'}"
        raise refuse(node.where, f"{stage.name}: {text}")
    return Leaky(node.value)


def _max_frames(stage: DraftStage, node: Node | None) -> int | None:
    if node is None:
        return None
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_QUEUE_FRAMES:
        text = f"max_frames must be a whole number from 1 to {MAX_QUEUE_FRAMES}, got {node.text!r}"
        raise refuse(node.where, f"{stage.name}: {text}")
    return value
