"""Name colours as caps do, and plan how a decoder's pixel format becomes a working format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from av.video.reformatter import ColorRange, Colorspace, Interpolation

from ..pipeline.caps import default_matrix
from ..pipeline.errors import DecodeError

if TYPE_CHECKING:
    import av

# ITU-T H.273 code points, as FFmpeg numbers them. 5 and 6 are one matrix under two names.
MATRICES = {0: "rgb", 1: "bt709", 5: "bt601", 6: "bt601"}
MATRIX_CODES = {"rgb": 0, "bt709": 1, "bt601": 6}
RANGE_CODES = {"limited": 1, "full": 2}
PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    11: "iec61966-2-4", 13: "srgb", 14: "bt2020-10", 15: "bt2020-12", 16: "pq", 18: "hlg",
}  # fmt: skip
PRIMARY_CODES = {name: code for code, name in PRIMARIES.items()}
TRANSFER_CODES = {name: code for code, name in TRANSFERS.items()}
UNSPECIFIED = 2

SWS_MATRICES = {"bt709": Colorspace.ITU709, "bt601": Colorspace.ITU601}
# Matrices that frames are converted from, since no working format names them.
_FOREIGN = {4: Colorspace.FCC, 7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}
_PASSING = {
    "yuv420p": "yuv420p", "yuvj420p": "yuv420p", "nv12": "nv12", "bgr24": "bgr24", "bgra": "bgra",
}  # fmt: skip
# Codecs of the broadcast world hold limited range where they do not say; pictures hold full.
_STILL = frozenset({"mjpeg", "png", "apng", "bmp", "gif", "tiff", "webp", "ppm", "pgm", "rawvideo"})
QUALITY = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True, slots=True)
class Plan:
    """How frames become working frames: `target` None leaves them as they are.

    `matrix`, `color_range` describe the result, `sws_*` what swscale has to be told of the input.
    `remarks` are for the user.
    """

    pixel_format: str
    matrix: str
    color_range: str
    target: str | None = None
    sws_matrix: Colorspace = Colorspace.ITU709
    grey: bool = False
    remarks: tuple[str, ...] = ()

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return `frame` in the target format, its pts and time base kept."""
        if self.target is None:
            return frame
        limits = ColorRange.JPEG if self.color_range == "full" else ColorRange.MPEG
        return frame.reformat(
            format=self.target,
            src_colorspace=self.sws_matrix,
            dst_colorspace=SWS_MATRICES.get(self.matrix, self.sws_matrix),
            src_color_range=limits,
            dst_color_range=limits,
            interpolation=QUALITY,
        )


def plan(frame: av.VideoFrame, codec: str, name: str) -> Plan:
    """Choose the working format for frames like `frame` of `name`; raises DecodeError for HDR."""
    transfer = TRANSFERS.get(frame.color_trc)
    if transfer in ("pq", "hlg"):
        raise DecodeError(f"{name} is HDR ({transfer.upper()}): convert it to standard range first")
    form = frame.format
    if form.is_rgb or form.has_palette:
        return _plan_rgb(form)
    if form.components[0].is_luma and sum(not c.is_alpha for c in form.components) == 1:
        return _plan_grey(frame, codec)
    return _plan_yuv(frame)


def _plan_rgb(form: av.VideoFormat) -> Plan:
    alpha = form.has_palette or any(c.is_alpha for c in form.components)
    working = "bgra" if alpha else "bgr24"
    if form.name == working:
        return Plan(working, "rgb", "full")
    remarks = _depth_remark(form)
    # swscale wants a matrix even where none is applied.
    return Plan(working, "rgb", "full", target=working, remarks=remarks)


def _plan_grey(frame: av.VideoFrame, codec: str) -> Plan:
    full = frame.color_range == 2 or (frame.color_range != 1 and codec in _STILL)
    target = None if frame.format.name in ("gray", "gray8") else "gray"
    return Plan(
        "yuv420p",
        default_matrix(frame.height),
        "full" if full else "limited",
        target=target,
        grey=True,
        remarks=_depth_remark(frame.format),
    )


def _plan_yuv(frame: av.VideoFrame) -> Plan:
    name = frame.format.name
    full = name.startswith("yuvj") or frame.color_range == 2
    color_range = "full" if full else "limited"
    remarks = _depth_remark(frame.format)
    if any(c.is_alpha for c in frame.format.components):
        remarks += ("transparency is dropped",)
    foreign = _FOREIGN.get(frame.colorspace)
    if foreign is not None:
        remarks += ("the colour matrix is converted to bt709",)
        return Plan("yuv420p", "bt709", color_range, _target(full), foreign, remarks=remarks)
    matrix = MATRICES.get(frame.colorspace, "rgb")
    if matrix == "rgb":  # unspecified, or nonsense for luma and chroma
        matrix = default_matrix(frame.height)
    if name in _PASSING:
        return Plan(_PASSING[name], matrix, color_range)
    sws = SWS_MATRICES[matrix]
    return Plan("yuv420p", matrix, color_range, _target(full), sws, remarks=remarks)


def _target(full: bool) -> str:
    return "yuvj420p" if full else "yuv420p"


def _depth_remark(form: av.VideoFormat) -> tuple[str, ...]:
    bits = max(c.bits for c in form.components)
    return (f"{bits} bits per sample are reduced to 8",) if bits > 8 else ()
