"""Faces and pictures for tests of what draws: 68 points of a plain frontal face, any format."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.frame import Face, Frame

FORMATS = ("yuv420p", "nv12", "bgr24", "bgra")


def _arc(start: float, end: float, count: int, centre: tuple, radii: tuple) -> np.ndarray:
    """Points on an ellipse; angles in degrees, 0 = right, 90 = down."""
    angle = np.radians(np.linspace(start, end, count))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radii + centre


def shape(mouth_open: float = 0.0) -> np.ndarray:
    """(68, 2) points, in distances of the outer eye corners from midway between the eyes."""
    eye = _arc(180, 540, 7, (0, 0), (0.15, 0.06))[:6]
    lip = 0.07 + mouth_open / 2
    return np.concatenate(
        [
            _arc(185, -5, 17, (0, 0.1), (0.79, 1.15)),
            _arc(200, 340, 5, (-0.38, -0.15), (0.25, 0.12)),
            _arc(200, 340, 5, (0.38, -0.15), (0.25, 0.12)),
            np.stack([np.zeros(4), np.linspace(0, 0.38, 4)], axis=1),
            _arc(160, 20, 5, (0, 0.46), (0.16, 0.06)),
            eye - np.array([0.35, 0]),
            eye + np.array([0.35, 0]),
            _arc(180, 540, 13, (0, 0.76), (0.28, lip))[:12],
            _arc(180, 540, 9, (0, 0.76), (0.22, max(mouth_open / 2, 0.003)))[:8],
        ]
    )


def make_face(
    x: float,
    y: float,
    size: float,
    *,
    roll_deg: float = 0.0,
    mouth_open: float = 0.0,
    track: int = 1,
) -> Face:
    """A face with its eyes around (x, y) and `size` px between the outer eye corners."""
    cos, sin = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    points = shape(mouth_open) @ np.array([[cos, sin], [-sin, cos]]) * size + (x, y)
    return face_of(points, track)


def face_of(points: np.ndarray, track: int = 1) -> Face:
    points = points.astype(np.float32)
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return Face(track, box, 0.9, points)


def photo(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A soft, colourful (height, width, 3) BGR picture."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 215, (height // 24 + 2, width // 24 + 2, 3)).astype(np.float32)
    return np.rint(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)).astype(
        np.uint8
    )


def planes_of(bgr: np.ndarray, pixel_format: str) -> tuple[np.ndarray, ...]:
    height, width = bgr.shape[:2]
    if pixel_format == "bgr24":
        return (bgr.copy(),)
    if pixel_format == "bgra":
        return (np.dstack([bgr, np.full((height, width), 255, np.uint8)]),)
    flat = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    luma, chroma = flat[: height * width], flat[height * width :]
    u, v = chroma.reshape(2, height // 2, width // 2)
    luma = luma.reshape(height, width)
    return (luma, u, v) if pixel_format == "yuv420p" else (luma, np.dstack([u, v]))


def to_bgr(frame: Frame) -> np.ndarray:
    planes = frame.planes
    if frame.caps.pixel_format.startswith("bgr"):
        return planes[0][:, :, :3]
    if frame.caps.pixel_format == "nv12":
        planes = (planes[0], planes[1][:, :, 0], planes[1][:, :, 1])
    flat = np.concatenate([plane.reshape(-1) for plane in planes])
    size = (frame.caps.height * 3 // 2, frame.caps.width)
    return cv2.cvtColor(flat.reshape(size), cv2.COLOR_YUV2BGR_I420)


def make_frame(
    *faces: Face,
    pixel_format: str = "yuv420p",
    width: int = 320,
    height: int = 240,
    pts: int = 0,
    discontinuity: bool = False,
    seed: int = 0,
) -> Frame:
    """A read-only frame of `photo`, 1000 ticks per second."""
    planes = planes_of(photo(width, height, seed), pixel_format)
    for plane in planes:
        plane.flags.writeable = False
    matrix, color_range = ("rgb", "full") if "bgr" in pixel_format else ("bt601", "limited")
    caps = Caps(pixel_format, width, height, matrix=matrix, color_range=color_range)
    time_base = Fraction(1, 1000)
    return Frame(planes, pts, time_base, pts, caps, faces=faces, discontinuity=discontinuity)


def changed(before: Frame, after: Frame) -> np.ndarray:
    """(height, width) bool: pixels that differ in any plane."""
    height, width = before.caps.height, before.caps.width
    mask = np.zeros((height, width), bool)
    for a, b in zip(before.planes, after.planes, strict=True):
        differs = a != b if a.ndim == 2 else (a != b).any(axis=2)
        step = height // differs.shape[0]
        mask |= np.repeat(np.repeat(differs, step, axis=0), step, axis=1)
    return mask
