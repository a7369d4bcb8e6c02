"""Data and checkpoints that cannot be used: one line that names the file, nothing written."""

from __future__ import annotations

import pickle
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from giving import start

from vidfilter.stages._testface import random_face_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from giving import Command

COUNT = 12
SPREAD = np.linspace(0, 67, 194).astype(int)


class Code:
    """An object whose pickle runs a command when it is read."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        import os

        return os.system, (f"touch {self.proof}",)


def faces() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [random_face_image(rng, 120) for _ in range(COUNT)]


def write_pts(folder: Path, spoil: Callable[[list[str]], list[str]]) -> Path:
    folder = folder / "helen68" / "train"
    folder.mkdir(parents=True)
    for number, (picture, points) in enumerate(faces()):
        cv2.imwrite(str(folder / f"f{number:02}.jpg"), picture)
        lines = [f"{x + 1:.2f} {y + 1:.2f}" for x, y in points]
        lines = spoil(lines) if number == 1 else lines
        (folder / f"f{number:02}.pts").write_text("\n".join(lines) + "\n")
    return folder / "f01.pts"


def write_csv(folder: Path, spoil: Callable[[list[str]], list[str]]) -> Path:
    rows = ["," + ",".join(str(i) for i in range(136))]
    for number, (picture, points) in enumerate(faces()):
        cv2.imwrite(str(folder / f"p{number:02}_1.png"), picture)
        lines = [f"{x:.2f} {y:.2f}" for x, y in points]
        lines = spoil(lines) if number == 1 else lines
        rows.append(",".join([f"p{number:02}_1.png", *" ".join(lines).split(" ")]))
    (folder / "train_keypoints.csv").write_text("\n".join(rows) + "\n")
    return folder / "train_keypoints.csv"


def write_txt(folder: Path, spoil: Callable[[list[str]], list[str]]) -> Path:
    (folder / "annotation").mkdir()
    for number, (picture, points) in enumerate(faces()):
        cv2.imwrite(str(folder / f"h{number:02}.jpg"), picture)
        lines = [f"{x:.2f} , {y:.2f}" for x, y in points[SPREAD]]
        lines = spoil(lines) if number == 1 else lines
        text = "\n".join([f"h{number:02}", *lines]) + "\n"
        (folder / "annotation" / f"{number + 1}.txt").write_text(text)
    return folder / "annotation" / "2.txt"


LAYOUTS = {"pts": write_pts, "csv": write_csv, "txt": write_txt}
DAMAGE: dict[str, Callable[[list[str]], list[str]]] = {
    "a point too few": lambda lines: lines[:-1],
    "a point too many": lambda lines: [*lines, lines[0]],
    "no points": lambda _lines: [],
    "NaN": lambda lines: ["nan" + lines[0][lines[0].index(" ") :], *lines[1:]],
    "infinite": lambda lines: ["inf" + lines[0][lines[0].index(" ") :], *lines[1:]],
    "words": lambda lines: ["left" + lines[0][lines[0].index(" ") :], *lines[1:]],
}
RECIPES = {
    "pts": ("landmarks",),
    "csv": ("resnet68", "--trunk", "random"),
    "txt": ("facenet194", "--trunk", "random"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_annotation_is_named(
    layout: str, how: str, tmp_path: Path, vidfilter: Command
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    guilty = LAYOUTS[layout](data, DAMAGE[how])
    done = vidfilter("eval", "landmarks", str(data))
    assert done.code == 1
    assert f"{guilty}" in done.error
    pytest.importorskip("torch")
    args = ("--data", str(data), "--out", str(run), "--smoke", "-q")
    done = vidfilter("train", *RECIPES[layout], *args)
    assert done.code == 1
    assert f"{guilty}" in done.error
    assert not run.exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_unreadable_picture_is_named(layout: str, tmp_path: Path, vidfilter: Command) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    LAYOUTS[layout](data, list)
    pictures = sorted([*data.rglob("*.png"), *data.rglob("*.jpg")])
    for path in pictures:
        path.write_bytes(path.read_bytes()[:60])
    done = vidfilter("eval", "landmarks", str(data))
    assert done.code == 1
    assert f"{pictures[0]}: not a readable image" in last_line(done.err)
    pytest.importorskip("torch")
    args = ("--data", str(data), "--out", str(run), "--smoke", "-q")
    done = vidfilter("train", *RECIPES[layout], *args)
    assert done.code == 1
    assert any(f"{path}: not a readable image" in last_line(done.err) for path in pictures)
    assert list(run.glob("*")) == []


def last_line(text: str) -> str:
    """Return the last line: the JPEG library says a word of its own before it."""
    return text.splitlines()[-1]


def bad_checkpoints(folder: Path) -> dict[str, bytes]:
    torch = pytest.importorskip("torch")
    whole, code = folder / "whole.pt", folder / "code.pt"
    torch.save({"net": {"a": torch.zeros(900)}, "step": 3}, whole)
    torch.save({"net": Code(folder / "proof")}, code)
    parts = {
        "cut short": whole.read_bytes()[:-300],
        "empty": b"",
        "another kind": whole.read_bytes(),
        "code": code.read_bytes(),
        "plain pickle with code": pickle.dumps(Code(folder / "proof")),
    }
    whole.unlink()
    code.unlink()
    return parts


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        ("landmarks", "last.pt"),
        ("detector", "checkpoint.pt"),
        ("resnet68", "pretraining.pt"),
        ("facenet194", "own/last.pt"),
    ],
)
def test_a_run_that_cannot_be_continued_is_named_and_kept(
    recipe: str, name: str, tmp_path: Path, vidfilter: Command
) -> None:
    data, path = tmp_path / "data", tmp_path / "run" / name
    data.mkdir()
    path.parent.mkdir(parents=True)
    {"facenet194": write_txt, "resnet68": write_csv}.get(recipe, write_pts)(data, list)
    for kind, content in bad_checkpoints(tmp_path).items():
        if kind == "another kind" and recipe == "detector":
            continue
        path.write_bytes(content)
        args = ("--data", str(data), "--out", str(tmp_path / "run"), "--resume", "-q")
        done = vidfilter("train", recipe, *args, "--smoke")
        assert done.code == 1, kind
        assert str(path) in done.error, kind
        assert path.read_bytes() == content, kind
    assert not (tmp_path / "proof").exists()


def test_a_checkpoint_that_cannot_be_exported_is_named(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("onnx")
    path, out = tmp_path / "c.pt", tmp_path / "net.onnx"
    for kind, content in bad_checkpoints(tmp_path).items():
        path.write_bytes(content)
        done = vidfilter("export", str(path), "--out", str(out))
        assert done.code == 1, kind
        assert str(path) in done.error, kind
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.pt"]


def test_a_network_that_is_none_is_named(tmp_path: Path, vidfilter: Command) -> None:
    write_pts(tmp_path, list)
    path = tmp_path / "net.onnx"
    path.with_suffix(".json").write_text("{}")
    for content in (b"", b"text"):
        path.write_bytes(content)
        done = vidfilter("eval", "landmarks", str(tmp_path), "--model", str(path))
        assert done.code in (1, 2)
        assert str(path) in done.error


@pytest.mark.slow
def test_sigterm_saves_a_run_that_is_being_trained(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from vidfilter.models.training.recipe_checkpoint import read_checkpoint

    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    write_txt(data, list)
    args = ["--data", str(data), "--out", str(run), "--trunk", "random"]
    process = start(["train", "facenet194", *args])
    deadline = time.monotonic() + 200
    while not (run / "random" / "last.pt").exists():  # written when training begins
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert read_checkpoint(run / "random" / "last.pt")["epoch"] > 0


def test_a_checkpoint_in_the_place_of_a_network_is_told_what_is_wanted(vidfilter: Command) -> None:
    done = vidfilter("run", "-i", "test", "--sink", "null", "--set", "landmarks.model=run/own.pt")
    assert done.code == 2
    assert "model must be one of ibug68, helen194, PATH.onnx, got 'run/own.pt'" in done.error
