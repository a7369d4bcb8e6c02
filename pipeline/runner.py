"""Run a pipeline: start, drain, stop, and name whoever does not."""

from __future__ import annotations

import threading
import time
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any

from . import _facts
from ._ending import Ending, blame
from ._messages import Messages
from ._opening import aside
from ._scheduling import eager_switching
from .bounded_queue import Reconfigure
from .builder import Builder, Graph
from .bus import Bus, Kind, Message
from .errors import ConfigError, StageError
from .node import Node, Shared
from .registry import stage_class
from .spec import PipelineSpec, StageSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .frame import Frame
    from .ledger import Report


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
        self._shared = Shared(Bus())
        self._graph: Graph | None = None
        self._ending = Ending(spec, self._shared)
        self._messages = Messages(self._shared, self._ending)
        self._started_at = 0.0
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
            builder = Builder(self.spec, self._shared, lambda: self._ending.requested)
            self._ending.nodes = builder.nodes
            self._graph = builder.build()
            self._set_state(State.READY)
        return self._graph

    graph = prepare

    def run(self, on_message: Callable[[Message], None] | None = None) -> Report:
        """Run to the end; returns the report or raises the first error.

        `on_message` is called in this thread for every bus message.
        """
        if self.state not in (State.NULL, State.READY):
            raise StageError("a pipeline runs once: make another one")
        self._messages.listener = on_message
        try:
            graph = self.prepare()
            self._start_stages(graph)
            with eager_switching():
                self._play(graph)
        except BaseException as error:
            self._ending.fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._ending.shut_down(self._messages.drain)
        self._raise_error()
        return self.report()

    def stop(self, *, drain: bool = True) -> None:
        """End the source and drain (`drain`), or end everything at once."""
        self._ending.request(drain=drain)

    def pause(self, paused: bool | None = None) -> None:
        """Hold the source, or let it go on; toggles by default."""
        self._shared.pause(paused)

    def set_property(self, stage_id: str, name: str, value: Any) -> None:
        """Change a property while running; applied between two frames."""
        node = next((n for n in self._nodes if n.id == stage_id), None)
        if node is None or node.inbox is None:
            raise StageError(f"no stage {stage_id!r} whose properties can change while running")
        node.inbox.put_control(Reconfigure(name, value))

    # In the background

    def start(self) -> Pipeline:
        """Prepare, and run in a thread of its own; for pipelines without a window."""
        try:
            self.prepare()  # its stages may be asked for at once
        except BaseException as error:
            self._ending.fail(error)
            self._ending.shut_down(self._messages.drain)
            raise
        self._supervisor = threading.Thread(target=self._supervise, name="vidfilter-supervisor")
        self._supervisor.start()
        return self

    def wait(self) -> Report:
        """Wait for a started pipeline; returns the report or raises the first error."""
        self._join()
        self._raise_error()
        return self.report()

    def frames(self, stage_id: str = "appsink") -> Iterator[Frame]:
        """Start where needed and yield what arrives at an `appsink` stage, then `wait`."""
        if self._supervisor is None:
            self.start()
        sink = self.stage(stage_id)
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

    def _raise_error(self) -> None:
        if self._ending.error is not None:
            raise self._ending.error

    def _join(self) -> None:
        if self._supervisor is not None:
            self._supervisor.join()

    def _supervise(self) -> None:
        try:
            self.run()
        except Exception as error:
            self._ending.remember(error)

    # Facts

    @property
    def _nodes(self) -> list[Node]:
        return self._ending.nodes

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

    @property
    def ended_in_order(self) -> bool:
        """Whether every output was completed, even where the run raises an error."""
        return self._ending.in_order

    def report(self) -> Report:
        """Return what happened so far: per stage, and the fate of each frame per sink."""
        return _facts.report(self._graph, self._ending, self._started_at, self._messages.warnings)

    def snapshot(self) -> dict[str, Any]:
        """Return live figures for a progress display; cheap."""
        if self._graph is None:
            return {}
        return _facts.snapshot(self._graph, self._started_at, live=self._shared.realtime)

    # The main loop

    def _start_stages(self, graph: Graph) -> None:
        limit_s = self.spec.first_frame_timeout_s
        for node in graph.nodes[1:]:
            start = partial(node.stage.start, graph.caps_into(node))
            try:
                aside(node, start, limit_s, lambda: self._ending.requested)
            except Exception as error:
                raise blame(Message(Kind.ERROR, node.id, str(error), error)) from error

    def _play(self, graph: Graph) -> None:
        self._started_at = time.monotonic()
        self._set_state(State.PLAYING)
        for node in reversed(graph.nodes):
            node.launch()
        pumped = [n.stage for n in graph.sinks if n.stage.needs_main_thread]  # type: ignore[attr-defined]
        tick_s = 0.008 if pumped else 0.05
        while not self._ending.over:
            self._messages.handle(tick_s)
            for sink in pumped:
                sink.pump()  # type: ignore[attr-defined]
            self._ending.obey()
            self._ending.watch()
        self._set_state(State.EOS)

    def _set_state(self, state: State) -> None:
        self.state = state
        self._shared.bus.post(Message(Kind.STATE, "pipeline", state.name, state))


def _properties(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    key = stage_class(name).shorthand
    if key is None:
        raise ConfigError(f"{name}: properties are given as a mapping, not as {value!r}")
    return {key: value}
