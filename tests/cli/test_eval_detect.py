"""`vidfilter eval detect`: figures, pictures, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from boxed import HEADER, figures, write_scenes
from giving import Command

from vidfilter.models.detector import hand_drawn_from_tight
from vidfilter.stages._testface import FaceScene

KEYS = {"n", "ap_40", "ap_50", "recall_at_0.1_fppi", "ms", "ap_40_by_size", "ap_50_by_size"}


def refusal(vidfilter: Command, table: Path, *args: object) -> str:
    parts = ("eval", "detect", table, "--images", table.parent, *args)
    done = vidfilter(*(str(part) for part in parts))
    assert done.code == 1
    return done.error


def test_rendered_faces_are_counted_by_size(tmp_path: Path, vidfilter: Command) -> None:
    table = write_scenes(tmp_path / "scenes")
    seen = figures(vidfilter, table)
    assert set(seen) >= KEYS
    assert (seen["pictures"], seen["n"]) == (4, 10)
    assert 0.8 < seen["ap_50"] <= seen["ap_40"] <= 1
    assert 0 < seen["recall_at_0.1_fppi"] <= 1
    assert seen["ms"] > 0
    assert figures(vidfilter, table, "--min-face", 2000)["n"] == 0
    small = figures(vidfilter, table, "--long-side", 96, "--min-face", 5)["ap_40_by_size"]
    assert set(small) <= {"0-32", "32-64"}


def test_only_the_pictures_named_are_judged(tmp_path: Path, vidfilter: Command) -> None:
    table = write_scenes(tmp_path / "scenes")
    names = tmp_path / "names.txt"
    (table.parent / "2.png").rename(table.parent / "two people.png")
    spaced = table.read_text().replace("2.png", '"two people.png" ').replace(",", " , ")
    table.write_bytes(b"\xef\xbb\xbf" + spaced.replace("\n", "\r\n").encode())
    names.write_text("facedet/1.png\nfacedet/two people.png\n")
    assert figures(vidfilter, table, "--only", names)["n"] == 5


def test_yunet_is_judged_by_the_same_pictures(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("onnx", reason="onnx, of the train extra, builds the network")
    from yunet_stand_in import build

    table, weights = tmp_path / "boxes.csv", build(tmp_path / "yunet.onnx")
    picture = np.full((176, 320, 3), 16, np.uint8)
    picture[40:48, 80:88] = 255
    cv2.imwrite(str(tmp_path / "white.png"), np.kron(picture, np.ones((2, 2, 1), np.uint8)))
    # Blue is a third of white, and brighter than this grey to who sees colours alone.
    picture[40:48, 80:88], picture[96:104, 240:248] = (255, 0, 0), 60
    cv2.imwrite(str(tmp_path / "blue.png"), picture)
    rows = (HEADER, "white.png,152,64,184,112,face", "blue.png,76,32,92,56,face")
    table.write_text("\n".join(rows) + "\n")
    seen = figures(vidfilter, table, "--model", weights, "--min-face", 10)
    assert (seen["n"], seen["ap_40"], seen["ap_50"]) == (2, 1.0, 1.0)
    assert seen["ms"] > 0
    assert seen["model"] == str(weights)
    own = figures(vidfilter, table, "--min-face", 10)
    assert (own["model"], own["n"]) == ("shipped", 2)
    assert own["sha256"] != seen["sha256"]


@pytest.mark.parametrize("content", [None, b"", b"text"])
def test_a_bad_model_is_named(content: bytes | None, tmp_path: Path, vidfilter: Command) -> None:
    table, model = write_scenes(tmp_path / "scenes", 1), tmp_path / "m.onnx"
    if content is not None:
        model.write_bytes(content)
    assert str(model) in refusal(vidfilter, table, "--model", model)


def test_plot_and_mistakes_are_written_and_kept(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("matplotlib")
    table, out = write_scenes(tmp_path / "scenes"), tmp_path / "out"
    table.write_text(table.read_text() + "0.png,5,5,65,70,face\n")
    seen = figures(vidfilter, table, "--out", out)
    assert json.loads((out / "report.json").read_text()) == seen
    assert cv2.imread(str(out / "precision_recall.png")) is not None
    first = (out / "mistakes.png").read_bytes()
    assert cv2.imread(str(out / "mistakes.png")).shape[1] > 1000
    assert "--overwrite" in refusal(vidfilter, table, "--out", out)
    assert (out / "mistakes.png").read_bytes() == first
    table.write_text(table.read_text() + "1.png,5,5,65,70,face\n")
    figures(vidfilter, table, "--out", out, "--overwrite")
    assert (out / "mistakes.png").read_bytes() != first


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("name,x\na,1", "no column"),
        (f"{HEADER}\n0.png,1,2,30,40,face\n0.png,a,b,c,d,face", "line 3"),
        (f"{HEADER}\n0.png,1,2,nan,4,face", "line 2"),
        (f"{HEADER}\n0.png,9,2,3,4,face", "line 2"),
        (f"{HEADER}\n0.png,1,2", "line 2"),
        (f"{HEADER}\n0.png,,2,3,4,face", "line 2: not four coordinates"),
        (f"{HEADER}\n0.png,1,2,9,9,a\n\n0.png,1,2,9,9,a", "line 4: repeats line 2"),
        (f"{HEADER}\nabsent.png,1,2,3,4,face", "absent.png"),
        (f"{HEADER}\n,1,2,3,4,face", "line 2: names no picture"),
        (HEADER, "no picture"),
    ],
)
def test_a_bad_table_is_named(rows: str, words: str, tmp_path: Path, vidfilter: Command) -> None:
    table = write_scenes(tmp_path / "scenes", 1)
    table.write_text(rows + "\n")
    told = refusal(vidfilter, table)
    assert str(table.parent) in told
    assert words in told


def test_a_size_that_is_no_number_is_refused(tmp_path: Path, vidfilter: Command) -> None:
    table = str(write_scenes(tmp_path / "scenes", 1))
    done = vidfilter("eval", "detect", table, "--images", str(tmp_path), "--min-face", "nan")
    assert done.code == 2
    assert "nan is no number" in done.error


def test_odd_pictures_are_judged_too(tmp_path: Path, vidfilter: Command) -> None:
    scene = FaceScene(640, 360, faces=1, seed=0).render(1.0)
    grey = cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)
    pictures = {
        "colour.png": scene,
        "grey.png": grey,
        "alpha.png": cv2.cvtColor(scene, cv2.COLOR_BGR2BGRA),
        "deep.png": grey.astype(np.uint16) * 257,
        "huge.png": cv2.resize(grey, (5120, 2880)),
        "dot.png": grey[:1, :1],
        "line.png": grey[:1],
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(tmp_path / name), picture)
    table = tmp_path / "boxes.csv"
    (truth,) = FaceScene(640, 360, faces=1, seed=0).truth(1.0)
    box = hand_drawn_from_tight(truth.box_xyxy_px)
    lines = [HEADER]
    for name, picture in pictures.items():
        scale = picture.shape[1] / 640
        text = ",".join(f"{v:.1f}" for v in box * scale) if len(picture) > 1 else ",,,"
        lines.append(f"{name},{text},face")
    table.write_text("\n".join(lines))
    seen = figures(vidfilter, table)
    assert (seen["pictures"], seen["n"]) == (7, 5)
    assert seen["recall_at_0.1_fppi"] == 1.0


def test_an_exported_checkpoint_finds_what_the_shipped_network_finds(
    tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    checkpoint = Path(__file__).parents[2] / "models/training/checkpoints/detector.pt"
    out = tmp_path / "mine.onnx"
    args = (str(checkpoint), "--out", str(out), "--min-score", "0.4")
    done = vidfilter("export", *args)
    assert done.code == 0, done.err
    spec = json.loads(out.with_suffix(".json").read_text())
    assert (spec["name"], spec["default_min_score"]) == ("mine", 0.4)
    table = write_scenes(tmp_path / "scenes", 2)
    seen, shipped = figures(vidfilter, table, "--model", out), figures(vidfilter, table)
    assert (seen["ap_40"], seen["ap_50"]) == (shipped["ap_40"], shipped["ap_50"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.json", "mine.onnx", "scenes"]
