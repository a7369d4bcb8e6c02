"""From drafts to a PipelineSpec: names, properties, order and links."""

from __future__ import annotations

import json
import os
from itertools import count
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ._draft import Draft, DraftStage, DraftTee, walk
from ._properties import properties
from ._queue_spec import queue_spec
from ._yaml import Node, refuse
from .errors import RegistryError
from .outputs import part_path
from .registry import stage_class, stage_names, unknown
from .spec import Leaky, Position, StageSpec, TeeSpec
from .stage import Sink, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._yaml import Where
    from .stage import Stage


def check(draft: Draft) -> tuple[StageSpec | TeeSpec, ...]:
    """Validate `draft` as a whole; raises ConfigError for the first thing that is wrong."""
    for stage in walk(draft):
        resolve(stage)
    _check_ids(draft)
    _check_order(draft)
    specs = _specs(draft, count(1))
    _check_leaks(draft, ())
    _check_outputs(draft)
    return specs


def resolve(stage: DraftStage) -> type[Stage]:
    """Return the class of `stage`; raises ConfigError where it is unknown or cannot be loaded."""
    try:
        return stage_class(stage.name)
    except RegistryError as error:
        if stage.name in stage_names():
            raise refuse(stage.where, str(error)) from error
        raise refuse(stage.where, unknown("stage", stage.name, (*stage_names(), "tee"))) from error
    except ImportError as error:
        raise refuse(stage.where, f"stage {stage.name} cannot be loaded: {error}") from error


# Order


def _check_ids(draft: Draft) -> None:
    seen: dict[str, DraftStage] = {}
    for stage in walk(draft):
        if stage.id in seen:
            hint = f"give one of them an id, as in '{stage.name}: {{id: {stage.id}2}}'"
            raise refuse(stage.where, f"id {stage.id!r} is given twice; {hint}")
        seen[stage.id] = stage


def _check_order(draft: Draft) -> None:
    first = draft[0]
    if isinstance(first, DraftTee) or not issubclass(resolve(first), Source):
        name = "tee" if isinstance(first, DraftTee) else first.name
        raise refuse(first.where, f"{name} cannot come first: a pipeline begins with a source")
    _check_chain(draft, start=1)


def _check_chain(draft: Draft, *, start: int) -> None:
    """Check that sources stand nowhere behind `start` and sinks at the end only."""
    for number, item in enumerate(draft[start:], start):
        last = number == len(draft) - 1
        if isinstance(item, DraftTee):
            if not last:
                raise refuse(draft[number + 1].where, "nothing may follow a tee in its list")
            for branch in item.branches:
                _check_chain(branch, start=0)
            return
        cls = resolve(item)
        if issubclass(cls, Source):
            raise refuse(item.where, f"{item.name} is a source: it can only come first")
        if issubclass(cls, Sink) and not last:
            text = f"{item.name} is a sink: nothing may follow it; to have several sinks use a tee"
            raise refuse(draft[number + 1].where, text)
    end = draft[-1]
    if isinstance(end, DraftStage) and not issubclass(resolve(end), Sink):
        raise refuse(end.where, f"a list of stages must end in a sink or a tee, not in {end.name}")


def _check_leaks(draft: Draft, leaking: tuple[DraftStage, ...]) -> None:
    """Refuse a queue that may lose frames on the way to a sink that must lose none."""
    for item in draft:
        if isinstance(item, DraftTee):
            for branch in item.branches:
                _check_leaks(branch, leaking)
            continue
        if queue_spec(item).leaky not in (None, Leaky.NONE):
            leaking = (*leaking, item)
        if leaking and getattr(resolve(item), "lossless", False):
            where = _queue_where(leaking[0])
            text = f"the queue of {leaking[0].id} may drop frames that {item.id} must write"
            raise refuse(where, f"{text}; remove 'leaky' or move it to another branch of a tee")


def _queue_where(stage: DraftStage) -> Where:
    if stage.queue is None:
        return stage.where
    return stage.queue.follow(("leaky",)).where


