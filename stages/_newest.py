"""Keep the newest frame of a source that goes at its own pace and may block."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ..pipeline.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..pipeline.frame import Frame
    from ..pipeline.stage import Context

_JOIN_TIMEOUT_S = 1.0
_SETTLE_TIMEOUT_S, _LOOK_S = 1.2, 0.05


class NewestFrame:
    """Drain `produce` in a thread of its own and hand out the newest frame only; count the others.

    The thread is a daemon: one that hangs in a driver does not keep the program alive. `interrupt`
    wakes a waiting `frames`. No frame for `patience_s` raises DeviceError naming `name`.
    """

    def __init__(self, name: str, context: Context, patience_s: float) -> None:
        self._name, self._context, self._patience_s = name, context, patience_s
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._replaced = 0
        self._error: Exception | None = None
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self, produce: Iterator[Frame], settle: Callable[[], None] = lambda: None) -> None:
        """Begin to drain `produce`, which must end soon after `ending` turns true.

        `settle` is called after the last frame, in the same thread.
        """
        self._thread = threading.Thread(
            target=self._drain, args=(produce, settle), name=f"read-{self._name}", daemon=True
        )
        self._thread.start()

    @property
    def ending(self) -> bool:
        """Whether reading should end."""
        return self._ended or self._context.stopping

    def _drain(self, produce: Iterator[Frame], settle: Callable[[], None]) -> None:
        try:
            for frame in produce:
                with self._changed:
                    if self._newest is not None:
                        self._replaced += 1
                        if self._newest.discontinuity:  # still true of the one in its place
                            frame = frame.with_(discontinuity=True)
                    self._newest = frame
                    self._changed.notify()
                if self.ending:
                    break
            settle()
        except Exception as exc:
            self._error = exc
        finally:
            self.interrupt()

    def frames(self) -> Iterator[Frame]:
        """Yield the newest frame whenever there is a new one, numbered in order."""
        seq = 0
        while not self._context.stopping:
            frame, replaced = self._take()
            if frame is None:
                return
            for _ in range(replaced):
                self._context.drop(frame, "replaced by a newer one")
            yield frame.with_(seq=seq)
            seq += 1

    def _take(self) -> tuple[Frame | None, int]:
        """Return the newest frame and how many came before it in vain; None at the end."""
        give_up = time.monotonic() + self._patience_s
        # The patience here says what has happened; the watchdog could only say where.
        with self._context.idle(), self._changed:
            while self._newest is None:
                if self._error is not None:
                    raise self._error
                if self.ending:
                    return None, 0
                left_s = give_up - time.monotonic()
                if left_s <= 0:
                    raise DeviceError(f"{self._name} has sent nothing for {self._patience_s:g} s")
                self._changed.wait(left_s)
            taken = self._newest, self._replaced
            self._newest, self._replaced = None, 0
        return taken

    def settle(self) -> None:
        """End reading and wait for the thread, but not for one that hangs."""
        self.interrupt()
        give_up = time.monotonic() + _SETTLE_TIMEOUT_S
        with self._context.idle():
            while self._thread is not None and self._thread.is_alive():
                if time.monotonic() > give_up or self._context.aborting:
                    return
                self._thread.join(_LOOK_S)

    def interrupt(self) -> None:
        """End reading and wake who waits."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> bool:
        """End the thread; returns whether it has ended."""
        self.interrupt()
        if self._thread is None:
            return True
        self._thread.join(_JOIN_TIMEOUT_S)
        return not self._thread.is_alive()
