"""What becomes of what the stages post: granted, remembered and passed on, in the main thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._ending import Ending, blame
from .bounded_queue import Reconfigure
from .bus import Kind, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._context import Shared


class Messages:
    """Take messages off the bus of one pipeline, and call `listener` for each, warnings once."""

    def __init__(self, shared: Shared, ending: Ending) -> None:
        self._shared, self._ending = shared, ending
        self.listener: Callable[[Message], None] | None = None
        self.warnings: list[str] = []

    def handle(self, timeout_s: float = 0) -> bool:
        """Take the next message; returns whether one came in time."""
        message = self._shared.bus.get(timeout_s)
        if message is not None:
            self._dispatch(message)
        return message is not None

    def drain(self) -> None:
        """Take all there are."""
        while self.handle():
            pass

    def _dispatch(self, message: Message) -> None:
        match message.kind:
            case Kind.ERROR:
                self._ending.fail(blame(message))
            case Kind.WARNING if message.text in self.warnings:
                return
            case Kind.WARNING:
                self.warnings.append(message.text)
            case Kind.REQUEST:
                self._grant(message)
        if self.listener is not None:
            self.listener(message)

    def _grant(self, message: Message) -> None:
        match message.text:
            case "quit":
                self._ending.request(drain=True)
            case "pause":
                self._shared.pause(message.value)
            case "fail":
                self._ending.remember(blame(message))
            case action:
                for node in self._ending.nodes:
                    if action in node.stage.actions and node.inbox is not None:
                        node.inbox.put_control(Reconfigure(action, message.value))
