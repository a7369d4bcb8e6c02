"""Is there a screen? Asked of SDL, which is loaded on first use.

Without a screen SDL gladly opens its drivers `offscreen` or `dummy`, so only the names in
`REAL_DRIVERS` count.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import warnings
from functools import cache
from typing import Any, NamedTuple

REAL_DRIVERS = ("x11", "wayland", "cocoa", "windows")
PROBE_TIMEOUT_S = 15.0  # an overloaded machine is slow to start a process


class Probe(NamedTuple):
    """A driver that opens, and its screens as (name, width, height, refresh in Hz or 0)."""

    driver: str
    screens: tuple[tuple[str, int, int, int], ...]


@cache
def load() -> Any:
    """Import SDL's bindings without their note about which library they found."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import sdl2  # type: ignore[import-untyped]
    return sdl2


def screen_available() -> str | None:
    """Return the driver that a window would use, None without a screen."""
    found = probe()
    return found.driver if found else None


def probe() -> Probe | None:
    """Ask in a child process which driver opens: a dead display can block, crash or print."""
    drivers = _candidates()
    display = tuple(os.environ.get(name, "") for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return _probe(drivers, display) if drivers else None


def _candidates() -> tuple[str, ...]:
    wanted = os.environ.get("SDL_VIDEODRIVER")
    if wanted:
        return tuple(name for name in wanted.split(",") if name in REAL_DRIVERS)
    if sys.platform == "darwin":
        return ("cocoa",)
    if sys.platform == "win32":
        return ("windows",)
    displays = {"x11": "DISPLAY", "wayland": "WAYLAND_DISPLAY"}
    return tuple(driver for driver, name in displays.items() if os.environ.get(name))


@cache
def _probe(drivers: tuple[str, ...], display: tuple[str, ...]) -> Probe | None:
    command = [sys.executable, "-P", "-m", __name__, *drivers]
    try:
        child = subprocess.run(
            command, capture_output=True, timeout=PROBE_TIMEOUT_S, check=True, text=True
        )
        driver, screens = json.loads(child.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Probe(driver, tuple(tuple(screen) for screen in screens))


def _try_drivers(drivers: list[str]) -> str:
    """Return the first driver that opens and its screens, as JSON; runs in the child."""
    sdl = load()
    driver = next((d for d in drivers if sdl.SDL_VideoInit(d.encode()) == 0), None)
    if driver is None:
        return ""
    screens = []
    for index in range(sdl.SDL_GetNumVideoDisplays()):
        mode = sdl.SDL_DisplayMode()
        sdl.SDL_GetDesktopDisplayMode(index, ctypes.byref(mode))
        name = (sdl.SDL_GetDisplayName(index) or b"").decode(errors="replace")
        screens.append((name, mode.w, mode.h, mode.refresh_rate))
    sdl.SDL_VideoQuit()
    return json.dumps((driver, screens))


if __name__ == "__main__":
    sys.stdout.write(_try_drivers(sys.argv[1:]))
