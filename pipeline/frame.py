"""Frames and the faces found in them: values that travel from stage to stage."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from .caps import Caps

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Head rotation in degrees: yaw > 0 to the image's right, pitch > 0 down, roll clockwise."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One tracked face, in full-frame pixels, x before y.

    `box_xyxy_px` (4,) float32; `landmarks_px` (K, 2) float32 or None before inference;
    `visibility` (K,) 0..1 or None; `expressions` maps mouth_open, eye_open_l, eye_open_r,
    brow_raise, smile to 0..1; `scheme` names the order of points (ibug68, helen194).
    """

    track_id: int
    box_xyxy_px: F32
    score: float = 1.0
    landmarks_px: F32 | None = None
    visibility: F32 | None = None
    pose: Pose | None = None
    expressions: dict[str, float] = field(default_factory=dict)
    scheme: str = "ibug68"
    keypoints_px: F32 | None = None  # (5, 2): eyes, nose tip, mouth corners, from the detector

    def __post_init__(self) -> None:
        if self.box_xyxy_px.shape != (4,):
            raise ValueError(f"box_xyxy_px has shape {self.box_xyxy_px.shape}, expected (4,)")
        points = self.landmarks_px
        if points is not None and (points.ndim != 2 or points.shape[1] != 2):
            raise ValueError(f"landmarks_px has shape {points.shape}, expected (K, 2)")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture with its time and faces; a value: stages return `frame.with_(...)`.

    `planes`: yuv420p (H, W), (H/2, W/2), (H/2, W/2); nv12 (H, W), (H/2, W/2, 2);
    bgr24 (H, W, 3); bgra (H, W, 4); all uint8, read-only unless `exclusive`.
    `pts` counts `time_base` seconds as the source stamped it; `duration` likewise or None.
    `captured_ns` is monotonic time at capture. `owner` keeps the memory behind `planes` alive (a
    decoder's frame, or the contiguous array `planes` are views of). `exclusive` is true where
    nobody else can see the pixels, so that `writable()` need not copy. Where only a decoder may
    still see them, `claim()` takes them away from it and returns the planes to write: the same
    pixels, copied only if the decoder has not let go of them yet. It belongs to `planes`.
    `discontinuity` is true on the first frame after a cut or loss. `tags` carries extras such as
    a picture's file name.
    """

    planes: tuple[U8, ...]
    pts: int
    time_base: Fraction
    seq: int
    caps: Caps
    duration: int | None = None
    captured_ns: int = 0
    faces: tuple[Face, ...] = ()
    owner: Any = None
    exclusive: bool = False
    claim: Callable[[], tuple[U8, ...]] | None = None
    discontinuity: bool = False
    tags: dict[str, Any] = field(default_factory=dict)

    @property
    def time_s(self) -> float:
        """Presentation time in seconds."""
        # Plain integers: a Fraction would reduce itself, which costs more than the rest.
        return self.pts * self.time_base.numerator / self.time_base.denominator

    def with_(self, **changes: Any) -> Frame:
        """Return a copy with `changes`; pixels are shared. Raises TypeError for unknown names."""
        if "planes" in changes:
            changes.setdefault("claim", None)
        # dataclasses.replace does the same ten times slower, and this runs per stage and frame.
        copy = object.__new__(Frame)
        for name in _FRAME_FIELDS:
            value = changes.pop(name) if name in changes else getattr(self, name)
            object.__setattr__(copy, name, value)
        if changes:
            raise TypeError(f"a frame has no {', '.join(changes)}")
        return copy

    def shared(self) -> Frame:
        """Return this frame marked as seen by others too, as a tee must."""
        if not self.exclusive and self.claim is None:
            return self
        return self.with_(exclusive=False, claim=None)

    def writable(self) -> Frame:
        """Return a frame whose planes may be written: itself if exclusive, else one plane copy.

        Not even that where the pixels can be claimed; `self` must not be used after that.
        """
        if self.exclusive:
            return self
        if self.claim is not None:
            return self.with_(planes=self.claim(), exclusive=True)
        buffer, planes = allocate(self.caps)
        for mine, theirs in zip(planes, self.planes, strict=True):
            np.copyto(mine, theirs)
        return self.with_(planes=planes, owner=buffer, exclusive=True)

    @property
    def luma(self) -> U8:
        """Brightness (H, W): the Y plane itself where there is one, else the green channel."""
        plane = self.planes[0]
        return plane if plane.ndim == 2 else plane[:, :, 1]


_FRAME_FIELDS = tuple(item.name for item in fields(Frame))


def allocate(caps: Caps) -> tuple[U8, tuple[U8, ...]]:
    """Return one contiguous buffer and the planes of `caps` as views of it, uninitialised.

    A single buffer lets encoder, texture and virtual camera take the frame without another copy.
    """
    height, width = caps.height, caps.width
    match caps.pixel_format:
        case "yuv420p":
            buffer = np.empty((height * 3 // 2, width), np.uint8)
            chroma = buffer[height:].reshape(2, height // 2, width // 2)
            return buffer, (buffer[:height], chroma[0], chroma[1])
        case "nv12":
            buffer = np.empty((height * 3 // 2, width), np.uint8)
            return buffer, (buffer[:height], buffer[height:].reshape(height // 2, width // 2, 2))
        case "bgr24" | "bgra":
            buffer = np.empty((height, width, 3 if caps.pixel_format == "bgr24" else 4), np.uint8)
            return buffer, (buffer,)
    raise ValueError(f"{caps.pixel_format} is no working format")
