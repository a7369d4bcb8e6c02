"""Options that several commands share."""

from __future__ import annotations

import math
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..spec import PipelineSpec

_F = TypeVar("_F", bound="Callable[..., Any]")

SETS = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="ID.KEY=VALUE",
    help="Set a property, as in overlay.filter=lips; may be repeated.",
)
_FILMS = (".mkv", ".webm", ".m4v", ".ts")  # not every system's list of types has them
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace existing files.")


def _seconds(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise click.BadParameter("must be a number of seconds above 0")
    return value


_PIPELINE = (
    click.argument("pipeline", required=False, metavar="[PIPELINE]"),
    click.option(
        "-i",
        "--input",
        metavar="SOURCE",
        help="File, URL, folder, camera:N, test, or - for standard input.",
    ),
    click.option("-o", "--output", metavar="FILE", help="Video file to write."),
    click.option("--sink", metavar="KIND", help="Where it goes: auto, window, file, null, ..."),
    click.option("--filter", metavar="NAME", help="Filter to draw; see 'vidfilter filters list'."),
    click.option(
        "--duration",
        "duration_s",
        type=float,
        callback=_seconds,
        metavar="SECONDS",
        help="Stop after that much of the source.",
    ),
    click.option(
        "--tracks",
        metavar="FILE",
        help="Take the faces from a file of 'vidfilter analyze' instead of the models.",
    ),
    SETS,
)


def pipeline_options(function: _F) -> _F:
    """Add the argument PIPELINE and the options that change it."""
    for decorate in reversed(_PIPELINE):
        function = decorate(function)
    return function


def load(pipeline: str | None, options: dict[str, Any]) -> PipelineSpec:
    """Read PIPELINE, or the packaged one, as changed by `options`; raises ConfigError."""
    from .. import config

    overrides = config.Overrides(**{**options, "sets": tuple(options.get("sets", ()))})
    if pipeline is None:
        text = config.DEFAULT_PIPELINE.read_text(encoding="utf-8")
        return config.loads(text, where="default pipeline", overrides=overrides)
    _refuse_film(pipeline)
    return config.load(pipeline, overrides=overrides)


def _refuse_film(name: str) -> None:
    """Raise ConfigError where somebody gave a film or picture instead of a pipeline."""
    kind = mimetypes.guess_type(name)[0] or ""
    if not (kind.startswith(("video/", "image/")) or name.lower().endswith(_FILMS)):
        return
    from ..errors import ConfigError

    flag = "--input" if Path(name).exists() else "--output"
    raise ConfigError(f"{name} is no pipeline.yaml; did you mean {flag} {name}?")
