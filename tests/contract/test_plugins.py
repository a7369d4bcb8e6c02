"""Stages of other packages come in through the entry-point group `vidfilter.stages`."""

from __future__ import annotations

import subprocess
import sys

PLUGIN = """
from vidfilter.pipeline import Transform

class Invert(Transform):
    '''Turn brightness around.'''

    def process(self, frame):
        copy = frame.writable()
        copy.planes[0][:] = 255 - copy.planes[0]
        return copy
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


def test_a_stage_of_another_package_is_found_by_its_name(tmp_path):
    (tmp_path / "other_package.py").write_text(PLUGIN, encoding="utf-8")
    info = tmp_path / "other_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vidfilter.stages]\ninvert = other_package:Invert\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "same stage, other package"
