"""`vidfilter eval card`: write the figures of landmark networks into their model cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._judging import NAMES, end_to_end, load_network, points_of
from ._output import Output, output_options
from ._steadiness import measure
from ._training import training

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH = click.Path(path_type=Path)


@click.command("card")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--data", type=_PATH, required=True, metavar="DIR", help="Folder of the data sets.")
@click.option("--out", type=_PATH, required=True, metavar="DIR", help="Folder of the cards.")
@click.option("--no-steadiness", is_flag=True, help="Leave out the minute that it takes.")
@output_options()
@click.pass_obj
def command(
    console: Output, /, models: tuple[str, ...], data: Path, out: Path, no_steadiness: bool
) -> None:
    """Measure each MODEL on the faces in DIR and write its figures into its card.

    Of data that our own training saw only the held-out faces count.

    MODEL is landmarks68, landmarks194 or an .onnx file; its card is DIR/NAME.md. In a card that
    is there the figures alone are replaced, whatever was written around them stays.
    """
    from ..errors import VidfilterError

    cards, judge = training("model_card", "onnx"), training("evaluate_landmarks")
    if not out.is_dir():
        raise VidfilterError(f"{out}: no such folder")
    result, paths = {}, {model: out / f"{Path(model).stem}.md" for model in models}
    for path in paths.values():
        cards.around_figures(path)
    for model, path in paths.items():
        facts = _facts(console, cards, judge, model, data)
        steady = None if no_steadiness else measure(None, NAMES.get(model, model))
        cards.write_card(path, {**facts, "steadiness": steady})
        console.say(f"wrote {path}")
        result[model] = {**facts, "steadiness": steady}
    console.result("\n".join(_lines(result)), result)


def _facts(console: Output, cards: Any, judge: Any, model: str, data: Path) -> dict[str, Any]:
    name = NAMES.get(model, model)
    network = load_network(name, None)
    path = _file(model)
    spec = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    errors = _Errors(judge, network)
    for label, group in _groups(_faces(data, points_of(network)), data):
        found = {"crop": judge.crop_protocol(network, group)}
        if "coarse" in spec:
            found["crop, no coarse"] = judge.crop_protocol(network, group, coarse=False)
        found["end-to-end"] = end_to_end(group, name, judge, lambda _done: None)
        errors.add(label, group, found)
        console.say(f"{model}: {len(group)} faces of {label}")
    return {
        "spec": spec,
        "sha256": network.sha256,
        "crop_px": network.size,
        "size": cards.size_and_cost(path),
        "coarse": cards.size_and_cost(_file(spec["coarse"])) if "coarse" in spec else None,
        "speed_ms": cards.speed_ms(network),
        "errors": errors.rows,
        "regions": errors.regions,
        "worst": sorted(errors.worst, key=lambda pair: -pair[1])[: cards.WORST],
    }


class _Errors:
    """What a card says of the errors: a row for each set and protocol, regions, and the worst."""

    def __init__(self, judge: Any, network: Any) -> None:
        self.judge, self.scheme = judge, network.scheme
        self.rows: list[dict[str, Any]] = []
        self.regions: dict[str, Any] = {}
        self.worst: list[tuple[str, float]] = []

    def add(self, label: str, group: list[Any], found: dict[str, Any]) -> None:
        """Add the faces of one set and the points found by each protocol; crop is the first."""
        for protocol, points in found.items():
            figures = self.judge.report(group, points, self.scheme)
            by_region = figures.pop("regions")
            self.regions.setdefault(label, by_region)
            self.rows.append({"faces": label, "protocol": protocol, **figures})
        errors = self.judge.errors_of(group, found["crop"], self.scheme)
        self.worst += [(face.name, float(e)) for face, e in zip(group, errors, strict=True)]


def _faces(data: Path, points: int) -> list[Any]:
    """Return the held-out faces in `data`; where none of it is on our list, all are unseen."""
    reader = training("evaluate_data")
    try:
        faces: list[Any] = reader.find_faces(data, points, held_out_only=True)
    except reader.NoFacesError:
        faces = reader.find_faces(data, points)
    return faces


def _file(model: str) -> Path:
    """Return the .onnx file that a model names."""
    from ..registry import module

    if model.endswith(".onnx"):
        return Path(model)
    folder = Path(str(module("models", "landmarks").__file__)).parent / "weights"
    shipped = {scheme: name for name, scheme in NAMES.items()}
    return folder / f"{shipped.get(model, model)}.onnx"


def _groups(faces: list[Any], data: Path) -> Iterator[tuple[str, list[Any]]]:
    """Yield each data set's name and faces: a folder of DATA, and for tables the table."""
    groups: dict[str, list[Any]] = {}
    for face in faces:
        folder, _, rest = face.name.partition("/")
        table = rest.partition("/")[0] if "keypoints" in rest else ""
        label = f"{folder} {table}".strip() if rest else data.name
        groups.setdefault(label, []).append(face)
    yield from groups.items()


def _lines(result: dict[str, Any]) -> Iterator[str]:
    for model, facts in result.items():
        for row in facts["errors"]:
            yield (
                f"{model:14} {row['faces']:32} {row['protocol']:10} {row['n']:5} "
                f"{100 * row['nme_interocular']:6.2f} %"
            )
