"""`vidfilter run`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._options import OVERWRITE, load, pipeline_options
from ._output import Output, output_options


@click.command("run")
@pipeline_options
@OVERWRITE
@click.option("--report", type=click.Path(path_type=Path), help="Write figures as JSON to a file.")
@click.option(
    "--strict", is_flag=True, help="Exit with 1 when a file lost a frame or the input is damaged."
)
@output_options()
@click.pass_obj
def command(
    console: Output, /, pipeline: str | None, report: Path | None, strict: bool, **options: Any
) -> int:
    """Run PIPELINE, a YAML file; without one: camera or test face, glasses, window or file.

    \b
    vidfilter run                                  the test face, or the first camera
    vidfilter run --input talk.mp4 --output o.mp4  a video, with its sound
    vidfilter run my.yaml --set smooth.steadiness=0.8
    """
    spec = load(pipeline, options)
    from ._play import Wishes, play

    return play(spec, console, Wishes(report, strict, options["overwrite"]))
