"""`vidfilter bench`: how much of a bare decode-encode's frame rate a whole run keeps."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from ._output import Output, output_options


@click.command("bench")
@click.option("-i", "--input", "clip", metavar="FILE", help="Clip to use; default: the test face.")
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="Length of the clip in frames.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often to measure each of the two.",
)
@click.option("--filter", "filter_name", default="glasses", show_default=True, metavar="NAME")
@output_options()
@click.pass_obj
def command(console: Output, clip: str | None, frames: int, rounds: int, filter_name: str) -> None:
    """Compare file to file with a bare decode-encode of the same clip, side by side.

    Both use the file sink's settings. Prints frame rates, their ratio, our CPU time per frame
    beyond decoding and encoding, and memory. Temporary files go to the system's folder for them.
    """
    from .. import bench
    from ._options import load

    load(None, {"filter": filter_name})  # find out now whether there is such a filter
    with tempfile.TemporaryDirectory(prefix="vidfilter-bench-") as name:
        folder = Path(name)
        source = folder / "clip.mp4"
        if clip is None:
            console.say(f"rendering {frames} frames of the test face")
            bench.make_clip(source, frames)
        else:
            bench.lengthen(Path(clip), source, frames)
        result = None
        for number, result in enumerate(bench.compare(source, folder, rounds, filter_name), 1):
            bare, ours = result.bare[-1], result.ours[-1]
            console.say(f"round {number}: bare {bare.fps:.1f} fps, vidfilter {ours.fps:.1f} fps")
    if result is not None:
        console.result(_text(result), result.summary())


def _text(result: object) -> str:
    from ..bench import Comparison

    assert isinstance(result, Comparison)
    bare, ours = result.bare[-1], result.ours[-1]
    return (
        f"frame rate {result.ratio:.3f} of bare decode-encode (median of {len(result.ours)})\n"
        f"CPU beyond decoding and encoding {result.extra_ms:.2f} ms per frame\n"
        f"memory {ours.peak_mb:.0f} MB at most (bare {bare.peak_mb:.0f} MB), "
        f"{ours.end_mb - ours.early_mb:+.0f} MB from the first quarter to the end"
    )
