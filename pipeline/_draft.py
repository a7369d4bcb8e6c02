"""The stages of a pipeline.yaml as written: names, ids and raw properties, not yet validated."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._yaml import Node, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._yaml import Where

ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_ITEM = "each item is one stage such as '- overlay: {filter: glasses}'"
_BRANCH = "a tee holds a list of branches, each a list of stages such as '- [window: {}]'"


@dataclass(slots=True)
class DraftStage:
    """One stage; `bare` is a value given without the name of a property.

    `properties` leave out `id` and `queue`; `where` is None for a stage that a flag put here.
    """

    name: str
    id: str
    where: Where
    properties: dict[str, Node] = field(default_factory=dict)
    queue: Node | None = None
    bare: Node | None = None


@dataclass(slots=True)
class DraftTee:
    """A split into branches."""

    where: Where
    branches: list[Draft] = field(default_factory=list)


Draft = list[DraftStage | DraftTee]


def walk(draft: Draft) -> Iterator[DraftStage]:
    """Yield every stage, branch by branch."""
    for item in draft:
        if isinstance(item, DraftTee):
            for branch in item.branches:
                yield from walk(branch)
        else:
            yield item


def read(node: Node) -> Draft:
    """Read a list of stages; raises ConfigError."""
    if not isinstance(node.value, list) or not node.value:
        raise refuse(node.where, f"stages must be a list, source first; {_ITEM}")
    return [_item(item) for item in node.value]


def _item(node: Node) -> DraftStage | DraftTee:
    if isinstance(node.value, dict):
        if len(node.value) != 1:
            raise refuse(node.where, f"{_ITEM}; got {_keys(node)}")
        ((name, body),) = node.value.items()
        where = body.key_where or node.where
    else:
        # The text and not the value: the stage called null is a name here.
        name, body, where = node.text, Node(None, node.where), node.where
    if not name:
        raise refuse(where, _ITEM)
    return _tee(body, where) if name == "tee" else _stage(name, body, where)


def _keys(node: Node) -> str:
    keys = list(node.value)
    return ", ".join(map(repr, keys[:4])) + (" ..." if len(keys) > 4 else "") or "{}"


def _tee(body: Node, where: Where) -> DraftTee:
    if not isinstance(body.value, list) or not body.value:
        raise refuse(where, _BRANCH)
    for branch in body.value:
        if not isinstance(branch.value, list) or not branch.value:
            raise refuse(branch.where, _BRANCH)
    return DraftTee(where, [read(branch) for branch in body.value])


def _stage(name: str, body: Node, where: Where) -> DraftStage:
    stage = DraftStage(name, name, where)
    if isinstance(body.value, dict):
        stage.properties = dict(body.value)
        stage.queue = stage.properties.pop("queue", None)
        if "id" in stage.properties:
            stage.id = _id(stage.properties.pop("id"))
    elif body.value is not None:
        stage.bare = body
    return stage


def _id(node: Node) -> str:
    if not isinstance(node.value, str) or not ID.fullmatch(node.value):
        raise refuse(node.where, "id must be a word of letters, digits, _ and -")
    return node.value
