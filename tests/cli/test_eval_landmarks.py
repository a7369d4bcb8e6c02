"""`vidfilter eval`: figures, pictures, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from annotated import faces, figures, write_csv, write_pts
from giving import Command

KEYS = {"n", "nme_interocular", "median", "failure_8", "failure_10", "auc_8", "regions"}


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


def test_what_spreadsheets_and_windows_do_to_annotations_is_read(
    tmp_path: Path, vidfilter: Command
) -> None:
    first = figures(vidfilter, write_pts(tmp_path / "a"))
    for path in (tmp_path / "a").glob("*.pts"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    table = write_csv(tmp_path / "b") / "train_frames_keypoints.csv"
    header, *rows = table.read_text().splitlines()
    quoted = ['"' + row.replace(",", ' " , ', 1) for row in rows]
    text = "\r\n".join([header, "", *quoted, "," * 136, ""])
    table.write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "b" / "folder.csv").mkdir()
    for data in ("a", "b"):
        again = figures(vidfilter, tmp_path / data)
        assert again["n"] == 3
        assert again["nme_interocular"] == pytest.approx(first["nme_interocular"], abs=1e-4)


def test_pictures_of_one_name_are_told_apart_by_folder_and_kind(
    tmp_path: Path, vidfilter: Command
) -> None:
    table = write_csv(tmp_path) / "train_frames_keypoints.csv"
    first = figures(vidfilter, tmp_path)
    for number, folder in ((1, "x"), (2, "y")):
        (tmp_path / folder).mkdir()
        (tmp_path / "train" / f"f{number}.png").rename(tmp_path / folder / "g.png")
        cv2.imwrite(str(tmp_path / folder / "g.bmp"), np.zeros((200, 200, 3), np.uint8))
        table.write_text(table.read_text().replace(f"f{number}.png", f"{folder}/g.png"))
    again = figures(vidfilter, tmp_path)
    assert again["nme_interocular"] == pytest.approx(first["nme_interocular"], abs=1e-4)


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
        ("NaN", "f0.pts, line 6: a coordinate is not a finite number"),
        ("unreadable picture", "f0.png: not a readable image"),
        ("half a picture", "f0.png: not a readable image, its end is missing"),
        ("far off", "f0.png: f0: a point lies far off its picture"),
        ("one place", "f0.png: f0: both outer eye corners"),
        ("no picture", "f0.pts: its picture"),
        ("words", "f0.pts, line 6: could not convert"),
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
        (lambda rows: [*rows, "", rows[2]], "line 6: repeats line 3"),
        (lambda rows: [rows[0], rows[1].replace(rows[1].split(",")[3], "inf")], "line 2: a coord"),
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
