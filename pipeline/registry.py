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
def _entry_points() -> dict[str, object]:
    return {point.name: point for point in entry_points(group=STAGE_GROUP)}


@cache
def stage_names() -> tuple[str, ...]:
    """Return the names of all stages, sorted, without importing any of them."""
    folder = importlib.import_module(f"{PACKAGE}.stages")
    own = {m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_")}
    return tuple(sorted(own | set(_entry_points()) | set(_registered)))


def stage_class(name: str) -> type[Stage]:
    """Return the class of stage `name`, importing only its file; raises RegistryError."""
    if name not in _registered:
        _load(name)
    if name not in _registered:
        raise RegistryError(f"stage file {name!r} registers no stage {name!r}")
    return _registered[name]


def _load(name: str) -> None:
    point = _entry_points().get(name)
    if point is not None:
        _registered[name] = point.load()  # type: ignore[attr-defined]
        return
    if name.startswith("_") or name not in stage_names():
        raise RegistryError(unknown("stage", name, stage_names()))
    importlib.import_module(f"{PACKAGE}.stages.{name}")


def unknown(kind: str, name: str, allowed: tuple[str, ...]) -> str:
    """Return the error text for an unknown `name`, with the nearest allowed one."""
    near = difflib.get_close_matches(str(name), allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(allowed)})"


def module(folder: str, name: str) -> ModuleType:
    """Import `vidfilter.<folder>.<name>`; how stages reach models and filters."""
    return importlib.import_module(f"{PACKAGE}.{folder}.{name}")
