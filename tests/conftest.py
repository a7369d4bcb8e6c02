"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"real clips and data are not here (no {name} folder beside the project)")
    return folder


@pytest.fixture
def shared_media() -> Path:
    """The folder of real clips, or skip."""
    return _shared("media")


@pytest.fixture
def shared_data() -> Path:
    """The folder of real face data, or skip."""
    return _shared("data")
