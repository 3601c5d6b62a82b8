"""``conducto tree``: nodes as a tree, each with its state as a word."""

import argparse
import time
from collections.abc import Iterable, Iterator

from conducto_cli import selection
from conducto_cli.connection import OpenClient, find_pipeline
from conducto_cli.exit_codes import DONE
from conducto_cli.output import as_json, pipeline_document
from conducto_cli.text.text import Line, Marks
from conducto_cli.view.model import PipelineModel, Row
from conducto_cli.view.tree_lines import _line, _state, tree_lines
from conducto_client import ApiError, Client
from conducto_core.model.requests import NodeView
from conducto_core.model.states import FAILED, NodeType, State

_NOT_FOUND = 404


def tree(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print the nodes below some paths."""
    from conducto_cli.view.session import page, write_lines  # noqa: PLC0415

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


def _flat_line(row: Row, now: float, marks: Marks) -> Line:
    return (_state(row), *_line(row, row.path, now, marks))
