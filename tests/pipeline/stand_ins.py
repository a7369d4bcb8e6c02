"""Small stages for the runtime's tests: they count, raise, stall or block on demand."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import numpy as np
from pydantic import Field

from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.errors import DeviceError
from vidfilter.pipeline.frame import Frame, allocate
from vidfilter.pipeline.registry import register_stage
from vidfilter.pipeline.spec import PipelineSpec, QueueSpec, StageSpec, TeeSpec
from vidfilter.pipeline.stage import Params, Sink, Source, Transform

CAPS = Caps("yuv420p", 16, 16, Fraction(30))


def make_frame(number: int, caps: Caps = CAPS) -> Frame:
    """Return a small frame whose luma is its number."""
    buffer, planes = allocate(caps)
    buffer.fill(number % 256)
    return Frame(
        planes,
        number,
        Fraction(1, 30),
        number,
        caps,
        duration=1,
        captured_ns=time.monotonic_ns(),
        owner=buffer,
    )


class MisbehaviourParams(Params):
    """When and how to misbehave; -1 = never."""

    frames: int = 10
    live: bool = False
    pixel_format: str = "yuv420p"
    raise_at: int = -1
    stall_at: int = -1
    drop_at: int = -1
    lose_at: int = -1
    slow_s: float = 0.0
    hold: int = Field(0, ge=0)


class _Misbehaving:
    """Shared by the three kinds below."""

    Params = MisbehaviourParams

    def misbehave(self, number: int) -> None:
        params = self.params
        if params.slow_s:
            time.sleep(params.slow_s)
        if number == params.raise_at:
            raise RuntimeError("as asked")
        if number == params.stall_at:
            threading.Event().wait()  # for ever, deaf to every stop


@register_stage("t-source")
class CountingSource(_Misbehaving, Source):
    """Emit `frames` numbered frames."""

    def open(self) -> Caps:
        return CAPS.with_(live=self.params.live, pixel_format=self.params.pixel_format)

    def frames(self):
        caps = self.open()
        for number in range(self.params.frames):
            self.misbehave(number)
            yield make_frame(number, caps)


@register_stage("t-transform")
class PassingTransform(_Misbehaving, Transform):
    """Pass frames on, holding back `hold` of them."""

    latency_frames = 8

    def __init__(self, params, context):
        super().__init__(params, context)
        self.held = []
        self.started = self.stopped = 0

    def start(self, caps):
        self.started += 1
        return caps

    def stop(self):
        self.stopped += 1

    def process(self, frame):
        self.misbehave(frame.seq)
        if frame.seq == self.params.drop_at:
            self.context.drop(frame, "asked to")
            return None
        self.held.append(frame)
        return self.held.pop(0) if len(self.held) > self.params.hold else None

    def flush(self):
        yield from self.held

    def set_property(self, name, value):
        if name != "note":
            return super().set_property(name, value)
        self.note = value
        return None


@register_stage("t-forgetful")
class ForgetfulTransform(_Misbehaving, Transform):
    """Lose a frame without saying so."""

    def process(self, frame):
        return None if frame.seq == self.params.lose_at else frame


@register_stage("t-file")
class CollectingSink(_Misbehaving, Sink):
    """Keep everything, like a file."""

    lossless = True

    def __init__(self, params, context):
        super().__init__(params, context)
        self.seen, self.finished, self.stopped = [], False, 0

    def write(self, frame):
        self.misbehave(frame.seq)
        self.seen.append(frame)

    def finish(self):
        self.finished = True

    def stop(self):
        self.stopped += 1


@register_stage("t-window")
class LeakySink(CollectingSink):
    """Keep up with time, like a window."""

    lossless = False


@register_stage("t-bgr")
class BgrSink(CollectingSink):
    """Accept packed pictures only."""

    accepts = ("bgr24",)


def stage(name: str, id: str | None = None, queue: QueueSpec | None = None, **properties):
    """Return the description of one stage; the id is the name without its prefix."""
    return StageSpec(name, id or name.removeprefix("t-"), properties, queue or QueueSpec())


def line(*stages, **options) -> PipelineSpec:
    """Return a description with short timeouts."""
    options = {"stall_timeout_s": 0.4, "first_frame_timeout_s": 0.6, **options}
    return PipelineSpec(tuple(stages), **options)


def tee(*branches) -> TeeSpec:
    """Return a split into `branches`."""
    return TeeSpec(tuple(tuple(branch) for branch in branches))


def blank(caps: Caps = CAPS) -> np.ndarray:
    """Return an empty picture buffer."""
    return np.zeros((caps.height * 3 // 2, caps.width), np.uint8)


@register_stage("t-bad-start")
class BadStart(CollectingSink):
    """Fail to start."""

    def start(self, caps):
        raise RuntimeError("no luck")


@register_stage("t-nothing")
class AcceptsNothing(CollectingSink):
    """Accept no format at all."""

    accepts = ()


@register_stage("t-deaf-source")
class DeafSource(CountingSource):
    """Never come back from opening."""

    def open(self):
        threading.Event().wait()


@register_stage("t-deaf-start")
class DeafStart(CollectingSink):
    """Never come back from starting."""

    def start(self, caps):
        threading.Event().wait()


@register_stage("t-bad-source")
class BadSource(CountingSource):
    """Fail to open."""

    def open(self):
        raise RuntimeError("no luck")


@register_stage("t-lost-source")
class LostSource(CountingSource):
    """Lose its device after the last frame."""

    def frames(self):
        yield from super().frames()
        self.context.request("fail", DeviceError("it is gone"))


@register_stage("t-unsettled-source")
class UnsettledSource(CountingSource):
    """Never come back after the last frame."""

    def settle(self):
        threading.Event().wait()


@register_stage("t-deaf-stop")
class DeafStop(CollectingSink):
    """Never come back from being stopped."""

    def stop(self):
        threading.Event().wait()
