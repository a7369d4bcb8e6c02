"""What a stage is: hooks that the runner calls; a stage owns no thread, no queue and no bus."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from .caps import WORKING_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from .caps import Caps
    from .frame import Frame


class Params(BaseModel):
    """Properties of a stage: frozen, unknown keys refused.

    Give each field a description, bounds, and its unit as `json_schema_extra={"unit": "px"}`:
    `vidfilter inspect` and the validator of pipeline.yaml read them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Context(Protocol):
    """What the runner offers a stage. Every method may be called from the stage's own thread."""

    stage_id: str

    def warn(self, text: str) -> None:
        """Post a warning; the user sees each distinct text once."""

    def info(self, text: str) -> None:
        """Post a line such as which source was chosen and why."""

    def drop(self, frame: Frame, cause: str) -> None:
        """Give `frame` the fate "dropped by this stage because `cause`"; return it no more."""

    def repeat(self, count: int = 1) -> None:
        """Count frames written again to keep a cadence."""

    def tag(self, key: str, value: Any) -> None:
        """Add a fact to the report, such as model hashes or stream properties."""

    def request(self, action: str, value: Any = None) -> None:
        """Ask the application for something: quit, pause, next_filter, previous_filter, ...

        `fail` with an error as `value` lets the run end in order and then raises that error.
        """

    def wait(self, seconds: float) -> bool:
        """Sleep without counting as stalled; returns True at once when the pipeline stops."""

    def idle(self) -> AbstractContextManager[None]:
        """Return a context in which the stage waits for somebody else and is not stalled."""

    def wait_until(self, time_s: float, duration_s: float) -> float:
        """Sleep until the frame of `time_s` is due; returns how late it is in seconds."""

    @property
    def traits_wanted(self) -> bool:
        """Whether a later stage reads pose or expressions of faces (see `Stage.reads_traits`)."""

    @property
    def packet_takers(self) -> int:
        """How many later stages copy what a source reads beside the pictures."""

    @property
    def stopping(self) -> bool:
        """Whether the source has been asked to end."""

    @property
    def aborting(self) -> bool:
        """Whether everything must end at once."""

    @property
    def realtime(self) -> bool:
        """Whether this pipeline must keep up with the world (live, or shown without a file)."""


class Stage(ABC):  # noqa: B024 - the kinds below name what is abstract
    """Base of all stages; `params` holds the validated properties.

    `accepts` lists the pixel formats `start` can take; the builder inserts a converter where the
    link offers another. `latency_frames` is how many frames a transform may hold back.
    """

    Params: ClassVar[type[BaseModel]] = Params
    accepts: ClassVar[tuple[str, ...]] = WORKING_FORMATS
    latency_frames: ClassVar[int] = 0
    # Whether it reads pose or expressions of faces: where no stage does, nobody works them out.
    reads_traits: ClassVar[bool] = True
    # Whether it copies what a source reads beside the pictures, such as sound.
    takes_packets: ClassVar[bool] = False
    # Whether it may look at a picture again once it has passed it on. Where no transform does, a
    # later one draws in the decoder's own memory instead of in a copy.
    keeps_pictures: ClassVar[bool] = True
    # Whether it waits for the program around the pipeline, and has nothing to do once that ended.
    for_programs: ClassVar[bool] = False
    # Requests (see `Context.request`) that reach this stage as `set_property(action, value)`.
    actions: ClassVar[frozenset[str]] = frozenset()
    # The property that a bare value stands for: `- overlay: glasses`.
    shorthand: ClassVar[str | None] = None

    def __init__(self, params: Any, context: Context) -> None:
        self.params = params
        self.context = context

    def negotiate(self, caps: Caps) -> Caps:
        """Return the caps this stage would emit for `caps`, without side effects."""
        return caps

    def start(self, caps: Caps) -> Caps:
        """Get ready for frames of `caps`; returns the caps of what is emitted."""
        return self.negotiate(caps)

    def stop(self) -> None:  # noqa: B027 - most stages hold nothing
        """Release everything; called once or more, also after a failed start."""

    def interrupt(self) -> None:  # noqa: B027 - most stages never block
        """Wake a call that blocks in a device; called from another thread when stopping."""

    def set_property(self, name: str, value: Any) -> None:
        """Change `name` while running, between two frames."""
        raise AttributeError(f"{name} cannot change while running")


class Source(Stage):
    """A stage that begins a pipeline."""

    @abstractmethod
    def open(self) -> Caps:
        """Open the medium or device and return its caps; raises MediaError or DeviceError."""

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield frames with increasing pts until the end or until `context.stopping`."""

    def settle(self) -> None:
        """Hand over what belongs to the frames already given, within about a second.

        Called after the last frame, in the same thread, also where the end was asked for.
        """

    def negotiate(self, caps: Caps) -> Caps:
        return caps

    @property
    def status(self) -> str:
        """What is out of the ordinary now, in a few words for the status line; usually nothing."""
        return ""

    @property
    def total_duration_s(self) -> float | None:
        """Length of the medium where known, for progress; never used to stop."""
        return None


class Transform(Stage):
    """A stage between source and sink."""

    @abstractmethod
    def process(self, frame: Frame) -> Frame | None:
        """Return the frame to pass on, or None where it was dropped or is held back."""

    def flush(self) -> Iterable[Frame]:
        """Return the frames held back, in order, at the end of the stream."""
        return ()


class Sink(Stage):
    """A stage that ends a branch."""

    # A file loses nothing: its branch blocks. Window and camera branches leak and stay current.
    lossless: ClassVar[bool] = False
    # Whether `pump` must be called from the main thread while the pipeline runs.
    needs_main_thread: ClassVar[bool] = False

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Take `frame`, or call `context.drop(frame, cause)`."""

    def finish(self) -> None:
        """Complete the output at the end of the stream (close the file, rename it)."""

    def pump(self) -> None:
        """Do what only the main thread may do (window events); must return soon."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a stage such as `sink: auto` turns into, and the reason to tell the user.

    `source_properties` are given to the source where it has none of its own.
    """

    name: str
    properties: dict[str, Any]
    reason: str
    source_properties: dict[str, Any] = field(default_factory=dict)
