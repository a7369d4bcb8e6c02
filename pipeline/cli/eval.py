"""`vidfilter eval`: how far off the landmarks are, and how many faces are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ._card import command as card
from ._eval_detect import detect
from ._judging import NAMES, SCHEMES, end_to_end, load_network, points_of
from ._output import Output, output_options
from ._steadiness import command as steadiness
from ._training import files_named, progress_bar, refuse_existing, training

_PATH = click.Path(path_type=Path)
_FILES = ("report.json", "errors.png", "faces.png")


@click.group("eval")
def command() -> None:
    """Judge the networks on annotated pictures; docs/evaluation.md defines every figure."""


command.add_command(steadiness)
command.add_command(card)


@command.command("landmarks")
@click.argument("data", metavar="DIR", type=_PATH)
@click.option("--model", metavar="MODEL", help="ibug68, helen194 or an .onnx file.")
@click.option("--points", type=click.Choice(["68", "194"]), help="Scheme to judge by.")
@click.option(
    "--protocol",
    type=click.Choice(["crop", "end-to-end"]),
    default="crop",
    show_default=True,
    help="Jittered true boxes, or whole pictures through detector and landmarks.",
)
@click.option("--images", type=_PATH, metavar="DIR", help="Where else to look for pictures.")
@click.option("--held-out", is_flag=True, help="Only pictures kept out of our own training.")
@click.option("--out", type=_PATH, metavar="DIR", help="Write report, error plot and faces there.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@output_options()
@click.pass_obj
def landmarks(
    console: Output,
    data: Path,
    model: str | None,
    points: str | None,
    protocol: str,
    images: Path | None,
    held_out: bool,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Measure the landmark error on the annotated faces in DIR.

    DIR holds pictures with .pts, a csv of key points (or is that csv), or Helen's .txt.
    """
    if out is not None:
        training("evaluate_plots", "matplotlib")  # before the judging, which takes minutes
        refuse_existing([out / name for name in _FILES], overwrite=overwrite)
    model, network, faces = _subject(data, model, points, images, held_out)
    judge = training("evaluate_landmarks")
    with progress_bar(console, "judging", len(faces)) as done:
        if protocol == "crop":
            found = judge.crop_protocol(network, faces, progress=done)
        else:
            found = end_to_end(faces, model, judge, done)
    result = {
        **judge.report(faces, found, network.scheme),
        "data": str(data),
        "model": model,
        "sha256": network.sha256,
        "points": points_of(network),
        "protocol": protocol,
        "held_out_only": held_out,
    }
    if out is not None:
        _write(out, faces, found, judge.errors_of(faces, found, network.scheme), result)
        console.say(f"wrote {', '.join(str(out / name) for name in _FILES)}")
    console.result(_text(result), result)


def _subject(
    data: Path, model: str | None, points: str | None, images: Path | None, held_out: bool
) -> tuple[str, Any, list[Any]]:
    """Return the model's name, its network and the faces to judge it by."""
    model = NAMES.get(model or "", model)
    wanted = int(points) if points else None
    network = load_network(model, wanted) if model else None
    if network is not None and wanted is None:
        wanted = points_of(network)
    faces = training("evaluate_data").find_faces(data, wanted, images, held_out_only=held_out)
    count = len(faces[0].points_px)
    model = model or SCHEMES[count]
    return model, network or load_network(model, count), faces


def _write(out: Path, faces: Any, found: Any, errors: Any, result: dict[str, Any]) -> None:
    """Write the report, the plot of the errors and the sheet of faces."""
    plots = training("evaluate_plots")
    with files_named(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / _FILES[0]).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        title = f"{result['model']}, {result['protocol']} protocol"
        plots.error_curve(errors, out / _FILES[1], title)
        plots.contact_sheet(faces, found, errors, out / _FILES[2])


def _text(result: dict[str, Any]) -> str:
    percent = {key: f"{100 * result[key]:.2f} %" for key in ("nme_interocular", "median")}
    lines = [
        f"{result['model']} on {result['data']}: {result['points']} points, "
        f"{result['protocol']} protocol",
        f"n                {result['n']} ({result['found']} found)",
        f"nme_interocular  {percent['nme_interocular']}",
        f"median           {percent['median']}",
        f"failure_8        {100 * result['failure_8']:.2f} %",
        f"failure_10       {100 * result['failure_10']:.2f} %",
        f"auc_8            {result['auc_8']:.3f}",
    ]
    lines += [f"  {name:14} {100 * value:.2f} %" for name, value in result["regions"].items()]
    return "\n".join(lines)


command.add_command(detect)
