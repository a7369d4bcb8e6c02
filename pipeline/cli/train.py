"""`vidfilter train`: train a network from raw data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._output import Output, output_options, term_as_ctrl_c
from ._training import Number, files_named, multiple_of_32, progress_bar, training

_PATH = click.Path(path_type=Path)
_POSITIVE = Number(min=0, min_open=True)
_TRANSFER, _OWN = ("facenet194", "resnet68"), ("landmarks", "coarse", "detector")
_RECIPES = (*_OWN, *_TRANSFER)
_ONLY_FOR = {
    "trunks": _TRANSFER,
    "faces": _TRANSFER,
    "variants": _TRANSFER,
    "depth": ("resnet68",),
    "normalised": ("resnet68",),
    "cache": _OWN,
    "rate": _OWN,
    "size": ("landmarks", "coarse"),
    "opinion": ("landmarks",),
}


@click.command("train")
@click.argument("recipe", type=click.Choice(_RECIPES), metavar="RECIPE")
@click.option("--data", type=_PATH, required=True, metavar="DIR", help="Folder of the data sets.")
@click.option("--out", type=_PATH, required=True, metavar="RUN", help="Folder of the run.")
@click.option(
    "--minutes",
    type=_POSITIVE,
    help="How long to train at most  [default: landmarks 110, coarse 20, detector 75, recipes 60].",
)
@click.option("--resume", is_flag=True, help="Continue the run in RUN.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    metavar="NUMBER",
    help="Of weights and random pictures  [default: 0].",
)
@click.option("--smoke", is_flag=True, help="A minute on a few faces, to see that it works.")
@click.option(
    "--cache",
    type=_PATH,
    metavar="DIR",
    help="landmarks, coarse, detector: where to keep decoded faces and what was mined, for "
    "several runs [default: RUN].",
)
@click.option("--rate", type=_POSITIVE, help="landmarks, coarse, detector: highest learning rate.")
@click.option(
    "--size",
    type=click.IntRange(64, 192),
    callback=multiple_of_32,
    help="landmarks, coarse: side of the crop in px.",
)
@click.option(
    "--opinion",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="landmarks: what another program found on the faces kept by --cache, as .npz; labels "
    "move half of the way to it.",
)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--trunk",
    "trunks",
    multiple=True,
    metavar="TRUNK",
    help="Recipes: random, own (pretrained here; default), or the path or file:// URL of a "
    "published checkpoint; may be repeated to compare.",
)
@click.option("--depth", type=click.Choice(["50", "101"]), default="50", help="resnet68: layers.")
@click.option("--normalised", is_flag=True, help="resnet68: train on normalised key points.")
@click.option("--faces", type=click.IntRange(8), help="Recipes: train on so many faces at most.")
@click.option("--variants", type=click.IntRange(1), default=1, help="Recipes: crops of each face.")
@output_options()
@click.pass_obj
def command(console: Output, /, trunks: tuple[str, ...], depth: str, **options: Any) -> None:
    """Train RECIPE: landmarks, coarse, detector, facenet194 or resnet68.

    \b
    landmarks   the default network, 68 and 194 points
    coarse      the small network that sets a first crop right
    detector    the face detector
    facenet194  Helen's 194 points by transfer from FaceNet's encoder
    resnet68    68 points of video faces by transfer from ResNet-50 or -101
    """
    _check(click.get_current_context(), options)
    train = training("train", "torch", "onnx")
    asked = train.Options(**options, trunks=trunks or ("own",), depth=int(depth))
    bar = progress_bar(console, f"training {asked.recipe}", 1.0)
    with files_named(asked.out), bar as show, term_as_ctrl_c():
        result = train.run(asked, console.say, show)
    console.result(_text(result), result)


def _check(ctx: click.Context, options: dict[str, Any]) -> None:
    """Raise UsageError where an option is given that the recipe knows nothing of."""
    recipe, given = options["recipe"], click.core.ParameterSource.COMMANDLINE
    for name, recipes in _ONLY_FOR.items():
        if recipe not in recipes and ctx.get_parameter_source(name) is given:
            option = "--trunk" if name == "trunks" else f"--{name}"
            raise click.UsageError(f"{option} is of {' and '.join(recipes)}, not of {recipe}")


def _text(result: dict[str, Any]) -> str:
    if "trunks" not in result:
        return f"wrote {result['checkpoint']}"
    lines = [f"{'encoder':12} {'n':>5} {'error':>8} {'median':>8} {'over 8 %':>9}"]
    for row in result["trunks"]:
        lines.append(
            f"{row['trunk']:12} {row['n']:5} {100 * row['nme_interocular']:6.2f} % "
            f"{100 * row['median']:6.2f} % {100 * row['failure_8']:7.1f} %"
        )
    return "\n".join([*lines, f"wrote {result['settings']['out']}"])
