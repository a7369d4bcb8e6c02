"""Sink that feeds a virtual camera, so that calls and browsers see the result as a webcam."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from ..pipeline import stage
from ..pipeline.errors import DeviceError
from ..pipeline.frame import allocate
from ..pipeline.registry import register_stage
from . import _devices
from ._pacing import follow_clock
from ._range import limited_range

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import U8, Frame

DEFAULT_FPS = 30.0
MAX_DERIVED_FPS = 60.0  # programs that read cameras expect no more
STUCK_S = 5.0
_ADVICE = {
    "linux": "load the driver: sudo modprobe v4l2loopback exclusive_caps=1 card_label=vidfilter",
    "darwin": "install OBS Studio and start its virtual camera once",
    "win32": "install OBS Studio, which brings a virtual camera",
}


@register_stage("virtualcam")
class VirtualCam(stage.Sink):
    """Send exactly `fps` frames per second to a virtual camera, whatever the pipeline delivers.

    Readers of a camera freeze or leave when frames stop coming. So a helper thread, named after
    the stage, sends the newest frame at each tick and repeats the last one while the pipeline
    stalls; a frame that is replaced before its tick is dropped with cause "cadence". Size and
    rate are fixed at the start: virtual cameras lock their format while somebody reads them.
    Full-range pictures, as many webcams give, leave in the limited range that readers expect.
    """

    class Params(stage.Params):
        """Properties of `virtualcam`."""

        device: str | None = Field(
            None, description="device to feed, such as /dev/video10; default: the first free one"
        )
        fps: float | None = Field(
            None,
            ge=1,
            le=240,
            description="frames sent per second; default: the rate of the input, or 30",
            json_schema_extra={"unit": "1/s"},
        )
        backend: str | None = Field(
            None, description="driver of pyvirtualcam: v4l2loopback, obs, unitycapture"
        )
        mirror: bool = Field(False, description="flip left and right for everybody who watches")

    params: Params
    accepts: ClassVar[tuple[str, ...]] = ("yuv420p",)
    shorthand: ClassVar[str | None] = "device"
    reads_traits: ClassVar[bool] = False

    _camera: Any = None
    _thread: threading.Thread | None = None

    def start(self, caps: Caps) -> Caps:
        """Open the device; raises DeviceError with all that was tried."""
        self._fps = self.params.fps or _rate(caps)
        even = caps.with_(width=caps.width + caps.width % 2, height=caps.height + caps.height % 2)
        self._scratch, self._scratch_planes = allocate(even)
        self._camera = _open(even.width, even.height, self._fps, self.params)
        self._changed = threading.Condition()
        self._next: Frame | None = None
        self._error: Exception | None = None
        self._ending = threading.Event()
        self._alive_at = time.monotonic()
        self._late = 0
        self.context.info(f"virtual camera {self._camera.device} at {self._fps:g} fps")
        return caps

    def write(self, frame: Frame) -> None:
        """Hand `frame` to the ticker at its presentation time."""
        follow_clock(self.context, frame)
        self._check()
        with self._changed:
            replaced, self._next = self._next, frame
        if replaced is not None:
            self.context.drop(replaced, "cadence")
        if self._thread is None:
            self._launch()

    def finish(self) -> None:
        """Wait until the last frame is sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._next is None or self._error, timeout=STUCK_S)
        self._check()

    def stop(self) -> None:
        """Stop sending and release the device."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        self._ending.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout=1.0)
            self.context.tag("sent", camera.frames_sent)
            self.context.tag("ticks_missed", self._late)
        if self._next is not None:
            self.context.drop(self._next, "stopped")
            self._next = None
        if thread is not None and thread.is_alive():
            self.context.warn(f"the virtual camera {self.params.device or ''} does not answer")
        else:  # closing under a call that still runs could crash the driver's library
            camera.close()

    def _check(self) -> None:
        if self._error is not None:
            raise DeviceError(
                f"virtual camera failed: {_one_line(self._error)}; see `vidfilter devices`",
                stage=self.context.stage_id,
            ) from self._error
        if self._thread is not None and time.monotonic() - self._alive_at > STUCK_S:
            raise DeviceError(
                f"the virtual camera took no frame for {STUCK_S:g} s; reload its driver",
                stage=self.context.stage_id,
            )

    # The ticker

    def _launch(self) -> None:
        name = f"vidfilter-{self.context.stage_id}-ticker"
        self._alive_at = time.monotonic()
        self._thread = threading.Thread(target=self._tick_on, name=name, daemon=True)
        self._thread.start()

    def _tick_on(self) -> None:
        try:
            self._run_ticker(self._camera)
        except Exception as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _run_ticker(self, camera: Any) -> None:
        period_s = 1.0 / self._fps
        # Half a period off: frames that arrive at the same rate then meet the middle of a tick,
        # and their jitter causes no pairs of drop and repeat.
        due = time.monotonic() - 0.5 * period_s
        data = self._send_next(camera, None)
        while True:
            due += period_s
            late_s = time.monotonic() - due
            if late_s > period_s:  # the machine slept: a burst now would help nobody
                self._late += int(late_s / period_s)
                due += int(late_s / period_s) * period_s
            if self._ending.wait(max(due - time.monotonic(), 0.0)):
                return
            data = self._send_next(camera, data)

    def _send_next(self, camera: Any, last: U8 | None) -> U8:
        with self._changed:
            frame, self._next = self._next, None
            self._changed.notify_all()
        if frame is None and last is not None:
            self.context.repeat()
            data = last
        else:
            data = self._contiguous(frame)  # type: ignore[arg-type]  # the first tick has a frame
        camera.send(data)
        self._alive_at = time.monotonic()
        return data

    def _contiguous(self, frame: Frame) -> U8:
        full = frame.caps.color_range == "full"
        if not (full or self.params.mirror) and _is_one_buffer(frame, self._scratch):
            return frame.owner  # type: ignore[no-any-return]
        planes = limited_range(frame.planes) if full else frame.planes
        for into, plane in zip(self._scratch_planes, planes, strict=True):
            _pad(into, plane[:, ::-1] if self.params.mirror else plane)
        return self._scratch


def _rate(caps: Caps) -> float:
    return min(float(caps.framerate), MAX_DERIVED_FPS) if caps.framerate else DEFAULT_FPS


def _is_one_buffer(frame: Frame, like: U8) -> bool:
    """Tell whether `frame.owner` is I420 memory of the planes, which a stage may have replaced."""
    owner = frame.owner
    if not isinstance(owner, np.ndarray) or owner.shape != like.shape or owner.dtype != np.uint8:
        return False
    address = owner.ctypes.data
    for plane in frame.planes:
        if not plane.flags.c_contiguous or plane.ctypes.data != address:
            return False
        address += plane.nbytes
    return bool(owner.flags.c_contiguous)


def _pad(into: U8, plane: U8) -> None:
    height, width = plane.shape
    into[:height, :width] = plane
    into[:height, width:] = plane[:, -1:]
    into[height:] = into[height - 1]


def _open(width: int, height: int, fps: float, params: VirtualCam.Params) -> Any:
    import pyvirtualcam  # type: ignore[import-untyped]
    from pyvirtualcam.camera import BACKENDS  # type: ignore[import-untyped]

    if params.backend is not None and params.backend not in BACKENDS:
        raise DeviceError(
            f"no virtual camera driver {params.backend!r} here (known: {', '.join(BACKENDS)})"
        )
    try:
        return pyvirtualcam.Camera(
            width,
            height,
            fps,
            fmt=pyvirtualcam.PixelFormat.I420,
            device=params.device,
            backend=params.backend,
        )
    except Exception as error:  # each backend raises what it likes
        raise DeviceError(_explain(error, params.device)) from error


def _explain(error: Exception, device: str | None) -> str:
    name = f"virtual camera {device}" if device else "virtual camera"
    holders = _devices.holders(device) if device else []
    if holders:
        used = ", ".join(f"{h.name} (process {h.pid})" for h in holders)
        return f"{name} is in use by {used}; close it, or choose another: `vidfilter devices`"
    advice = _ADVICE.get(sys.platform, "see `vidfilter devices`")
    return f"no {name}: {_one_line(error)}; {advice}; then see `vidfilter devices`"


def _one_line(error: Exception) -> str:
    text = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return text.rstrip(".") or type(error).__name__
