"""``conducto tree``: nodes as a tree, each with its state as a word."""

import argparse
import time
from collections.abc import Iterable, Iterator

from conducto.cli.host import selection
from conducto.cli.host.connection import OpenClient, find_pipeline
from conducto.cli.host.exit_codes import DONE
from conducto.cli.host.output import as_json, pipeline_document
from conducto.cli.host.view.model import PipelineModel, Row
from conducto.cli.host.view.rows import exec_line, group_line
from conducto.cli.host.view.text import Line, Marks, Role, Span, printable
from conducto.client import ApiError, Client
from conducto.model.api import NodeView
from conducto.model.states import FAILED, NodeType, State

_WIDEST_STATE = 8
_NOT_FOUND = 404


def tree(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print the nodes below some paths."""
    from conducto.cli.host.session import page, write_lines  # noqa: PLC0415

    with open_client() as client:
        summary = find_pipeline(client, arguments.id)
        pipeline_id = summary.pipeline.id
        roots = selection.several(client, pipeline_id, arguments.paths or ["/"])
        views = _views(client, pipeline_id, roots, arguments)
    if arguments.json:
        print(as_json(pipeline_document(summary, views)))
        return DONE
    model = PipelineModel(summary)
    model.add(views)
    marks, now = page().marks, time.time()
    if arguments.state is not None:  # a list of paths: they need not be one tree
        write_lines(_flat_line(model.rows[view.path], now, marks) for view in views)
        return DONE
    write_lines(tree_lines((model.rows[root] for root in _outermost(roots)), now, marks))
    return DONE


def _views(
    client: Client, pipeline_id: str, roots: list[str], arguments: argparse.Namespace
) -> list[NodeView]:
    """Return the nodes asked for, each once."""
    found: dict[str, NodeView] = {}
    state = arguments.state if arguments.state in set(State) else None
    for root in roots:
        try:
            for view in client.tree(pipeline_id, root=root, depth=arguments.depth, state=state):
                found.setdefault(view.path, view)
        except ApiError as error:
            if error.status == _NOT_FOUND:
                selection.one(client, pipeline_id, root)  # names the nearest path
            raise
    return [view for view in found.values() if _wanted(view, arguments.state)]


def _wanted(view: NodeView, state: str | None) -> bool:
    if state is None:
        return True
    if view.type is not NodeType.EXEC:
        return False
    if state == "skipped":
        return view.skipped
    return not view.skipped and (view.state in FAILED if state == "failed" else view.state == state)


def _outermost(roots: Iterable[str]) -> Iterator[str]:
    """Yield the paths that are not below another one."""
    kept: list[str] = []
    for root in roots:
        if not any(above in {"/", root} or root.startswith(f"{above}/") for above in kept):
            kept.append(root)
            yield root


def tree_lines(roots: Iterable[Row], now: float, marks: Marks) -> Iterator[Line]:
    """Yield a line for each node of these trees, parents before children."""
    for root in roots:
        stack = [(root, 0)]
        while stack:
            row, depth = stack.pop()
            name = root.path if row is root else row.name
            yield (_state(row), Span("  " * depth), *_line(row, name, now, marks))
            stack += [(child, depth + 1) for child in reversed(row.children.values())]


def _flat_line(row: Row, now: float, marks: Marks) -> Line:
    return (_state(row), *_line(row, row.path, now, marks))


def _state(row: Row) -> Span:
    word = "skipped" if row.skipped else row.state.value
    return Span(f"{word:{_WIDEST_STATE}}", Role.FAINT)


def _line(row: Row, name: str, now: float, marks: Marks) -> Line:
    shown = printable(name)
    if row.is_exec:
        return exec_line(row, shown, now, marks, stated=True)
    return group_line(row, shown, now, marks, opened=bool(row.children), stated=True)
