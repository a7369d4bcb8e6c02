"""What a pipeline can tell of itself: figures while it runs, and the report."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .ledger import Report, SinkRecord, error_record, sink_record
from .stage import Source

if TYPE_CHECKING:
    from ._ending import Ending
    from .builder import Graph


def report(graph: Graph | None, ending: Ending, started_at: float, warnings: list[str]) -> Report:
    """Return what happened so far: per stage, and the fate of each frame per sink."""
    end = ending.ended_at or time.monotonic()
    return Report(
        stages=[node.record() for node in ending.nodes],
        sinks=_sink_records(graph),
        elapsed_s=round(end - started_at, 3) if started_at else 0.0,
        warnings=list(warnings),
        error=error_record(ending.error),
        stopped=ending.manner,
    )


def _sink_records(graph: Graph | None) -> list[SinkRecord]:
    if graph is None:
        return []
    captured = graph.source.frames_in
    return [sink_record(graph.path_to(sink), captured=captured) for sink in graph.sinks]


def snapshot(graph: Graph, started_at: float, *, live: bool) -> dict[str, Any]:
    """Return live figures for a progress display; cheap."""
    source = graph.source
    stage = source.stage
    return {
        "captured": source.frames_in,
        "elapsed_s": time.monotonic() - started_at if started_at else 0.0,
        "time_s": source.last_time_s,
        "total_duration_s": stage.total_duration_s if isinstance(stage, Source) else None,
        "written": {node.id: node.frames_in for node in graph.sinks},
        "dropped": sum(node.dropped_total for node in graph.nodes),
        "live": live,
        "status": stage.status if isinstance(stage, Source) else "",
    }
