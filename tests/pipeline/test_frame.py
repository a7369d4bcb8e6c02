"""Frames and faces as values."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from vidfilter.pipeline.frame import Face, allocate

from stand_ins import CAPS, make_frame


def test_with_changes_only_what_is_named():
    frame = make_frame(7)
    other = frame.with_(pts=9, faces=())
    assert (other.pts, other.seq, frame.pts) == (9, 7, 7)
    assert other.planes is frame.planes
    assert other.owner is frame.owner


def test_with_refuses_unknown_names():
    with pytest.raises(TypeError, match="a frame has no colour"):
        make_frame(0).with_(colour=1)


def test_time_is_exact_for_fractional_rates():
    frame = make_frame(0).with_(pts=30030, time_base=Fraction(1001, 30000))
    assert frame.time_s == pytest.approx(1002.001)


def test_writable_copies_once_and_leaves_the_original():
    frame = make_frame(3)
    copy = frame.writable()
    copy.planes[0][:] = 99
    assert frame.planes[0][0, 0] == 3
    assert copy.writable() is copy
    assert copy.shared().writable() is not copy


@pytest.mark.parametrize("name", ["yuv420p", "nv12", "bgr24", "bgra"])
def test_planes_are_views_of_one_buffer(name):
    buffer, planes = allocate(CAPS.with_(pixel_format=name))
    assert buffer.flags.c_contiguous
    assert sum(plane.nbytes for plane in planes) == buffer.nbytes
    assert all(np.shares_memory(plane, buffer) for plane in planes)


def test_a_face_checks_its_shapes():
    with pytest.raises(ValueError, match=r"box_xyxy_px has shape \(3,\), expected \(4,\)"):
        Face(1, np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"landmarks_px has shape \(68,\), expected \(K, 2\)"):
        Face(1, np.zeros(4, np.float32), landmarks_px=np.zeros(68, np.float32))
