"""`vidfilter eval detect`: figures and pictures, and that `analyze` tells an outsider the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from giving import Command

from vidfilter.models.detector import hand_drawn_from_tight
from vidfilter.stages._testface import FaceScene

KEYS = {"n", "ap_40", "ap_50", "recall_at_0.1_fppi", "ms", "ap_40_by_size", "ap_50_by_size"}
HEADER = "image,xmin,ymin,xmax,ymax,label"


def write_scenes(folder: Path, count: int = 4) -> Path:
    """Write rendered groups of 1, 2, ... faces, boxed as by hand; return the table."""
    folder.mkdir(exist_ok=True)
    lines = [HEADER]
    for number in range(count):
        scene = FaceScene(640, 360, faces=1 + number, seed=number)
        cv2.imwrite(str(folder / f"{number}.png"), scene.render(1.0))
        for truth in scene.truth(1.0):
            box = hand_drawn_from_tight(truth.box_xyxy_px)
            lines.append(",".join([f"{number}.png", *(f"{v:.1f}" for v in box), "face"]))
    table = folder / "boxes.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def figures(vidfilter: Command, table: Path, *args: object) -> dict[str, Any]:
    parts = ("eval", "detect", table, "--images", table.parent, *args, "--json")
    done = vidfilter(*(str(part) for part in parts))
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def refusal(vidfilter: Command, table: Path, *args: object) -> str:
    parts = ("eval", "detect", table, "--images", table.parent, *args)
    done = vidfilter(*(str(part) for part in parts))
    assert done.code == 1
    return done.error


def outside_ap(table: Path, tracks: Path, folder: Path, iou_limit: float) -> float:
    """Score the lines of `analyze` with nothing of the project's own."""
    truth: dict[str, list[list[float]]] = {}
    for row in csv.DictReader(table.read_text().splitlines()):
        box = [float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax")]
        truth.setdefault(row["image"], []).append(box)
    finds, n = [], 0
    for line in tracks.read_text().splitlines():
        frame = json.loads(line)
        if frame["file"] not in truth:
            continue
        boxes = truth[frame["file"]]
        scale = 320 / max(cv2.imread(str(folder / frame["file"])).shape)
        open_faces = [b for b in boxes if size(b) * scale >= 20]
        small = [b for b in boxes if size(b) * scale < 20]
        n += len(open_faces)
        for face in sorted(frame["faces"], key=lambda face: -face["score"]):
            box = face["box_xyxy_px"]
            best = max(open_faces, key=lambda b: overlap(b, box), default=None)
            if best is not None and overlap(best, box) >= iou_limit:
                open_faces.remove(best)
                finds.append((face["score"], True))
            elif size(box) * scale >= 20 and all(overlap(b, box) < iou_limit for b in small):
                finds.append((face["score"], False))
    hits = np.cumsum([hit for _, hit in sorted(finds, key=lambda find: -find[0])])
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float((np.diff(hits / n, prepend=0) * precision).sum())


def size(box: list[float]) -> float:
    return float(((box[2] - box[0]) * (box[3] - box[1])) ** 0.5)


def overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (size(a) ** 2 + size(b) ** 2 - width * height)


def candidates(vidfilter: Command, folder: Path, tracks: Path) -> Path:
    """Let `analyze` list every candidate of the pictures in a folder."""
    sets = ("--set", "detect.min_score=0.02", "--set", "detect.size=320")
    done = vidfilter("analyze", str(folder), "-o", str(tracks), *sets)
    assert done.code == 0, done.err
    return tracks


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


def test_an_outsider_scores_the_candidates_alike(tmp_path: Path, vidfilter: Command) -> None:
    table = write_scenes(tmp_path / "scenes")
    box = "2.png,5,5,65,70,face"  # a face that nobody will find keeps the figures from being 1
    table.write_text(table.read_text() + box + "\n")
    seen = figures(vidfilter, table)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in table.parent.glob("*.png"):
        path.rename(folder / path.name)
    tracks = candidates(vidfilter, folder, tmp_path / "tracks.jsonl")
    assert 0.5 < seen["ap_40"] < 1
    for key, iou_limit in (("ap_40", 0.4), ("ap_50", 0.5)):
        assert outside_ap(table, tracks, folder, iou_limit) == pytest.approx(seen[key], abs=0.01)


def test_an_outsider_scores_real_pictures_alike(
    tmp_path: Path, vidfilter: Command, shared_data: Path
) -> None:
    names = Path(__file__).parents[2] / "models/training/heldout_detector.txt"
    held = [n.split("/")[1] for n in names.read_text().split() if n.startswith("facedet/")][::4]
    chosen = tmp_path / "names.txt"
    chosen.write_text("\n".join(held))
    source, folder = shared_data / "facedet", tmp_path / "pictures"
    folder.mkdir()
    for name in held:
        (folder / name).write_bytes((source / "images" / name).read_bytes())
    table = tmp_path / "boxes.csv"
    rows = (source / "boxes.csv").read_text().splitlines()
    table.write_text("\n".join([rows[0], *(r for r in rows if r.split(",")[0] in held)]))
    done = vidfilter("eval", "detect", str(table), "--images", str(folder), "--json")
    seen = json.loads(done.out)
    tracks = candidates(vidfilter, folder, tmp_path / "tracks.jsonl")
    # Pictures are decoded by other libraries there, so weak candidates may change places.
    assert outside_ap(table, tracks, folder, 0.4) == pytest.approx(seen["ap_40"], abs=0.03)


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
