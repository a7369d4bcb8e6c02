"""Book-keeping: what became of every frame, and how long each stage took."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

REPORT_VERSION = 1
_BUCKETS_PER_OCTAVE = 8
_FIRST_NS = 1_000


class Histogram:
    """Durations in logarithmic buckets: constant memory, percentiles at most 9 % too high."""

    def __init__(self) -> None:
        self._buckets = [0] * (28 * _BUCKETS_PER_OCTAVE)
        self.count = 0
        self.max_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration in nanoseconds."""
        self.count += 1
        if duration_ns > self.max_ns:
            self.max_ns = duration_ns
        octaves = math.log2(duration_ns / _FIRST_NS) if duration_ns > _FIRST_NS else 0.0
        self._buckets[min(int(octaves * _BUCKETS_PER_OCTAVE), len(self._buckets) - 1)] += 1

    def percentile_ms(self, share: float) -> float:
        """Return the duration that `share` (0..1) of the entries do not exceed, in ms."""
        left = share * self.count
        for index, entries in enumerate(self._buckets):
            left -= entries
            if entries and left <= 0:
                upper = _FIRST_NS * 2 ** ((index + 1) / _BUCKETS_PER_OCTAVE)
                return min(upper, self.max_ns) / 1e6
        return 0.0

    def summary(self) -> dict[str, float]:
        """Return p50, p95 and max in ms."""
        return {
            "p50": round(self.percentile_ms(0.5), 3),
            "p95": round(self.percentile_ms(0.95), 3),
            "max": round(self.max_ns / 1e6, 3),
        }


@dataclass(slots=True)
class StageRecord:
    """What one stage did; `ms` is wall time per frame, `cpu_ms` its thread's total."""

    id: str
    name: str
    frames_in: int
    frames_out: int
    dropped: dict[str, int]
    repeated: int
    queue: dict[str, Any] | None
    ms: dict[str, float]
    cpu_ms: float
    tags: dict[str, Any]


@dataclass(slots=True)
class SinkRecord:
    """The fate of every captured frame at one sink; `unaccounted` is 0 unless we lost count."""

    id: str
    name: str
    lossless: bool
    captured: int
    written: int
    dropped: list[dict[str, Any]]
    lost_at_stop: int
    repeated: int
    unaccounted: int
    latency_ms: dict[str, float]

    @property
    def dropped_total(self) -> int:
        """Frames dropped on the way to this sink, whatever the cause."""
        return sum(entry["count"] for entry in self.dropped)


@dataclass(slots=True)
class Report:
    """The whole run; `to_json` is what `--report` writes (schema in docs/report.md)."""

    stages: list[StageRecord] = field(default_factory=list)
    sinks: list[SinkRecord] = field(default_factory=list)
    elapsed_s: float = 0.0
    warnings: list[str] = field(default_factory=list)
    error: dict[str, Any] | None = None
    stopped: str | None = None

    def problems(self) -> list[str]:
        """Return what `--strict` objects to, one line each."""
        found = [f"{s.id}: {s.unaccounted} frames unaccounted for" for s in self.unbalanced()]
        for sink in self.sinks:
            lost = sink.dropped_total + sink.lost_at_stop
            if sink.lossless and lost:
                found.append(f"{sink.id}: {lost} of {sink.captured} frames lost")
        for stage in self.stages:
            if stage.tags.get("lost_packets"):
                found.append(f"{stage.id}: {stage.tags['lost_packets']} packets of sound lost")
        if any(bool(stage.tags.get("truncated")) for stage in self.stages):
            found.append("the input is damaged or ends early")
        return found

    def unbalanced(self) -> list[SinkRecord]:
        """Return the sinks whose sums do not add up."""
        return [sink for sink in self.sinks if sink.unaccounted]

    def to_json(self) -> str:
        """Return the report as JSON text."""
        body = {"version": REPORT_VERSION, **asdict(self), "problems": self.problems()}
        return json.dumps(body, indent=2, default=str) + "\n"


def sink_record(path: list[Any], *, captured: int) -> SinkRecord:
    """Add up the fates along `path`, the nodes from the source to a sink.

    Every term is counted where it happens, none by subtraction, so that a frame that vanished
    shows up as `unaccounted`.
    """
    sink = path[-1]
    causes: Counter[tuple[str, str]] = Counter()
    lost = 0
    for node in path:
        for cause, count in node.dropped.items():
            causes[node.id, cause] += count
        lost += node.lost
        if node.inbox is not None:
            stats = node.inbox.stats()
            lost += stats.flushed + stats.level + node.refused
            if stats.leaked:
                causes[node.id, "queue full"] += stats.leaked
    written = sink.frames_in - sum(sink.dropped.values()) - sink.lost
    dropped = [{"stage": s, "cause": c, "count": n} for (s, c), n in causes.items()]
    total = written + lost + sum(causes.values())
    return SinkRecord(
        id=sink.id,
        name=sink.name,
        lossless=sink.stage.lossless,
        captured=captured,
        written=written,
        dropped=dropped,
        lost_at_stop=lost,
        repeated=sink.repeated,
        unaccounted=captured - total,
        latency_ms=sink.latency.summary(),
    )


def error_record(error: BaseException | None) -> dict[str, Any] | None:
    """Return what the report says of the first error."""
    if error is None:
        return None
    return {
        "stage": getattr(error, "stage", None),
        "kind": type(error).__name__,
        "message": str(error),
        "stack": getattr(error, "stack", ""),
    }
