"""A pipeline as HTML, for notebooks."""

import time
from collections.abc import Iterable
from html import escape

from conducto_client.progress import progress_text
from conducto_client.target import Target
from conducto_core.model.params import TreeParams
from conducto_core.model.requests import NodeView, PipelineSummary
from conducto_core.model.states import State

#: Maximum number of nodes that are shown.
MAX_NODES = 200
_COLOURS = {
    State.PENDING: "#888",
    State.QUEUED: "#888",
    State.RUNNING: "#06c",
    State.DONE: "#080",
    State.ERROR: "#c00",
    State.KILLED: "#c00",
}


def html_of(target: Target, pipeline_id: str) -> str:
    """Return a pipeline's state and tree."""
    query = TreeParams(id=pipeline_id, limit=MAX_NODES, attempts="none")
    summary, page = target.read(lambda client: (client.get(pipeline_id), client.nodes(query)))
    return "".join(_parts(summary, page.nodes, is_complete=page.next is None))


def _parts(
    summary: PipelineSummary, nodes: Iterable[NodeView], *, is_complete: bool
) -> Iterable[str]:
    heading = escape(progress_text(summary, time.time()))
    yield f'<div style="font-family:monospace;white-space:pre"><b>{heading}</b>\n'
    for node in nodes:
        yield _line(node)
    if not is_complete:
        yield f"… the first {MAX_NODES} nodes\n"
    yield "</div>"


def _line(node: NodeView) -> str:
    depth = 0 if node.path == "/" else node.path.count("/")
    name = node.path.rpartition("/")[2] or "/"
    note = " (skipped)" if node.skipped else ""
    if node.counts is not None:
        note += f" {node.counts.done:,}/{node.counts.total:,}"
    text = escape(f"{name}  {node.state.value}{note}")
    colour = _COLOURS[node.state]
    return f'{"  " * depth}<span style="color:{colour}">●</span> {text}\n'
