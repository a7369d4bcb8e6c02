"""`vidfilter graph`: the stages of a pipeline and what flows between them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ._options import load, pipeline_options
from ._output import Output, output_options

if TYPE_CHECKING:
    from ..builder import Graph, Link


@click.command("graph")
@pipeline_options
@click.option("--dot", is_flag=True, help="Write it in the DOT language of Graphviz.")
@output_options()
@click.pass_obj
def command(console: Output, /, pipeline: str | None, dot: bool, **options: Any) -> None:
    """Show PIPELINE's stages and the format on every link, converters included.

    The source is opened, since the format depends on it; nothing is written.
    """
    spec = load(pipeline, options)
    from ..runner import Pipeline

    graph = Pipeline(spec).prepare()
    for node in graph.nodes:
        node.stage.stop()
    links = [_link(link) for link in graph.links]
    text = as_dot(graph) if dot else as_text(graph)
    console.result(text, {"nodes": [_node(node) for node in graph.nodes], "links": links})


def _node(node: Any) -> dict[str, Any]:
    return {"id": node.id, "stage": node.name, "properties": node.stage.params.model_dump()}


def _link(link: Link) -> dict[str, Any]:
    return {"from": link.src, "to": link.dst, "caps": str(link.caps), "queue": _queue(link)}


def _queue(link: Link) -> str:
    full = {"none": "blocks", "upstream": "drops new", "downstream": "drops old"}
    return f"{link.queue.max_frames} frames, {full[link.queue.leaky.value]} when full"


def as_text(graph: Graph) -> str:
    """Return the graph as an indented tree, source first."""
    return "\n".join(_tree(graph, graph.nodes[0], ""))


def _tree(graph: Graph, node: Any, indent: str) -> list[str]:
    name = node.id if node.id == node.name else f"{node.id} ({node.name})"
    lines = [f"{indent}{name}"]
    links = [link for link in graph.links if link.src == node.id]
    for link in links:
        fork, deeper = "  |  ", indent
        if len(links) > 1:
            fork, deeper = "  +- ", indent + ("  |  " if link is not links[-1] else "     ")
        lines.append(f"{indent}{fork}{link.caps}; {_queue(link)}")
        lines += _tree(graph, next(n for n in graph.nodes if n.id == link.dst), deeper)
    return lines


def as_dot(graph: Graph) -> str:
    """Return the graph in the DOT language."""
    lines = ["digraph vidfilter {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [f"  {json.dumps(node.id)};" for node in graph.nodes]
    for link in graph.links:
        ends = f"{json.dumps(link.src)} -> {json.dumps(link.dst)}"
        lines.append(f"  {ends} [label={json.dumps(f'{link.caps}; {_queue(link)}')}];")
    return "\n".join([*lines, "}"])
