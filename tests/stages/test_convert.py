"""Conversions keep what the formats can hold."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from typing import Any

import cv2
import numpy as np
import pytest
from clip_files import noise

from vidfilter.pipeline import registry
from vidfilter.pipeline.caps import WORKING_FORMATS, Caps
from vidfilter.pipeline.frame import Frame, allocate


def _frame(caps: Caps, image: np.ndarray) -> Frame:
    """A frame whose pixels come from a bgr24 `image`, by OpenCV (601, limited)."""
    buffer, planes = allocate(caps)
    if caps.pixel_format in ("bgr24", "bgra"):
        buffer[:, :, :3] = image
        buffer[:, :, 3:] = 255
    else:
        stacked = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
        height, width = image.shape[:2]
        chroma = stacked[height:].reshape(2, height // 2, width // 2)
        planes[0][:] = stacked[:height]
        if caps.pixel_format == "nv12":
            planes[1][:] = np.stack(chroma, axis=2)
        else:
            planes[1][:], planes[2][:] = chroma
    return Frame(planes, 7, Fraction(1, 25), 3, caps, owner=buffer, exclusive=True)


def _smooth(width: int = 64, height: int = 48) -> np.ndarray:
    return cv2.GaussianBlur(noise(3, width, height), (0, 0), 6)


def _caps(name: str, width: int = 64, height: int = 48, **changes: Any) -> Caps:
    rgb = name in ("bgr24", "bgra")
    matrix, limits = ("rgb", "full") if rgb else ("bt601", "limited")
    return Caps(name, width, height, matrix=matrix, color_range=limits).with_(**changes)


@pytest.fixture
def convert(context: Any) -> Any:
    stage_class = registry.stage_class("convert")
    return lambda to, frame: stage_class(stage_class.Params(to=to), context).process(frame)


@pytest.mark.parametrize(("source", "target"), list(permutations(WORKING_FORMATS, 2)))
@pytest.mark.parametrize("height", [48, 50])
def test_colours_survive(convert: Any, source: str, target: str, height: int) -> None:
    image = _smooth(height=height)
    result = convert(target, _frame(_caps(source, height=height), image))
    wanted = _frame(_caps(target, height=height), image)
    assert result.caps == wanted.caps
    for got, expected in zip(result.planes, wanted.planes, strict=True):
        assert got.shape == expected.shape
        difference = np.abs(got.astype(int) - expected)
        assert difference.mean() < 1.5
        assert difference.max() <= 8  # chroma is filtered in different ways
    assert (result.pts, result.seq) == (7, 3)


def test_a_round_trip_through_another_layout_is_exact(convert: Any) -> None:
    frame = _frame(_caps("yuv420p"), noise(1, 64, 48))
    back = convert("yuv420p", convert("nv12", frame))
    assert all(map(np.array_equal, back.planes, frame.planes))


def test_large_rgb_pictures_use_the_matrix_of_hd(convert: Any) -> None:
    red = np.zeros((720, 64, 3), np.uint8)
    red[:, :, 2] = 255
    result = convert("yuv420p", _frame(_caps("bgr24", height=720), red))
    assert result.caps.matrix == "bt709"
    assert abs(int(result.planes[0][100, 30]) - 63) <= 1  # 601 would give 81
    assert abs(int(result.planes[2][100, 15]) - 240) <= 1


def test_full_range_is_heeded(convert: Any) -> None:
    caps = _caps("yuv420p", color_range="full")
    frame = _frame(caps, noise(0, 64, 48))
    for plane, value in zip(frame.planes, (255, 128, 128), strict=True):
        plane[:] = value
    assert np.unique(convert("bgr24", frame).planes[0]).tolist() == [255]
    same = convert("nv12", frame)
    assert same.caps.color_range == "full"
    assert np.unique(same.planes[0]).tolist() == [255]


def test_transparency_is_laid_on_black_and_said(convert: Any, context: Any) -> None:
    frame = _frame(_caps("bgra"), np.full((48, 64, 3), 200, np.uint8))
    frame.planes[0][:, :, 3] = 0
    frame.planes[0][:24, :, 3] = 128
    image = convert("bgr24", frame).planes[0]
    assert context.warnings == ["transparency is lost: bgr24 cannot hold it, black is behind"]
    assert np.unique(image[:24]).tolist() == [100]
    assert np.unique(image[24:]).tolist() == [0]
    assert np.unique(frame.planes[0][:, :, :3]).tolist() == [200]


def test_the_result_may_be_drawn_on(convert: Any) -> None:
    result = convert("yuv420p", _frame(_caps("bgr24"), noise(0, 64, 48)))
    assert result.writable() is result
    result.planes[0][:] = 0


def test_no_conversion_is_no_copy(convert: Any) -> None:
    frame = _frame(_caps("nv12"), noise(0, 64, 48))
    assert convert("nv12", frame) is frame
