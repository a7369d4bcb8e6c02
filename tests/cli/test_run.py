"""`run` and `graph`: what is done, what is said, and the exit code."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from giving import STAGES, Command

# A picture of one pixel.
PIXEL = b"P6 1 1 255\n\0\0\0"
PUSH = "version: 1\nstages:\n  - appsrc: {width: 8, height: 8}\n  - 'null'\n"


def test_run_says_what_runs_and_what_came_of_it(folder: Path, vidfilter: Command):
    outcome = vidfilter("run", "p.yaml")
    assert outcome.code == 0
    assert outcome.out == ""
    first, second, last = sorted(outcome.err.splitlines(), key=lambda line: "frames in" in line)
    assert {first, second} == {
        "k-source > k-fault > k-file: yuv420p 16x16 100 fps bt709 limited",
        "k-source: grey frames, as asked",
    }
    assert last.startswith("20 frames in ")
    assert last.endswith(" fps), 0 dropped; wrote out.bin")
    assert (folder / "out.bin").stat().st_size == 20


def test_branches_are_told_apart(folder: Path, vidfilter: Command):
    (folder / "tee.yaml").write_text(
        "version: 1\nstages:\n- k-source\n- tee:\n"
        "  - [k-fault: drop, 'null']\n  - [k-file: out.bin]\n"
    )
    lines = vidfilter("run", "tee.yaml").err.splitlines()
    assert "k-source > [k-fault > null | k-file]: yuv420p 16x16 100 fps bt709 limited" in lines
    (summary,) = [line for line in lines if line.startswith("20 frames in ")]
    assert summary.endswith(" fps), dropped: 1 by null, 0 by k-file; wrote out.bin")


def test_quiet_says_nothing(folder: Path, vidfilter: Command):
    outcome = vidfilter("run", "p.yaml", "-q")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def test_set_changes_the_run(folder: Path, vidfilter: Command):
    assert vidfilter("run", "p.yaml", "-q", "--set", "k-source.frames=3").code == 0
    assert (folder / "out.bin").stat().st_size == 3


def test_json_is_the_report_on_stdout_and_report_writes_it(folder: Path, vidfilter: Command):
    outcome = vidfilter("run", "p.yaml", "--json", "--report", "r.json")
    report = json.loads(outcome.out)
    assert report == json.loads((folder / "r.json").read_text())
    assert report["sinks"][0]["written"] == 20


def test_a_report_is_never_replaced_unasked(folder: Path, vidfilter: Command):
    (folder / "r.json").write_text("mine")
    outcome = vidfilter("run", "p.yaml", "--report", "r.json")
    assert outcome.code == 1
    assert outcome.error.startswith("--report r.json: exists already; add --overwrite")
    assert (folder / "r.json").read_text() == "mine"
    assert not (folder / "out.bin").exists()
    assert vidfilter("run", "p.yaml", "--report", "r.json", "--overwrite").code == 0


def test_the_report_of_a_failed_run_is_written_too(folder: Path, vidfilter: Command):
    outcome = vidfilter("run", "p.yaml", "--set", "k-fault.fault=raise", "--report", "r.json")
    assert outcome.code == 1
    assert json.loads((folder / "r.json").read_text())["error"]["stage"] == "k-fault"


def test_strict_fails_where_a_file_lost_a_frame(folder: Path, vidfilter: Command):
    lossy = ("run", "p.yaml", "-q", "--set", "k-source.drop=true")
    assert vidfilter(*lossy).code == 0
    outcome = vidfilter(*lossy, "--strict")
    assert outcome.code == 1
    assert outcome.error == "--strict: k-file: 1 of 20 frames lost"


def test_a_stage_that_raises_is_named_and_the_part_is_kept(folder: Path, vidfilter: Command):
    outcome = vidfilter("run", "p.yaml", "--set", "k-fault.fault=raise")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-2:] == [
        "kept out.part.bin (incomplete)",
        "vidfilter: internal error in stage k-fault: ValueError: two lines; "
        "run with -v for the traceback",
    ]
    assert not (folder / "out.bin").exists()
    assert "Traceback" in vidfilter("run", "p.yaml", "-v", "--set", "k-fault.fault=raise").err


def test_warnings_are_one_line_without_control_characters(folder: Path, vidfilter: Command):
    outcome = vidfilter("run", "p.yaml", "--set", "k-fault.fault=warn")
    assert outcome.code == 0
    assert r"vidfilter: warning: \x1b[31mred alert" in outcome.err.splitlines()


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["run", "none.yaml"], 2, "none.yaml: no such file"),
        (["run", "p.yaml", "--fast"], 2, "no such option '--fast'"),
        (["run", "p.yaml", "more"], 2, "unexpected extra argument"),
        (["run", "p.yaml", "--duration", "0"], 2, "must be a number of seconds above 0"),
        (["run", "p.yaml", "--duration", "x"], 2, "'x' is not a valid float"),
        (["run", "p.yaml", "--set", "k-fault.falt=1"], 2, "unknown property 'falt'; did you mean"),
        (["run", "p.yaml", "--report", "no/r.json"], 1, "the folder no does not exist; create it"),
        (["run", "p.yaml", "--report", "."], 1, "--report .: is a folder"),
        (["run", "p.yaml", "--report", f"{'r' * 300}"], 1, "cannot be written: File name too long"),
        (["run", "--filter", "glases"], 2, "--filter: overlay: filter: "),
        (["graph", "none.yaml"], 2, "no such file"),
        (["analyze", "a.mp4"], 2, "missing option '-o'"),
        (["filters", "lst"], 2, "no such command 'lst'"),
        (["filters"], 2, "a command is missing (known: list); see 'vidfilter filters --help'"),
        (["run", "push.yaml"], 2, "push.yaml:3:5: appsrc belongs to a Python program"),
        (["bench", "--frames", "0"], 2, "0 is not in the range x>=1"),
        (["bench", "--rounds", "0"], 2, "0 is not in the range x>=1"),
        (["bench", "--filter", "glases"], 2, "unknown filter 'glases'; did you mean 'glasses'"),
        (["bench", "-i", "none.mp4"], 1, "cannot open none.mp4: it does not exist"),
        (["bench", "-i", "p.yaml"], 1, "p.yaml is no video"),
    ],
)
def test_a_mistake_is_one_line_and_its_kind_is_the_exit_code(
    args: list[str], code: int, words: str, folder: Path, vidfilter: Command
):
    (folder / "push.yaml").write_text(PUSH)
    outcome = vidfilter(*args)
    assert outcome.code == code
    assert words in outcome.error


def test_graph_shows_every_link_and_writes_nothing(folder: Path, vidfilter: Command):
    (folder / "tee.yaml").write_text(
        "version: 1\nstages:\n- k-source\n- tee:\n  - [k-fault, k-file: a]\n  - ['null']\n"
    )
    caps = "yuv420p 16x16 100 fps bt709 limited; 8 frames, blocks when full"
    assert vidfilter("graph", "tee.yaml").out.splitlines() == [
        "k-source",
        f"  +- {caps}",
        "  |  k-fault",
        f"  |    |  {caps}",
        "  |  k-file",
        f"  +- {caps}",
        "     null",
    ]
    dot = vidfilter("graph", "tee.yaml", "--dot").out
    assert dot.startswith("digraph vidfilter {")
    assert f'"k-fault" -> "k-file" [label="{caps}"];' in dot
    links = json.loads(vidfilter("graph", "tee.yaml", "--json").out)["links"]
    assert [(link["from"], link["to"]) for link in links] == [
        ("k-source", "k-fault"),
        ("k-fault", "k-file"),
        ("k-source", "null"),
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["p.yaml", "tee.yaml"]


def test_a_reader_that_goes_away_is_no_error(folder: Path):
    command = f"{sys.executable} {STAGES} inspect | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("filters list >&-", 0, ""),
        ("run p.yaml 2>&-", 0, ""),
        ("run p.yaml 2>/dev/full", 0, ""),
        ("filters list >/dev/full", 1, "cannot write to standard output: No space left on device"),
        ("run p.yaml -q --json >/dev/full", 1, "cannot write to standard output: No space left"),
        ("analyze pixel.ppm -q -o - >&-", 1, "tracks_file: standard output is closed"),
    ],
)
def test_an_output_that_takes_nothing_is_named(command: str, code: int, words: str, folder: Path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (folder / "pixel.ppm").write_bytes(PIXEL)
    done = subprocess.run(
        f"{sys.executable} {STAGES} {command}",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert (folder / "out.bin").exists() == command.startswith("run")
    assert done.stderr.startswith(f"vidfilter: error: {words}" if words else "")
    assert len(done.stderr.splitlines()) == bool(words)


@pytest.mark.parametrize(
    ("there", "flag"), [("talk.mp4", "--input"), ("talk.mkv", "--input"), ("", "--output")]
)
def test_a_film_in_the_place_of_a_pipeline_is_told_where_it_belongs(
    folder: Path, vidfilter: Command, there: str, flag: str
):
    name = there or "new.mp4"
    if there:
        (folder / there).write_bytes(b"\0\xff film")
    outcome = vidfilter("run", name)
    assert outcome.code == 2
    assert outcome.error == f"{name} is no pipeline.yaml; did you mean {flag} {name}?"


def test_a_terminal_shows_progress_and_in_the_end_only_the_summary(folder: Path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, STAGES, "run", "p.yaml", "--set", "k-source.delay_s=0.05"],
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 4096):
            seen += piece
    except OSError:
        pass  # how a pseudo-terminal says that the other end closed
    assert process.wait() == 0
    text = seen.decode()
    assert " of 0:00 " in text
    assert " fps  ETA " in text
    assert text.rstrip().endswith("wrote out.bin")
