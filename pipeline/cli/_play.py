"""Run a pipeline for the user: signals, progress, report, summary, exit code."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..builder import walk
from ..bus import Kind, Message
from ..errors import ConfigError, MediaError
from ..runner import Pipeline, State
from ._output import INTERRUPTED, Output, Terminated, emit
from ._progress import Progress
from ._summary import outline, parts, summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from ..ledger import Report
    from ..spec import PipelineSpec

_ENDS = frozenset({signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)})
_FOR_PROGRAMS = {"appsrc": "begin with capture", "appsink": "end with file, window or null"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to do with the outcome: `report` is where it is written, `strict` fails on a loss."""

    report: Path | None = None
    strict: bool = False
    overwrite: bool = False


class Signals:
    """First Ctrl-C or SIGTERM: end the source and drain. Second: end at once. Third: die.

    A terminal that is closed counts as SIGTERM, unless `nohup` says that nobody cares.
    `code` is the exit code that the signals ask for, 0 for none.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._count = 0
        self._before: dict[int, Any] = {}
        self.code = 0

    def __enter__(self) -> Signals:
        # SIGBREAK is what Windows sends to a console that is being closed.
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is None or (name == "SIGHUP" and _is_ignored(number)):
                continue
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self.code = 128 + number if number in _ENDS else INTERRUPTED
        if self._count > 2:
            os._exit(self.code)
        if self._pipeline.state in (State.NULL, State.READY):
            # Nothing is being written yet, and the source may be waiting for a network.
            raise Terminated if number in _ENDS else KeyboardInterrupt
        self._pipeline.stop(drain=self._count == 1)


def _is_ignored(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def play(spec: PipelineSpec, output: Output, wishes: Wishes) -> int:
    """Run `spec` to its end; returns the exit code, raises the first error."""
    _refuse_stages_for_programs(spec)
    if wishes.report is not None:
        _check_report(wishes.report, spec, overwrite=wishes.overwrite)
    pipeline = Pipeline(spec)
    try:
        with Signals(pipeline) as signals, Progress(pipeline, output):
            report = pipeline.run(lambda message: _relay(message, pipeline, output))
    except BaseException:
        _say_what_is_left(pipeline, output)
        _report_failure(pipeline, output, wishes)
        raise
    finally:
        output.stuck = bool(pipeline.stuck_threads)
    _write_report(report, wishes.report)
    return _conclude(pipeline, report, output, wishes) or signals.code


def _refuse_stages_for_programs(spec: PipelineSpec) -> None:
    for stage in walk(spec.stages):
        if stage.name in _FOR_PROGRAMS:
            where = f"{stage.where}: " if stage.where else ""
            instead = _FOR_PROGRAMS[stage.name]
            text = (
                f"{stage.name} belongs to a Python program, and waits for ever without; {instead}"
            )
            raise ConfigError(f"{where}{text}")


def _relay(message: Message, pipeline: Pipeline, output: Output) -> None:
    match message.kind:
        case Kind.WARNING:
            output.say(f"vidfilter: warning: {message.text}")
        case Kind.INFO:
            output.say(f"{message.stage}: {message.text}")
        case Kind.STATE if message.value is State.PLAYING:
            output.say(outline(pipeline.graph()))


# The end


def _conclude(pipeline: Pipeline, report: Report, output: Output, wishes: Wishes) -> int:
    output.say(summary(pipeline, report))
    if output.json:
        emit(report.to_json().rstrip("\n"))
    problems = "; ".join(report.problems())
    if not problems:
        return 0
    if wishes.strict and report.stopped != "at once":
        output.line(f"vidfilter: error: --strict: {problems}")
        return 1
    output.say(f"vidfilter: warning: {problems}")
    return 0


def _say_what_is_left(pipeline: Pipeline, output: Output) -> None:
    if pipeline.ended_in_order:
        output.say(summary(pipeline, pipeline.report()))
        return
    for text in parts(pipeline):
        output.say(f"kept {text}")


# --report


def _check_report(path: Path, spec: PipelineSpec, *, overwrite: bool) -> None:
    """Find out before the run what would spoil the report after it, or what it would spoil."""
    if any(_same(path, other) for other in _files_of(spec)):
        raise MediaError(f"--report {path}: the pipeline uses this file; choose another name")
    with _told(path):
        _check_place(path, overwrite=overwrite)
        new = not path.exists()
        path.open("ab").close()
        if new:
            path.unlink()


def _check_place(path: Path, *, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise MediaError(f"--report {path}: the folder {path.parent} does not exist; create it")
    if path.is_dir():
        raise MediaError(f"--report {path}: is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise MediaError(f"--report {path}: exists already; add --overwrite or choose another name")


def _files_of(spec: PipelineSpec) -> list[str]:
    """Return the pipeline's own file and what its properties name, files or not."""
    values = [value for stage in walk(spec.stages) for value in stage.properties.values()]
    return [spec.where, *(value for value in values if isinstance(value, str))]


def _same(path: Path, other: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return path.resolve() == Path(other).resolve() or path.samefile(other)
    return False


def _report_failure(pipeline: Pipeline, output: Output, wishes: Wishes) -> None:
    """Write the report of a failed run, whose own error is what matters."""
    try:
        _write_report(pipeline.report(), wishes.report)
    except MediaError as error:
        output.say(f"vidfilter: warning: {error}")


def _write_report(report: Report, path: Path | None) -> None:
    if path is None:
        return
    try:
        with _told(path):
            path.write_text(report.to_json(), encoding="utf-8")
    except MediaError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the disk raises into one line that names the report."""
    try:
        yield
    except MediaError:
        raise
    except OSError as error:
        raise MediaError(f"--report {path}: cannot be written: {error.strerror}") from error
