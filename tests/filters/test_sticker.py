"""Stickers: where they land, and that blending is right to the code value."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_faces import changed, face_of, make_face, make_frame, shape

from vidfilter.filters.art import prepare_art
from vidfilter.filters.canvas import Canvas, Scratch
from vidfilter.filters.colour import rgb_to_yuv
from vidfilter.filters.engine import load_filter
from vidfilter.filters.layer_sticker import Affine, draw_art
from vidfilter.pipeline.frame import Frame


def stamp(frame: Frame, art: np.ndarray, scale: float, shift: complex) -> Frame:
    kinds = ("y", "uv") if frame.caps.pixel_format in ("yuv420p", "nv12") else ("bgr",)
    canvas = Canvas(frame, Scratch())
    draw_art(canvas, prepare_art(art, kinds, frame.caps), Affine(scale, scale * 1j, shift))
    return canvas.frame


def test_flat_half_clear_art_is_blended_to_the_code_value() -> None:
    frame = make_frame()
    art = np.full((40, 60, 4), (30, 90, 200, 128), np.uint8)
    drawn = stamp(frame, art, 1, 100 + 80j)
    matrix, offset = rgb_to_yuv(frame.caps)
    yuv = matrix @ (200.0, 90.0, 30.0) + offset
    for plane, before, value, step in zip(drawn.planes, frame.planes, yuv, (1, 2, 2), strict=True):
        inside = np.s_[90 // step : 110 // step, 110 // step : 150 // step]
        expected = before[inside] * (127 / 255) + value * (128 / 255)
        assert np.abs(plane[inside] - expected).max() <= 1


@pytest.mark.parametrize(("color_range", "left"), [("limited", 0.0), ("full", 0.5)])
def test_chroma_is_sited_as_the_format_has_it(color_range: str, left: float) -> None:
    """A ramp of colour along x or y must read, in each chroma sample, its value at its place.

    Half a luma sample of error would show as 0.9 on average, rounding as less than 0.3.
    """
    caps = make_frame().caps.with_(color_range=color_range)
    frame = make_frame().with_(caps=caps)
    ramp = np.arange(0, 256, 4, dtype=np.uint8)
    art = np.full((64, 64, 4), 255, np.uint8)
    art[:, :, :3] = 0
    art[:, :, 2] = ramp[None, :]
    still = (1, 40 + 20j)
    along_x = stamp(frame, art, *still)
    along_y = stamp(frame, np.ascontiguousarray(art.transpose(1, 0, 2)), *still)
    matrix, offset = rgb_to_yuv(caps)
    place = np.arange(24, 48)  # chroma samples well inside the art
    columns = 4 * matrix[2, 0] * (2 * place + left - 40) + offset[2]
    assert abs((along_x.planes[2][26, place] - columns).mean()) < 0.4
    rows = np.arange(14, 38)
    lines = 4 * matrix[2, 0] * (2 * rows + 0.5 - 20) + offset[2]
    assert abs((along_y.planes[2][rows, 36] - lines).mean()) < 0.4


def test_a_small_copy_of_large_art_does_not_alias() -> None:
    stripes = np.zeros((512, 512, 4), np.uint8)
    stripes[:, :, 3] = 255
    stripes[:, ::2, :3] = 255
    drawn = stamp(make_frame(), stripes, 0.11, 100.3 + 60.7j)
    inside = drawn.planes[0][70:110, 110:150]
    assert int(inside.max()) - int(inside.min()) < 12


def test_glasses_move_with_the_face_pixel_for_pixel() -> None:
    flat = make_frame().with_(
        planes=tuple(np.full_like(plane, 120) for plane in make_frame().planes)
    )
    painter = load_filter("glasses").painter(flat.caps)
    here = painter.draw(flat.with_(faces=(make_face(120, 90, 50, roll_deg=10),))).frame
    there = painter.draw(flat.with_(faces=(make_face(150, 110, 50, roll_deg=10),))).frame
    moved = np.roll(here.planes[0], (20, 30), axis=(0, 1)).astype(int)
    assert np.abs(moved - there.planes[0]).max() <= 1


@pytest.mark.parametrize("roll_deg", [0, 35, -90, 180])
def test_glasses_cover_the_eyes_at_any_tilt(roll_deg: float) -> None:
    face = make_face(160, 120, 60, roll_deg=roll_deg)
    frame = make_frame(face)
    touched = changed(frame, load_filter("glasses").painter(frame.caps).draw(frame).frame)
    for eye in (face.landmarks_px[36:42], face.landmarks_px[42:48]):
        assert touched[tuple(np.rint(eye.mean(axis=0)).astype(int)[::-1])]


def test_glasses_narrow_but_keep_their_height_as_the_head_turns() -> None:
    def extent(points: np.ndarray) -> tuple[int, int]:
        frame = make_frame(face_of(points * 60 + (160, 100)))
        ys, xs = np.nonzero(
            changed(frame, load_filter("glasses").painter(frame.caps).draw(frame).frame)
        )
        return int(np.ptp(xs)), int(np.ptp(ys))

    wide, high = extent(shape())
    turned_wide, turned_high = extent(shape() * (0.7, 1.0))
    assert turned_wide < 0.85 * wide
    assert turned_high > 0.85 * high


def test_a_bgra_picture_keeps_its_clear_parts_and_gains_the_art() -> None:
    frame = make_frame(make_face(160, 100, 60), pixel_format="bgra")
    clear = frame.planes[0].copy()
    clear[:, :, 3] = 0
    frame = frame.with_(planes=(clear,))
    alpha = load_filter("glasses").painter(frame.caps).draw(frame).frame.planes[0][:, :, 3]
    assert alpha[0, 0] == 0
    assert alpha.max() > 250


def test_art_is_decoded_with_its_transparency() -> None:
    front = cv2.imread(str(load_filter("glasses").folder / "front.png"), cv2.IMREAD_UNCHANGED)
    assert front.shape[2] == 4
    assert front[0, 0, 3] == 0
