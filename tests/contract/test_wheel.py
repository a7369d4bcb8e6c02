"""The installed package holds every file of the tree: the list of packages is written by hand."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import vidfilter.pipeline

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = Path(vidfilter.pipeline.__path__[0]).parent
PARTS = ("pipeline", "stages", "models", "filters")
SHIPPED = {".py", ".yaml", ".png", ".svg", ".onnx", ".json", ".md", ".txt", ".typed"}


def shipped(root: Path) -> set[str]:
    """Return what should be in the wheel below `root`, as relative paths."""
    return {
        str(path.relative_to(root))
        for part in PARTS
        for path in (root / part).rglob("*")
        if path.is_file() and (path.suffix in SHIPPED or path.name in {"py.typed", "MODEL-LICENSE"})
    }


def test_the_installed_package_holds_every_file_of_the_tree():
    if INSTALLED == ROOT:
        pytest.skip("installed in editable mode: the tree itself is what runs")
    assert shipped(INSTALLED) == shipped(ROOT)


def test_every_folder_with_code_is_a_listed_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(settings["tool"]["setuptools"]["packages"])
    folders = {
        path.parent.relative_to(ROOT) for part in PARTS for path in (ROOT / part).rglob("*.py")
    }
    assert {"vidfilter." + ".".join(folder.parts) for folder in folders} == listed


def test_the_top_level_is_as_promised():
    visible = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    expected = {
        *PARTS, "tests", "pipeline.yaml", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE",
        "NOTICE", "CONTRIBUTING.md", "docs",
    }  # fmt: skip
    extra = {name for name in visible - expected if not name.endswith((".egg-info", ".mp4"))}
    assert expected <= visible
    assert extra <= {"build", "dist"}
