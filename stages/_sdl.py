"""A window with a picture on it, by SDL; everything here belongs to the main thread."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from ..pipeline.errors import DeviceError
from ._screens import load, screen_available
from ._sdl_texture import Texture, check
from ._x11_loss import XServer

if TYPE_CHECKING:
    from ..pipeline.frame import U8, Frame

_KEYS = {
    "q": "quit",
    "Escape": "quit",
    "n": "next_filter",
    "Right": "next_filter",
    "p": "previous_filter",
    "Left": "previous_filter",
    "Space": "pause",
    "m": "mirror",
    "s": "stats",
    "f": "fullscreen",
    "h": "help",
}


class Display:
    """A window that shows frames with their aspect kept, black around them."""

    def __init__(self, title: str, size: tuple[int, int], *, fullscreen: bool = False) -> None:
        """Open a window for pictures of `size` (width, height) on the first real driver.

        Raises DeviceError. Close it with `close`, also after an error.
        """
        self._sdl = load()
        self._window: Any = None
        self._renderer: Any = None
        self._texture, self._overlay = Texture(self._sdl), Texture(self._sdl)
        self._picture = size
        self._fullscreen = fullscreen
        self._open_video()
        try:
            self._open_window(title)
        except BaseException:
            self.close()
            raise

    def _open_video(self) -> None:
        sdl = self._sdl
        driver = screen_available()
        if driver is None:
            raise DeviceError(
                "no screen to open a window on (is DISPLAY or WAYLAND_DISPLAY set?); "
                "write a file instead: `--output out.mp4`"
            )
        # Ctrl-C and SIGTERM are the runner's; SDL would turn them into window events.
        sdl.SDL_SetHint(sdl.SDL_HINT_NO_SIGNAL_HANDLERS, b"1")
        sdl.SDL_SetHint(sdl.SDL_HINT_RENDER_SCALE_QUALITY, b"linear")
        sdl.SDL_SetHint(sdl.SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, b"0")
        sdl.SDL_SetHint(sdl.SDL_HINT_VIDEODRIVER, driver.encode())
        check(sdl, sdl.SDL_InitSubSystem(sdl.SDL_INIT_VIDEO) == 0)
        self._is_open = True

    def _open_window(self, title: str) -> None:
        sdl = self._sdl
        flags = sdl.SDL_WINDOW_RESIZABLE | sdl.SDL_WINDOW_ALLOW_HIGHDPI
        if self._fullscreen:
            flags |= sdl.SDL_WINDOW_FULLSCREEN_DESKTOP
        centre = sdl.SDL_WINDOWPOS_CENTERED
        width, height = self._fitted()
        self._window = sdl.SDL_CreateWindow(title.encode(), centre, centre, width, height, flags)
        check(sdl, self._window)
        self._server = XServer(sdl, self._window)
        # No vsync: presenting would block the main thread, for ever where a desktop hides us.
        self._renderer = sdl.SDL_CreateRenderer(self._window, -1, 0)
        check(sdl, self._renderer)
        self._texture.renderer = self._overlay.renderer = self._renderer
        self._paint(mirror=False)

    def _fitted(self) -> tuple[int, int]:
        """Return the picture's size, made smaller where the desktop has less room."""
        room = self._sdl.SDL_Rect()
        width, height = self._picture
        if self._sdl.SDL_GetDisplayUsableBounds(0, ctypes.byref(room)) != 0:
            return width, height
        scale = min(1.0, 0.9 * room.w / width, 0.9 * room.h / height)
        return max(round(width * scale), 1), max(round(height * scale), 1)

    def close(self) -> None:
        """Close the window and SDL's video; harmless when repeated."""
        sdl = self._sdl
        self._overlay.close()
        self._texture.close()
        for name, destroy in (
            ("_renderer", sdl.SDL_DestroyRenderer),
            ("_window", sdl.SDL_DestroyWindow),
        ):
            if getattr(self, name):
                destroy(getattr(self, name))
            setattr(self, name, None)
        if self._is_open:
            self._is_open = False
            sdl.SDL_QuitSubSystem(sdl.SDL_INIT_VIDEO)

    _is_open = False
    _lost = False

    def _find_lost(self) -> bool:
        """Return whether the screen has just gone; forgets what belongs to it, SDL would crash."""
        if self._lost or not self._server.is_gone:
            return False
        self._lost, self._is_open = True, False
        self._overlay.forget()
        self._texture.forget()
        self._renderer = self._window = None
        return True

    def actions(self) -> list[str]:
        """Return what the user asked for since the last call; see `_KEYS`, and "redraw"."""
        sdl = self._sdl
        event = sdl.SDL_Event()
        asked = ["quit"] if self._find_lost() else []
        while not self._lost and sdl.SDL_PollEvent(ctypes.byref(event)):
            if event.type == sdl.SDL_QUIT:
                asked.append("quit")
            elif event.type == sdl.SDL_KEYDOWN and not event.key.repeat:
                asked.append(self._action(event.key.keysym.sym))
            elif event.type == sdl.SDL_WINDOWEVENT:
                closed = event.window.event == sdl.SDL_WINDOWEVENT_CLOSE
                asked.append("quit" if closed else "redraw")
        return [action for action in asked if action]

    def _action(self, symbol: int) -> str:
        name: str = self._sdl.SDL_GetKeyName(symbol).decode()
        return _KEYS.get(name) or _KEYS.get(name.lower(), "")

    def set_title(self, title: str) -> None:
        """Change the text of the title bar."""
        self._sdl.SDL_SetWindowTitle(self._window, title.encode())

    def toggle_fullscreen(self) -> None:
        """Switch between the window and the whole screen."""
        self._fullscreen = not self._fullscreen
        flag = self._sdl.SDL_WINDOW_FULLSCREEN_DESKTOP if self._fullscreen else 0
        self._sdl.SDL_SetWindowFullscreen(self._window, flag)

    def show(self, frame: Frame | None, *, mirror: bool, overlay: U8 | None = None) -> None:
        """Paint `frame`, or the last one again; `overlay` (H, W, 4) BGRA lies over its corner."""
        if self._lost or self._server.is_gone:
            return
        if frame is not None:
            caps = frame.caps
            self._picture = round(caps.width * caps.sample_aspect), caps.height
            self._texture.show_frame(frame)
        self._paint(mirror=mirror, overlay=overlay)

    def _paint(self, *, mirror: bool, overlay: U8 | None = None) -> None:
        sdl, renderer = self._sdl, self._renderer
        sdl.SDL_SetRenderDrawColor(renderer, 0, 0, 0, 255)
        sdl.SDL_RenderClear(renderer)
        if self._texture.handle:
            flip = sdl.SDL_FLIP_HORIZONTAL if mirror else sdl.SDL_FLIP_NONE
            area = ctypes.byref(self._letterbox())
            sdl.SDL_RenderCopyEx(renderer, self._texture.handle, None, area, 0.0, None, flip)
        if overlay is not None:
            self._paint_overlay(overlay)
        sdl.SDL_RenderPresent(renderer)

    def _letterbox(self) -> Any:
        """Return where the picture goes: as large as fits, centred."""
        width, height = self.size
        scale = min(width / self._picture[0], height / self._picture[1])
        w, h = round(self._picture[0] * scale), round(self._picture[1] * scale)
        return self._sdl.SDL_Rect((width - w) // 2, (height - h) // 2, w, h)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the drawable area in pixels."""
        width, height = ctypes.c_int(), ctypes.c_int()
        self._sdl.SDL_GetRendererOutputSize(
            self._renderer, ctypes.byref(width), ctypes.byref(height)
        )
        return width.value, height.value

    def _paint_overlay(self, image: U8) -> None:
        sdl, (height, width) = self._sdl, image.shape[:2]
        self._overlay.show_image(image)
        area = sdl.SDL_Rect(0, 0, width, height)
        sdl.SDL_RenderCopy(self._renderer, self._overlay.handle, None, ctypes.byref(area))
