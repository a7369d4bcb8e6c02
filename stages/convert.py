"""Transform that changes the pixel format; the builder inserts it where a link needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from av.video.reformatter import ColorRange, Interpolation
from pydantic import Field

from ..pipeline import stage
from ..pipeline.caps import SUBSAMPLED, default_matrix
from ..pipeline.registry import register_stage
from ._colour import QUALITY, SWS_MATRICES
from ._planes import FULL_RANGE, picture_of, planes_of

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import Frame


# The quick path to RGB is one level too dark on average; the one from RGB is right.
_QUICK = Interpolation.BICUBIC


@register_stage("convert")
class Convert(stage.Transform):
    """Convert frames `to` another pixel format with explicit matrix and range.

    Alpha that the new format cannot hold is blended onto black.
    """

    class Params(stage.Params):
        """Properties of `convert`."""

        to: Literal["yuv420p", "nv12", "bgr24", "bgra"] = Field(
            description="pixel format of the frames that leave"
        )

    params: Params
    reads_traits: ClassVar[bool] = False
    keeps_pictures: ClassVar[bool] = False
    shorthand: ClassVar[str | None] = "to"

    def negotiate(self, caps: Caps) -> Caps:
        """Return `caps` in the new format; RGB becomes limited-range YUV of the usual matrix."""
        to = self.params.to
        if (caps.pixel_format in SUBSAMPLED) == (to in SUBSAMPLED):
            return caps.with_(pixel_format=to)
        if to in SUBSAMPLED:
            matrix = default_matrix(caps.height)
            return caps.with_(pixel_format=to, matrix=matrix, color_range="limited")
        return caps.with_(pixel_format=to, matrix="rgb", color_range="full")

    def process(self, frame: Frame) -> Frame:
        """Return `frame` converted, or itself where nothing is to do."""
        source, target = frame.caps, self.negotiate(frame.caps)
        if source.pixel_format == target.pixel_format:
            return frame
        if source.pixel_format == "bgra":
            frame = self._without_alpha(frame)
        picture = picture_of(frame, _av_format(source)).reformat(
            format=_av_format(target),
            src_colorspace=_sws_matrix(source, target),
            dst_colorspace=_sws_matrix(target, source),
            src_color_range=_sws_range(source),
            dst_color_range=_sws_range(target),
            interpolation=_QUICK if target.pixel_format in SUBSAMPLED else QUALITY,
            threads=1,
        )
        planes = planes_of(picture, target.pixel_format, writable=True)
        return frame.with_(planes=planes, caps=target, owner=picture, exclusive=True)

    def _without_alpha(self, frame: Frame) -> Frame:
        image = frame.planes[0]
        alpha = image[:, :, 3:]
        if alpha.min() == 255:
            return frame
        self.context.warn(f"transparency is lost: {self.params.to} cannot hold it, black is behind")
        blended = np.empty_like(image)
        blended[:, :, :3] = (image[:, :, :3].astype(np.uint16) * alpha + 127) // 255
        blended[:, :, 3] = 255
        return frame.with_(planes=(blended,), owner=blended, exclusive=True)


def _av_format(caps: Caps) -> str:
    full = caps.color_range == "full"
    return FULL_RANGE.get(caps.pixel_format, caps.pixel_format) if full else caps.pixel_format


def _sws_matrix(caps: Caps, other: Caps) -> int:
    """Return the matrix of the YUV side, for RGB too: swscale applies the one it is told."""
    name = caps.matrix if caps.matrix in SWS_MATRICES else other.matrix
    return SWS_MATRICES.get(name, SWS_MATRICES["bt601"])


def _sws_range(caps: Caps) -> ColorRange:
    return ColorRange.JPEG if caps.color_range == "full" else ColorRange.MPEG
