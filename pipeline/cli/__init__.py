"""The command line: a thin layer over `config` and `Pipeline`.

Only click is imported here: a command's own module loads when the command is named, so that
`vidfilter --help` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys

import click

from ._output import Output, fail, flush

# Name -> help, kept here so that listing the commands imports none of them.
COMMANDS = {
    "run": "Run a pipeline: put filters on a video, a camera or the test face.",
    "analyze": "Write the faces and landmarks of a video to tracks.jsonl.",
    "inspect": "Show the stages, or the properties of one stage.",
    "graph": "Show a pipeline's stages and the format on every link.",
    "devices": "List cameras, virtual cameras and screens.",
    "filters": "List the filters.",
    "train": "Train a network from raw data.",
    "eval": "Judge landmarks or detector on annotated pictures.",
    "export": "Turn a trained checkpoint into an ONNX network to run.",
    "bench": "Compare a run with a bare decode-encode of the same clip.",
}


class LazyGroup(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(
                f"unknown command {args[0]!r}{hint} (known: {', '.join(COMMANDS)})"
            )
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"vidfilter {version('vidfilter')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.pass_context
def vidfilter(ctx: click.Context) -> None:
    """Put face filters on files, webcams and calls.

    Without a camera, a screen or a file, `vidfilter run` renders a test face into a file.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: list[str] | None = None) -> int:
    """Run the command line; returns the exit code and never raises."""
    output = Output()
    try:
        result = vidfilter.main(args, prog_name="vidfilter", standalone_mode=False, obj=output)
        code = result if isinstance(result, int) else 0
        flush()
    except BaseException as error:
        code = fail(error, output)
    if output.stuck:
        # A thread hangs in native code: waiting for it at exit would hang us too.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)
    return code
