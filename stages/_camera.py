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
from ._camera_watch import Watch, is_gone
from ._devices import list_cameras, stable_path
from ._geometry import Orientation, even, fill, letterbox
from ._newest import NewestFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..pipeline.frame import U8
    from ..pipeline.stage import Context

MICROSECOND = Fraction(1, 1_000_000)
PATIENCE_S = 5.0
# From this height on cameras reach full rate in MJPEG only, over USB 2.
_MJPEG_HEIGHT = 720
_RETRY_S, _REOPEN_EVERY_S = 0.05, 0.25
# On Windows numbers are those of the DirectShow list that `devices` shows.
_BY_NUMBER = cv2.CAP_DSHOW if sys.platform == "win32" else cv2.CAP_ANY
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
    """A camera opened through OpenCV; `width`, `height`, `fps` are asked for, not promised.

    One that sends nothing for `patience_s`, or whose device is missing, is lost: for `reopen_s` it
    is opened again under the same name, and goes on with the same caps. `status` tells of that.
    """

    duration_s = None

    def __init__(
        self, device: str, context: Context, width: int, height: int, fps: Fraction,
        *, patience_s: float | None = None, reopen_s: float = 0.0,
    ) -> None:  # fmt: skip
        self.device, self._context = device, context
        self._wanted = width, height, fps
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._reopen_s = reopen_s
        # The thread that reads loses patience first, unless the driver hangs.
        longest_s = self._patience_s + (reopen_s and reopen_s + self._patience_s)
        self._newest = NewestFrame(f"camera {device}", context, longest_s)
        self.status = ""

    def open(self) -> Caps:
        """Open the camera and take its first picture; raises DeviceError."""
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        camera = self._connect(self.device)
        self._name_again = stable_path(self.device)
        if camera is None:
            raise DeviceError(f"cannot open camera {self.device}: is another program using it?")
        image = self._first_image(camera)
        self._caps = self._caps_of(image, camera)
        self._start_ns = time.monotonic_ns()
        self._newest.start(self._produce(camera))
        return self._caps

    def _connect(self, device: str) -> cv2.VideoCapture | None:
        if device.isdigit():
            camera = cv2.VideoCapture(int(device), _BY_NUMBER)
        else:
            camera = cv2.VideoCapture(device)
        if not camera.isOpened():
            camera.release()
            return None
        self._ask(camera)
        return camera

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
        watch, again = Watch(self.device, self._patience_s), False
        try:
            while not self._newest.ending:
                good, image = camera.read()
                stamp_ns = time.monotonic_ns()
                if watch.lost(image if good else None):  # type: ignore[arg-type]
                    camera.release()
                    camera = self._wait_for_it()
                    watch, again = Watch(self.device, self._patience_s), True
                elif good:
                    yield self._frame(image, stamp_ns, again=again)  # type: ignore[arg-type]
                    again = False
                else:
                    time.sleep(_RETRY_S)
        finally:
            camera.release()

    def _wait_for_it(self) -> cv2.VideoCapture:
        """Return the camera once it is there again; raises DeviceError where it stays away."""
        began = time.monotonic()
        self._say_lost()
        while not self._newest.ending:
            away_s = time.monotonic() - began
            if away_s >= self._reopen_s:
                raise DeviceError(self._farewell())
            camera = None if is_gone(self._name_again) else self._connect(self._name_again)
            if camera is not None:
                self.status = ""
                self._context.info(f"camera {self.device} is back after {away_s:.1f} s")
                return camera
            time.sleep(_REOPEN_EVERY_S)
        return cv2.VideoCapture()  # one that is not open

    def _say_lost(self) -> None:
        if self._reopen_s:
            after_s = (time.monotonic_ns() - self._start_ns) / 1e9
            self._context.warn(
                f"camera {self.device} was lost after {after_s:.0f} s: "
                f"waiting up to {self._reopen_s:g} s for it to come back"
            )
            self.status = "camera lost, waiting"

    def _farewell(self) -> str:
        text = f"camera {self.device} sends no new picture: was it unplugged?"
        return text + (f" It did not come back within {self._reopen_s:g} s" * (self._reopen_s > 0))

    def _frame(self, image: U8, stamp_ns: int, *, again: bool) -> Frame:
        caps = self._caps
        owner, planes = image, (image,)
        height, width = image.shape[:2]
        if (height, width) != (caps.height, caps.width):
            if (even(height), even(width)) == (caps.height, caps.width):
                owner, planes = fill(planes, caps, _UPRIGHT)  # type: ignore[assignment]
            else:  # it came back with another size
                owner, planes = letterbox(planes, caps)  # type: ignore[assignment]
        pts = (stamp_ns - self._start_ns) // 1000
        return Frame(
            planes, pts, MICROSECOND, 0, caps, captured_ns=stamp_ns, owner=owner, exclusive=True,
            discontinuity=again,
        )  # fmt: skip

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