def _check_outputs(draft: Draft) -> None:
    """Refuse two sinks that write one file, by its name or by the one it has until it is whole."""
    taken: dict[str, DraftStage] = {}
    for stage in walk(draft):
        node = stage.properties.get("path")
        if node is None or not isinstance(node.value, str) or not issubclass(resolve(stage), Sink):
            continue
        path = _real(node.value)
        for name in (path, str(part_path(path))):
            other = taken.setdefault(name, stage)
            if other is not stage:
                text = f"{stage.id} would write the same file as {other.id}; give it another path"
                raise refuse(node.where, text)


def _real(path: str) -> str:
    """Return `path` without links, so that one file has one name; takes any text."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # ValueError: a NUL character
        return os.path.abspath(path)  # noqa: PTH100


# Values


def _specs(draft: Draft, numbers: Iterator[int]) -> tuple[StageSpec | TeeSpec, ...]:
    return tuple(
        _tee_spec(item, numbers) if isinstance(item, DraftTee) else _stage_spec(item)
        for item in draft
    )


def _tee_spec(tee: DraftTee, numbers: Iterator[int]) -> TeeSpec:
    number = next(numbers)
    name = "tee" if number == 1 else f"tee-{number}"
    branches = tuple(_specs(branch, numbers) for branch in tee.branches)
    return TeeSpec(branches, name, _position(tee.where))


def _stage_spec(stage: DraftStage) -> StageSpec:
    cls = resolve(stage)
    if issubclass(cls, Source) and stage.queue is not None:
        where = stage.queue.key_where or stage.queue.where
        raise refuse(where, f"{stage.name} is a source and has no input queue")
    expand_shorthand(stage)
    validate_properties(stage, cls)
    values = {key: node.plain() for key, node in stage.properties.items()}
    return StageSpec(stage.name, stage.id, values, queue_spec(stage), _position(stage.where))


def _position(where: Where) -> Position | None:
    return where if isinstance(where, Position) else None


def expand_shorthand(stage: DraftStage) -> None:
    """Give a bare value the name of the property it stands for."""
    if stage.bare is None:
        return
    key = resolve(stage).shorthand
    if key is None:
        text = f"properties must be a mapping such as '{stage.name}: {{...}}'"
        raise refuse(stage.bare.where, f"{stage.name}: {text}")
    stage.properties[key] = stage.bare
    stage.bare = None


def validate_properties(stage: DraftStage, cls: type[Stage]) -> None:
    """Check the properties against the class; raises ConfigError."""
    known = tuple(p.name for p in properties(cls.Params))
    for key, node in stage.properties.items():
        if key not in known:
            where = node.key_where or node.where
            raise refuse(
                where, f"{stage.name}: {unknown('property', key, (*known, 'id', 'queue'))}"
            )
    values = {key: node.plain() for key, node in stage.properties.items()}
    try:
        # Strict JSON is what YAML means: a list may become a tuple, but "5" is no number.
        cls.Params.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise _explain(stage, cls, error) from error


def _explain(stage: DraftStage, cls: type[Stage], error: ValidationError) -> Exception:
    first = error.errors(include_url=False)[0]
    path = first["loc"]
    kind, name = first["type"], str(path[0]) if path else ""
    prop = next((p for p in properties(cls.Params) if p.name == name), None)
    node = stage.properties.get(name)
    if kind == "missing" and prop is not None and len(path) == 1:
        return refuse(stage.where, f"{stage.name}: {name} is required: {prop.expected}")
    if prop is None or node is None:
        flags = [node.where for node in stage.properties.values() if isinstance(node.where, str)]
        return refuse(flags[-1] if flags else stage.where, f"{stage.name}: {_reason(first)}")
    culprit = node.follow(path[1:])
    nested = len(path) > 1 and isinstance(node.value, (dict, list))
    if kind in ("value_error", "assertion_error") or nested:
        return refuse(culprit.where, f"{stage.name}: {name}: {_reason(first)}")
    text = f"{name} must be {prop.expected}, got {_said(culprit)}"
    return refuse(culprit.where, f"{stage.name}: {text}")


def _said(node: Node) -> str:
    """Return what the user wrote, in quotes where that tells text from other values."""
    if node.value is None:
        return "nothing"
    return (repr(node.value) if isinstance(node.value, str) else node.text or "a collection")[:80]


def _reason(error: Any) -> str:
    cause = error.get("ctx", {}).get("error")
    return " ".join(str(cause or error["msg"]).split())
