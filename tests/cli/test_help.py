"""What one sees before anything runs: help, version, lists."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from giving import Command

HEAVY = ("av", "cv2", "numpy", "onnxruntime", "pydantic", "rich", "ruamel", "sdl2", "torch")
LOADED = "import sys; from vidfilter.pipeline.cli import main; main({}); print(*sys.modules)"


def test_help_lists_all_commands_and_loads_next_to_nothing():
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format("['--help']")],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("run", "analyze", "inspect", "graph", "devices", "filters"):
        assert f"\n  {name} " in done.stdout
    loaded = done.stdout.splitlines()[-1].split()
    assert not set(HEAVY) & set(loaded)


def test_no_command_shows_the_help(vidfilter: Command):
    assert "Commands:" in vidfilter().out


@pytest.mark.parametrize(
    "name", ["run", "analyze", "inspect", "graph", "devices", "filters", "filters list"]
)
def test_every_command_has_help(name: str, vidfilter: Command):
    outcome = vidfilter(*name.split(), "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"Usage: vidfilter {name} ")


def test_version(vidfilter: Command):
    from importlib.metadata import version

    assert vidfilter("--version").out == f"vidfilter {version('vidfilter')}\n"


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "vidfilter.pipeline", "rum"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        "vidfilter: error: unknown command 'rum'; did you mean 'run'? (known: run, analyze,"
    )


def test_inspect_lists_every_stage(vidfilter: Command):
    lines = vidfilter("inspect").out.splitlines()
    assert {"sources", "transforms", "sinks"} <= set(lines)
    for name in ("capture", "detect", "overlay", "window", "file", "null"):
        assert any(line.startswith(f"  {name} ") for line in lines)


def test_inspect_tells_type_range_default_and_unit(vidfilter: Command):
    text = vidfilter("inspect", "appsrc").out
    assert "width: a whole number from 1 to 16384 px (required)" in text
    assert "max_frames: a whole number from 1 to 256 frames (default 4)" in text
    facts = json.loads(vidfilter("inspect", "appsrc", "--json").out)
    assert facts["kind"] == "source"
    assert facts["properties"][0]["unit"] == "px"


def test_inspect_of_an_unknown_stage_names_the_nearest(vidfilter: Command):
    outcome = vidfilter("inspect", "captur")
    assert outcome.code == 2
    assert outcome.error.startswith("unknown stage 'captur'; did you mean 'capture'?")


def test_filters_are_listed_with_their_titles(vidfilter: Command):
    assert "glasses" in vidfilter("filters", "list").out
    entries = json.loads(vidfilter("filters", "list", "--json").out)
    assert {"name", "title"} == set(entries[0])


def test_devices_says_what_there_is_and_what_not(vidfilter: Command):
    text = vidfilter("devices").out
    for kind in ("cameras", "virtual cameras", "screens"):
        assert f"{kind}:" in text
    assert set(json.loads(vidfilter("devices", "--json").out)) == {
        "cameras",
        "virtual_cameras",
        "screens",
    }
