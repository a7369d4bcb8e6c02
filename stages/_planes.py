"""Look at a decoder's picture as numpy planes, and hand planes to an encoder, without copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from av.video.plane import VideoPlane

    from ..pipeline.frame import U8, Frame

_CHANNELS = {"yuv420p": (1, 1, 1), "nv12": (1, 2), "bgr24": (3,), "bgra": (4,), "gray": (1,)}
# What an encoder calls a working format in full range.
FULL_RANGE = {"yuv420p": "yuvj420p"}


def planes_of(
    picture: av.VideoFrame, pixel_format: str, *, writable: bool = False
) -> tuple[U8, ...]:
    """Return views of the planes of `picture`, without the padding of its rows.

    Ask for `writable` only where nobody else, the decoder included, holds the picture.
    """
    return tuple(
        _view(plane, channels, writable)
        for plane, channels in zip(picture.planes, _CHANNELS[pixel_format], strict=True)
    )


def claimed(picture: av.VideoFrame, pixel_format: str) -> tuple[U8, ...]:
    """Return the planes of `picture` for writing, copied where its decoder still refers to them.

    A decoder lets go of a picture a few pictures later. Older views must not be used any more.
    """
    picture.make_writable()
    return planes_of(picture, pixel_format, writable=True)


def _view(plane: VideoPlane, channels: int, writable: bool) -> U8:
    stride = plane.line_size
    height, width = plane.height, plane.width
    offset = 0 if stride > 0 else (1 - height) * stride  # bottom-up pictures
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (stride, 1)
    if channels > 1:
        shape, strides = (height, width, channels), (stride, channels, 1)
    buffer: Any = plane  # it has the buffer protocol, which its type does not tell
    view: U8 = np.ndarray(shape, np.uint8, buffer=buffer, offset=offset, strides=strides)
    view.flags.writeable = writable
    return view


def picture_of(frame: Frame, av_format: str) -> av.VideoFrame:
    """Return `frame` as FFmpeg's picture in `av_format`, its own format or that in full range.

    The decoder's own picture and buffers of `pipeline.frame.allocate` are taken as they are.
    """
    owner, caps = frame.owner, frame.caps
    if isinstance(owner, av.VideoFrame):
        same = owner.format.name == av_format
        if same and owner.width == caps.width and owner.height == caps.height:
            return owner
    elif isinstance(owner, np.ndarray) and _wrappable(owner, frame):
        return av.VideoFrame.from_numpy_buffer(owner, format=av_format)
    return _copied(frame, av_format)


def _wrappable(buffer: U8, frame: Frame) -> bool:
    caps = frame.caps
    if caps.pixel_format in ("bgr24", "bgra"):
        return buffer.shape == frame.planes[0].shape and buffer.strides == frame.planes[0].strides
    # PyAV derives the height from the rows by whole sixths: right for multiples of four only.
    whole = caps.height % 4 == 0 and buffer.shape == (caps.height * 3 // 2, caps.width)
    return whole and buffer.flags.c_contiguous and np.shares_memory(buffer, frame.planes[-1])


def _copied(frame: Frame, av_format: str) -> av.VideoFrame:
    picture = av.VideoFrame(frame.caps.width, frame.caps.height, av_format)
    targets = planes_of(picture, frame.caps.pixel_format, writable=True)
    for target, plane in zip(targets, frame.planes, strict=True):
        np.copyto(target, plane)
    return picture
