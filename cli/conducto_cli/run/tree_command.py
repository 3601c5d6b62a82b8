"""``conducto tree``: nodes as a tree, each with its state as a word."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import PATHS_HELP, a_count, add_id, add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json, pipeline_document
from conducto_core.run.model.states import FAILED, NodeType, State

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.run.model.requests import NodeView


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.add_argument("paths", metavar="PATH", nargs="*", help=PATHS_HELP)
    parser.add_argument("--depth", metavar="N", type=a_count, help="only N levels below each PATH")
    states = (*(state.value for state in State), "failed", "skipped")
    parser.add_argument("--state", choices=states, help="only Execs in this state")
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target import lookup as selection
    from conducto_cli.target.lookup import find_pipeline
    from conducto_cli.view.model import PipelineModel
    from conducto_cli.view.rows import flat_line, tree_lines
    from conducto_cli.view.session import page, write_lines

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
        write_lines(flat_line(model.rows[view.path], now, marks) for view in views)
        return DONE
    write_lines(tree_lines((model.rows[root] for root in _outermost(roots)), now, marks))
    return DONE


def _views(
    client: Client, pipeline_id: str, roots: list[str], arguments: argparse.Namespace
) -> list[NodeView]:
    """Return the nodes asked for, each once."""
    from conducto_cli.target.lookup import naming_nearest

    found: dict[str, NodeView] = {}
    state = arguments.state if arguments.state in set(State) else None
    for root in roots:
        with naming_nearest(client, pipeline_id, [root]):
            for view in client.tree(pipeline_id, root=root, depth=arguments.depth, state=state):
                found.setdefault(view.path, view)
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
