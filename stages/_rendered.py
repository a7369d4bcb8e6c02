"""Frames of the rendered test face, with the truth about it."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

import av
from av.video.reformatter import ColorRange, Colorspace

from ..pipeline.caps import Caps, default_matrix
from ..pipeline.frame import Frame
from ._colour import SWS_MATRICES
from ._geometry import even
from ._planes import planes_of
from ._testface import FaceScene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from ..pipeline.stage import Context


class RenderedReader:
    """A drawn face that moves, blinks and talks; endless unless stopped.

    Every frame carries `tags["truth"]`, the exact landmarks and expressions of its faces.
    """

    duration_s = None

    def __init__(
        self, context: Context, width: int, height: int, fps: Fraction, faces: int
    ) -> None:
        self._context = context
        self._size = even(width), even(height)
        self._fps, self._faces = fps, faces

    def open(self) -> Caps:
        """Set up the scene."""
        width, height = self._size
        self._scene = FaceScene(width, height, faces=self._faces)
        self._caps = Caps("yuv420p", width, height, self._fps, default_matrix(height))
        return self._caps

    def frames(self) -> Iterator[Frame]:
        """Yield the face at every tick of the frame rate."""
        time_base = 1 / self._fps
        matrix = SWS_MATRICES[self._caps.matrix]
        for seq in count():
            if self._context.stopping:
                return
            time_s = float(seq * time_base)
            picture = _to_yuv(self._scene.render(time_s), matrix)
            yield Frame(
                planes_of(picture, "yuv420p", writable=True),
                seq,
                time_base,
                seq,
                self._caps,
                duration=1,
                captured_ns=time.monotonic_ns(),
                owner=picture,
                exclusive=True,
                tags={"truth": self._scene.truth(time_s)},
            )

    def settle(self) -> None:
        """Do nothing: there is no sound."""

    def interrupt(self) -> None:
        """Do nothing: drawing never blocks."""

    def close(self) -> None:
        """Do nothing: a scene holds nothing open."""


def _to_yuv(image: object, matrix: Colorspace) -> av.VideoFrame:
    picture = av.VideoFrame.from_numpy_buffer(image, format="bgr24")  # type: ignore[arg-type]
    return picture.reformat(
        format="yuv420p",
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )
