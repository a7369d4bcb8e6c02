"""Two programs measured in turns: one stands still while the other runs, and none is left over."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from vidfilter.pipeline._turns import Measurement, Turns, compare
from vidfilter.pipeline.errors import MediaError

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGSTOP"), reason="no program can be halted from outside here"
)
TALK = """
    import json, os, sys
    def tell(what):
        sys.stdout.write(json.dumps(what) + "\\n")
        sys.stdout.flush()
    def result(frames, cpu_s):
        keys = ("frames", "cpu_s", "peak_mb", "early_mb", "end_mb")
        tell(dict(zip(keys, (frames, cpu_s, 3.0, 1.0, 2.0))) | {"threads_s": {"detect": 0.5}})
"""
# Writes its mark into one file with the other all the time, and tells of a slice now and then.
SCRIBBLER = """
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    tell(None)
    for slice in range(1, 5):
        for _ in range(300):
            os.write(file, sys.argv[2].encode())
        tell([slice * 10, slice * float(sys.argv[3])])
    result(40, 4 * float(sys.argv[3]))
"""


def program(body: str, *args: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(TALK) + textwrap.dedent(body), *args]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_stands_still_while_the_other_runs(tmp_path: Path):
    marks = tmp_path / "marks"
    bare, ours = (program(SCRIBBLER, str(marks), *of) for of in (("a", "0.1"), ("b", "0.3")))
    (comparison,) = compare(bare, ours, 1)
    text = marks.read_text()
    assert (text.count("a"), text.count("b")) == (1200, 1200)
    # Both wrote all the time; had they run at once, they would have changed places for ever.
    changes = sum(x != y for x, y in itertools.pairwise(text))
    assert changes <= 10
    assert [s.frames for s in comparison.bare[0].slices] == [10] * 4
    assert comparison.extras_ms == pytest.approx([20.0])
    assert comparison.extra_by_slice_ms == pytest.approx([20.0] * 4)
    assert comparison.threads_ms == {"detect": 12.5}


def test_time_spent_standing_still_does_not_count():
    dawdling = """
        import time
        tell(None)
        time.sleep(0.5)
        tell([10, 0.1])
        result(10, 0.1)
    """
    quick = "tell(None); tell([10, 0.1]); result(10, 0.1)"
    (comparison,) = compare(program(quick), program(dawdling), 1)
    bare, ours = comparison.bare[0], comparison.ours[0]
    assert bare.wall_s < ours.wall_s
    assert ours.wall_s == pytest.approx(ours.slices[0].wall_s, rel=0.5)


def test_the_median_round_counts_and_every_round_is_shown():
    def run(cpu_s: float, wall_s: float) -> Measurement:
        return Measurement(100, cpu_s, 0.0, 0.0, 0.0, wall_s)

    from vidfilter.pipeline._turns import Comparison

    bare = (run(1.0, 1.0), run(1.0, 1.0), run(1.0, 1.0))
    ours = (run(1.1, 1.25), run(1.9, 2.0), run(1.2, 1.0))
    summary = Comparison(bare, ours).summary()
    assert summary["extra_cpu_ms_per_frame"] == pytest.approx(2.0)
    assert summary["bare_cpu_ms_per_frame"] == pytest.approx(10.0)
    assert summary["extra_cpu_share"] == pytest.approx(0.2)
    assert summary["extra_by_round"] == pytest.approx([1.0, 9.0, 2.0])
    assert summary["ratio"] == pytest.approx(0.8)
    assert summary["ratio_by_round"] == pytest.approx([0.8, 0.5, 1.0])


@pytest.mark.parametrize("when", ["tell(None)", "tell(None); tell([10, 0.1])"])
def test_a_run_that_fails_is_named_and_the_other_one_is_gone(when: str, tmp_path: Path):
    note = tmp_path / "pid"
    lasting = f"""
        open({str(note)!r}, "w").write(str(os.getpid()))
        tell(None)
        while True:
            tell([10, 0.1])
    """
    failing = f"{when}; sys.exit('no more pictures')"
    with pytest.raises(MediaError, match="failed: no more pictures"):
        list(compare(program(lasting), program(failing), 1))
    assert not alive(int(note.read_text()))


def test_a_run_that_cannot_even_start_is_named():
    with pytest.raises(MediaError, match="failed: nothing to see"):
        Turns(program("sys.exit('nothing to see')"))
