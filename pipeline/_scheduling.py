"""How the threads of a pipeline share the interpreter and the processor."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SWITCH_INTERVAL_S = 0.0005


@contextmanager
def eager_switching() -> Iterator[None]:
    """Let a waiting thread have the interpreter sooner than after Python's 5 ms.

    Stages spend their time in native code that lets go of it, and need it back for a moment only;
    with 0.5 ms a whole pipeline was measured to run a tenth faster.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SWITCH_INTERVAL_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def take_turns() -> None:
    """Have this thread, and those it starts, not interrupt others when they wake (Linux).

    Otherwise stages would interrupt each other, and the encoder, in the middle of a frame and find
    the caches full of each other's things. Live pipelines are woken at once.
    """
    with suppress(AttributeError, OSError):  # another system, or not allowed here
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
