"""Read YAML into values that remember their line and column; refuses what a config never needs.

Anchors, tags, directives, duplicate keys and a second document are errors: none of them helps a
pipeline description, and each is a way to hide or to blow up a value.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ConfigError
from .spec import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # Where a value stands: a place in a file, or the flag that gave it.
    Where = Position | str

MAX_BYTES = 1_000_000
MAX_NODES = 10_000
MAX_DEPTH = 24
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {w: w.lower() == "true" for w in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INT = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,5})?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Node:
    """A YAML value: None, bool, int, float, str, a list of nodes or a dict of nodes by key.

    `text` is a scalar as written, so that a name such as `null` can be read back.
    `key_where` is where the key stands of a value inside a mapping.
    """

    value: Any
    where: Where
    text: str = ""
    key_where: Where | None = None

    def plain(self) -> Any:
        """Return the value without positions."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def follow(self, path: tuple[Any, ...]) -> Node:
        """Return the deepest node on `path` (keys and indices) that exists."""
        for step in path:
            try:
                self = self.value[step]
            except (KeyError, IndexError, TypeError):
                break
        return self


def refuse(where: Where | None, text: str) -> ConfigError:
    """Return the error for `text` at `where`, on one line, whatever the user typed."""
    line = f"{where}: {text}" if where else text
    return ConfigError("".join(_visible(c) for c in line))


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def parse(text: str, file: str) -> Node:
    """Parse the only document of `text`; raises ConfigError with line and column."""
    return _parse(text, lambda line, column: Position(file, line + 1, column + 1))


def parse_value(text: str, flag: str) -> Node:
    """Parse a value given on the command line, such as `0.5` or `[a, b]`."""
    return _parse(text, lambda _line, _column: flag)


def _parse(text: str, locate: Callable[[int, int], Where]) -> Node:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        return _Composer(YAML(typ="safe", pure=True).parse(text), locate).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = locate(mark.line, mark.column) if mark else locate(0, 0)
        raise refuse(where, f"not valid YAML: {error.problem or error.context}") from error
    except ReaderError as error:
        before = text[: error.position]
        where = locate(before.count("\n"), len(before) - before.rfind("\n") - 1)
        raise refuse(where, f"control character {error.character!r} is not allowed") from error
    except (YAMLError, ValueError, OverflowError) as error:
        if isinstance(error, ConfigError):
            raise
        raise refuse(locate(0, 0), f"not valid YAML: {error}") from error


class _Composer:
    """Build nodes from parser events as they come, so that a bomb stops at the first excess."""

    def __init__(self, events: Iterator[Any], locate: Callable[[int, int], Where]) -> None:
        self._events = events
        self._locate = locate
        self._count = 0

    def document(self) -> Node:
        next(self._events)  # stream start
        event = next(self._events)
        if _kind(event) == "StreamEnd":
            return Node(None, self._locate(0, 0))
        if event.version or event.tags:
            raise refuse(self._at(event), "directives such as %YAML are not allowed")
        node = self._node(next(self._events), 0)
        next(self._events)  # document end
        if _kind(event := next(self._events)) != "StreamEnd":
            raise refuse(self._at(event), "a second document ('---') is not allowed")
        return node

    def _node(self, event: Any, depth: int) -> Node:
        self._check(event, depth)
        if _kind(event) == "Scalar":
            if "\0" in event.value:
                raise refuse(self._at(event), "a NUL character is not allowed")
            value = event.value if event.style else self._scalar(event)
            return Node(value, self._at(event), event.value)
        if _kind(event) == "SequenceStart":
            return Node(list(self._items(depth + 1)), self._at(event))
        return Node(dict(self._entries(depth + 1)), self._at(event))

    def _items(self, depth: int) -> Iterator[Node]:
        while _kind(event := next(self._events)) != "SequenceEnd":
            yield self._node(event, depth)

    def _entries(self, depth: int) -> Iterator[tuple[str, Node]]:
        seen: set[str] = set()
        while _kind(event := next(self._events)) != "MappingEnd":
            key = self._node(event, depth)
            if isinstance(key.value, (dict, list)):
                raise refuse(key.where, "a key must be one word")
            if key.text in seen:
                raise refuse(key.where, f"{key.text!r} is given twice")
            seen.add(key.text)
            node = self._node(next(self._events), depth)
            yield key.text, Node(node.value, node.where, node.text, key.where)

    def _check(self, event: Any, depth: int) -> None:
        self._count += 1
        if _kind(event) == "Alias" or event.anchor:
            raise refuse(self._at(event), "anchors and aliases (& and *) are not allowed")
        if event.tag:
            raise refuse(self._at(event), f"tags such as {event.tag} are not allowed")
        if depth > MAX_DEPTH:
            raise refuse(self._at(event), f"nested deeper than {MAX_DEPTH} levels")
        if self._count > MAX_NODES:
            raise refuse(self._at(event), f"more than {MAX_NODES} values")

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _NOT_FINITE.fullmatch(text):
            raise refuse(self._at(event), f"{text} is not a finite number")
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
        return text

    def _at(self, event: Any) -> Where:
        return self._locate(event.start_mark.line, event.start_mark.column)


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")
