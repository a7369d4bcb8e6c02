"""One line that tells how far a run is: a bar for files, a status for live pictures."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from types import TracebackType

    from rich.live import Live
    from rich.table import Table

    from ..runner import Pipeline
    from ._output import Output

REFRESH_HZ = 5
_WINDOW_S = 3.0


class Pace:
    """Frames and media seconds per second of wall time, over the last three seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, float]] = deque()

    def update(self, now_s: float, frames: int, time_s: float) -> tuple[float, float]:
        """Note where the run is; returns frames per second and media seconds per second."""
        self._seen.append((now_s, frames, time_s))
        while len(self._seen) > 2 and now_s - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        then_s, frames_then, time_then = self._seen[0]
        span_s = now_s - then_s
        if span_s <= 0:
            return 0.0, 0.0
        return (frames - frames_then) / span_s, max(time_s - time_then, 0.0) / span_s


class _Patient:
    """A terminal that may be closed on the way: what it does not take is nobody's loss."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text` if anybody is there."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Do the same for what waits."""
        with contextlib.suppress(OSError):
            self._stream.flush()


class Progress:
    """Show the progress of `pipeline` on a terminal's last line; nothing anywhere else."""

    def __init__(self, pipeline: Pipeline, output: Output) -> None:
        self._pipeline, self._output = pipeline, output
        self._pace = Pace()
        self._live: Live | None = None
        self._snapshot: dict[str, Any] = {}

    def __enter__(self) -> Progress:
        if not self._output.quiet and sys.stderr is not None and sys.stderr.isatty():
            self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._output.write = None
        if self._live is not None:
            self._live.stop()

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=_Patient(sys.stderr))  # type: ignore[arg-type]
        if console.is_dumb_terminal:
            return
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=REFRESH_HZ,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._output.write = lambda text: console.print(
            text, markup=False, highlight=False, soft_wrap=True
        )
        self._live.start()

    def _render(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        facts = self._facts()
        line = Table.grid(padding=(0, 1))
        if not facts:
            line.add_row("starting")
            return line
        if facts["total_s"] is None:
            line.add_row(facts["text"])
            return line
        share = facts["time_s"] / facts["total_s"]
        bar = ProgressBar(total=1.0, completed=min(share, 1.0), width=30)
        line.add_row(f"{min(share, 1.0):4.0%}", bar, facts["text"])
        return line

    def _facts(self) -> dict[str, Any]:
        # A counter may grow while it is summed: show the figures of before then.
        with contextlib.suppress(RuntimeError):
            self._snapshot = self._pipeline.snapshot() or self._snapshot
        seen = self._snapshot
        if not seen.get("elapsed_s"):
            return {}
        fps, speed = self._pace.update(time.monotonic(), seen["captured"], seen["time_s"])
        total_s = None if seen["live"] else seen["total_duration_s"]
        parts = [clock(seen["time_s"]) + (f" of {clock(total_s)}" if total_s else "")]
        parts.append(f"{fps:.1f} fps")
        if total_s and speed > 0:
            parts.append(f"ETA {clock(max(total_s - seen['time_s'], 0.0) / speed)}")
        parts.append(f"{seen['dropped']} dropped")
        parts += [seen["status"]] if seen["status"] else []
        return {"text": "  ".join(parts), "total_s": total_s or None, "time_s": seen["time_s"]}


def clock(seconds: float) -> str:
    """Return a time as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
