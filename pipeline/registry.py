"""Resolve stage names to classes: name = file name, so no central list is edited.

Third-party stages come through the entry-point group `vidfilter.stages`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, TypeVar

from .errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint
    from types import ModuleType

    from .stage import Stage

PACKAGE = __package__.rpartition(".")[0]
STAGE_GROUP = "vidfilter.stages"
_registered: dict[str, type[Stage]] = {}
S = TypeVar("S", bound="type[Stage]")


def register_stage(name: str) -> Callable[[S], S]:
    """Return a class decorator that makes the class known as stage `name`."""

    def decorate(cls: S) -> S:
        _registered[name] = cls
        return cls

    return decorate


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=STAGE_GROUP)}


@cache
def _own_names() -> frozenset[str]:
    folder = importlib.import_module(f"{PACKAGE}.stages")
    names = (module.name for module in pkgutil.iter_modules(folder.__path__))
    return frozenset(name for name in names if not name.startswith("_"))


@cache
def stage_names() -> tuple[str, ...]:
    """Return the names of all stages, sorted, without importing any of them."""
    return tuple(sorted(_own_names() | set(_entry_points()) | set(_registered)))


def stage_class(name: str) -> type[Stage]:
    """Return the class of stage `name`, importing only its file; raises RegistryError."""
    if name not in _registered:
        _load(name)
    if name not in _registered:
        raise RegistryError(f"stage file {name!r} registers no stage {name!r}")
    return _registered[name]


def _load(name: str) -> None:
    # Stages of our own come first: another package must not change what their names mean.
    if name in _own_names():
        importlib.import_module(f"{PACKAGE}.stages.{name}")
        return
    point = _entry_points().get(name)
    if point is None:
        raise RegistryError(unknown("stage", name, stage_names()))
    _registered[name] = _class_of(point)


def _class_of(point: EntryPoint) -> type[Stage]:
    from .stage import Stage

    try:
        found = point.load()
    except Exception as error:  # it runs code that is not ours
        text = f"{type(error).__name__}: {error}"
        raise RegistryError(f"stage {point.name} cannot be loaded: {text}") from error
    if not (isinstance(found, type) and issubclass(found, Stage)):
        raise RegistryError(f"stage {point.name} cannot be loaded: {point.value} is no stage")
    return found


def unknown(kind: str, name: str, allowed: tuple[str, ...]) -> str:
    """Return the error text for an unknown `name`, with the nearest allowed one."""
    near = difflib.get_close_matches(str(name), allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(allowed)})"


def module(folder: str, name: str) -> ModuleType:
    """Import `vidfilter.<folder>.<name>`; how stages reach models and filters."""
    return importlib.import_module(f"{PACKAGE}.{folder}.{name}")
