"""`vidfilter filters`: what can be drawn on a face."""

from __future__ import annotations

import click

from ._output import Output, output_options


@click.group("filters")
def command() -> None:
    """List the filters."""


@command.command("list")
@output_options()
@click.pass_obj
def list_filters(console: Output) -> None:
    """List the filters that overlay can draw."""
    from ..registry import module

    reading = module("filters", "reading")
    titles = {name: reading.read_filter(name)[1].title for name in reading.filter_names()}
    width = max(map(len, titles), default=0)
    text = "\n".join(f"{name:{width}}  {title}" for name, title in titles.items())
    console.result(text, [{"name": name, "title": title} for name, title in titles.items()])
