"""What the commands that train, judge and export networks share."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from ._output import Output


def training(name: str, *needs: str) -> ModuleType:
    """Import `models.training.<name>`; VidfilterError where a package it needs is missing."""
    from ..errors import VidfilterError
    from ..registry import module

    missing = [need for need in needs if importlib.util.find_spec(need) is None]
    if missing:
        raise VidfilterError(
            f"this needs the train extra ({', '.join(missing)} is not installed): "
            "pip install 'vidfilter[train]'"
        )
    return module("models", f"training.{name}")


def refuse_existing(paths: list[Path], *, overwrite: bool) -> None:
    """Raise VidfilterError where a file to be written is there already."""
    from ..errors import VidfilterError

    for path in paths:
        if path.exists() and not overwrite:
            raise VidfilterError(f"{path} exists already: --overwrite replaces it")


class Number(click.FloatRange):
    """A number in a range, and not NaN, which is in every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number", param, ctx)
        return number


def multiple_of_32(_ctx: object, _param: object, value: int | None) -> int | None:
    """Refuse a size of crops that the landmark network cannot halve so often."""
    if value is not None and value % 32:
        raise click.BadParameter(f"{value} is not a multiple of 32")
    return value


@contextlib.contextmanager
def files_named(place: Path) -> Iterator[None]:
    """Turn an OSError into a VidfilterError that names the file in question, or `place`."""
    from ..errors import VidfilterError

    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise VidfilterError(f"{error.filename or place}: {reason}") from error


@contextlib.contextmanager
def progress_bar(output: Output, label: str, total: float) -> Iterator[Callable[[float], None]]:
    """Give a function that shows how much of `total` is done; silent where nobody watches."""
    if output.quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=total)
        output.write = lambda text: console.print(text, markup=False, highlight=False)
        try:
            yield lambda done: bar.update(task, completed=done)
        finally:
            output.write = None
