"""Colour crops: the same picture in any pixel format gives the same crop."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from vidfilter.models.colour_crops import cut_rgb
from vidfilter.models.crops import Crop
from vidfilter.models.landmarks import cut
from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.frame import Frame

SIDE = 240
CROP = Crop(118.0, 126.0, 130.0, 0.4)
WEIGHTS = {"bt601": (0.299, 0.587, 0.114), "bt709": (0.2126, 0.7152, 0.0722)}


def smooth_picture() -> np.ndarray:
    rough = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(rough, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def planes_of(bgr: np.ndarray, matrix: str, full: bool) -> tuple[np.ndarray, ...]:
    """Convert as ITU-R BT.601 and BT.709 define it, with chroma between the pixels."""
    b, g, r = (bgr[:, :, c].astype(float) / 255 for c in range(3))
    kr, kg, kb = WEIGHTS[matrix]
    y = kr * r + kg * g + kb * b
    u, v = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    low, luma_span, chroma_span = (0, 255, 255) if full else (16, 219, 224)
    half = [p.reshape(SIDE // 2, 2, SIDE // 2, 2).mean(axis=(1, 3)) for p in (u, v)]
    planes = [low + luma_span * y, *(128 + chroma_span * p for p in half)]
    return tuple(np.clip(p.round(), 0, 255).astype(np.uint8) for p in planes)


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full", [False, True])
def test_planes_give_the_crop_of_the_packed_picture(matrix: str, full: bool) -> None:
    bgr = smooth_picture()
    y, u, v = planes_of(bgr, matrix, full)
    caps = Caps("yuv420p", SIDE, SIDE, matrix=matrix, color_range="full" if full else "limited")
    wanted = cut_rgb(bgr, CROP, 96, cut)
    for planes, name in (((y, u, v), "yuv420p"), ((y, np.dstack((u, v))), "nv12")):
        frame = Frame(planes, 0, Fraction(1), 0, caps.with_(pixel_format=name))
        found = cut_rgb(frame, CROP, 96, cut)
        assert found.shape == (3, 96, 96)
        assert np.abs(found - wanted).mean() < 1.5


def test_packed_frames_and_pictures_are_cut_alike() -> None:
    bgr = smooth_picture()
    bgra = np.dstack((bgr, np.full((SIDE, SIDE), 255, np.uint8)))
    wanted = cut_rgb(bgr, CROP, 96, cut)
    for plane, name in ((bgr, "bgr24"), (bgra, "bgra")):
        frame = Frame((plane,), 0, Fraction(1), 0, Caps(name, SIDE, SIDE))
        np.testing.assert_array_equal(cut_rgb(frame, CROP, 96, cut), wanted)
