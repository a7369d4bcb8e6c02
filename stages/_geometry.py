"""Turn, pad and centre pictures once, where they enter or leave the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..pipeline.frame import allocate

if TYPE_CHECKING:
    import av

    from ..pipeline.caps import Caps
    from ..pipeline.frame import U8


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture becomes upright: transpose first, then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def __bool__(self) -> bool:
        return self.transpose or self.flip_x or self.flip_y

    def apply(self, plane: U8) -> U8:
        """Return `plane` turned; lossless."""
        turned = cv2.transpose(plane) if self.transpose else plane
        if self.flip_x or self.flip_y:
            code = -1 if self.flip_x and self.flip_y else int(self.flip_x)
            turned = cv2.flip(turned, code)
        return turned  # type: ignore[return-value]


def orientation_of(picture: av.VideoFrame) -> Orientation:
    """Read the display matrix of `picture`; angles between quarter turns are rounded."""
    try:
        extras: Any = picture.side_data
        data = bytes(extras["DISPLAYMATRIX"])
    except (KeyError, ValueError):  # ValueError: PyAV does not know some other side data
        return _quarter_turn(picture.rotation)
    # (x, y) goes to (a x + c y, b x + d y), y down.
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, flip_x=c < 0, flip_y=b < 0)
    return Orientation(False, flip_x=a < 0, flip_y=d < 0)


def _quarter_turn(degrees_ccw: int) -> Orientation:
    turns = {
        0: Orientation(),
        1: Orientation(True, flip_y=True),
        2: Orientation(False, flip_x=True, flip_y=True),
        3: Orientation(True, flip_x=True),
    }
    return turns[round(degrees_ccw / 90) % 4]


def even(size: int) -> int:
    """Return `size` rounded up to an even number of pixels."""
    return size + size % 2


def fill(planes: tuple[U8, ...], caps: Caps, orientation: Orientation) -> tuple[U8, tuple[U8, ...]]:
    """Return a buffer and planes of `caps` that hold `planes` turned and padded by their edges."""
    buffer, targets = allocate(caps)
    for target, plane in zip(targets, planes, strict=True):
        source = orientation.apply(plane) if orientation else plane
        height, width = source.shape[:2]
        target[:height, :width] = source
        if width < target.shape[1]:
            target[:height, width:] = source[:, -1:]
        if height < target.shape[0]:
            target[height:] = target[height - 1]
    return buffer, targets


def letterbox(planes: tuple[U8, ...], caps: Caps) -> tuple[U8, tuple[U8, ...]]:
    """Return a buffer and planes of `caps` with `planes` scaled to fit, centred on black."""
    buffer, targets = allocate(caps)
    scale = min(caps.width / planes[0].shape[1], caps.height / planes[0].shape[0])
    half_width = max(1, round(planes[0].shape[1] * scale / 2))
    half_height = max(1, round(planes[0].shape[0] * scale / 2))
    for target, plane, black in zip(targets, planes, _black(caps), strict=True):
        step = 2 * target.shape[0] // caps.height  # rows of this plane for two of the picture
        width, height = half_width * step, half_height * step
        left, top = (target.shape[1] - width) // 2, (target.shape[0] - height) // 2
        target[:] = black
        target[top : top + height, left : left + width] = cv2.resize(
            plane, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
    return buffer, targets


def _black(caps: Caps) -> tuple[int, ...]:
    if caps.pixel_format in ("bgr24", "bgra"):
        return (0,)
    luma = 0 if caps.color_range == "full" else 16
    return (luma, 128, 128) if caps.pixel_format == "yuv420p" else (luma, 128)
