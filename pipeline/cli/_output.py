"""What the commands say, and where: results on stdout, all else on stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERRUPTED, TERMINATED = 130, 143
_F = TypeVar("_F", bound="Callable[..., Any]")


class Terminated(KeyboardInterrupt):
    """SIGTERM came before there was anything to drain."""


@dataclass(slots=True)
class Output:
    """How much a command says; `stuck` means that a thread will never end.

    `write` replaces the plain line on stderr while a progress display owns the terminal.
    """

    quiet: bool = False
    verbose: bool = False
    json: bool = False
    stuck: bool = False
    write: Callable[[str], None] | None = None

    def say(self, text: str) -> None:
        """Tell the user something on stderr, unless he wants errors only."""
        if not self.quiet:
            self.line(text)

    def line(self, text: str) -> None:
        """Write one line to stderr; one that takes nothing, on a full disk, is no reason to end."""
        with suppress(OSError):
            if self.write is not None:
                self.write(printable(text))
            else:
                click.echo(printable(text), err=True)

    def result(self, text: str, value: Any) -> None:
        """Write a command's result to stdout: `text`, or `value` where JSON is asked for."""
        body = json.dumps(value, indent=2, default=str) if self.json else text
        emit(body)


def emit(text: str) -> None:
    """Write `text` and a line's end to standard output; raises MediaError."""
    with _told():
        click.echo(text.encode(errors="backslashreplace").decode())


def flush() -> None:
    """Make sure that standard output took what was written; raises MediaError."""
    with _told():
        if sys.stdout is not None:  # None: closed by whoever called us
            sys.stdout.flush()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        from ..errors import MediaError

        # Nothing more can be written, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise MediaError(f"cannot write to standard output: {error.strerror}") from error


def printable(text: str) -> str:
    """Return `text` on one line without control characters, which may come from file names."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)


@contextmanager
def term_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end what is under way as Ctrl-C does, so that it can clean up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def output_options(*, as_json: bool = True) -> Callable[[_F], _F]:
    """Return a decorator that adds -q, -v and --json."""

    def setter(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
        def store(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
            if value:
                setattr(ctx.ensure_object(Output), name, True)

        return store

    def flag(*names: str, field: str, help: str) -> Callable[[_F], _F]:
        return click.option(
            *names, is_flag=True, expose_value=False, callback=setter(field), help=help
        )

    def decorate(function: _F) -> _F:
        if as_json:
            function = flag("--json", field="json", help="Write the result as JSON to stdout.")(
                function
            )
        function = flag("-v", "--verbose", field="verbose", help="Say more; show tracebacks.")(
            function
        )
        return flag("-q", "--quiet", field="quiet", help="Say nothing but errors.")(function)

    return decorate


def fail(error: BaseException, output: Output) -> int:
    """Tell the user of `error` in one line; returns the exit code."""
    output.write = None
    if isinstance(error, (click.exceptions.Exit, SystemExit)):
        code = getattr(error, "exit_code", None) or getattr(error, "code", 0)
        return code if isinstance(code, int) else 1
    if isinstance(error, BrokenPipeError):
        # The reader went away, as `| head` does. Nothing more can be said, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if output.verbose and not isinstance(error, click.ClickException):
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    text, code = _explain(error)
    output.line(f"vidfilter: {text}")
    if stack := getattr(error, "stack", ""):
        click.echo(f"{stack.rstrip()}", err=True)
    return code


def _explain(error: BaseException) -> tuple[str, int]:
    from ..errors import VidfilterError

    # click hides what ended a command behind an error of its own.
    if isinstance(error, Terminated) or isinstance(error.__cause__, Terminated):
        return "terminated", TERMINATED
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted", INTERRUPTED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        group = error.ctx.command if error.ctx else None
        known = ", ".join(getattr(group, "commands", {}))
        return f"error: a command is missing (known: {known}); {_see_help(error)}", 2
    if isinstance(error, click.UsageError):
        return f"error: {_lower(error.format_message())}; {_see_help(error)}", 2
    if isinstance(error, click.ClickException):
        return f"error: {_lower(error.format_message())}", error.exit_code
    if isinstance(error, VidfilterError):
        return _explain_ours(error)
    text = f"{type(error).__name__}: {error}"
    return f"internal error: {text}; run with -v for the traceback", 1


def _see_help(error: click.UsageError) -> str:
    return f"see '{error.ctx.command_path if error.ctx else 'vidfilter'} --help'"


def _explain_ours(error: Any) -> tuple[str, int]:
    stage, text = getattr(error, "stage", None), str(error)
    cause = error.__cause__
    from ..errors import VidfilterError

    if stage and cause is not None and type(error).__name__ == "StageError":
        unexpected = not isinstance(cause, (VidfilterError, OSError))
        if unexpected:
            text = f"{type(cause).__name__}: {cause}; run with -v for the traceback"
            return f"internal error in stage {stage}: {text}", 1
    prefix = f"{stage}: " if stage and stage not in text else ""
    return f"error: {prefix}{text}", error.exit_code


def _lower(text: str) -> str:
    """Return `text` as part of a sentence."""
    return text[:1].lower() + text[1:].rstrip(".")
