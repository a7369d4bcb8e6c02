"""Write the figures of a landmark network's card: sizes, cost, errors, steadiness, failures."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference

from ...pipeline.errors import VidfilterError
from ..crops import Crop
from .whole_files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..landmarks import LandmarkModel

BEGIN, END = "<!-- figures: written by vidfilter eval card -->", "<!-- end of figures -->"
SPEED_RUNS, SPEED_FACES = 60, (1, 5)
WORST = 5
_COLUMNS = ("faces", "protocol", "n", "found", "NME", "median", "over 0.08", "over 0.10", "AUC")
# Written around the figures of a network that has no card yet.
_HEAD = """# Model card: {name}

**Use**: gluing filters to faces in video. Not for identifying people, nor for judging them.

Input {input}; outputs {outputs}. Crop: {crop}.

**Trained on**: {data}.

**Terms**: {licence}.

"""
# Of the data sets that `train` knows by their folders.
_TERMS = {
    "helen68": "research set",
    "helen194": "research set",
    "helen194_extra": "research set",
    "afw68": "research set",
    "ytf68": "research set",
    "facedet": "student and community sets, one CC0, others unstated",
    "negatives": "unstated",
    "render": "our own test face",
    "points of mediapipe": "what its face mesh found on these, Apache 2.0",
}


def size_and_cost(path: Path) -> dict[str, float]:
    """Return megabytes, parameters and multiplications (both in millions) of an ONNX file.

    The multiplications are those of convolutions and matrix products for one crop.
    """
    model = onnx.load(str(path))
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    inferred = shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    shapes |= {name: list(value.shape) for name, value in weights.items()}
    products = sum(_products(node, shapes) for node in model.graph.node)
    return {
        "megabytes": path.stat().st_size / 1e6,
        "parameters_m": sum(value.size for value in weights.values()) / 1e6,
        "products_m": products / 1e6,
    }


def _products(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    """Return the multiplications of one node; 0 for all that are neither conv nor product."""
    known = [shapes.get(name) for name in (*node.input[:2], node.output[0])]
    if None in known or node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    data, weight, out = (shape or [] for shape in known)
    if node.op_type == "Conv":
        return int(np.prod(out)) * int(np.prod(weight[1:]))
    if node.op_type == "ConvTranspose":
        return int(np.prod(data)) * int(np.prod(weight[1:]))
    return int(np.prod(out)) * data[-1]


def speed_ms(model: LandmarkModel) -> dict[int, tuple[float, float]]:
    """Return the median CPU time in ms of so many faces in one batch, crops included.

    The first figure is for faces that are followed, the second for first looks, whose crops a
    coarse network sets right.
    """
    rng = np.random.default_rng(0)
    shape = (720, 1280, 3) if model.colour else (720, 1280)
    picture = rng.integers(0, 256, shape, dtype=np.uint8)
    times = {}
    for count in SPEED_FACES:
        crops = [Crop(200.0 + 180 * i, 360.0, 280.0, 0.1 * i) for i in range(count)]
        looks = model.run, model.look
        followed, first = (_median_ms(partial(look, picture, crops)) for look in looks)
        times[count] = followed, first
    return times


def _median_ms(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(SPEED_RUNS):
        start_s = time.process_time()
        work()
        spent.append(time.process_time() - start_s)
    return 1e3 * float(np.median(spent))


def figures_text(facts: dict[str, Any]) -> str:
    """Return the figures as Markdown, between the marks by which a later run finds them."""
    lines = [BEGIN, "", *_facts(facts), "", *_table(facts["errors"]), ""]
    for name, regions in facts["regions"].items():
        parts = ", ".join(f"{region} {value:.3f}" for region, value in regions.items())
        lines.append(f"By region, {name}: {parts}.")
    lines += ["", *_steadiness(facts["steadiness"]), "", *_failures(facts["worst"]), "", END]
    return "\n".join(lines)


def _facts(facts: dict[str, Any]) -> list[str]:
    size, speed, spec = facts["size"], facts["speed_ms"], facts["spec"]
    lines = [
        "| | |",
        "|---|---|",
        f"| file | {size['megabytes']:.2f} MB, sha256 `{facts['sha256'][:16]}` |",
        f"| parameters, crop | {size['parameters_m']:.2f} M, {facts['crop_px']} px |",
        f"| multiplications | {size['products_m']:.0f} M |",
    ]
    if facts.get("coarse"):
        coarse = facts["coarse"]
        cost = f"{coarse['megabytes']:.2f} MB, {coarse['products_m']:.1f} M multiplications"
        lines.append(f"| coarse network for first looks | {cost} |")
    for count, (followed, first) in speed.items():
        what = "one face" if count == 1 else f"{count} faces in one batch"
        times = f"{followed:.2f} ms followed, {first:.2f} ms at first"
        lines.append(f"| CPU time, one thread, crop included, {what} | {times} |")
    if "int8" in spec:
        loss = spec["int8"]
        text = f"{loss['nme_int8']:.4f} instead of {loss['nme_fp32']:.4f}, {loss['n']} faces"
        lines.append(f"| error in 8 bits | {text} |")
    return lines


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    for row in rows:
        values = [f"{row[key]:.4f}" for key in ("nme_interocular", "median")]
        values += [f"{row[key]:.3f}" for key in ("failure_8", "failure_10", "auc_8")]
        counts = [row["faces"], row["protocol"], str(row["n"]), str(row["found"])]
        lines.append(f"| {' | '.join([*counts, *values])} |")
    return lines


def _steadiness(seen: dict[str, Any] | None) -> list[str]:
    if seen is None:
        return ["Steadiness was not measured."]
    return [
        f"Steadiness with default smoothing, {seen['picture']}: shake "
        f"{seen['steadiness_percent']:.3f} %, lag {seen['lag_frames']:.2f} frame, gain "
        f"{seen['gain']:.3f}."
    ]


def _failures(worst: list[tuple[str, float]]) -> list[str]:
    names = ", ".join(f"{name} ({error:.3f})" for name, error in worst)
    return [f"Worst of the held-out faces, crop protocol: {names}."]


def around_figures(path: Path) -> tuple[str, str] | None:
    """Return what a card says before and after its figures, or None where there is no card.

    Raises VidfilterError where a file has no figures to replace: somebody else's words stay.
    """
    if not path.exists():
        return None
    head, begun, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not (begun and ended):
        raise VidfilterError(f"{path} has no part between {BEGIN!r} and {END!r} to replace")
    return head, tail


def write_card(path: Path, facts: dict[str, Any]) -> None:
    """Write a card, or replace the figures alone in one that is there."""
    head, tail = around_figures(path) or (_HEAD.format(**_words(facts["spec"])), "\n")
    write_bytes(path, (head + figures_text(facts) + tail).encode())


def _words(spec: dict[str, Any]) -> dict[str, str]:
    given = spec.get("input", {})
    outputs = spec.get("outputs", {})
    crop = spec.get("crop", {})
    return {
        "name": str(spec.get("name", "landmarks")),
        "input": str(given.get("note", "one crop of a face")),
        "outputs": "; ".join(f"`{name}` {text}" for name, text in outputs.items()) or "`landmarks`",
        "crop": ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in crop.items()),
        "data": _data(spec.get("trained_on", {})),
        "licence": str(spec.get("licence", "not stated")),
    }


def _data(counts: dict[str, int]) -> str:
    """Name the sets, how much of each was trained on, and their terms."""
    sets = (
        f"{name}, {count} pictures or faces ({_TERMS.get(name, 'terms not known')})"
        for name, count in sorted(counts.items())
    )
    return "; ".join(sets) or "data that its file does not name"
