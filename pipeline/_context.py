"""What a stage sees of the pipeline that runs it: the `Context` it may ask and tell things."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .bounded_queue import BoundedQueue, Gap
from .bus import Bus, Kind, Message
from .clock import Clock
from .stage import Source, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .frame import Frame
    from .node import Node


class Shared:
    """What all nodes of one pipeline see: the bus, and whether to stop, pause or hurry."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.draining = threading.Event()  # the source must end
        self.flushing = threading.Event()  # everything must end
        self.running = threading.Event()  # cleared while paused
        self.running.set()
        self.realtime = False
        self.clocks: list[Clock] = []

    def pause(self, paused: bool | None = None) -> None:
        """Hold the source, or let it go on; toggles by default."""
        if paused is None:
            paused = self.running.is_set()
        for clock in self.clocks:
            clock.pause() if paused else clock.resume()
        self.running.clear() if paused else self.running.set()


class StageContext:
    """One stage with its place in the pipeline and its counters; see `stage.Context`."""

    def __init__(self, stage_id: str, shared: Shared) -> None:
        self.id = self.stage_id = stage_id
        self.shared = shared
        self.stage: Stage = None  # type: ignore[assignment]  # set by the builder, which needs us
        self.inbox: BoundedQueue | None = None
        self.outs: list[Node] = []
        self.frames_in = self.repeated = 0
        self.dropped: Counter[str] = Counter()
        self.tags: dict[str, Any] = {}
        self.busy_since: int | None = None  # monotonic ns; None while waiting
        self.thread: threading.Thread | None = None
        self._clock: Clock | None = None

    @property
    def traits_wanted(self) -> bool:
        return any(out.stage.reads_traits or out.traits_wanted for out in self.outs)

    @property
    def packet_takers(self) -> int:
        return sum(out.stage.takes_packets + out.packet_takers for out in self.outs)

    @property
    def stopping(self) -> bool:
        return self.shared.draining.is_set()

    @property
    def aborting(self) -> bool:
        return self.shared.flushing.is_set()

    @property
    def realtime(self) -> bool:
        return self.shared.realtime

    def warn(self, text: str) -> None:
        self.shared.bus.post(Message(Kind.WARNING, self.id, text))

    def info(self, text: str) -> None:
        self.shared.bus.post(Message(Kind.INFO, self.id, text))

    def drop(self, frame: Frame, cause: str) -> None:
        self.dropped[cause] += 1
        if isinstance(self.stage, Source):
            self.frames_in += 1
        self.forward(Gap(frame.pts))

    def forward(self, gap: Gap) -> None:
        for out in self.outs:
            out.inbox.put_control(Gap(gap.pts, gap.count))  # type: ignore[union-attr]

    def repeat(self, count: int = 1) -> None:
        self.repeated += count

    def tag(self, key: str, value: Any) -> None:
        self.tags[key] = value

    def request(self, action: str, value: Any = None) -> None:
        self.shared.bus.post(Message(Kind.REQUEST, self.id, action, value))

    def wait(self, seconds: float) -> bool:
        # A source waits for its next frame until it must end; a sink shows what it holds, and
        # so waits until all must end.
        stop = self.shared.draining if isinstance(self.stage, Source) else self.shared.flushing
        return self._wait_for(stop, seconds)

    def _wait_for(self, stop: threading.Event, seconds: float) -> bool:
        with self.idle():
            return stop.wait(max(seconds, 0.0))

    @contextmanager
    def idle(self) -> Iterator[None]:
        since, self.busy_since = self.busy_since, None
        try:
            yield
        finally:
            if since is not None and threading.current_thread() is self.thread:
                self.busy_since = time.monotonic_ns()

    def wait_until(self, time_s: float, duration_s: float) -> float:
        if self._clock is None:
            self._clock = Clock()
            self.shared.clocks.append(self._clock)
        wait_s = self._clock.due(time_s, duration_s)
        if wait_s > 0:
            self._wait_for(self.shared.draining, wait_s)
        return max(-wait_s, 0.0)
