"""`vidfilter export`: from a checkpoint to a network that a pipeline runs."""

from __future__ import annotations

from pathlib import Path

import click

from ._output import Output, output_options
from ._training import files_named, refuse_existing, training

_PATH = click.Path(path_type=Path)


@click.command("export")
@click.argument("checkpoint", type=_PATH, metavar="CHECKPOINT")
@click.option("-o", "--out", type=_PATH, required=True, metavar="FILE", help=".onnx to write.")
@click.option(
    "--scheme",
    type=click.Choice(["ibug68", "helen194"]),
    default="ibug68",
    show_default=True,
    help="landmarks: which of its two heads.",
)
@click.option(
    "--size",
    type=click.IntRange(32),
    help="landmarks: side of the crop in px, if not that of training.",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="detector: take as a face what scores so much.",
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
    scheme: str,
    size: int | None,
    min_score: float,
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
    with files_named(out):
        spec = export.run(export.Options(checkpoint, out, scheme, size, min_score))
    text = f"wrote {out} and {out.with_suffix('.json').name}, {out.stat().st_size / 1e6:.1f} MB"
    if int8 and data is not None:
        if "points" not in spec:
            raise click.UsageError("--int8 is for landmark networks")
        spec = training("export_int8", "torch", "onnx").quantise(out, spec, data)
        loss = spec["int8"]
        text = (
            f"wrote {out}, int8, {out.stat().st_size / 1e6:.1f} MB; error on {loss['n']} faces "
            f"{100 * loss['nme_int8']:.2f} % (fp32 {100 * loss['nme_fp32']:.2f} %)"
        )
    console.result(text, spec)
