"""What several tests of trainings learn from."""

from __future__ import annotations

from pathlib import Path

import pytest
from rendered_set import write_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set in the published formats."""
    return write_set(tmp_path_factory.mktemp("data"))
