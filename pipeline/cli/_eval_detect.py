"""`vidfilter eval detect`: how many faces are found, and how much else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ._output import Output, output_options
from ._training import Number, files_named, progress_bar, refuse_existing, training

_PATH = click.Path(path_type=Path)
_FILES = ("report.json", "precision_recall.png", "mistakes.png")


@click.command("detect")
@click.argument("csv", metavar="CSV", type=_PATH)
@click.option("--images", type=_PATH, required=True, metavar="DIR", help="Where the pictures are.")
@click.option("--only", type=_PATH, metavar="FILE", help="Names of the pictures to judge by.")
@click.option(
    "--model",
    default="shipped",
    metavar="FILE",
    help="Another detector (.onnx): of this project, or OpenCV's YuNet.",
)
@click.option(
    "--long-side",
    type=click.IntRange(32, 4096),
    default=320,
    show_default=True,
    help="px of the picture's long side.",
)
@click.option(
    "--min-face",
    type=Number(0),
    default=20.0,
    show_default=True,
    help="px there; smaller do not count.",
)
@click.option("--out", type=_PATH, metavar="DIR", help="Write report, plot and mistakes there.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@output_options()
@click.pass_obj
def detect(
    console: Output,
    csv: Path,
    images: Path,
    only: Path | None,
    model: str,
    long_side: int,
    min_face: float,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Measure precision and recall of the detector on the faces boxed in CSV.

    CSV has the columns image, xmin, ymin, xmax, ymax, label; an empty box says: no face here.
    """
    from ..errors import VidfilterError
    from ..registry import module

    if out is not None:
        training("detector_plots", "matplotlib")
        refuse_existing([out / name for name in _FILES], overwrite=overwrite)
    judge = training("detector_eval")
    detector = module("models", "yunet").open_detector(model)
    sizes = {"long_side": long_side, "min_face": min_face}
    names = judge.heldout_names(only) if only else None
    with progress_bar(console, "judging", 1.0) as done:
        pictures, ms = judge.judge(detector, csv, images, names=names, **sizes, progress=done)
    if not pictures:
        raise VidfilterError(f"{csv}: no picture to judge by")
    figures = judge.report(pictures.values(), ms)
    result = {**figures, "data": str(csv), "model": model, "sha256": detector.model.sha256, **sizes}
    if out is not None:
        _write(out, pictures, images, detector.default_score, result)
        console.say(f"wrote {', '.join(str(out / name) for name in _FILES)}")
    console.result(_text(figures), result)


def _text(figures: dict[str, Any]) -> str:
    """Return a line for each figure; those of sizes, in px, stand below their name."""
    lines = []
    for key, value in figures.items():
        rows = value if isinstance(value, dict) else {"": value}
        lines += [f"{key}:"] if rows is value else []
        lines += [f"  {name} px: {row}" if name else f"{key}: {row}" for name, row in rows.items()]
    return "\n".join(lines)


def _write(
    out: Path, pictures: dict[str, Any], images: Path, score: float, result: dict[str, Any]
) -> None:
    """Write the report, the precision-recall plot and the sheet of mistakes."""
    plots = training("detector_plots")
    with files_named(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / _FILES[0]).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        plots.precision_recall(list(pictures.values()), score, out / _FILES[1])
        plots.contact_sheet(pictures, images, result["long_side"], score, out / _FILES[2])
