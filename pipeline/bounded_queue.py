"""The link between two stages: bounded for frames, never for control items.

One lock, two conditions named for what they announce, one state; nothing polls.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from .errors import EndOfStream, Flushing
from .frame import Frame
from .spec import Leaky

if TYPE_CHECKING:
    from typing import Any

    from .caps import Caps


@dataclass(slots=True)
class Gap:
    """`count` frames up to `pts` will not come; keeps joins and smoothers from waiting."""

    pts: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """Set a property of the receiving stage, in order with the frames around it."""

    name: str
    value: Any


Control = Gap | Reconfigure
Item = Frame | Control


class QueueStats(NamedTuple):
    """Counts since the start, in frames; `peak` is the highest level seen."""

    put: int
    got: int
    leaked: int
    flushed: int
    level: int
    peak: int


class _State(Enum):
    OPEN = auto()
    EOS = auto()
    FLUSHING = auto()


class BoundedQueue:
    """Hold at most `max_frames` frames, `max_bytes` of pixels and `max_age_s` between the ends.

    Control items bypass the limits, keep their place and are never leaked. `leaky` says what a
    full queue does with frames: block, drop the new one, or drop the oldest; a dropped frame
    leaves a `Gap` in its place.

    A writer that waits is woken once the reader has made room for several frames, not for each:
    two threads that take turns frame by frame spend much of their time on taking turns.
    """

    def __init__(
        self,
        max_frames: int = 4,
        *,
        leaky: Leaky = Leaky.NONE,
        max_bytes: int | None = None,
        max_age_s: float | None = None,
    ) -> None:
        if max_frames < 1:
            raise ValueError(f"max_frames is {max_frames}, expected at least 1")
        self.max_frames, self.leaky = max_frames, leaky
        self.max_bytes, self.max_age_s = max_bytes, max_age_s
        self._low = max_frames // 4  # a waiting writer goes on from this level
        self._items: deque[Item] = deque()
        self._lock = threading.Lock()
        self._item_added = threading.Condition(self._lock)
        self._item_removed = threading.Condition(self._lock)
        self._state = _State.OPEN
        self._level = self._put = self._got = self._leaked = self._flushed = self._peak = 0
        self._readers = self._writers = 0  # waiting: to announce something to nobody costs, too
        self._bytes = 0  # of the frames held; counted only where it is limited
        self._measured: tuple[Caps | None, int] = (None, 0)  # the bytes of a frame of these caps

    def put(self, frame: Frame) -> bool:
        """Add `frame`, waiting for room unless leaky; False where `frame` itself was dropped.

        Raises Flushing once the queue is flushed, also while waiting, and after `end`.
        """
        with self._lock:
            self._check_open()
            while self._level and self._full(frame):
                if self.leaky is Leaky.UPSTREAM:
                    self._put += 1
                    self._leak_new(frame)
                    return False
                if self.leaky is Leaky.DOWNSTREAM:
                    self._leak_oldest()
                    continue
                self._wait_for_room()
            self._append(frame)
            return True

    def _wait_for_room(self) -> None:
        self._writers += 1
        self._item_removed.wait()
        self._writers -= 1
        self._check_open()

    def put_control(self, item: Control) -> None:
        """Add a control item at once, whatever the limits; ignored once flushed or ended."""
        with self._lock:
            if self._state is _State.OPEN:
                self._add_control(item)
                self._announce()

    def get(self) -> Item:
        """Take the oldest item, waiting for one; raises EndOfStream when drained, Flushing."""
        with self._lock:
            while True:
                if self._state is _State.FLUSHING:
                    raise Flushing
                if self._items:
                    break
                if self._state is _State.EOS:
                    raise EndOfStream
                self._wait_for_item()
            item = self._items.popleft()
            if isinstance(item, Frame):
                self._forget(item)
                self._got += 1
                if self._writers and self._level <= self._low:
                    self._item_removed.notify()
            return item

    def _wait_for_item(self) -> None:
        self._readers += 1
        self._item_added.wait()
        self._readers -= 1

    def _announce(self) -> None:
        if self._readers:
            self._item_added.notify()

    def end(self) -> None:
        """Let the reader drain what is here and then see the end of the stream."""
        with self._lock:
            if self._state is _State.OPEN:
                self._state = _State.EOS
            self._wake_all()

    def flush(self) -> int:
        """Discard everything, wake a blocked put and a blocked get; returns frames discarded."""
        with self._lock:
            self._state = _State.FLUSHING
            discarded, self._level, self._bytes = self._level, 0, 0
            self._flushed += discarded
            self._items.clear()
            self._wake_all()
            return discarded

    def stats(self) -> QueueStats:
        """Return the counts so far."""
        with self._lock:
            return QueueStats(
                self._put, self._got, self._leaked, self._flushed, self._level, self._peak
            )

    def _check_open(self) -> None:
        if self._state is not _State.OPEN:
            raise Flushing

    def _wake_all(self) -> None:
        self._item_added.notify_all()
        self._item_removed.notify_all()

    def _full(self, new: Frame) -> bool:
        return self._level >= self.max_frames or self._over_bytes(new) or self._over_age(new)

    def _over_bytes(self, new: Frame) -> bool:
        return self.max_bytes is not None and self._bytes + self._nbytes(new) > self.max_bytes

    def _over_age(self, new: Frame) -> bool:
        if self.max_age_s is None:
            return False
        oldest = next(item for item in self._items if isinstance(item, Frame))
        return new.captured_ns - oldest.captured_ns > self.max_age_s * 1e9

    def _append(self, frame: Frame) -> None:
        self._items.append(frame)
        self._put += 1
        self._level += 1
        if self.max_bytes is not None:
            self._bytes += self._nbytes(frame)
        if self._level > self._peak:
            self._peak = self._level
        self._announce()

    def _forget(self, frame: Frame) -> None:
        self._level -= 1
        if self.max_bytes is not None:
            self._bytes -= self._nbytes(frame)

    def _add_control(self, item: Control) -> None:
        last = self._items[-1] if self._items else None
        if isinstance(item, Gap) and isinstance(last, Gap):
            # Gaps merge, so that a stuck reader cannot make the queue grow without end.
            last.pts, last.count = item.pts, last.count + item.count
        else:
            self._items.append(item)

    def _leak_new(self, frame: Frame) -> None:
        self._leaked += 1
        self._add_control(Gap(frame.pts))

    def _leak_oldest(self) -> None:
        index = next(i for i, item in enumerate(self._items) if isinstance(item, Frame))
        old = self._items[index]
        before = self._items[index - 1] if index else None
        if isinstance(before, Gap):
            before.pts, before.count = old.pts, before.count + 1  # type: ignore[union-attr]
            del self._items[index]
        else:
            self._items[index] = Gap(old.pts)  # type: ignore[union-attr]
        self._forget(old)  # type: ignore[arg-type]
        self._leaked += 1

    def _nbytes(self, frame: Frame) -> int:
        if frame.caps is not self._measured[0]:
            self._measured = frame.caps, sum(plane.nbytes for plane in frame.planes)
        return self._measured[1]
