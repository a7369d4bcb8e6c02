"""What cameras, virtual cameras and screens this machine has; asks, but opens none of them.

Quick, silent, and never an error: what cannot be asked is left out or carries its `problem`.
"""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/class/video4linux")
DEV = Path("/dev")
PROC = Path("/proc")

# <linux/videodev2.h>: struct v4l2_capability is driver[16], card[32], bus_info[32], version,
# capabilities, device_caps, reserved[3].
_VIDIOC_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_CAPTURE = 0x1 | 0x1000  # single-planar, multi-planar
_OUTPUT = 0x2
_HAS_DEVICE_CAPS = 0x80000000
_LOOPBACK_DRIVER = "v4l2 loopback"


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera, or a virtual camera to feed: `path` is what `source` or `device` takes.

    `index` is the number in the system's list; `problem` is a short text where it cannot be used.
    """

    index: int
    name: str
    path: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ScreenInfo:
    """A screen that a window can open on; sizes in pixels, `refresh_hz` 0 = unknown."""

    driver: str
    name: str
    width: int
    height: int
    refresh_hz: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a device open."""

    pid: int
    name: str


@dataclass(frozen=True, slots=True)
class _Node:
    index: int
    name: str
    path: Path
    driver: str
    capabilities: int | None  # None: the device did not answer
    problem: str


def list_cameras() -> list[CameraInfo]:
    """Return the cameras, first first; on Linux named by stable `/dev/v4l/by-id` paths."""
    if sys.platform.startswith("linux"):
        return _linux_cameras()
    return _other_cameras()


def stable_path(device: str) -> str:
    """Return the path that `device` keeps when it is plugged in again; itself where none does."""
    return str(_stable_paths().get(Path(os.path.realpath(device)), device))


def list_virtual_cameras() -> list[CameraInfo]:
    """Return the virtual cameras that can be fed (Linux only: others are part of programs)."""
    if not sys.platform.startswith("linux"):
        return []
    return [
        CameraInfo(node.index, node.name, str(node.path), node.problem)
        for node in _nodes()
        if _is_loopback(node)
    ]


def list_screens() -> list[ScreenInfo]:
    """Return the screens of the driver that a window would use; empty without a screen."""
    from ._screens import probe

    found = probe()
    return [ScreenInfo(found.driver, *screen) for screen in found.screens] if found else []


def holders(device: str) -> list[Holder]:
    """Return which other processes have `device` open, as far as the system tells (Linux)."""
    found = []
    for folder in sorted(PROC.glob("[0-9]*/fd"), key=lambda p: int(p.parent.name)):
        pid = int(folder.parent.name)
        if pid != os.getpid() and _has_open(folder, device):
            found.append(Holder(pid, _read(folder.parent / "comm") or "?"))
    return found


def _has_open(folder: Path, device: str) -> bool:
    target = os.path.realpath(device)
    try:
        return any(str(link.readlink()) == target for link in folder.iterdir())
    except OSError:  # ended meanwhile, or another user's
        return False


def _linux_cameras() -> list[CameraInfo]:
    stable = _stable_paths()
    return [
        CameraInfo(node.index, node.name, str(stable.get(node.path, node.path)), node.problem)
        for node in _nodes()
        if _is_camera(node) and not _is_loopback(node)
    ]


def _is_camera(node: _Node) -> bool:
    if node.capabilities is not None:
        return bool(node.capabilities & _CAPTURE)
    # A camera has further nodes for metadata; the first one gives pictures.
    return (_read(SYSFS / node.path.name / "index") or "0") == "0"


def _is_loopback(node: _Node) -> bool:
    if node.capabilities is not None:
        return node.driver == _LOOPBACK_DRIVER
    # Devices without hardware behind them stand under /devices/virtual.
    return "/virtual/" in os.path.realpath(SYSFS / node.path.name)


def _nodes() -> list[_Node]:
    try:
        names = [entry.name for entry in SYSFS.iterdir()]
    except OSError:
        return []
    numbers = sorted(int(n[5:]) for n in names if n.startswith("video") and n[5:].isdigit())
    return [_node(number) for number in numbers]


def _node(number: int) -> _Node:
    path = DEV / f"video{number}"
    name = _read(SYSFS / path.name / "name") or path.name
    driver, capabilities, problem = _query(path)
    return _Node(number, name, path, driver, capabilities, problem)


def _query(path: Path) -> tuple[str, int | None, str]:
    import fcntl

    answer = bytearray(_CAPABILITY.size)
    try:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return "", None, "no permission: add yourself to the group `video`"
    except OSError as error:
        return "", None, (error.strerror or str(error)).lower()
    try:
        fcntl.ioctl(handle, _VIDIOC_QUERYCAP, answer)
    except OSError:
        return "", None, "does not answer"
    finally:
        os.close(handle)
    driver, _, _, _, whole, own = _CAPABILITY.unpack(answer)
    return (
        driver.rstrip(b"\0").decode(errors="replace"),
        own if whole & _HAS_DEVICE_CAPS else whole,
        "",
    )


def _stable_paths() -> dict[Path, Path]:
    try:
        links = sorted((DEV / "v4l" / "by-id").iterdir())
    except OSError:
        return {}
    return {Path(os.path.realpath(link)): link for link in reversed(links)}


def _other_cameras() -> list[CameraInfo]:
    """Ask FFmpeg for the list: opening each index would light lamps and may take seconds."""
    import av

    driver = "avfoundation" if sys.platform == "darwin" else "dshow"
    try:
        found = av.enumerate_input_devices(driver)
    except (ValueError, OSError, AttributeError, av.FFmpegError):
        return []
    cameras = [d for d in found if "video" in (getattr(d, "media_types", None) or ["video"])]
    return [CameraInfo(k, d.description or d.name, str(k)) for k, d in enumerate(cameras)]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None
