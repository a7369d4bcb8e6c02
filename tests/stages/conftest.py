"""A pipeline's side of a stage, for tests that run one stage alone."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from vidfilter.pipeline.clock import Clock
from vidfilter.pipeline.frame import Frame


@dataclass
class RecordingContext:
    """A `Context` that keeps what the stage says; `stop` is what the runner would set."""

    stage_id: str = "stage"
    realtime: bool = False
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)
    dropped: list[tuple[Frame, str]] = field(default_factory=list)
    repeated: int = 0
    tags: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Clock = field(default_factory=Clock)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def info(self, text: str) -> None:
        self.infos.append(text)

    def drop(self, frame: Frame, cause: str) -> None:
        self.dropped.append((frame, cause))

    def repeat(self, count: int = 1) -> None:
        self.repeated += count

    def tag(self, key: str, value: Any) -> None:
        self.tags[key] = value

    def request(self, action: str, value: Any = None) -> None:
        self.requests.append((action, value))

    def wait(self, seconds: float) -> bool:
        return self.stop.wait(max(seconds, 0.0))

    def wait_until(self, time_s: float, duration_s: float) -> float:
        wait_s = self.clock.due(time_s, duration_s)
        if wait_s > 0:
            self.wait(wait_s)
        return max(-wait_s, 0.0)

    @property
    def stopping(self) -> bool:
        return self.stop.is_set()

    @property
    def causes(self) -> dict[str, int]:
        """How many frames were dropped by cause."""
        return dict(Counter(cause for _, cause in self.dropped))


def wait_for(condition: Callable[[], Any], timeout_s: float = 10.0) -> bool:
    """Wait until `condition()` is true; returns whether it became so."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def eventually() -> Callable[..., bool]:
    return wait_for


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()
