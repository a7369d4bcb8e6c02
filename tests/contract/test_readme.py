"""What README.md shows works as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from vidfilter.pipeline import Pipeline, PipelineSpec, StageSpec, config
from vidfilter.pipeline.registry import module

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of the test face, as clip.mp4 in an empty folder."""
    path = tmp_path / "clip.mp4"
    source = {"source": "test", "width": 320, "height": 240, "duration": 0.5}
    stages = (StageSpec("capture", "capture", source), StageSpec("file", "file", {"path": path}))
    Pipeline(PipelineSpec(stages)).run()
    return path


def test_the_pipeline_description_is_valid():
    (text,) = blocks("yaml")
    spec = config.loads(text, where="README.md")
    assert [stage.id for stage in spec.stages][:3] == ["capture", "detect", "landmarks"]


def test_the_python_example_runs(clip):
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=clip.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert "written=15" in done.stdout


def test_the_table_of_filters_is_complete():
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", README, re.MULTILINE))
    assert listed == set(module("filters", "engine").filter_names())


def test_the_commands_shown_exist():
    from vidfilter.pipeline.cli import COMMANDS

    shown = set(re.findall(r"^vidfilter ([a-z]+)", README, re.MULTILINE))
    assert shown <= set(COMMANDS)


def test_every_linked_file_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
