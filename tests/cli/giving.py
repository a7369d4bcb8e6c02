"""Ways to give commands, and what comes of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

STAGES = Path(__file__).with_name("cli_stages.py")
PIPELINE = """version: 1
stall_timeout: 1
stages:
  - k-source: {}
  - k-fault: none
  - k-file: {path: out.bin}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The only line of an error that is all there is to see."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("vidfilter: error: ")
        return lines[0].removeprefix("vidfilter: error: ")


Command = Callable[..., Outcome]


def start(args: Sequence[str], **options: object) -> subprocess.Popen[str]:
    """Give a command in a process of its own, with the stand-in stages known."""
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, str(STAGES), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
