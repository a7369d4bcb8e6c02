"""When to show a frame: maps presentation times to the wall clock."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# A frame later than this starts the timeline anew: showing on at full speed to catch up would look
# like fast-forward.
MAX_LATE_S = 0.5
# On time, a frame waits for at most the frame before it, or for two where one was dropped between.
MAX_EARLY_FRAMES = 2.0


class Clock:
    """Pacing for sinks that follow time; never sleeps, so the caller decides how to wait.

    The first frame is due at once and fixes the base. The base moves when a frame is more than
    0.5 s late, when time runs backwards, and when frames are missing before this one because the
    pipeline runs faster than real time and its preview leaks: the next frame then follows as soon
    as the one before has been shown for its duration. Safe to use from several threads.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._base_s: float | None = None  # the wall time of presentation time 0
        self._time_s = 0.0
        self._duration_s = 0.0
        self._paused_at: float | None = None

    def due(self, time_s: float, duration_s: float) -> float:
        """Return in how many seconds the frame is due; 0 or less means now, or late.

        `duration_s` is how long the frame is to be shown, 0 = unknown. Asking again for the same
        frame changes nothing, so a caller may sleep in slices.
        """
        with self._lock:
            now = self._now() if self._paused_at is None else self._paused_at
            base_s = self._rebased(time_s, duration_s, now)
            self._base_s, self._time_s, self._duration_s = base_s, time_s, duration_s
            return base_s + time_s - now

    def _rebased(self, time_s: float, duration_s: float, now: float) -> float:
        if self._base_s is None:
            return now - time_s
        if time_s == self._time_s:
            return self._base_s
        wait_s = self._base_s + time_s - now
        longest = max(duration_s, self._duration_s)
        early = self._duration_s > 0 and wait_s > MAX_EARLY_FRAMES * longest
        if early or time_s < self._time_s:
            shown_until = self._base_s + self._time_s + self._duration_s
            return max(now, shown_until) - time_s
        return now - time_s if wait_s < -MAX_LATE_S else self._base_s

    @property
    def paused(self) -> bool:
        """Whether time stands still."""
        return self._paused_at is not None

    def pause(self) -> None:
        """Stop time; what `due` returns stays the same until `resume`."""
        with self._lock:
            if self._paused_at is None:
                self._paused_at = self._now()

    def resume(self) -> None:
        """Let time go on from where it stopped."""
        with self._lock:
            if self._paused_at is None:
                return
            if self._base_s is not None:
                self._base_s += self._now() - self._paused_at
            self._paused_at = None
