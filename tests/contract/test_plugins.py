"""Stages of other packages come in through the entry-point group `vidfilter.stages`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PLUGIN = """
from vidfilter.pipeline import Transform

class Invert(Transform):
    '''Turn brightness around.'''

    def process(self, frame):
        copy = frame.writable()
        copy.planes[0][:] = 255 - copy.planes[0]
        return copy

NUMBER = 3
"""
PROGRAM = """
from vidfilter.pipeline import Pipeline, PipelineSpec, StageSpec

def means(*names):
    source = {"source": "test", "width": 64, "height": 48, "duration": 0.1}
    specs = [StageSpec("capture", "capture", source)]
    specs += [StageSpec(name, name) for name in names]
    return [float(f.planes[0].mean()) for f in Pipeline(PipelineSpec(tuple(specs))).frames()]

for plain, inverted in zip(means("appsink"), means("invert", "appsink"), strict=True):
    assert abs(plain + inverted - 255) < 1e-6
print("same stage, other package")
"""


ENTRIES = """[vidfilter.stages]
invert = other_package:Invert
capture = other_package:Invert
absent = other_package:Nothing
number = other_package:NUMBER
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the other package installed in `folder`."""
    (folder / "other_package.py").write_text(PLUGIN, encoding="utf-8")
    info = folder / "other_package-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    return subprocess.run(
        [sys.executable, *command],
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_stage_of_another_package_is_found_by_its_name(tmp_path):
    done = run(tmp_path, "-c", PROGRAM)
    assert done.stderr == ""
    assert done.stdout.strip() == "same stage, other package"


def test_what_another_package_does_wrong_is_named_and_harms_nobody_else(tmp_path):
    done = run(tmp_path, "-m", "vidfilter.pipeline", "inspect")
    assert done.returncode == 0
    assert "  invert " in done.stdout
    assert "  absent " not in done.stdout
    for name, words in (
        ("absent", "AttributeError: module 'other_package' has no attribute 'Nothing'"),
        ("number", "other_package:NUMBER is no stage"),
    ):
        done = run(tmp_path, "-m", "vidfilter.pipeline", "inspect", name)
        assert done.returncode == 2
        assert done.stderr == f"vidfilter: error: stage {name} cannot be loaded: {words}\n"
