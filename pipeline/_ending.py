"""How a pipeline ends: drained or at once, and never later than a deadline.

Wake first, join second: a thread that blocks on a queue, a wait or a device is woken before
anybody waits for it, and one that does not follow is named and left behind. A drain goes on
without a source that hangs.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .bus import Kind, Message
from .errors import ShutdownError, StageError, StallError, VidfilterError
from .node import Node, Shared
from .stage import Sink, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from .spec import PipelineSpec

DRAIN_LIMIT_S = 4.5
STUCK_AFTER_STOP_S = 1.0
JOIN_LIMIT_S = 0.4
FINISH_LIMIT_S = 60.0


class Ending:
    """The stop protocol of one pipeline; keeps the first `error`.

    `nodes` are the pipeline's own, a list that may still grow. Only `request` may be called from
    any thread and from a signal handler; the rest belongs to the thread that runs the pipeline.
    """

    def __init__(self, spec: PipelineSpec, shared: Shared) -> None:
        self._spec, self._shared = spec, shared
        self.nodes: list[Node] = []
        self.error: BaseException | None = None
        self.ended_at = 0.0
        self._level = 0
        self._stopped_at: float | None = None
        self._aborted_at: float | None = None

    def request(self, *, drain: bool) -> None:
        """Ask for the end: drained, or at once; `obey` carries it out."""
        self._level = max(self._level, 1 if drain else 2)

    @property
    def requested(self) -> bool:
        """Whether anybody asked for the end."""
        return self._level > 0

    @property
    def manner(self) -> str | None:
        """How the pipeline was stopped, None where it was not."""
        if self._stopped_at is None:
            return None
        return "at once" if self._level == 2 else "drained"

    @property
    def in_order(self) -> bool:
        """Whether the threads ended by themselves, each after what came before it."""
        return self.ended_at > 0 and self._aborted_at is None

    @property
    def over(self) -> bool:
        """Whether all threads have ended, or had their time to."""
        if all(node.ended for node in self.nodes):
            return True
        aborted = self._aborted_at
        return aborted is not None and time.monotonic() - aborted > JOIN_LIMIT_S

    # While it runs

    def obey(self) -> None:
        """Carry out `request`: drain first, then give up on whoever does not follow."""
        if self._level and self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._shared.draining.set()
            self._shared.running.set()
            self._interrupt(self.nodes[:1])
        if self._level == 2:
            self._abort()
        elif self._stopped_at is not None:
            self._check_drain(time.monotonic() - self._stopped_at)

    def _check_drain(self, since_s: float) -> None:
        active = [node for node in self.nodes if node.at_work]
        stuck = [node for node in active if node.busy_s() > STUCK_AFTER_STOP_S]
        if stuck and since_s > STUCK_AFTER_STOP_S:
            self._leave_behind(stuck, stall(stuck[0], "did not react to the stop"))
        elif active and since_s > DRAIN_LIMIT_S:
            busiest = max(active, key=Node.busy_s)
            self.fail(stall(busiest, f"was still draining {DRAIN_LIMIT_S:g} s after the stop"))

    def _leave_behind(self, stuck: list[Node], error: StallError) -> None:
        """End what does not react; where that is the source alone, the outputs still get whole."""
        if any(not isinstance(node.stage, Source) for node in stuck):
            self.fail(error)
            return
        self.remember(error)
        stuck[0].abandon()

    def watch(self) -> None:
        """The watchdog: nobody may stay inside one call for longer than the stall timeout."""
        if not threading.main_thread().is_alive() and any(n.stage.for_programs for n in self.nodes):
            self.request(drain=True)  # the program has ended: nobody gives or takes
        source = self.nodes[0]
        if source.settling and not source.ended and source.busy_s() > STUCK_AFTER_STOP_S:
            source.abandon()  # it has given all its frames
        for node in self.nodes:
            limit = self._spec.stall_timeout_s
            if node.histogram.count == 0:
                limit = self._spec.first_frame_timeout_s
            elif node.finishing:
                limit = max(limit, FINISH_LIMIT_S)
            if not node.ended and node.busy_s() > limit and self._aborted_at is None:
                self.fail(stall(node, f"made no progress for {limit:g} s"))

    # The end

    def fail(self, error: BaseException) -> None:
        """Remember the first error and end everything."""
        self.remember(error)
        self._abort()

    def remember(self, error: BaseException) -> None:
        """Keep the first error to raise after an end in order."""
        self.error = self.error or error

    def _abort(self) -> None:
        """Wake everybody: nothing may stay blocked on a queue, a wait or a device."""
        if self._aborted_at is not None:
            return
        self._aborted_at = time.monotonic()
        for event in (self._shared.draining, self._shared.flushing, self._shared.running):
            event.set()
        for node in self.nodes:
            if node.inbox is not None:
                node.inbox.flush()
        self._interrupt(self.nodes)

    def _interrupt(self, nodes: list[Node]) -> None:
        """Call `interrupt` aside, since a device may block us as well."""

        def wake() -> None:
            for node in nodes:
                node.stage.interrupt()

        threading.Thread(target=wake, name="vidfilter-interrupt", daemon=True).start()

    def shut_down(self, drain_bus: Callable[[], None]) -> None:
        """Join the threads to one deadline and release the stages; names whoever is stuck.

        `drain_bus` takes in what the stages had to say.
        """
        self._shared.flushing.set()
        self.ended_at = time.monotonic()
        deadline = (self._aborted_at or self.ended_at) + JOIN_LIMIT_S
        for node in self.nodes:
            if node.thread is not None and not node.abandoned:
                node.thread.join(max(deadline - time.monotonic(), 0.0))
        drain_bus()
        stuck = [node for node in self.nodes if node.alive]
        for node in stuck:
            node.lost += node.holds_frame
        self._stop_stages([node for node in reversed(self.nodes) if not node.alive])
        drain_bus()
        guilty = [node.id for node in stuck if not node.abandoned]
        if guilty and self.error is None:
            text = f"still busy at the end: {', '.join(guilty)}"
            self.error = ShutdownError(text, stage=guilty[0])

    def _stop_stages(self, nodes: list[Node]) -> None:
        """Release the stages; those of other threads aside, so that a stuck one cannot hold us."""
        mine = [n for n in nodes if isinstance(n.stage, Sink) and n.stage.needs_main_thread]
        others = [n for n in nodes if n not in mine]
        helper = threading.Thread(target=self._stop_each, args=(others,), daemon=True)
        helper.start()
        limit_s = JOIN_LIMIT_S if self._aborted_at else self._spec.stall_timeout_s
        helper.join(limit_s)
        self._stop_each(mine)
        stuck = next((n for n in others if n.thread is helper and helper.is_alive()), None)
        if stuck is not None:
            self.remember(stall(stuck, f"did not stop within {limit_s:g} s"))

    def _stop_each(self, nodes: list[Node]) -> None:
        for node in nodes:
            node.thread = threading.current_thread()  # so that it is known who hangs
            try:
                node.stage.stop()
            except Exception as error:
                text = f"{node.id}: stop failed: {error}"
                self._shared.bus.post(Message(Kind.WARNING, node.id, text))
            node.thread = None


def blame(message: Message) -> BaseException:
    """Return the error that `message` carries, with the name of the stage it comes from."""
    error: BaseException = message.value
    if isinstance(error, StageError) and error.stage is None:
        error.stage = message.stage
    elif not isinstance(error, VidfilterError):
        text = f"stage {message.stage} failed: {type(error).__name__}: {error}"
        return _caused_by(error, StageError(text, stage=message.stage))
    return error


def _caused_by(cause: BaseException, error: StageError) -> StageError:
    error.__cause__ = cause
    return error


def stall(node: Node, what: str) -> StallError:
    """Return the error that names the stage which hangs, with where it stands."""
    text = f"stage {node.id} {what}"
    return StallError(text, stage=node.id, stack=node.stack())
