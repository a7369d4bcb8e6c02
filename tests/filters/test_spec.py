"""filter.yaml: what is refused, and that the message says where."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_faces import make_face, make_frame

from vidfilter.filters import reading
from vidfilter.filters.engine import filter_names, load_filter
from vidfilter.pipeline.errors import ConfigError, RegistryError

GOOD = """\
version: 1
title: Dot
licence: MIT
layers:
  - sticker:
      image: dot.png
      at: nose.base
      width: 0.5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dot"
    folder.mkdir()
    (folder / "filter.yaml").write_text(GOOD)
    art = np.zeros((16, 16, 4), np.uint8)
    cv2.circle(art, (8, 8), 7, (0, 0, 255, 255), -1)
    (folder / "dot.png").write_bytes(cv2.imencode(".png", art)[1].tobytes())
    return folder


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "filter.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_users_own_folder_draws(folder: Path) -> None:
    frame = make_frame(make_face(100, 80, 40))
    assert load_filter(str(folder)).painter(frame.caps).draw(frame).rects


def test_the_five_filters_are_there() -> None:
    names = {"glasses", "googly-orange", "landmarks", "lips", "pixelate"}
    assert names <= set(filter_names())


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(RegistryError, match="did you mean 'glasses'"):
        load_filter("glases")


def test_a_folder_without_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"filter\.yaml is needed"):
        load_filter(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("old", "new", "where", "text"),
    [
        ("width: 0.5", "width: 0.5\n      colour: red", ":9:7:", "unknown key 'colour'"),
        ("width: 0.5", "wdith: 0.5", ":8:7:", "unknown key 'wdith' (width missing)"),
        ("width: 0.5", "width: wide", ":8:7:", "number"),
        ("width: 0.5", "width: -1", ":8:7:", "greater than 0"),
        ("nose.base", "nose.bace", ":7:7:", "did you mean 'nose.base'"),
        ("nose.base", "nose.base@3", ":7:7:", "fraction"),
        ("dot.png", "spot.png", ":6:7:", "no such picture"),
        ("dot.png", "../secret.png", ":6:7:", "inside the filter's folder"),
        ("dot.png", "filter.yaml", ":6:7:", "not a PNG"),
        ("sticker:", "stickers:", ":5:5:", "unknown key 'stickers'"),
        ("title: Dot\n", "", ":1:1:", "title"),
        ("version: 1", "version: 2", ":1:1:", "version"),
        ("layers:", "layers: [", ":", ""),
        ("title: Dot", "title: Dot\ntitle: Dot", ":3:1:", "title"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    folder: Path, old: str, new: str, where: str, text: str
) -> None:
    edit(folder, old, new)
    with pytest.raises(ConfigError) as caught:
        load_filter(str(folder))
    message = str(caught.value)
    assert f"filter.yaml{where}" in message
    assert text in message
    assert "\n" not in message


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "dot.png").rename(tmp_path / "outside.png")
    (folder / "dot.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(ConfigError, match="inside the filter's folder"):
        load_filter(str(folder))


def test_an_enormous_picture_is_refused_by_its_header(folder: Path) -> None:
    header = reading.PNG_SIGNATURE + bytes.fromhex("0000000d49484452 0000ffff 0000ffff")
    (folder / "dot.png").write_bytes(header)
    with pytest.raises(ConfigError, match="65535x65535 is larger"):
        load_filter(str(folder))


def test_a_broken_picture_is_refused(folder: Path) -> None:
    whole = (folder / "dot.png").read_bytes()
    (folder / "dot.png").write_bytes(whole[:30])
    with pytest.raises(ConfigError, match="not an 8-bit colour PNG"):
        load_filter(str(folder)).painter(make_frame().caps)


@pytest.mark.parametrize("content", [b"", b"- a\n- b\n", b"\xff\xfe\x00", b"x" * 70_000])
def test_what_is_no_description_is_refused(folder: Path, content: bytes) -> None:
    (folder / "filter.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"filter\.yaml"):
        load_filter(str(folder))


def test_no_python_object_is_made_from_yaml(folder: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    edit(folder, "title: Dot", f"title: !!python/object/apply:os.mkdir ['{trap}']")
    with pytest.raises(ConfigError):
        load_filter(str(folder))
    assert not trap.exists()
