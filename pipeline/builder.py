"""From a description to linked stages: resolve names, negotiate caps, insert converters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ._ending import blame
from ._opening import aside
from .bounded_queue import BoundedQueue
from .bus import Kind, Message
from .caps import Caps, fixate
from .errors import CapsError, ConfigError, VidfilterError
from .node import Node, Shared
from .registry import stage_class
from .spec import Leaky, PipelineSpec, QueueSpec, StageSpec, TeeSpec
from .stage import Resolution, Sink, Source, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAX_LINK_BYTES = 32 << 20  # and one frame at least
# Frames per link; where a window sets the pace, what a key changes shows behind those under way.
_FILE_QUEUE, _SHOWN_QUEUE, _LIVE_QUEUE = 8, 4, 2


@dataclass(frozen=True, slots=True)
class Link:
    """What flows from stage `src` to stage `dst`."""

    src: str
    dst: str
    caps: Caps
    queue: BoundedQueue


@dataclass(frozen=True, slots=True)
class Graph:
    """All nodes, source first, and the links between them."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    @property
    def source(self) -> Node:
        """The node that begins the pipeline."""
        return self.nodes[0]

    @property
    def sinks(self) -> tuple[Node, ...]:
        """The nodes that end a branch."""
        return tuple(node for node in self.nodes if isinstance(node.stage, Sink))

    def caps_into(self, node: Node) -> Caps:
        """Return the caps on the link that ends at `node`."""
        return next(link.caps for link in self.links if link.dst == node.id)

    def path_to(self, node: Node) -> list[Node]:
        """Return the nodes from the source to `node`, both included."""
        parents = {link.dst: link.src for link in self.links}
        by_id = {n.id: n for n in self.nodes}
        path = [node]
        while path[-1].id in parents:
            path.append(by_id[parents[path[-1].id]])
        return path[::-1]


def walk(stages: Iterable[StageSpec | TeeSpec]) -> Iterator[StageSpec]:
    """Yield every stage of a description, branch by branch."""
    for item in stages:
        if isinstance(item, TeeSpec):
            for branch in item.branches:
                yield from walk(branch)
        else:
            yield item


