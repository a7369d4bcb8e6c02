"""`vidfilter train`, `eval` and `export`: figures, pictures, and what they refuse."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from giving import Command

from vidfilter.models.detector import hand_drawn_from_tight
from vidfilter.stages._testface import FaceScene, random_face_image

KEYS = {"n", "nme_interocular", "median", "failure_8", "failure_10", "auc_8", "regions"}


def faces(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [random_face_image(rng, 200) for _ in range(count)]


def write_pts(folder: Path, count: int = 3, header: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    for number, (picture, points) in enumerate(faces(count)):
        cv2.imwrite(str(folder / f"f{number}.png"), picture)
        lines = [f"{x + 1:.3f} {y + 1:.3f}" for x, y in points]
        if header:
            lines = ["version: 1", "n_points: 68", "{", *lines, "}"]
        (folder / f"f{number}.pts").write_text("\n".join(lines) + "\n")
    return folder


def write_csv(folder: Path, count: int = 3) -> Path:
    (folder / "train").mkdir(parents=True)
    rows = ["," + ",".join(str(i) for i in range(136))]
    for number, (picture, points) in enumerate(faces(count)):
        cv2.imwrite(str(folder / "train" / f"f{number}.png"), picture)
        rows.append(",".join([f"f{number}.png", *(f"{v:.3f}" for v in points.ravel())]))
    (folder / "train_frames_keypoints.csv").write_text("\n".join(rows) + "\n")
    return folder


def figures(vidfilter: Command, *args: object) -> dict[str, Any]:
    done = vidfilter("eval", "landmarks", *(str(arg) for arg in args), "--json")
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def test_all_layouts_of_68_points_give_the_same_figures(tmp_path: Path, vidfilter: Command) -> None:
    first = figures(vidfilter, write_pts(tmp_path / "a"))
    assert set(first) >= KEYS
    assert (first["n"], first["points"], first["protocol"]) == (3, 68, "crop")
    assert 0 < first["nme_interocular"] < 0.2
    assert set(first["regions"]) >= {"eye.left", "lips.outer", "face.contour"}
    second = figures(vidfilter, write_pts(tmp_path / "b", header=False))
    table = write_csv(tmp_path / "c")
    third = figures(vidfilter, table)
    fourth = figures(vidfilter, table / "train_frames_keypoints.csv")
    headless = table / "train_frames_keypoints.csv"
    headless.write_text(headless.read_text().partition("\n")[2])
    fifth = figures(vidfilter, table)
    for other in (second, third, fourth, fifth):
        assert other["nme_interocular"] == pytest.approx(first["nme_interocular"], abs=1e-4)


def test_helen_annotation_is_judged_by_194_points(tmp_path: Path, vidfilter: Command) -> None:
    (tmp_path / "annotation").mkdir()
    picture, points = faces(1)[0]
    cv2.imwrite(str(tmp_path / "photo_1.png"), picture)
    spread = points[np.linspace(0, 67, 194).astype(int)]
    lines = ["photo_1", *(f"{x} , {y}" for x, y in spread)]
    (tmp_path / "annotation" / "1.txt").write_text("\n".join(lines))
    assert figures(vidfilter, tmp_path)["points"] == 194


def test_several_faces_of_a_picture_are_one_file_each(tmp_path: Path, vidfilter: Command) -> None:
    write_pts(tmp_path, 1)
    text = (tmp_path / "f0.pts").read_text()
    (tmp_path / "f0.pts").rename(tmp_path / "f0_1.pts")
    (tmp_path / "f0_2.pts").write_text(text)
    assert figures(vidfilter, tmp_path)["n"] == 2


def test_a_face_that_is_not_found_counts_as_one(tmp_path: Path, vidfilter: Command) -> None:
    write_pts(tmp_path, 1)
    cv2.imwrite(str(tmp_path / "f0.png"), np.full((200, 200, 3), 128, np.uint8))
    seen = figures(vidfilter, tmp_path, "--protocol", "end-to-end")
    assert (seen["found"], seen["nme_interocular"], seen["failure_10"]) == (0, 1.0, 1.0)


def test_end_to_end_takes_each_face_from_its_own_picture(
    tmp_path: Path, vidfilter: Command
) -> None:
    seen = figures(vidfilter, write_pts(tmp_path / "a"), "--protocol", "end-to-end")
    assert (seen["n"], seen["found"]) == (3, 3)
    assert seen["nme_interocular"] < 0.2


def test_pictures_of_an_evaluation_are_written_and_kept(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("matplotlib")
    data, out = write_pts(tmp_path / "a"), tmp_path / "out"
    figures(vidfilter, data, "--out", out)
    assert cv2.imread(str(out / "errors.png")) is not None
    assert cv2.imread(str(out / "faces.png")).shape[1] > 1000
    stored = json.loads((out / "report.json").read_text())
    assert stored["n"] == 3
    (out / "report.json").write_text("mine")
    done = vidfilter("eval", "landmarks", str(data), "--out", str(out))
    assert "--overwrite" in done.error
    assert (out / "report.json").read_text() == "mine"


def spoil(folder: Path, how: str) -> None:
    """Damage the annotation or the picture of the first face."""
    pts, picture = folder / "f0.pts", folder / "f0.png"
    lines = pts.read_text().splitlines()
    match how:
        case "a point too few":
            pts.write_text("\n".join(lines[:-2]))
        case "NaN":
            pts.write_text("\n".join([*lines[:5], "nan 3", *lines[6:]]))
        case "unreadable picture":
            picture.write_bytes(picture.read_bytes()[:40])
        case "half a picture":
            cv2.imwrite(str(picture.with_suffix(".jpg")), cv2.imread(str(picture)))
            data = picture.with_suffix(".jpg").read_bytes()
            picture.write_bytes(data[: len(data) // 2])
            picture.with_suffix(".jpg").unlink()
        case "no picture":
            picture.unlink()
        case "far off":
            pts.write_text("\n".join([*lines[:5], "1e9 3", *lines[6:]]))
        case "one place":
            pts.write_text("\n".join(["5 5"] * 68))
        case "words":
            pts.write_text("\n".join([*lines[:5], "left right", *lines[6:]]))


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("a point too few", "f0.pts: expected 68 points"),
        ("NaN", "f0.pts: a coordinate is not a finite number"),
        ("unreadable picture", "f0.png: not a readable image"),
        ("half a picture", "f0.png: not a readable image, its end is missing"),
        ("far off", "f0.png: f0: a point lies far off its picture"),
        ("one place", "f0.png: f0: both outer eye corners"),
        ("no picture", "f0.pts: its picture"),
        ("words", "f0.pts: "),
    ],
)
def test_bad_data_is_named(how: str, named: str, tmp_path: Path, vidfilter: Command) -> None:
    write_pts(tmp_path)
    spoil(tmp_path, how)
    done = vidfilter("eval", "landmarks", str(tmp_path))
    assert done.code == 1
    assert named in done.error


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (
            lambda rows: [*rows[:2], rows[2].rpartition(",")[0]],
            "line 3: expected 68 points, found 135",
        ),
        (lambda rows: [*rows, '"' + "9" * 200_000], "field larger than"),
        (lambda rows: [rows[0], "image,xmin", "a.png,1,2"], "line 2: could not convert"),
        (lambda rows: rows[:1], "no annotated images"),
    ],
)
def test_a_bad_table_of_points_is_named(
    spoil: Callable[[list[str]], list[str]], named: str, tmp_path: Path, vidfilter: Command
) -> None:
    table = write_csv(tmp_path) / "train_frames_keypoints.csv"
    table.write_text("\n".join(spoil(table.read_text().splitlines())))
    done = vidfilter("eval", "landmarks", str(tmp_path))
    assert done.code == 1
    assert str(table) in done.error
    assert named in done.error


def test_whole_pictures_that_cannot_be_read_are_named(tmp_path: Path, vidfilter: Command) -> None:
    write_pts(tmp_path, 2)
    (tmp_path / "f1.png").write_bytes(b"")
    done = vidfilter("eval", "landmarks", str(tmp_path), "--protocol", "end-to-end")
    assert f"{tmp_path / 'f1.png'}: not a readable image" in done.error


@pytest.mark.parametrize("command", ["landmarks", "detect"])
def test_a_file_in_the_place_of_the_report_is_named(
    command: str, tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("matplotlib")
    data, out = write_pts(tmp_path / "a", 1), tmp_path / "out"
    table = tmp_path / "boxes.csv"
    table.write_text("image,xmin,ymin,xmax,ymax,label\nf0.png,10,10,99,99,face\n")
    out.write_text("mine")
    of = [str(data)] if command == "landmarks" else [str(table), "--images", str(data)]
    assert f"{out}: File exists" in vidfilter("eval", command, *of, "--out", str(out)).error
    assert out.read_text() == "mine"


def test_an_empty_folder_is_named(tmp_path: Path, vidfilter: Command) -> None:
    done = vidfilter("eval", "landmarks", str(tmp_path))
    assert f"{tmp_path}: no annotations" in done.error


def test_a_model_of_other_points_is_refused(tmp_path: Path, vidfilter: Command) -> None:
    write_pts(tmp_path)
    done = vidfilter("eval", "landmarks", str(tmp_path), "--points", "194", "--model", "ibug68")
    assert "ibug68 finds 68 points, not 194" in done.error


def test_detector_is_judged_by_boxes(tmp_path: Path, vidfilter: Command) -> None:
    rows = ["image,xmin,ymin,xmax,ymax,label"]
    for number, (picture, points) in enumerate(faces(3)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        low, high = points.min(axis=0), points.max(axis=0)
        top = low[1] - 0.2 * (high - low)[1]
        rows.append(f"{number}.png,{low[0]:.1f},{top:.1f},{high[0]:.1f},{high[1]:.1f},face")
    table = tmp_path / "boxes.csv"
    table.write_text("\n".join(rows) + "\n")
    done = vidfilter("eval", "detect", str(table), "--images", str(tmp_path), "--json")
    seen = json.loads(done.out)
    assert (seen["pictures"], seen["n"]) == (3, 3)
    assert 0 <= seen["ap_40"] <= 1
    table.write_text("name,x\na,1\n")
    assert "no column" in vidfilter("eval", "detect", str(table), "--images", str(tmp_path)).error
    absent = str(tmp_path / "absent.csv")
    assert "absent.csv" in vidfilter("eval", "detect", absent, "--images", str(tmp_path)).error


# Training and export


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


@pytest.mark.parametrize("recipe", ["landmarks", "detector", "facenet194", "resnet68"])
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


CHECKPOINTS = Path(__file__).parents[2] / "models/training/checkpoints"


@pytest.mark.parametrize(
    ("network", "options", "words"),
    [
        ("detector", ("--scheme", "helen194"), "--scheme is not for"),
        ("detector", ("--int8", "--data", "."), "--int8 is not for"),
        ("landmarks", ("--min-score", "0.3"), "--min-score is not for"),
        ("landmarks", ("--size", "40"), "40 is not a multiple of 16"),
    ],
)
def test_export_refuses_options_of_another_network(
    network: str, options: tuple[str, ...], words: str, tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("torch")
    checkpoint, out = CHECKPOINTS / f"{network}.pt", tmp_path / "net.onnx"
    done = vidfilter("export", str(checkpoint), "--out", str(out), *options)
    assert done.code == 2
    assert words in done.error
    assert not out.exists()


def test_a_failed_export_replaces_nothing(tmp_path: Path, vidfilter: Command) -> None:
    torch = pytest.importorskip("torch")
    out, spoilt = tmp_path / "net.onnx", tmp_path / "spoilt.pt"
    out.write_bytes(b"mine")
    good = str(CHECKPOINTS / "landmarks.pt")
    args = (good, "--out", str(out), "--int8", "--data", str(tmp_path / "none"), "--overwrite")
    assert "none: no such folder" in vidfilter("export", *args).error
    state = torch.load(CHECKPOINTS / "detector.pt", weights_only=True)
    state["average"] = {k: v * float("nan") for k, v in state["average"].items()}
    torch.save(state, spoilt)
    done = vidfilter("export", str(spoilt), "--out", str(out), "--overwrite")
    assert f"{spoilt} cannot be exported" in done.error
    assert out.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "spoilt.pt"]


def test_an_8_bit_export_tells_what_it_cost(tmp_path: Path, vidfilter: Command) -> None:
    pytest.importorskip("torch")
    data, out = write_pts(tmp_path / "faces", 6), tmp_path / "small.onnx"
    args = ("--out", str(out), "--int8", "--data", str(data), "--size", "64", "--json")
    done = vidfilter("export", str(CHECKPOINTS / "landmarks.pt"), *args)
    assert done.code == 0, done.err
    spec = json.loads(out.with_suffix(".json").read_text())
    assert spec["int8"] == json.loads(done.out)["int8"]
    assert 0 < spec["int8"]["nme_int8"] < 0.2
    assert out.stat().st_size < 1_000_000
    assert figures(vidfilter, data, "--model", out)["n"] == 6


def test_detector_training_looks_for_forgotten_and_missed_faces_once(
    tmp_path: Path, vidfilter: Command
) -> None:
    pytest.importorskip("torch")
    data, out = write_scenes(tmp_path / "data"), tmp_path / "run"
    args = ("train", "detector", "--data", str(data), "--out", str(out), "--smoke")
    first = vidfilter(*args)
    assert first.code == 0, first.err
    assert "1 places that may be faces" in first.err
    assert "1 missed faces" in first.err
    told = json.loads((out / "mined.json").read_text())["found"]
    assert {name: row["missed"] for name, row in told.items()} == {"facedet/b.png": 1}
    assert len(told["facedet/b.png"]["unsure"]) == 1
    (out / "mined.json").write_text(json.dumps({"scenes": 2, "found": {}}))
    again = vidfilter(*args, "--resume")
    assert "looking for" not in again.err
    assert "0 places" in again.err
    (out / "mined.json").write_text('{"scenes": 2')
    assert f"{out / 'mined.json'}: not what" in vidfilter(*args, "--resume").error


def write_scenes(data: Path) -> Path:
    """Write a, boxed rightly, and b, with a forgotten face and a box where there is none."""
    folder = data / "facedet"
    (folder / "images").mkdir(parents=True)
    (folder / "negatives").mkdir()
    lines = ["image,xmin,ymin,xmax,ymax,label"]
    for name, seed in (("a", 1), ("b", 2)):
        scene = FaceScene(320, 180, faces=2, seed=seed)
        cv2.imwrite(str(folder / "images" / f"{name}.png"), scene.render(1.0))
        boxes = [hand_drawn_from_tight(truth.box_xyxy_px) for truth in scene.truth(1.0)]
        boxes[1:] = [np.array([2, 2, 42, 52])] if name == "b" else boxes[1:]
        for box in boxes:
            lines.append(",".join([f"{name}.png", *(f"{v:.1f}" for v in box), "face"]))
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return data


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
        (PTS, lambda b: b"nan 3\n" + b.partition(b"\n")[2], "f0.pts: a coordinate is not a finite"),
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


def write_photos(folder: Path) -> None:
    """Write AFW's layout: `f0_1.pts` is a face of `f0.jpg`."""
    for path in write_pts(folder, 1, header=False).glob("*.png"):
        cv2.imwrite(str(path.with_suffix(".jpg")), cv2.imread(str(path)))
        path.unlink()


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


def test_a_damaged_checkpoint_is_named_and_nothing_written(
    tmp_path: Path, vidfilter: Command
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    path, out = tmp_path / "c.pt", tmp_path / "net.onnx"
    torch.save({"average": {"a": torch.zeros(900)}}, path)
    for content in (path.read_bytes(), path.read_bytes()[:700], b"", b"text"):
        path.write_bytes(content)
        done = vidfilter("export", str(path), "--out", str(out))
        assert done.code == 1
        assert str(path) in done.error
    data = write_csv(tmp_path / "data")
    args = ("--data", str(data), "--out", str(tmp_path / "run"), "--trunk", str(path))
    torch.save({"a": torch.zeros(3)}, path)
    assert f"{path} lacks" in vidfilter("train", "resnet68", *args).error
    path.write_bytes(b"text")
    assert str(path) in vidfilter("train", "resnet68", *args).error
    out.write_bytes(b"mine")
    assert "--overwrite" in vidfilter("export", str(path), "--out", str(out)).error
    assert out.read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.pt", "data", "net.onnx"]
