"""Pictures in a form that SDL paints; belongs to the main thread, as all of SDL does."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from ..pipeline.errors import DeviceError
from ._range import limited_range

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import U8, Frame


def check(sdl: Any, ok: Any) -> None:
    """Raise DeviceError with what SDL says where something was not `ok`."""
    if not ok:
        text = sdl.SDL_GetError().decode(errors="replace") or "unknown error"
        raise DeviceError(f"the window failed: {text}")


class Texture:
    """One picture on `renderer`; `handle` is SDL's, None before the first.

    Raises DeviceError where SDL fails.
    """

    def __init__(self, sdl: Any) -> None:
        self._sdl = sdl
        self.renderer: Any = None
        self.handle: Any = None
        self._key: tuple[str | int, ...] | None = None

    def show_frame(self, frame: Frame) -> None:
        """Take the pixels of `frame`, in its own format."""
        sdl, caps = self._sdl, frame.caps
        self._fit(caps)
        planes = [plane if plane[0].flags.c_contiguous else plane.copy() for plane in frame.planes]
        if caps.color_range == "full" and caps.matrix == "bt709" and planes[0].ndim == 2:
            planes = limited_range(planes)
        layout = [value for plane in planes for value in (_address(plane), plane.strides[0])]
        update = {
            "yuv420p": sdl.SDL_UpdateYUVTexture,
            "nv12": sdl.SDL_UpdateNVTexture,
        }.get(caps.pixel_format, sdl.SDL_UpdateTexture)
        check(sdl, update(self.handle, None, *layout) == 0)

    def show_image(self, image: U8) -> None:
        """Take `image` (H, W, 4) BGRA, which what lies below shines through."""
        height, width = image.shape[:2]
        self._renew(self._sdl.SDL_PIXELFORMAT_BGRA32, width, height)
        self._sdl.SDL_UpdateTexture(self.handle, None, _address(image), image.strides[0])

    def close(self) -> None:
        """Release it; harmless when repeated."""
        if self.handle:
            self._sdl.SDL_DestroyTexture(self.handle)
        self.forget()

    def forget(self) -> None:
        """Leave it to whoever took the renderer away."""
        self.handle = self._key = None

    def _fit(self, caps: Caps) -> None:
        sdl = self._sdl
        key = (caps.pixel_format, caps.width, caps.height, caps.matrix, caps.color_range)
        if key == self._key:
            return
        # SDL's renderers read the matrix when a texture is made, or when it is filled: set it for
        # both (a second window of another matrix is the one case that gets it wrong).
        self._set_matrix(caps.matrix, caps.color_range)
        code = {
            "yuv420p": sdl.SDL_PIXELFORMAT_IYUV,
            "nv12": sdl.SDL_PIXELFORMAT_NV12,
            "bgr24": sdl.SDL_PIXELFORMAT_BGR24,
            "bgra": sdl.SDL_PIXELFORMAT_BGRA32,
        }[caps.pixel_format]
        self._renew(code, caps.width, caps.height)
        self._key = key

    def _renew(self, code: int, width: int, height: int) -> None:
        sdl = self._sdl
        self.close()
        kind = sdl.SDL_TEXTUREACCESS_STREAMING
        self.handle = sdl.SDL_CreateTexture(self.renderer, code, kind, width, height)
        check(sdl, self.handle)
        if code == sdl.SDL_PIXELFORMAT_BGRA32:
            sdl.SDL_SetTextureBlendMode(self.handle, sdl.SDL_BLENDMODE_BLEND)

    def _set_matrix(self, matrix: str, color_range: str) -> None:
        """Tell SDL how to read YUV; full range it knows for bt601 alone, so we help."""
        sdl = self._sdl
        if matrix == "bt709":
            mode = sdl.surface.SDL_YUV_CONVERSION_BT709
        elif color_range == "full":
            mode = sdl.surface.SDL_YUV_CONVERSION_JPEG
        else:
            mode = sdl.surface.SDL_YUV_CONVERSION_BT601
        sdl.SDL_SetYUVConversionMode(mode)


def _address(plane: U8) -> Any:
    return ctypes.cast(plane.ctypes.data, ctypes.POINTER(ctypes.c_ubyte))
