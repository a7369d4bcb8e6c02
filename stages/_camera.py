"""Frames from a camera: the newest one only, stamped when it came."""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from ..pipeline.caps import Caps
from ..pipeline.errors import DeviceError
from ..pipeline.frame import Frame
from ._devices import list_cameras
from ._geometry import Orientation, even, fill
from ._newest import NewestFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..pipeline.frame import U8
    from ..pipeline.stage import Context

MICROSECOND = Fraction(1, 1_000_000)
PATIENCE_S = 5.0
# From this height on cameras reach full rate in MJPEG only, over USB 2.
_MJPEG_HEIGHT = 720
_RETRY_S = 0.05
_UPRIGHT = Orientation()


def find_camera(which: str) -> str:
    """Return the device that `which` names: "" = the first, a number, or a path.

    Raises DeviceError that says which there are.
    """
    if which and not which.isdigit():
        if sys.platform.startswith("linux") and not Path(which).exists():
            raise DeviceError(f"there is no camera {which}{_known()}")
        return which
    for camera in list_cameras():
        if not camera.problem and (not which or camera.index == int(which)):
            return camera.path
    if which:
        raise DeviceError(f"there is no camera {which}{_known()}")
    raise DeviceError("no camera was found: source 'test' renders a face instead")


def _known() -> str:
    names = [f"{camera.index} = {camera.name}" for camera in list_cameras()]
    return f" (there are: {', '.join(names)})" if names else ": no camera was found"


class CameraReader:
    """A camera opened through OpenCV; `width`, `height`, `fps` are asked for, not promised."""

    duration_s = None

    def __init__(
        self, device: str, context: Context, width: int, height: int, fps: Fraction,
        patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        self.device, self._context = device, context
        self._wanted = width, height, fps
        self._patience_s = patience_s
        self._newest = NewestFrame(f"camera {device}", context, patience_s)
        self._camera: cv2.VideoCapture | None = None

    def open(self) -> Caps:
        """Open the camera and take its first picture; raises DeviceError."""
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        camera = cv2.VideoCapture(int(self.device) if self.device.isdigit() else self.device)
        if not camera.isOpened():
            camera.release()
            raise DeviceError(f"cannot open camera {self.device}: is another program using it?")
        self._camera = camera
        self._ask(camera)
        image = self._first_image(camera)
        self._caps = self._caps_of(image, camera)
        self._start_ns = time.monotonic_ns()
        self._newest.start(self._produce(camera))
        return self._caps

    def _ask(self, camera: cv2.VideoCapture) -> None:
        width, height, fps = self._wanted
        if height >= _MJPEG_HEIGHT:
            camera.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        camera.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        camera.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        camera.set(cv2.CAP_PROP_FPS, float(fps))
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _first_image(self, camera: cv2.VideoCapture) -> U8:
        give_up = time.monotonic() + self._patience_s
        while time.monotonic() < give_up and not self._context.stopping:
            good, image = camera.read()
            if good:
                return image  # type: ignore[return-value]
            time.sleep(_RETRY_S)
        raise DeviceError(f"camera {self.device} is open but sends no picture")

    def _caps_of(self, image: U8, camera: cv2.VideoCapture) -> Caps:
        height, width = image.shape[:2]
        rate = camera.get(cv2.CAP_PROP_FPS)
        fps = Fraction(rate).limit_denominator(1001) if 1 <= rate <= 1000 else None
        if (width, height) != self._wanted[:2]:
            wanted = "{}x{}".format(*self._wanted)
            self._context.info(f"camera {self.device} gives {width}x{height}, not {wanted}")
        return Caps("bgr24", even(width), even(height), fps, "rgb", "full", live=True)

    def _produce(self, camera: cv2.VideoCapture) -> Iterator[Frame]:
        """Read until told to end; the thread that reads is the one that releases the device."""
        watch = _Watch(self.device, self._patience_s)
        try:
            while not self._newest.ending:
                good, image = camera.read()
                stamp_ns = time.monotonic_ns()
                watch.saw(image if good else None)  # type: ignore[arg-type]
                if good:
                    yield self._frame(image, stamp_ns)  # type: ignore[arg-type]
                else:
                    time.sleep(_RETRY_S)
        finally:
            camera.release()

    def _frame(self, image: U8, stamp_ns: int) -> Frame:
        caps = self._caps
        owner, planes = image, (image,)
        if image.shape[:2] != (caps.height, caps.width):
            owner, planes = fill(planes, caps, _UPRIGHT)  # type: ignore[assignment]
        pts = (stamp_ns - self._start_ns) // 1000
        return Frame(
            planes, pts, MICROSECOND, 0, caps, captured_ns=stamp_ns, owner=owner, exclusive=True
        )

    def frames(self) -> Iterator[Frame]:
        """Yield the newest picture each time; raises DeviceError when the camera is gone."""
        yield from self._newest.frames()

    def settle(self) -> None:
        """Do nothing: there is no sound."""

    def interrupt(self) -> None:
        """Wake `frames`."""
        self._newest.interrupt()

    def close(self) -> None:
        """End reading and release the camera."""
        self._newest.close()


class _Watch:
    """Notices a camera that fails, or repeats its last picture because it was unplugged."""

    def __init__(self, device: str, patience_s: float) -> None:
        self._device, self._patience_s = device, patience_s
        self._last = b""
        self._alive = time.monotonic()

    def saw(self, image: U8 | None) -> None:
        """Take note of `image`, None = the read failed; raises DeviceError."""
        now = time.monotonic()
        sample = b"" if image is None else image[::37, ::41].tobytes()
        if sample and sample != self._last:
            self._last, self._alive = sample, now
        elif now - self._alive > self._patience_s and (not sample or self._is_gone()):
            raise DeviceError(f"camera {self._device} sends no new picture: was it unplugged?")

    def _is_gone(self) -> bool:
        """A still scene may look alike for long; a missing device node does not come from that."""
        return self._device.startswith("/") and not Path(self._device).exists()
