"""Measure two programs in turns, slice by slice, so that both meet the same machine.

The speed of a shared machine drifts by more within a minute than the two differ. So they run side
by side, and all the time one of them stands still: after each slice of frames they change places.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SLICE_FRAMES = 100
# Elsewhere than on Unix a program cannot be halted from outside: it runs as a whole.
_HALT, _GO_ON = getattr(signal, "SIGSTOP", None), getattr(signal, "SIGCONT", None)


class Slice(NamedTuple):
    """What was done in one turn: frames, CPU and wall seconds."""

    frames: int
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run without start-up: frames, CPU seconds, memory in MB (peak, early, end), wall seconds.

    `threads_s` holds the CPU seconds of our stages' own threads; `slices` are the turns.
    """

    frames: int
    cpu_s: float
    peak_mb: float
    early_mb: float
    end_mb: float
    wall_s: float = 0.0
    threads_s: dict[str, float] = field(default_factory=dict)
    slices: tuple[Slice, ...] = ()

    @property
    def fps(self) -> float:
        """Frames per second of wall time."""
        return self.frames / self.wall_s

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain values, without the single slices."""
        plain = asdict(replace(self, slices=()))
        del plain["slices"]
        return plain | {"fps": round(self.fps, 1)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ratio` is our frame rate by the bare one; `extra_ms` our CPU per frame beyond it."""

    bare: tuple[Measurement, ...]
    ours: tuple[Measurement, ...]

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round."""
        return [ours.fps / bare.fps for bare, ours in self._rounds]

    @property
    def extras_ms(self) -> list[float]:
        """CPU milliseconds per frame of all that is neither decoding nor encoding, by round.

        Whole runs are compared, with all their slices.
        """
        return [1e3 * (ours.cpu_s - bare.cpu_s) / bare.frames for bare, ours in self._rounds]

    @property
    def bare_ms(self) -> float:
        """CPU milliseconds per frame of decoding and encoding alone, median of the rounds."""
        return statistics.median(1e3 * run.cpu_s / run.frames for run in self.bare)

    @property
    def extra_share(self) -> float:
        """`extra_ms` by `bare_ms`: fit to compare machines of different speed."""
        return self.extra_ms / self.bare_ms

    @property
    def extra_by_slice_ms(self) -> list[float]:
        """The same for each slice beside the slice of equal frames."""
        pairs = [pair for b, o in self._rounds for pair in zip(b.slices, o.slices, strict=False)]
        return [1e3 * (o.cpu_s / o.frames - b.cpu_s / b.frames) for b, o in pairs]

    @property
    def _rounds(self) -> Iterator[tuple[Measurement, Measurement]]:
        return zip(self.bare, self.ours, strict=True)

    @property
    def ratio(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.ratios)

    @property
    def extra_ms(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.extras_ms)

    @property
    def threads_ms(self) -> dict[str, float]:
        """CPU milliseconds per frame of each stage's own thread, medians of the rounds."""
        return {
            name: statistics.median(1e3 * run.threads_s[name] / run.frames for run in self.ours)
            for name in self.ours[0].threads_s
        }

    def summary(self) -> dict[str, Any]:
        """Return all figures as plain values."""
        return {
            "ratio": round(self.ratio, 4),
            "extra_cpu_ms_per_frame": round(self.extra_ms, 3),
            "bare_cpu_ms_per_frame": round(self.bare_ms, 3),
            "extra_cpu_share": round(self.extra_share, 4),
            "ratio_by_round": [round(ratio, 4) for ratio in self.ratios],
            "extra_by_round": [round(extra, 3) for extra in self.extras_ms],
            "extra_by_slice": [round(extra, 3) for extra in self.extra_by_slice_ms],
            "stage_threads_ms": {name: round(ms, 3) for name, ms in self.threads_ms.items()},
            "bare": [run.summary() for run in self.bare],
            "ours": [run.summary() for run in self.ours],
        }


class Turns:
    """One program that is being measured; it stands still except in `go_on`.

    It writes lines of JSON: null once its start-up is over, [frames, CPU seconds] so far after each
    slice, and an object that holds a Measurement's figures at the end. Raises MediaError where it
    fails.
    """

    def __init__(self, command: Sequence[str]) -> None:
        # What a pipe held, nobody would read before the end.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self._slices: list[Slice] = []
        self._wall_s = 0.0
        self._so_far = (0, 0.0)
        self.result: Measurement | None = None
        try:
            self._hear()
            self._halt()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def go_on(self) -> None:
        """Let it work through its next slice; `result` is there when that was the last."""
        self._signal(_GO_ON)
        halted = False
        while self.result is None and not halted:
            start = time.monotonic()
            said = self._hear()
            halted = isinstance(said, list) and self._halt()
            self._note(said, time.monotonic() - start)

    def _note(self, said: Any, took_s: float) -> None:
        self._wall_s += took_s
        if isinstance(said, list):
            frames, cpu_s = said
            before, cpu_before = self._so_far
            self._slices.append(Slice(frames - before, cpu_s - cpu_before, took_s))
            self._so_far = frames, cpu_s
        else:
            self.result = Measurement(**said, wall_s=self._wall_s, slices=tuple(self._slices))

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        told = self._errors.read().strip().splitlines() or ["it ended without a word"]
        raise MediaError(f"the run to be measured failed: {told[-1]}")

    def _halt(self) -> bool:
        """Let it stand still, where that is possible."""
        self._signal(_HALT)
        if _HALT is not None and hasattr(os, "waitid"):  # until all of its threads do
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return _HALT is not None

    def _signal(self, number: signal.Signals | None) -> None:
        if number is not None:
            self._process.send_signal(number)


def compare(bare: Sequence[str], ours: Sequence[str], rounds: int) -> Iterator[Comparison]:
    """Yield the comparison of two commands (see `Turns`) after each round."""
    done: list[tuple[Measurement, Measurement]] = []
    for number in range(rounds):
        done.append(_round(bare, ours, swapped=bool(number % 2)))
        yield Comparison(*zip(*done, strict=True))


def _round(
    bare: Sequence[str], ours: Sequence[str], *, swapped: bool
) -> tuple[Measurement, Measurement]:
    with Turns(bare) as plain, Turns(ours) as whole:
        order = [plain, whole]
        if swapped:
            order.reverse()
        while plain.result is None or whole.result is None:
            for runner in order:
                if runner.result is None:
                    runner.go_on()
            order.reverse()  # who comes second finds the machine as the first left it
        return plain.result, whole.result
