"""Sink that shows frames in a window and turns its keys into requests."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from ..pipeline import stage
from ..pipeline.errors import DeviceError
from ..pipeline.registry import register_stage
from ._pacing import duration_s, follow_clock

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import U8, Frame
    from ._sdl import Display

HELP: list[tuple[str, ...]] = [
    ("q, Esc", "quit"),
    ("n, right", "next filter"),
    ("p, left", "previous filter"),
    ("space", "pause"),
    ("m", "mirror this window"),
    ("s", "statistics"),
    ("f", "full screen"),
    ("h", "this help"),
]
_REQUESTS = frozenset({"quit", "next_filter", "previous_filter", "pause"})
_LAST_FRAME_S = 0.5  # how long the end of the stream waits for the main thread to show it


@register_stage("window")
class Window(stage.Sink):
    """Show the newest frame at its time.

    `write` leaves the frame in a mailbox; `pump` shows it, because windows belong to the main
    thread. A frame that a newer one replaces in the mailbox is dropped with cause "replaced".
    """

    class Params(stage.Params):
        """Properties of `window`."""

        mirror: bool = Field(False, description="flip left and right, in this window only")
        title: str = Field("vidfilter", description="text of the title bar")
        fullscreen: bool = Field(False, description="cover the whole screen")

    params: Params
    needs_main_thread: ClassVar[bool] = True
    reads_traits: ClassVar[bool] = False
    actions: ClassVar[frozenset[str]] = frozenset({"filter"})

    _display: Display | None = None
    _newest: Frame | None = None

    def start(self, caps: Caps) -> Caps:
        """Open the window; raises DeviceError where there is no screen."""
        from ._sdl import Display

        self._mirror, self._title = self.params.mirror, self.params.title
        self._overlay_kind = ""
        self._taken = threading.Condition()
        self._closed = False
        self._shown, self._skipped, self._last_seq = 0, 0, -1
        self._recent: deque[tuple[float, float]] = deque(maxlen=60)  # when shown, latency
        size = (max(round(caps.width * caps.sample_aspect), 1), caps.height)
        try:
            self._display = Display(self._title, size, fullscreen=self.params.fullscreen)
        except DeviceError as error:
            error.stage = self.context.stage_id
            raise
        return caps

    def write(self, frame: Frame) -> None:
        """Put `frame` up for display when it is due."""
        follow_clock(self.context, frame)
        with self._taken:
            replaced, self._newest = self._newest, frame
        if replaced is not None:
            self.context.drop(replaced, "replaced")

    def finish(self) -> None:
        """Keep the last frame on screen for its time; a single picture until the user quits."""
        with self._taken:
            self._taken.wait_for(lambda: self._newest is None, timeout=_LAST_FRAME_S)
            self._drop_unseen()
        stay_s = float("inf") if self._shown == 1 else self._last_duration_s
        until = time.monotonic() + stay_s
        while time.monotonic() < until and not (self._closed or self.context.stopping):
            if self.context.wait(min(until - time.monotonic(), 0.05)):
                return

    def stop(self) -> None:
        """Close the window."""
        display, self._display = self._display, None
        if display is not None:
            display.close()
            with self._taken:
                self._drop_unseen()

    def set_property(self, name: str, value: Any) -> None:
        """Change `mirror` or `title` while running; `filter` names the filter in the title."""
        if name == "mirror":
            self._mirror = bool(value)
        elif name == "title":
            self._title = str(value)
        elif name == "filter":
            self._title = f"{self.params.title} - {value}"
        else:
            super().set_property(name, value)
        self._stale = True

    # The main thread's side

    _stale = False
    _title_shown = ""
    _last_duration_s = 0.0

    def pump(self) -> None:
        """Handle keys and clicks, and show the newest frame."""
        display = self._display
        if display is None:
            return
        for action in display.actions():
            self._handle(action, display)
        with self._taken:
            frame, self._newest = self._newest, None
            if frame is not None:
                self._count(frame)
            self._taken.notify_all()
        if frame is None and not self._stale:
            return
        self._stale = False
        if self._title != self._title_shown:
            self._title_shown = self._title
            display.set_title(self._title)
        display.show(frame, mirror=self._mirror, overlay=self._overlay())

    def _handle(self, action: str, display: Display) -> None:
        self._stale = True
        if action in _REQUESTS:
            self._closed |= action == "quit"
            self.context.request(action)
        elif action == "mirror":
            self._mirror = not self._mirror
        elif action == "fullscreen":
            display.toggle_fullscreen()
        elif action in ("stats", "help"):
            self._overlay_kind = "" if self._overlay_kind == action else action

    def _count(self, frame: Frame) -> None:
        if self._shown:
            self._skipped += max(frame.seq - self._last_seq - 1, 0)
        self._shown += 1
        self._last_seq, self._last_duration_s = frame.seq, duration_s(frame)
        latency_s = (time.monotonic_ns() - frame.captured_ns) / 1e9 if frame.captured_ns else 0.0
        self._recent.append((time.monotonic(), latency_s))

    def _overlay(self) -> U8 | None:
        if not self._overlay_kind:
            return None
        from ._osd import panel

        return panel(HELP if self._overlay_kind == "help" else self._stats())

    def _stats(self) -> list[tuple[str, ...]]:
        span_s = self._recent[-1][0] - self._recent[0][0] if self._recent else 0.0
        fps = (len(self._recent) - 1) / span_s if span_s > 0 else 0.0
        latency_s = sum(late for _, late in self._recent) / max(len(self._recent), 1)
        return [
            (f"{fps:.1f} fps",),
            (f"{latency_s * 1000:.0f} ms from capture to here",),
            (f"{self._shown} shown, {self._skipped} skipped",),
        ]

    def _drop_unseen(self) -> None:
        if self._newest is not None:
            self.context.drop(self._newest, "not shown before the end")
            self._newest = None
