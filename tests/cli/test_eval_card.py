"""`vidfilter eval card`: figures that a card states are those that are measured."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from giving import Command

from vidfilter.models import landmarks
from vidfilter.stages._testface import random_face_image

pytest.importorskip("onnx")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two annotated pictures in a data set called `mine`."""
    folder = tmp_path / "data" / "mine"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(2):
        picture, points = random_face_image(rng, 200)
        cv2.imwrite(str(folder / f"f{number}.png"), picture)
        lines = [f"{x + 1:.3f} {y + 1:.3f}" for x, y in points]
        (folder / f"f{number}.pts").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


def own_copy(folder: Path, trained_on: dict[str, int]) -> Path:
    """Copy the shipped network, and let its description say what it was trained on."""
    shipped = Path(landmarks.__file__).parent / "weights/landmarks68.onnx"
    spec = json.loads(shipped.with_suffix(".json").read_text())
    path = folder / "own.onnx"
    path.write_bytes(shipped.read_bytes())
    path.with_suffix(".json").write_text(json.dumps({**spec, "trained_on": trained_on}))
    return path


def test_a_card_states_what_eval_measures(data: Path, tmp_path: Path, vidfilter: Command) -> None:
    model = own_copy(tmp_path, {"helen68": 800, "holidays": 7})
    args = (str(model), "--data", str(data), "--out", str(tmp_path), "--no-steadiness")
    done = vidfilter("eval", "card", *args, "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)[str(model)]
    judged = vidfilter("eval", "landmarks", str(data / "mine"), "--json")
    error = json.loads(judged.out)["nme_interocular"]
    crop, alone, whole = facts["errors"]
    assert (crop["faces"], crop["protocol"], crop["n"]) == ("mine", "crop", 2)
    assert (alone["protocol"], alone["found"]) == ("crop, no coarse", 2)
    assert (whole["protocol"], whole["found"]) == ("end-to-end", 2)
    assert crop["nme_interocular"] == pytest.approx(error, abs=1e-4)
    card = (tmp_path / "own.md").read_text()
    assert "helen68, 800 pictures or faces (research set); holidays, 7" in card
    assert f"| mine | crop | 2 | 2 | {error:.4f} |" in card
    assert facts["sha256"][:16] in card
    assert 0.1 < facts["size"]["parameters_m"] < 5
    assert 1 < facts["coarse"]["products_m"] < facts["size"]["products_m"] < 120


def test_words_around_the_figures_stay(data: Path, tmp_path: Path, vidfilter: Command) -> None:
    args = ("landmarks68", "--data", str(data), "--out", str(tmp_path), "--no-steadiness")
    assert vidfilter("eval", "card", *args).code == 0
    card = tmp_path / "landmarks68.md"
    card.write_text("Mine.\n" + card.read_text().replace("| crop | 2 |", "| crop | 9 |") + "Yours.")
    assert vidfilter("eval", "card", *args).code == 0
    text = card.read_text()
    assert text.startswith("Mine.\n# Model card")
    assert text.endswith("Yours.")
    assert "| crop | 2 |" in text
    assert "| crop | 9 |" not in text
    card.write_text("no figures here")
    done = vidfilter("eval", "card", *args)
    assert done.code == 1
    assert f"{card} has no part" in done.error
    assert card.read_text() == "no figures here"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, vidfilter: Command) -> None:
    absent = tmp_path / "absent"
    done = vidfilter("eval", "card", "landmarks68", "--data", str(absent), "--out", str(tmp_path))
    assert (done.code, f"{absent}: no such folder" in done.error) == (1, True)
    done = vidfilter("eval", "card", "landmarks68", "--data", str(tmp_path), "--out", str(absent))
    assert (done.code, f"{absent}: no such folder" in done.error) == (1, True)
