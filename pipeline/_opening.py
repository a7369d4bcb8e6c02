"""Open and start stages aside: a file, a network or a device may block for ever."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

from ._ending import STUCK_AFTER_STOP_S, stall

if TYPE_CHECKING:
    from collections.abc import Callable

    from .node import Node

_T = TypeVar("_T")
_LOOK_S = 0.1


def aside(node: Node, call: Callable[[], _T], limit_s: float, stop_asked: Callable[[], bool]) -> _T:
    """Return what `call` of the stage of `node` returns, or raise what it raises.

    It runs in a thread of its own, so that the calling one still hears signals. Raises StallError
    after `limit_s`, and soon after `stop_asked()` turns true. A stage that belongs to the main
    thread is called in this one.
    """
    if getattr(node.stage, "needs_main_thread", False):
        return call()
    values: list[_T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            values.append(call())
        except BaseException as error:
            errors.append(error)

    node.thread = threading.Thread(target=work, name=f"vidfilter-{node.id}-start", daemon=True)
    node.thread.start()
    _wait_for(node, node.thread, limit_s, stop_asked)
    node.thread = None
    if errors:
        raise errors[0]
    return values[0]


def _wait_for(
    node: Node, thread: threading.Thread, limit_s: float, stop_asked: Callable[[], bool]
) -> None:
    give_up, what = time.monotonic() + limit_s, f"did not start within {limit_s:g} s"
    while thread.is_alive():
        if stop_asked() and not node.shared.draining.is_set():
            node.shared.draining.set()
            give_up = min(give_up, time.monotonic() + STUCK_AFTER_STOP_S)
            what = "did not react to the stop"
        if time.monotonic() > give_up:
            raise stall(node, what)
        thread.join(_LOOK_S)
