"""`vidfilter analyze`: faces and landmarks of a video as data."""

from __future__ import annotations

from typing import Any

import click

from ._options import OVERWRITE, SETS
from ._output import Output, output_options

_PIPELINE = """
version: 1
stages:
  - capture: {}
  - detect: {}
  - landmarks: {}
  - smooth: {}
  - tracks_file: {path: tracks.jsonl}
"""


@click.command("analyze")
@click.argument("input", metavar="INPUT")
@click.option(
    "-o", "--output", "path", metavar="FILE", required=True, help="tracks.jsonl to write."
)
@SETS
@OVERWRITE
@output_options()
@click.pass_obj
def command(console: Output, /, input: str, path: str, **options: Any) -> int:
    """Write the faces of INPUT, a video, picture or folder, as one JSON object per frame."""
    from .. import config
    from ._play import Wishes, play

    overrides = config.Overrides(input=input, output=path, **options)
    spec = config.loads(_PIPELINE, where="analyze", overrides=overrides)
    return play(spec, console, Wishes())
