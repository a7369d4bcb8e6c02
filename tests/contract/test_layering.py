"""Who may import whom, and what must not be loaded before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("pipeline", "stages", "models", "filters")
VALUES = {"frame", "caps", "errors", "registry"}
HEAVY = {"av", "cv2", "onnxruntime", "torch", "pyvirtualcam", "sdl2"}


def modules(part: str) -> list[Path]:
    """Return the source files of one part."""
    return sorted((ROOT / part).rglob("*.py"))


def imports(path: Path) -> set[tuple[str, str]]:
    """Return (part, module) of every import of the project in `path`, type-checking ones too."""
    found = set()
    depth = len(path.relative_to(ROOT).parts) - 1
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level > depth:
            part, _, module = (node.module or "").partition(".")
            found |= {(part, module or alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vidfilter."):
            _, part, *module = node.module.split(".")
            found.add((part, ".".join(module)))
    return found


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_only_what_the_design_allows(part):
    wrong = []
    for path in modules(part):
        for other, module in imports(path):
            allowed = {
                "pipeline": False,
                "stages": other == "pipeline" and not module.startswith("cli"),
                "models": other == "pipeline" and module in VALUES,
                "filters": other == "pipeline" and module in VALUES,
            }[part]
            if not allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {other}.{module}")
    assert wrong == []


@pytest.mark.parametrize("path", modules("pipeline"), ids=lambda p: p.stem)
def test_the_runtime_loads_nothing_heavy(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    allowed = {"av"} if path.stem == "bench" else set()
    assert not names & (HEAVY - allowed)


def test_only_its_sink_imports_the_gpl_library():
    users = [
        str(path.relative_to(ROOT))
        for part in PARTS
        for path in modules(part)
        if "import pyvirtualcam" in path.read_text(encoding="utf-8")
    ]
    assert users == ["stages/virtualcam.py"]


def test_help_loads_next_to_nothing():
    code = (
        "import sys\n"
        "from vidfilter.pipeline.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"bad = {sorted(HEAVY | {'numpy', 'pydantic', 'ruamel'})!r}\n"
        "print('LOADED', [name for name in bad if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_public_names_are_sorted_and_all_there():
    import vidfilter.pipeline as package

    assert package.__all__ == sorted(package.__all__)
    assert all(getattr(package, name) is not None for name in package.__all__)
