"""Apply the command line's overrides to the stages as written; errors name the flag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._draft import DraftStage, DraftTee, walk
from ._properties import properties
from ._validate import expand_shorthand, resolve
from ._yaml import Node, parse_value, refuse
from .registry import stage_names, unknown
from .stage import Sink, Source

if TYPE_CHECKING:
    from ._draft import Draft
    from .config import Overrides

# The stages that `--tracks` makes unnecessary.
_MODEL_STAGES = ("detect", "landmarks", "smooth")
_AUTO_SINK = "sink"
_KINDS = frozenset({"file", "window", "virtualcam", "null"})


def apply(draft: Draft, overrides: Overrides) -> None:
    """Change `draft` in place; raises ConfigError. `--set` comes last, so that it always wins."""
    for stage in walk(draft):
        resolve(stage)
        expand_shorthand(stage)
    if overrides.input is not None:
        _set_input(draft, overrides.input)
    if overrides.duration_s is not None:
        _set_duration(draft, overrides.duration_s)
    if overrides.tracks is not None:
        _use_tracks(draft, overrides.tracks)
    if overrides.filter is not None:
        _set_filter(draft, overrides.filter)
    if overrides.sink is not None:
        _set_sink(draft, overrides.sink)
    if overrides.output is not None:
        _set_output(draft, overrides.output)
    if overrides.overwrite:
        _allow_overwrite(draft)
    for text in overrides.sets:
        _set(draft, text)


def _put(stage: DraftStage, key: str, value: object, flag: str) -> None:
    if isinstance(value, str) and not _is_text(value):
        raise refuse(flag, "is not valid UTF-8 text without NUL characters")
    stage.properties[key] = Node(value, flag, str(value))


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _has(stage: DraftStage, key: str) -> bool:
    return any(p.name == key for p in properties(resolve(stage).Params))


def _source(draft: Draft, flag: str) -> DraftStage:
    first = draft[0]
    if isinstance(first, DraftTee) or not issubclass(resolve(first), Source):
        raise refuse(flag, "this pipeline does not begin with a source")
    return first


def _set_input(draft: Draft, text: str) -> None:
    source = _source(draft, "--input")
    if not _has(source, "source"):
        raise refuse("--input", f"the source {source.id} of this pipeline reads no file or camera")
    _put(source, "source", text, "--input")


def _set_duration(draft: Draft, seconds: float) -> None:
    source = _source(draft, "--duration")
    key = next((k for k in ("duration", "duration_s") if _has(source, k)), None)
    if key is None:
        raise refuse("--duration", f"the source {source.id} of this pipeline cannot be limited")
    for stage in (source, *(sink for sink in _sinks(draft) if sink.name == _AUTO_SINK)):
        if _has(stage, key):
            _put(stage, key, seconds, "--duration")


def _use_tracks(draft: Draft, path: str) -> None:
    replay = DraftStage("tracks", "tracks", "--tracks")
    _put(replay, "path", path, "--tracks")
    names = [item.name for item in draft if isinstance(item, DraftStage)]
    at = next((n for n, name in enumerate(names) if name in _MODEL_STAGES), 1)
    draft[:] = [
        item for item in draft if isinstance(item, DraftTee) or item.name not in _MODEL_STAGES
    ]
    draft.insert(at, replay)


def _set_filter(draft: Draft, name: str) -> None:
    overlays = [stage for stage in walk(draft) if _has(stage, "filter")]
    if len(overlays) != 1:
        how_many = "no stage" if not overlays else f"{len(overlays)} stages"
        text = f"{how_many} of this pipeline has a filter; use --set ID.filter={name}"
        raise refuse("--filter", text)
    _put(overlays[0], "filter", name, "--filter")


def _sinks(draft: Draft) -> list[DraftStage]:
    return [stage for stage in walk(draft) if issubclass(resolve(stage), Sink)]


def _set_sink(draft: Draft, kind: str) -> None:
    flag = f"--sink {kind}"
    last = draft[-1]
    if isinstance(last, DraftTee):
        raise refuse(flag, "this pipeline has a tee with sinks of its own; edit them in the file")
    if last.name == kind:
        return
    kinds = ("auto", *(name for name in stage_names() if name in _KINDS))
    if kind not in ("auto", *stage_names()):
        raise refuse(flag, unknown("sink", kind, kinds))
    # A file without a path gets a free name from the automatic sink.
    automatic = kind in ("auto", "file")
    stage = DraftStage(_AUTO_SINK if automatic else kind, kind if kind != "auto" else last.id, flag)
    if automatic:
        _put(stage, "kind", kind, flag)
    if not issubclass(resolve(stage), Sink):
        raise refuse(flag, f"{kind} is no sink (known: {', '.join(kinds)})")
    draft[-1] = stage


def _set_output(draft: Draft, path: str) -> None:
    """Point the only file sink at `path`; a single sink of another kind becomes a file sink."""
    sinks = _sinks(draft)
    files = [sink for sink in sinks if _has(sink, "path")]
    files = [sink for sink in files if sink.name == "file"] or files
    if not files and len(sinks) == 1:
        files = sinks
        _turn_into_file(files[0])
    if len(files) != 1:
        how_many = "no file sink" if not files else f"{len(files)} file sinks"
        raise refuse("--output", f"this pipeline has {how_many}; use --set ID.path={path}")
    _put(files[0], "path", path, "--output")


def _turn_into_file(sink: DraftStage) -> None:
    if sink.id == sink.name:
        sink.id = "file"
    sink.name, sink.properties, sink.where = "file", {}, "--output"


def _allow_overwrite(draft: Draft) -> None:
    for sink in _sinks(draft):
        if _has(sink, "overwrite"):
            _put(sink, "overwrite", True, "--overwrite")


def _set(draft: Draft, text: str) -> None:
    flag = f"--set {text}"
    path, equals, value = text.partition("=")
    ident, dot, key = path.strip().partition(".")
    if not (equals and dot and ident and key):
        raise refuse(flag, "write it as ID.PROPERTY=VALUE, as in 'overlay.filter=glasses'")
    stages = {stage.id: stage for stage in walk(draft)}
    if ident not in stages:
        raise refuse(flag, unknown("stage id", ident, tuple(stages)))
    stage, node = stages[ident], parse_value(value, flag)
    if key.startswith("queue."):
        old = stage.queue.value if stage.queue and isinstance(stage.queue.value, dict) else {}
        stage.queue = Node({**old, key.removeprefix("queue."): node}, flag)
    elif key == "queue":
        stage.queue = node
    elif key == "id":
        raise refuse(flag, "ids are given in the file; use the one that is there")
    else:
        stage.properties[key] = node
