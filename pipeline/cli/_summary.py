"""One line of what a pipeline is before it runs, and one of what came of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..outputs import part_path

if TYPE_CHECKING:
    from ..builder import Graph
    from ..ledger import Report
    from ..runner import Pipeline


def outline(graph: Graph) -> str:
    """Return the stages in order, the branches of a tee in brackets, and what the source gives."""
    behind: dict[str, list[str]] = {}
    for link in graph.links:
        behind.setdefault(link.src, []).append(link.dst)

    def chain(ident: str) -> str:
        texts = [chain(following) for following in behind.get(ident, ())]
        rest = texts[0] if len(texts) == 1 else f"[{' | '.join(texts)}]"
        return f"{ident} > {rest}" if texts else ident

    return f"{chain(graph.source.id)}: {graph.links[0].caps}"


def summary(pipeline: Pipeline, report: Report) -> str:
    """Return how many frames took how long, what was dropped, and what was written."""
    captured = max((sink.captured for sink in report.sinks), default=0)
    rate = captured / report.elapsed_s if report.elapsed_s else 0.0
    text = f"{captured} frames in {report.elapsed_s:.1f} s ({rate:.1f} fps), {_dropped(report)}"
    if report.stopped:
        text = f"stopped {'early' if report.stopped == 'drained' else 'at once'}: {text}"
    written = [*_outputs(pipeline), *parts(pipeline)]
    return f"{text}; wrote {', '.join(written)}" if written else text


def _dropped(report: Report) -> str:
    """Return how many frames did not arrive, by sink where a tee has several."""
    total = sum(sink.dropped_total for sink in report.sinks)
    if not total or len(report.sinks) == 1:
        return f"{total} dropped"
    return "dropped: " + ", ".join(f"{sink.dropped_total} by {sink.id}" for sink in report.sinks)


def _paths(pipeline: Pipeline) -> list[Path]:
    ids = [sink.id for sink in pipeline.report().sinks]
    paths = [getattr(pipeline.stage(ident).params, "path", None) for ident in ids]
    return [Path(path) for path in paths if path]


def _outputs(pipeline: Pipeline) -> list[str]:
    return [
        str(path) for path in _paths(pipeline) if _exists(path) and not _exists(part_path(path))
    ]


def parts(pipeline: Pipeline) -> list[str]:
    """Return the files that did not get whole."""
    return [
        f"{part_path(path)} (incomplete)" for path in _paths(pipeline) if _exists(part_path(path))
    ]


def _exists(path: Path) -> bool:
    with contextlib.suppress(OSError):  # such as a name that is too long
        return path.exists()
    return False
