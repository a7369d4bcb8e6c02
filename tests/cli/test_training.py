"""`vidfilter train`: what it keeps, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from annotated import write_csv, write_photos, write_scenes
from giving import Command


@pytest.mark.parametrize("command", ["train", "export"])
def test_without_torch_the_extra_is_named(
    command: str, tmp_path: Path, vidfilter: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else real(name)
    )
    args = {
        "train": ["landmarks", "--data", str(tmp_path), "--out", str(tmp_path / "run")],
        "export": ["x.pt", "--out", str(tmp_path / "x.onnx")],
    }
    done = vidfilter(command, *args[command])
    assert done.code == 1
    assert "pip install 'vidfilter[train]'" in done.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", ["landmarks", "coarse", "detector", "facenet194", "resnet68"])
def test_training_without_data_names_the_folder(
    recipe: str, tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("torch")
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    done = vidfilter("train", recipe, "--data", str(data), "--out", str(out), "--smoke")
    assert done.code == 1
    assert str(data) in done.error
    assert not out.exists()


@pytest.mark.parametrize(
    ("recipe", "checkpoint"),
    [("landmarks", "last.pt"), ("detector", "checkpoint.pt"), ("resnet68", "own.pt")],
)
def test_a_run_is_not_replaced(
    recipe: str, checkpoint: str, tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("torch")
    (tmp_path / checkpoint).write_bytes(b"hours of work")
    done = vidfilter("train", recipe, "--data", str(tmp_path), "--out", str(tmp_path))
    assert "--resume" in done.error
    assert (tmp_path / checkpoint).read_bytes() == b"hours of work"


def test_detector_training_looks_for_forgotten_and_missed_faces_once(
    tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("torch")
    data, out = write_scenes(tmp_path / "data"), tmp_path / "run"
    args = ("train", "detector", "--data", str(data), "--out", str(out), "--smoke")
    first = vidfilter(*args, "--resume")
    assert first.code == 0, first.err
    assert f"{out} holds nothing to continue" in first.err
    assert "1 places that may be faces" in first.err
    assert "1 missed faces" in first.err
    told = json.loads((out / "mined.json").read_text())["found"]
    assert {name: row["missed"] for name, row in told.items()} == {"facedet/b.png": 1}
    assert len(told["facedet/b.png"]["unsure"]) == 1
    (out / "mined.json").write_text(json.dumps({"scenes": 2, "found": {}}))
    again = vidfilter(*args, "--resume")
    assert "looking for" not in again.err
    assert "nothing to continue" not in again.err
    assert "0 places" in again.err
    (out / "mined.json").write_text('{"scenes": 2')
    assert f"{out / 'mined.json'}: not what" in vidfilter(*args, "--resume").error


BOXES, PTS, JPG = "facedet/boxes.csv", "afw68/f0.pts", "afw68/f0.jpg"


@pytest.mark.parametrize("recipe", ["landmarks", "detector"])
@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        (BOXES, lambda _: b"image,x\na.png,1\n", "boxes.csv: no column 'xmin'"),
        (BOXES, lambda b: b + b"a.png,1,nan,40,50,face", "boxes.csv, line 6: no box"),
        (BOXES, lambda b: b + b"a.png,a,b,c,d,face", "boxes.csv, line 6: not four coordinates"),
        (BOXES, lambda _: bytes(range(256)), "boxes.csv: no text"),
        (PTS, lambda b: b.partition(b"\n")[2], "f0.pts: expected 68 points"),
        (PTS, lambda b: b"nan 3\n" + b.partition(b"\n")[2], "f0.pts, line 1: a coordinate is not"),
        (PTS, lambda _: b"5 5\n" * 68, "both outer eye corners"),
        (JPG, lambda b: b[: len(b) // 2], "f0.jpg: not a readable image, its end is missing"),
        (JPG, lambda _: None, "f0.jpg: No such file"),
        ("facedet/images/a.png", lambda b: b[:9000], "a.png: not a readable image, its end"),
        ("facedet/images/a.png", lambda _: None, "a.png: No such file"),
    ],
)
def test_data_that_cannot_be_trained_on_is_named(
    recipe: str,
    file: str,
    spoil: Callable[[bytes], bytes | None],
    words: str,
    tmp_path: Path,
    vidfilter: Command,
) -> None:
    pytest.importorskip("torch")
    data, out = write_scenes(tmp_path / "data"), tmp_path / "run"
    write_photos(data / "afw68")
    content = spoil((data / file).read_bytes())
    (data / file).unlink() if content is None else (data / file).write_bytes(content)
    done = vidfilter("train", recipe, "--data", str(data), "--out", str(out), "--smoke")
    assert done.code == 1
    assert words in done.error
    assert not out.exists()


def test_a_second_opinion_that_is_none_is_named(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("torch")
    data, out = write_scenes(tmp_path / "data"), tmp_path / "run"
    write_photos(data / "afw68")
    mesh = tmp_path / "mesh.npz"
    mesh.write_text("points")
    args = ("--data", str(data), "--out", str(out), "--smoke", "--opinion", str(mesh))
    done = vidfilter("train", "landmarks", *args)
    assert done.code == 1
    assert done.error == f"{mesh}: not a file of another program's points"
    assert not list(out.rglob("*.pt"))
    assert "--opinion is of landmarks, not of coarse" in vidfilter("train", "coarse", *args).err
    mesh.unlink()
    done = vidfilter("train", "landmarks", *args)
    assert done.code == 2
    assert f"invalid value for '--opinion': File '{mesh}' does not exist" in done.err


def test_a_picture_that_is_hardly_one_is_named(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("torch")
    data, out = write_scenes(tmp_path / "data"), tmp_path / "run"
    (data / "facedet/images/a.png").write_bytes(b"P5 1 1 255 x")
    done = vidfilter("train", "detector", "--data", str(data), "--out", str(out), "--smoke")
    assert "a.png: 1 x 1 px show no face" in done.error
    assert not out.exists()


@pytest.mark.parametrize("recipe", ["landmarks", "detector", "resnet68"])
def test_a_file_in_the_place_of_the_run_is_named(
    recipe: str, tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("torch")
    data = write_csv(write_scenes(tmp_path / "data") / "ytf68", 40).parent
    out = tmp_path / "run"
    out.write_text("mine")
    for place in (out, out / "below"):
        args = ("train", recipe, "--data", str(data), "--out", str(place), "--smoke")
        assert f"{place}: " in vidfilter(*args).error
    assert out.read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 the rest is missing"])
def test_damaged_decoded_faces_are_named(
    content: bytes, tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "faces.npz").write_bytes(content)
    args = ("train", "landmarks", "--data", str(tmp_path), "--out", str(tmp_path / "run"))
    done = vidfilter(*args, "--cache", str(tmp_path))
    assert f"{tmp_path / 'faces.npz'}: damaged" in done.error
    assert (tmp_path / "faces.npz").read_bytes() == content


@pytest.mark.parametrize(
    ("recipe", "option", "value"),
    [("landmarks", "--depth", "101"), ("detector", "--size", "64"), ("resnet68", "--cache", "x")],
)
def test_an_option_of_another_recipe_is_refused(
    recipe: str, option: str, value: str, tmp_path: Path, vidfilter: Command
) -> None:
    args = ("--data", str(tmp_path), "--out", str(tmp_path / "run"), option, value)
    done = vidfilter("train", recipe, *args)
    assert done.code == 2
    assert f"{option} is of" in done.error


def test_a_seed_below_zero_is_refused(tmp_path: Path, vidfilter: Command) -> None:
    args = ("--data", str(tmp_path), "--out", str(tmp_path / "run"), "--seed", "-1")
    done = vidfilter("train", "resnet68", *args)
    assert done.code == 2
    assert "--seed" in done.error
