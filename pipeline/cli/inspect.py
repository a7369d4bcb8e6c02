"""`vidfilter inspect`: what stages there are and what properties they have."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any

import click

from ._output import Output, output_options

if TYPE_CHECKING:
    from ..stage import Stage


@click.command("inspect")
@click.argument("stage", required=False, metavar="[STAGE]")
@output_options()
@click.pass_obj
def command(console: Output, stage: str | None) -> None:
    """Show the stages, or the properties of STAGE with type, range, default and unit."""
    from ..registry import stage_class

    if stage is None:
        _list_all(console)
        return
    facts = _facts(stage, stage_class(stage))
    console.result(_page(facts), facts)


def _list_all(console: Output) -> None:
    from ..errors import VidfilterError
    from ..registry import stage_class, stage_names

    entries = []
    for name in stage_names():
        try:
            entries.append(_facts(name, stage_class(name)))
        except (ImportError, VidfilterError) as error:
            if console.verbose:
                console.say(f"vidfilter: warning: {name}: {error}")
    order = ("source", "transform", "sink")
    entries.sort(key=lambda facts: (order.index(facts["kind"]), facts["stage"]))
    width = max(len(facts["stage"]) for facts in entries)
    lines = []
    for kind in order:
        lines.append(f"{kind}s")
        lines += [
            f"  {facts['stage']:{width}}  {facts['summary'].partition(chr(10))[0]}"
            for facts in entries
            if facts["kind"] == kind
        ]
    console.result("\n".join(lines), entries)


def _facts(name: str, cls: type[Stage]) -> dict[str, Any]:
    from .._properties import properties
    from ..stage import Sink, Source

    kind = "transform"
    if issubclass(cls, (Source, Sink)):
        kind = "source" if issubclass(cls, Source) else "sink"
    return {
        "stage": name,
        "kind": kind,
        "summary": " ".join((cls.__doc__ or "").partition("\n\n")[0].split()),
        "accepts": _accepted(cls),
        "shorthand": cls.shorthand,
        "properties": [
            {key: getattr(p, key) for key in p.__slots__} for p in properties(cls.Params)
        ],
    }


def _accepted(cls: type[Stage]) -> list[str]:
    """Return the formats a stage takes; none for a source, and where the properties decide."""
    from ..stage import Source

    fixed = isinstance(cls.accepts, tuple) and not issubclass(cls, Source)
    return list(cls.accepts) if fixed else []


def _page(facts: dict[str, Any]) -> str:
    lines = [f"{facts['stage']} ({facts['kind']}): {facts['summary']}"]
    if facts["accepts"]:
        lines.append(f"Accepts {', '.join(facts['accepts'])}.")
    if facts["shorthand"]:
        lines.append(f"'- {facts['stage']}: VALUE' sets {facts['shorthand']}.")
    if not facts["properties"]:
        lines.append("No properties.")
    for prop in facts["properties"]:
        lines += ["", *_property(prop)]
    return "\n".join(lines)


def _property(prop: dict[str, Any]) -> list[str]:
    words = " ".join(prop[key] for key in ("type", "range", "unit") if prop[key])
    default = "required" if prop["required"] else f"default {_yaml(prop['default'])}"
    width = max(shutil.get_terminal_size().columns - 6, 40)
    return [
        f"  {prop['name']}: {words} ({default})",
        *(f"      {line}" for line in textwrap.wrap(prop["description"], width)),
    ]


def _yaml(value: Any) -> str:
    """Return `value` as one would write it in pipeline.yaml."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) or "''"
