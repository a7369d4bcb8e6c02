"""`vidfilter export`: from a checkpoint to a network that a pipeline runs."""

from __future__ import annotations

from pathlib import Path

import click

from ._output import Output, output_options
from ._training import Number, files_named, multiple_of_32, refuse_existing, training

_PATH = click.Path(path_type=Path)


@click.command("export")
@click.argument("checkpoint", type=_PATH, metavar="CHECKPOINT")
@click.option("-o", "--out", type=_PATH, required=True, metavar="FILE", help=".onnx to write.")
@click.option(
    "--scheme",
    type=click.Choice(["ibug68", "helen194"]),
    help="landmarks: which of its two heads  [default: ibug68].",
)
@click.option(
    "--size",
    type=click.IntRange(64, 256),
    callback=multiple_of_32,
    help="landmarks: side of the crop in px, if not that of training.",
)
@click.option(
    "--min-score",
    type=Number(0, 1),
    help="detector: take as a face what scores so much  [default: 0.5].",
)
@click.option("--int8", is_flag=True, help="Quantise to 8 bits and measure the loss; needs --data.")
@click.option("--data", type=_PATH, metavar="DIR", help="Annotated faces for --int8.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@output_options()
@click.pass_obj
def command(
    console: Output,
    checkpoint: Path,
    out: Path,
    scheme: str | None,
    size: int | None,
    min_score: float | None,
    int8: bool,
    data: Path | None,
    overwrite: bool,
) -> None:
    """Write CHECKPOINT, of any recipe of 'vidfilter train', as ONNX with its .json beside it.

    ONNX Runtime must agree with torch. Use it by --set landmarks.model=FILE.
    """
    if int8 and data is None:
        raise click.UsageError("--int8 needs --data: faces to calibrate and to judge by")
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"folder {out.parent} does not exist")
    export = training("export", "torch", "onnx")
    refuse_existing([out, out.with_suffix(".json")], overwrite=overwrite)
    options = export.Options(checkpoint, out, scheme, size, min_score, data if int8 else None)
    with files_named(out):
        spec = export.run(options)
    megabytes = f"{out.stat().st_size / 1e6:.1f} MB"
    text = f"wrote {out} and {out.with_suffix('.json').name}, {megabytes}"
    if loss := spec.get("int8"):
        text = f"wrote {out}, int8, {megabytes}; {_loss(loss)}"
    console.result(text, spec)


def _loss(loss: dict[str, float]) -> str:
    """Say what 8 bits cost, of points or of boxes."""
    if "ap_40_int8" in loss:
        return (
            f"average precision on {loss['n']} pictures {loss['ap_40_int8']:.3f} "
            f"(fp32 {loss['ap_40_fp32']:.3f})"
        )
    return (
        f"error on {loss['n']} faces {100 * loss['nme_int8']:.2f} % "
        f"(fp32 {100 * loss['nme_fp32']:.2f} %)"
    )
