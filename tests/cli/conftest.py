"""A pipeline of stand-in stages, and the command line in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from giving import PIPELINE, Command, Outcome

from vidfilter.pipeline.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with `p.yaml`, a pipeline of stand-ins."""
    import cli_stages  # noqa: F401 - registers the stages of p.yaml

    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(PIPELINE)
    return tmp_path


@pytest.fixture
def vidfilter(capfd: pytest.CaptureFixture[str]) -> Command:
    """Give a command in this process."""

    def give(*args: str) -> Outcome:
        code = main(list(args))
        return Outcome(code, *capfd.readouterr())

    return give
