"""`vidfilter bench`: how much of a bare decode-encode's frame rate a whole run keeps."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._output import Output, output_options, term_as_ctrl_c

if TYPE_CHECKING:
    from .._turns import Comparison


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

    Both use the file sink's settings, and take turns after every hundred frames, so that a machine
    whose speed drifts is the same for both. Prints frame rates, their ratio, our CPU time per frame
    beyond decoding and encoding (also as a share of what those cost, which fits a machine of any
    speed), and memory. Temporary files go to the system's folder for them.
    """
    from .. import bench
    from ._options import load

    load(None, {"filter": filter_name})  # find out now whether there is such a filter
    with term_as_ctrl_c(), tempfile.TemporaryDirectory(prefix="vidfilter-bench-") as name:
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


def _text(result: Comparison) -> str:
    bare, ours = result.bare[-1], result.ours[-1]
    rounds, threads = len(result.ours), result.threads_ms
    return (
        f"frame rate {result.ratio:.3f} of bare decode-encode"
        f" (median of {rounds}, {_range(result.ratios, 3)})\n"
        f"CPU beyond decoding and encoding {result.extra_ms:.2f} ms per frame"
        f" (median of {rounds}, {_range(result.extras_ms, 2)}"
        f"{_middle_half(result.extra_by_slice_ms)}),"
        f" {result.extra_share:.2f} of the {result.bare_ms:.1f} ms that these cost\n"
        f"our threads {', '.join(f'{name} {ms:.2f}' for name, ms in threads.items())} ms,"
        " capture and file with what they decode and encode themselves\n"
        f"memory {ours.peak_mb:.0f} MB at most (bare {bare.peak_mb:.0f} MB), "
        f"{ours.end_mb - ours.early_mb:+.0f} MB from the first quarter to the end"
    )


def _range(values: list[float], digits: int) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def _middle_half(values: list[float]) -> str:
    if len(values) < 4:
        return ""
    low, _, high = statistics.quantiles(values)
    return f"; half of all slices {low:.2f} to {high:.2f}"
