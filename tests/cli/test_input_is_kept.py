"""A run never replaces the file it reads, whatever the flags and names say."""

from __future__ import annotations

from pathlib import Path

import pytest
from giving import Command

PIPELINE = """version: 1
stages:
  - capture: in.mp4
  - file: {path: out.mp4}
"""


@pytest.fixture
def clip(folder: Path, vidfilter: Command) -> bytes:
    """The bytes of `in.mp4`, a short clip made here."""
    (folder / "make.yaml").write_text(
        "version: 1\nstages:\n- capture: {source: test, duration: 0.2}\n- file: in.mp4\n"
    )
    assert vidfilter("run", "make.yaml", "-q").code == 0
    (folder / "f.yaml").write_text(PIPELINE)
    return (folder / "in.mp4").read_bytes()


@pytest.mark.parametrize("link", ["none", "symbolic", "hard"])
def test_the_input_is_never_overwritten(link: str, clip: bytes, folder: Path, vidfilter: Command):
    target = folder / ("in.mp4" if link == "none" else "other.mp4")
    if link == "symbolic":
        target.symlink_to("in.mp4")
    elif link == "hard":
        target.hardlink_to(folder / "in.mp4")
    outcome = vidfilter("run", "f.yaml", "-q", "--overwrite", "-o", target.name)
    assert outcome.code == 1
    assert "is the input itself: choose another output" in outcome.err
    assert (folder / "in.mp4").read_bytes() == clip


@pytest.mark.parametrize("name", ["in.mp4", "out.mp4", "f.yaml"])
def test_a_report_replaces_no_file_of_the_pipeline(
    name: str, clip: bytes, folder: Path, vidfilter: Command
):
    before = (folder / "f.yaml").read_bytes()
    outcome = vidfilter("run", "f.yaml", "--overwrite", "--report", f"./{name}")
    assert outcome.code == 1
    assert "the pipeline uses this file; choose another name" in outcome.error
    assert (folder / "in.mp4").read_bytes() == clip
    assert (folder / "f.yaml").read_bytes() == before
