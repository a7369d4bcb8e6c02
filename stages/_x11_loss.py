"""Outlive the X server: Xlib ends the whole process when it meets a connection that is broken."""

from __future__ import annotations

import ctypes
import select
from typing import Any


class XServer:
    """The server that shows SDL's `window`; always there where the driver is another one.

    Once it is gone no function of SDL's may be called for that window. A server that goes while
    SDL is painting still ends the process: Xlib has a call against that since 1.7, but then Mesa
    crashes.
    """

    def __init__(self, sdl: Any, window: Any) -> None:
        self._poll: Any = None
        info = sdl.SDL_SysWMinfo()
        sdl.SDL_GetVersion(info.version)
        known = sdl.SDL_GetWindowWMInfo(window, ctypes.byref(info))
        if known and info.subsystem == sdl.syswm.SDL_SYSWM_X11:
            self._watch(ctypes.c_void_p(info.info.x11.display))

    def _watch(self, display: ctypes.c_void_p) -> None:
        try:
            xlib = ctypes.CDLL("libX11.so.6")  # the one that SDL has loaded
        except OSError:
            return
        self._poll = select.poll()
        self._poll.register(xlib.XConnectionNumber(display), 0)  # 0: hang-up and errors alone

    @property
    def is_gone(self) -> bool:
        """Whether the server has hung up."""
        return self._poll is not None and bool(self._poll.poll(0))
