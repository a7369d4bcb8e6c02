"""Names of the files that sinks write."""

from __future__ import annotations

import os
from pathlib import Path


def part_path(path: str | Path) -> Path:
    """Return the name that `path` has until it is whole: `out.part.mp4` for `out.mp4`."""
    root, extension = os.path.splitext(path)  # noqa: PTH122 - takes any text
    return Path(f"{root}.part{extension}")
