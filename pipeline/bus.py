"""Messages from the stages' threads to the main thread."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Kind(Enum):
    """What a message announces."""

    ERROR = auto()
    WARNING = auto()
    INFO = auto()
    EOS = auto()
    STATE = auto()
    TAG = auto()
    REQUEST = auto()


@dataclass(frozen=True, slots=True)
class Message:
    """One announcement; `stage` is the sender's id, `text` one line, `value` its payload."""

    kind: Kind
    stage: str
    text: str = ""
    value: Any = None


class Bus:
    """Unbounded mailbox: `post` never blocks; only the main thread reads."""

    def __init__(self) -> None:
        # SimpleQueue.put may be called from a signal handler as well.
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def post(self, message: Message) -> None:
        """Add `message`; may be called from any thread."""
        self._messages.put(message)

    def get(self, timeout_s: float) -> Message | None:
        """Return the next message, or None where none came in time."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None
