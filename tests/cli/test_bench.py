"""`vidfilter bench`: both runs whole, and figures that fit together."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from giving import Command, start

from vidfilter.pipeline import _turns, bench


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_bench_measures_both_runs_in_turns(vidfilter: Command, tmp_path: Path):
    clip = tmp_path / "clip.mp4"
    bench.make_clip(clip, 260, 320, 240)
    outcome = vidfilter("bench", "-i", str(clip), "--frames", "260", "--rounds", "2", "--json")
    assert outcome.code == 0, outcome.error
    found = json.loads(outcome.out)
    assert [run["frames"] for run in found["bare"] + found["ours"]] == [260] * 4
    assert all(run["fps"] > 0 and run["cpu_s"] > 0 for run in found["bare"] + found["ours"])
    assert min(found["extra_by_round"]) <= found["extra_cpu_ms_per_frame"]
    assert found["extra_cpu_ms_per_frame"] <= max(found["extra_by_round"])
    names = ["capture", "detect", "landmarks", "smooth", "overlay", "file"]
    assert list(found["stage_threads_ms"]) == names
    # What our threads use is part of what the whole run uses.
    most = max(1e3 * run["cpu_s"] / run["frames"] for run in found["ours"])
    assert 0 < sum(found["stage_threads_ms"].values()) < most
    if _turns._HALT is not None:
        assert len(found["extra_by_slice"]) >= 2


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_bench_says_what_it_found(vidfilter: Command):
    outcome = vidfilter("bench", "--frames", "40", "--rounds", "1")
    assert outcome.code == 0, outcome.error
    said = (
        "of bare decode-encode",
        "ms per frame",
        "ms that these cost",
        "landmarks",
        "MB at most",
    )
    for words in said:
        assert words in outcome.out


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks Linux for the children")
def test_bench_that_is_terminated_leaves_no_halted_run_behind(tmp_path: Path):
    clip = tmp_path / "clip.mp4"
    bench.make_clip(clip, 60, 320, 240)
    with start(["bench", "-i", str(clip), "--frames", "3000"]) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(runs := children.read_text().split()) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 143
    # One that had hardly begun ends by itself; one that stands still would stay for ever.
    while any(Path(f"/proc/{run}").exists() for run in runs):
        time.sleep(0.05)
