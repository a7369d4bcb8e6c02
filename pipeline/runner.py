"""Run a pipeline: start, drain, stop, and name whoever does not."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from .bounded_queue import Reconfigure
from .builder import Builder, Graph
from .bus import Bus, Kind, Message
from .errors import ConfigError, ShutdownError, StageError, StallError, VidfilterError
from .ledger import Report, SinkRecord, error_record, sink_record
from .node import Node, Shared
from .registry import stage_class
from .spec import PipelineSpec, StageSpec
from .stage import Sink, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .frame import Frame

DRAIN_LIMIT_S = 4.5
STUCK_AFTER_STOP_S = 1.0
JOIN_LIMIT_S = 0.4
FINISH_LIMIT_S = 60.0
SWITCH_INTERVAL_S = 0.0005


class State(Enum):
    """Life of a pipeline."""

    NULL = auto()
    READY = auto()
    PLAYING = auto()
    EOS = auto()


class Pipeline:
    """Stages in threads, joined by bounded queues.

    `run` blocks until the end and raises the first error; `start`, `frames` and `wait` do the
    same in the background. `stop` may be called from anywhere, a signal handler included.
    """

    def __init__(self, spec: PipelineSpec) -> None:
        self.spec = spec
        self.state = State.NULL
        self._bus = Bus()
        self._shared = Shared(self._bus)
        self._graph: Graph | None = None
        self._builder: Builder | None = None
        self._on_message: Callable[[Message], None] | None = None
        self._stop_level = 0
        self._stopped_at: float | None = None
        self._aborted_at: float | None = None
        self._started_at = self._ended_at = 0.0
        self._error: BaseException | None = None
        self._warnings: list[str] = []
        self._supervisor: threading.Thread | None = None

    @classmethod
    def from_file(cls, path: str | Path, overrides: Any = None) -> Pipeline:
        """Return the pipeline that a YAML file describes; raises ConfigError."""
        from .config import load

        return cls(load(path, overrides=overrides) if overrides else load(path))

    @classmethod
    def line(cls, **stages: Any) -> Pipeline:
        """Return a pipeline of the named stages in order, as in `line(capture="a.mp4", null={})`.

        Each value is a mapping of properties, or the one property that a bare value stands for.
        Raises RegistryError for an unknown name.
        """
        specs = (StageSpec(name, name, _properties(name, value)) for name, value in stages.items())
        return cls(PipelineSpec(tuple(specs)))

    # Control

    def prepare(self) -> Graph:
        """Open the source, resolve names and negotiate caps; no output is touched yet."""
        if self._graph is None:
            self._builder = Builder(self.spec, self._shared)
            self._graph = self._builder.build()
            self._set_state(State.READY)
        return self._graph

    graph = prepare

    def run(self, on_message: Callable[[Message], None] | None = None) -> Report:
        """Run to the end; returns the report or raises the first error.

        `on_message` is called in this thread for every bus message.
        """
        self._on_message = on_message
        try:
            graph = self.prepare()
            self._start_stages(graph)
            with _eager_switching():
                self._play(graph)
        except BaseException as error:
            self._fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._shut_down()
        if self._error is not None:
            raise self._error
        return self.report()

    def stop(self, *, drain: bool = True) -> None:
        """End the source and drain (`drain`), or end everything at once."""
        self._stop_level = max(self._stop_level, 1 if drain else 2)

    def pause(self, paused: bool | None = None) -> None:
        """Hold the source, or let it go on; toggles by default."""
        running = self._shared.running
        if paused is None:
            paused = running.is_set()
        for clock in self._shared.clocks:
            clock.pause() if paused else clock.resume()
        running.clear() if paused else running.set()

    def set_property(self, stage_id: str, name: str, value: Any) -> None:
        """Change a property while running; applied between two frames."""
        node = next((n for n in self._nodes if n.id == stage_id), None)
        if node is None or node.inbox is None:
            raise StageError(f"no stage {stage_id!r} whose properties can change while running")
        node.inbox.put_control(Reconfigure(name, value))

    # In the background

    def start(self) -> Pipeline:
        """Run in a thread of its own; for pipelines without a window."""
        self._supervisor = threading.Thread(target=self._supervise, name="vidfilter-supervisor")
        self._supervisor.start()
        return self

    def wait(self) -> Report:
        """Wait for a started pipeline; returns the report or raises the first error."""
        self._join()
        if self._error is not None:
            raise self._error
        return self.report()

    def frames(self, stage_id: str = "appsink") -> Iterator[Frame]:
        """Start where needed and yield what arrives at an `appsink` stage, then `wait`."""
        self.prepare()
        sink = self.stage(stage_id)
        if self._supervisor is None:
            self.start()
        complete = False
        try:
            yield from sink.pull()
            complete = True
        finally:
            if not complete:
                self.stop(drain=False)
            self._join()
        self.wait()

    def __enter__(self) -> Pipeline:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop(drain=exc[0] is None)
        self._join()

    def _join(self) -> None:
        if self._supervisor is not None:
            self._supervisor.join()

    def _supervise(self) -> None:
        try:
            self.run()
        except Exception as error:
            self._error = self._error or error

    # Facts

    @property
    def _nodes(self) -> list[Node]:
        return self._builder.nodes if self._builder else []

    def stage(self, stage_id: str) -> Any:
        """Return the stage object with this id; raises StageError."""
        for node in self._nodes:
            if node.id == stage_id:
                return node.stage
        raise StageError(f"no stage {stage_id!r}")

    @property
    def stuck_threads(self) -> list[str]:
        """Ids of the stages whose threads are still alive."""
        return [node.id for node in self._nodes if node.alive]

    def report(self) -> Report:
        """Return what happened so far: per stage, and the fate of each frame per sink."""
        end = self._ended_at or time.monotonic()
        return Report(
            stages=[node.record() for node in self._nodes],
            sinks=self._sink_records(),
            elapsed_s=round(end - self._started_at, 3) if self._started_at else 0.0,
            warnings=list(self._warnings),
            error=error_record(self._error),
            stopped=None if self._stopped_at is None else self._manner(),
        )

    def _sink_records(self) -> list[SinkRecord]:
        graph = self._graph
        if graph is None:
            return []
        captured = graph.source.frames_in
        return [sink_record(graph.path_to(sink), captured=captured) for sink in graph.sinks]

    def _manner(self) -> str:
        return "at once" if self._stop_level == 2 else "drained"

    def snapshot(self) -> dict[str, Any]:
        """Return live figures for a progress display; cheap."""
        graph = self._graph
        if graph is None:
            return {}
        source = graph.source
        stage = source.stage
        return {
            "captured": source.frames_in,
            "elapsed_s": time.monotonic() - self._started_at if self._started_at else 0.0,
            "time_s": source.last_time_s,
            "total_duration_s": stage.total_duration_s if isinstance(stage, Source) else None,
            "written": {node.id: node.frames_in for node in graph.sinks},
            "dropped": sum(node.dropped_total for node in graph.nodes),
            "live": self._shared.realtime,
        }

    # The main loop

    def _start_stages(self, graph: Graph) -> None:
        for node in graph.nodes[1:]:
            try:
                node.stage.start(graph.caps_into(node))
            except Exception as error:
                raise self._blame(Message(Kind.ERROR, node.id, str(error), error)) from error

    def _play(self, graph: Graph) -> None:
        self._started_at = time.monotonic()
        self._set_state(State.PLAYING)
        for node in reversed(graph.nodes):
            node.launch()
        pumped = [n.stage for n in graph.sinks if n.stage.needs_main_thread]  # type: ignore[attr-defined]
        tick_s = 0.008 if pumped else 0.05
        while not self._over():
            message = self._bus.get(tick_s)
            if message is not None:
                self._dispatch(message)
            for sink in pumped:
                sink.pump()  # type: ignore[attr-defined]
            self._obey()
            self._watch()
        self._set_state(State.EOS)

    def _over(self) -> bool:
        if all(node.ended for node in self._nodes):
            return True
        aborted = self._aborted_at
        return aborted is not None and time.monotonic() - aborted > JOIN_LIMIT_S

    def _dispatch(self, message: Message) -> None:
        match message.kind:
            case Kind.ERROR:
                self._fail(self._blame(message))
            case Kind.WARNING if message.text in self._warnings:
                return
            case Kind.WARNING:
                self._warnings.append(message.text)
            case Kind.REQUEST:
                self._grant(message)
        if self._on_message is not None:
            self._on_message(message)

    def _grant(self, message: Message) -> None:
        match message.text:
            case "quit":
                self.stop(drain=True)
            case "pause":
                self.pause(message.value)
            case action:
                for node in self._nodes:
                    if action in node.stage.actions and node.inbox is not None:
                        node.inbox.put_control(Reconfigure(action, message.value))

    def _obey(self) -> None:
        """Carry out `stop`: drain first, then give up on whoever does not follow."""
        if self._stop_level and self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._shared.draining.set()
            self._shared.running.set()
            self._interrupt(self._nodes[:1])
        if self._stop_level == 2:
            self._abort()
        elif self._stopped_at is not None:
            self._check_drain(time.monotonic() - self._stopped_at)

    def _check_drain(self, since_s: float) -> None:
        active = [node for node in self._nodes if not node.ended and not node.finishing]
        stuck = [node for node in active if node.busy_s() > STUCK_AFTER_STOP_S]
        if stuck and since_s > STUCK_AFTER_STOP_S:
            self._fail(_stall(stuck[0], "did not react to the stop"))
        elif active and since_s > DRAIN_LIMIT_S:
            busiest = max(active, key=Node.busy_s)
            self._fail(_stall(busiest, f"was still draining {DRAIN_LIMIT_S:g} s after the stop"))

    def _watch(self) -> None:
        """The watchdog: nobody may stay inside one call for longer than the stall timeout."""
        for node in self._nodes:
            limit = self.spec.stall_timeout_s
            if node.histogram.count == 0:
                limit = self.spec.first_frame_timeout_s
            elif node.finishing:
                limit = max(limit, FINISH_LIMIT_S)
            if not node.ended and node.busy_s() > limit and self._aborted_at is None:
                self._fail(_stall(node, f"made no progress for {limit:g} s"))

    # Ending

    def _blame(self, message: Message) -> BaseException:
        error: BaseException = message.value
        if isinstance(error, StageError) and error.stage is None:
            error.stage = message.stage
        elif not isinstance(error, VidfilterError):
            text = f"stage {message.stage} failed: {type(error).__name__}: {error}"
            return _caused_by(error, StageError(text, stage=message.stage))
        return error

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self._abort()

    def _abort(self) -> None:
        """Wake everybody: nothing may stay blocked on a queue, a wait or a device."""
        if self._aborted_at is not None:
            return
        self._aborted_at = time.monotonic()
        for event in (self._shared.draining, self._shared.flushing, self._shared.running):
            event.set()
        for node in self._nodes:
            if node.inbox is not None:
                node.inbox.flush()
        self._interrupt(self._nodes)

    def _interrupt(self, nodes: list[Node]) -> None:
        """Call `interrupt` aside, since a device may block us as well."""

        def wake() -> None:
            for node in nodes:
                node.stage.interrupt()

        threading.Thread(target=wake, name="vidfilter-interrupt", daemon=True).start()

    def _shut_down(self) -> None:
        self._shared.flushing.set()
        self._ended_at = time.monotonic()
        deadline = (self._aborted_at or self._ended_at) + JOIN_LIMIT_S
        for node in self._nodes:
            if node.thread is not None:
                node.thread.join(max(deadline - time.monotonic(), 0.0))
        self._drain_bus()
        stuck = [node for node in self._nodes if node.alive]
        for node in stuck:
            node.lost += node.busy_since is not None
        self._stop_stages([node for node in reversed(self._nodes) if not node.alive])
        if stuck and self._error is None:
            names = ", ".join(node.id for node in stuck)
            self._error = ShutdownError(f"still busy at the end: {names}", stage=stuck[0].id)

    def _drain_bus(self) -> None:
        while (message := self._bus.get(0)) is not None:
            self._dispatch(message)

    def _stop_stages(self, nodes: list[Node]) -> None:
        """Release the stages; those of other threads aside, so that a stuck one cannot hold us."""
        mine = [n for n in nodes if isinstance(n.stage, Sink) and n.stage.needs_main_thread]
        others = [n for n in nodes if n not in mine]
        helper = threading.Thread(target=self._stop_each, args=(others,), daemon=True)
        helper.start()
        helper.join(JOIN_LIMIT_S if self._aborted_at else FINISH_LIMIT_S)
        self._stop_each(mine)
        self._drain_bus()

    def _stop_each(self, nodes: list[Node]) -> None:
        for node in nodes:
            try:
                node.stage.stop()
            except Exception as error:
                self._bus.post(Message(Kind.WARNING, node.id, f"{node.id}: stop failed: {error}"))

    def _set_state(self, state: State) -> None:
        self.state = state
        self._bus.post(Message(Kind.STATE, "pipeline", state.name, state))


@contextmanager
def _eager_switching() -> Iterator[None]:
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


def _properties(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    key = stage_class(name).shorthand
    if key is None:
        raise ConfigError(f"{name}: properties are given as a mapping, not as {value!r}")
    return {key: value}


def _caused_by(cause: BaseException, error: StageError) -> StageError:
    error.__cause__ = cause
    return error


def _stall(node: Node, what: str) -> StallError:
    text = f"stage {node.id} {what}"
    return StallError(text, stage=node.id, stack=node.stack())