class Builder:
    """Build one graph; `self.nodes` grows as it goes, so that a failure can still be undone."""

    def __init__(self, spec: PipelineSpec, shared: Shared, stop_asked: Callable[[], bool]) -> None:
        self._spec, self._shared, self._stop_asked = spec, shared, stop_asked
        self.nodes: list[Node] = []
        self._links: list[Link] = []
        self._hints: dict[str, Any] = {}
        self._has_lossless = False

    def build(self) -> Graph:
        """Open the source and link everything behind it; no thread, no output yet."""
        first, *rest = self._spec.stages
        if isinstance(first, TeeSpec):
            raise ConfigError(f"{self._spec.where}: a pipeline begins with a source, not a tee")
        source = self._node(first)
        if not isinstance(source.stage, Source):
            raise ConfigError(f"{self._spec.where}: {first.id} is no source, but comes first")
        _check_ends(self._spec.stages, self._spec.where)
        describe = getattr(source.stage, "describe", None)
        taken = [path for stage in walk(self._spec.stages) for path in _paths(stage.properties)]
        self._hints = {**(describe() if describe else {}), "taken": taken}
        resolved = [self._resolve(item, source) for item in rest]
        self._has_lossless = any(_lossless(item) for item in walk(resolved))
        caps = self._open(source, source.stage)
        self._chain(resolved, source, caps, head=False)
        self._shared.realtime = caps.live or not self._has_lossless
        return Graph(tuple(self.nodes), tuple(self._links))

    def _open(self, node: Node, source: Source) -> Caps:
        try:
            return aside(node, source.open, self._spec.first_frame_timeout_s, self._stop_asked)
        except VidfilterError:
            raise
        except Exception as error:
            raise blame(Message(Kind.ERROR, node.id, str(error), error)) from error

    def _resolve(self, item: StageSpec | TeeSpec, source: Node) -> StageSpec | TeeSpec:
        """Replace a stage such as `sink: auto` by what it stands for here."""
        if isinstance(item, TeeSpec):
            branches = tuple(tuple(self._resolve(i, source) for i in b) for b in item.branches)
            return TeeSpec(branches, item.id, item.where)
        cls = stage_class(item.name)
        resolve = getattr(cls, "resolve", None)
        if resolve is None:
            return item
        choice: Resolution = resolve(_params(cls, item), self._hints)
        source.info(choice.reason)
        self._hints["taken"] += _paths(choice.properties)
        self._complete(source, choice.source_properties)
        return StageSpec(choice.name, item.id, choice.properties, item.queue, item.where)

    def _complete(self, source: Node, properties: dict[str, Any]) -> None:
        """Give the source the `properties` that it has no value for."""
        params = source.stage.params
        missing = {k: v for k, v in properties.items() if getattr(params, k, v) is None}
        source.stage.params = params.model_copy(update=missing)

    def _node(self, spec: StageSpec) -> Node:
        node = Node(spec, self._shared)
        cls = stage_class(spec.name)
        node.stage = cls(_params(cls, spec), node)
        self.nodes.append(node)
        return node

    def _chain(
        self, stages: Iterable[StageSpec | TeeSpec], upstream: Node, caps: Caps, *, head: bool
    ) -> None:
        """Append `stages` behind `upstream`; `head`: the next link leaves a tee."""
        items = list(stages)
        for index, item in enumerate(items):
            if isinstance(item, TeeSpec):
                for branch in item.branches:
                    self._chain(branch, upstream, caps, head=True)
                return
            node = self._node(item)
            leaks = head and index == 0 and not any(map(_lossless, walk(items)))
            upstream, caps = self._convert(upstream, node, caps, leaks=leaks)
            caps = node.stage.negotiate(caps)
            upstream = node

    def _convert(self, upstream: Node, node: Node, caps: Caps, *, leaks: bool) -> tuple[Node, Caps]:
        """Link `node`, by way of a converter where it does not accept what comes."""
        target = fixate(caps.pixel_format, node.stage.accepts)
        if target is None:
            raise CapsError(
                f"{upstream.id} gives {caps.pixel_format}, "
                f"{node.id} accepts {', '.join(node.stage.accepts) or 'nothing'}"
            )
        if target != caps.pixel_format:
            self.nodes.pop()
            spec = StageSpec("convert", f"convert-{node.id}", {"to": target})
            converter = self._node(spec)
            self.nodes.append(node)
            self._link(upstream, converter, caps, leaks=leaks)
            caps = converter.stage.negotiate(caps)
            upstream, leaks = converter, False
        self._link(upstream, node, caps, leaks=leaks)
        return upstream, caps

    def _link(self, upstream: Node, node: Node, caps: Caps, *, leaks: bool) -> None:
        entrance = caps.live and isinstance(upstream.stage, Source)
        first_branch = not self._has_lossless and not upstream.outs
        leaky = Leaky.DOWNSTREAM if entrance or (leaks and not first_branch) else Leaky.NONE
        usual = _FILE_QUEUE if self._has_lossless else _SHOWN_QUEUE
        node.inbox = _queue(node.spec.queue, leaky, _LIVE_QUEUE if caps.live else usual)
        upstream.outs.append(node)
        self._links.append(Link(upstream.id, node.id, caps, node.inbox))


def _paths(properties: dict[str, Any]) -> list[str | Path]:
    path = properties.get("path")
    return [path] if isinstance(path, (str, Path)) else []


def _check_ends(stages: Sequence[StageSpec | TeeSpec], where: str) -> None:
    """Raise ConfigError where a list of stages does not end in a sink: frames would go nowhere."""
    last = stages[-1]
    if isinstance(last, TeeSpec):
        for branch in last.branches:
            _check_ends(branch, where)
    elif not issubclass(stage_class(last.name), Sink):
        raise ConfigError(f"{where}: {last.id} is no sink, but comes last")


def _queue(spec: QueueSpec, leaky: Leaky, usual: int) -> BoundedQueue:
    chosen = spec.leaky or leaky
    frames = spec.max_frames or (usual if chosen is Leaky.NONE else _LIVE_QUEUE)
    return BoundedQueue(frames, leaky=chosen, max_bytes=MAX_LINK_BYTES)


def _lossless(spec: StageSpec) -> bool:
    return bool(getattr(stage_class(spec.name), "lossless", False))


def _params(cls: type[Stage], spec: StageSpec) -> Any:
    try:
        return cls.Params(**spec.properties)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        where = f"{spec.where}: " if spec.where else ""
        raise ConfigError(f"{where}{spec.id}: {key}: {first['msg']}") from error
