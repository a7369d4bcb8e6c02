"""A stage in a running pipeline: its thread, its input queue, its counters."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from ._context import Shared, StageContext
from ._scheduling import take_turns
from .bounded_queue import Reconfigure
from .bus import Kind, Message
from .errors import EndOfStream, Flushing
from .frame import Frame
from .ledger import Histogram, StageRecord
from .stage import Sink, Source, Transform

if TYPE_CHECKING:
    from collections.abc import Callable

    from .spec import StageSpec

__all__ = ["Node", "Shared"]


class Node(StageContext):
    """Run one stage; also the `Context` that the stage talks to."""

    def __init__(self, spec: StageSpec, shared: Shared) -> None:
        super().__init__(spec.id, shared)
        self.spec, self.name = spec, spec.name
        self.frames_out = self.lost = self.refused = 0
        self.histogram, self.latency = Histogram(), Histogram()
        self.cpu_ns = 0
        self.last_time_s = 0.0
        self.finishing = False
        self.ended = False
        self.settling = self.abandoned = False
        self._shares = True

    # The runner's side

    def launch(self) -> None:
        """Start the thread; it is a daemon, so that one stuck in native code cannot hold us."""
        self.thread = threading.Thread(target=self._run, name=f"vidfilter-{self.id}", daemon=True)
        self.thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self.thread is not None and self.thread.is_alive()

    def busy_s(self) -> float:
        """Return how long the stage has been inside one call."""
        since = self.busy_since
        return 0.0 if since is None else (time.monotonic_ns() - since) / 1e9

    def abandon(self) -> None:
        """Go on without the thread of this source, which hangs: what it gave is all there is."""
        self.abandoned = self.ended = True
        for out in self.outs:
            out.inbox.end()  # type: ignore[union-attr]

    @property
    def at_work(self) -> bool:
        """Whether frames may still come from here, or go in."""
        return not (self.ended or self.finishing or self.settling)

    @property
    def holds_frame(self) -> bool:
        """Whether a frame that came in is inside the stage's current call."""
        working = self.busy_since is not None and not self.finishing
        return working and not isinstance(self.stage, Source)

    def stack(self) -> str:
        """Return where the thread stands now."""
        frame = sys._current_frames().get(self.thread.ident or 0) if self.thread else None
        return "".join(traceback.format_stack(frame)) if frame else ""

    @property
    def dropped_total(self) -> int:
        """Frames dropped here so far, in the stage and in its input queue."""
        leaked = self.inbox.stats().leaked if self.inbox else 0
        # A copy, because the stage may add a cause meanwhile.
        return sum(list(self.dropped.values())) + leaked

    def record(self) -> StageRecord:
        """Return the counters as they are now."""
        return StageRecord(
            id=self.id,
            name=self.name,
            frames_in=self.frames_in,
            frames_out=self.frames_out,
            dropped=dict(self.dropped),
            repeated=self.repeated,
            queue=self._queue_record(),
            ms=self.histogram.summary(),
            cpu_ms=round(self.cpu_ns / 1e6, 2),
            tags=dict(self.tags),
        )

    def _queue_record(self) -> dict[str, Any] | None:
        if self.inbox is None:
            return None
        stats = self.inbox.stats()
        limits = {"max_frames": self.inbox.max_frames, "leaky": self.inbox.leaky.value}
        return {**limits, "peak": stats.peak, "leaked": stats.leaked, "flushed": stats.flushed}

    # The thread

    def _run(self) -> None:
        keeps = isinstance(self.stage, Transform) and self.stage.keeps_pictures
        self._shares = keeps or len(self.outs) > 1  # others may look at what we pass on
        if not self.shared.realtime:
            take_turns()
        try:
            self._loop()
            # Only a clean end is an end of stream: after an error the sinks must not finish.
            for out in self.outs:
                out.inbox.end()  # type: ignore[union-attr]
        except Flushing:
            pass
        except BaseException as error:
            self.shared.bus.post(Message(Kind.ERROR, self.id, str(error), error))
        finally:
            self._count_in_flight()
            self.cpu_ns = time.thread_time_ns()
            self.busy_since = None
            self.ended = True
            self.shared.bus.post(Message(Kind.EOS, self.id))

    def _count_in_flight(self) -> None:
        if isinstance(self.stage, Transform) and self.stage.latency_frames:
            held = self.frames_in - self.frames_out - sum(self.dropped.values()) - self.lost
            self.lost += max(held, 0)

    def _loop(self) -> None:
        if isinstance(self.stage, Source):
            self._run_source(self.stage)
        else:
            self._run_consumer()

    def _run_source(self, source: Source) -> None:
        frames = iter(source.frames())
        while not self.shared.draining.is_set():
            self._enter()
            frame = next(frames, None)
            self._leave()
            if frame is None or self.abandoned:
                break
            self.frames_in += 1
            self.last_time_s = frame.time_s
            self._emit(frame)
            self.shared.running.wait()
        self._settle(source)

    def _settle(self, source: Source) -> None:
        self.settling = True
        self._enter()
        source.settle()
        self._leave(count=False)

    def _run_consumer(self) -> None:
        inbox = self.inbox
        assert inbox is not None
        # Looked up once: telling stages apart costs more than most of what is done per frame.
        work = self.stage.process if isinstance(self.stage, Transform) else self.stage.write  # type: ignore[attr-defined]
        while True:
            try:
                item = inbox.get()
            except EndOfStream:
                break
            if isinstance(item, Frame):
                self._handle(item, work)
            elif isinstance(item, Reconfigure):
                self._reconfigure(item)
            else:
                self.forward(item)
        self._finish()

    def _handle(self, frame: Frame, work: Callable[[Frame], Frame | None]) -> None:
        self.frames_in += 1
        self._enter()
        try:
            out = work(frame)
        except BaseException:
            self.lost += 1
            raise
        finally:
            self._leave()
        if not self.outs:
            self.latency.add(time.monotonic_ns() - frame.captured_ns)
        elif out is not None:
            self._emit(out)

    def _finish(self) -> None:
        self.finishing = True
        self._enter()
        if isinstance(self.stage, Transform):
            for frame in self.stage.flush():
                self._emit(frame)
        elif isinstance(self.stage, Sink):
            self.stage.finish()
        self._leave(count=False)

    def _emit(self, frame: Frame) -> None:
        self.frames_out += 1
        if self._shares:
            frame = frame.shared()
        refused = False
        for out in self.outs:
            try:
                out.inbox.put(frame)  # type: ignore[union-attr]
            except Flushing:
                out.refused += 1
                refused = True
        if refused:
            raise Flushing

    def _reconfigure(self, item: Reconfigure) -> None:
        try:
            self.stage.set_property(item.name, item.value)
        except (AttributeError, ValueError) as error:
            self.warn(f"{self.id}: {error}")

    def _enter(self) -> None:
        self.busy_since = time.monotonic_ns()

    def _leave(self, *, count: bool = True) -> None:
        since = self.busy_since
        self.busy_since = None
        if count and since is not None:
            self.histogram.add(time.monotonic_ns() - since)
