"""``conducto show``: a pipeline, or all about one node."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import ID_HELP
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json, pipeline_document
from conducto_cli.run.open_command import show_page
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_cli.view.model import PipelineModel
    from conducto_client import Client
    from conducto_core.run.model.requests import PipelineSummary


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "id", metavar="ID", nargs="?", help=f"{ID_HELP}; --app without it opens the list"
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="a node: where its parameters come from, its attempts",
    )
    parser.add_argument(
        "--failed",
        action="store_true",
        help="only list failures: Execs, and groups that timed out",
    )
    parser.add_argument("--once", action="store_true", help="print the tree once and return")
    parser.add_argument(
        "--plain", action="store_true", help="stay, but print lines, no live picture"
    )
    parser.add_argument(
        "--app",
        action="store_true",
        help="open its page in a browser, as 'conducto open' does",
    )
    parser.add_argument("--json", action="store_true", help="everything, with all attempts")


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target import lookup as selection
    from conducto_cli.target.lookup import find_pipeline

    if arguments.app:
        return show_page(arguments.id, open_client)
    if arguments.id is None:
        raise UsageError("no pipeline is named; 'conducto list' lists them")
    with open_client() as client:
        summary = find_pipeline(client, arguments.id)
        pipeline_id = summary.pipeline.id
        if arguments.path is not None:
            from conducto_cli.run.node_detail import show_node

            return show_node(client, pipeline_id, arguments.path, json=arguments.json)
        if arguments.json:
            only = selection.failed(client, pipeline_id, attempts="all")
            nodes = only if arguments.failed else client.tree(pipeline_id)
            print(as_json(pipeline_document(summary, nodes)))
            return DONE
        if arguments.failed:
            return _show_failed(client, summary)
        if arguments.once or (not sys.stdout.isatty() and not arguments.plain):
            return _show_once(client, summary)
    from conducto_cli.view.session import watch_pipeline

    return watch_pipeline(
        open_client, pipeline_id, plain=arguments.plain, since=time.time(), linger=True
    )


def _loaded(client: Client, summary: PipelineSummary) -> PipelineModel:
    from conducto_cli.view.model import PipelineModel

    model = PipelineModel(summary)
    model.add(client.tree(summary.pipeline.id, attempts="newest"))
    return model


def _show_failed(client: Client, summary: PipelineSummary) -> int:
    from conducto_cli.target import lookup as selection
    from conducto_cli.view.rows import place
    from conducto_core.run.model.labels import failure_text

    found = False
    for view in selection.failed(client, summary.pipeline.id, attempts="newest"):
        found = True
        facts = (printable(view.path), printable(failure_text(view)), place(view.file, view.line))
        print("  ".join(fact for fact in facts if fact))
    if not found:
        print("nothing failed", file=sys.stderr)
    return DONE


def _show_once(client: Client, summary: PipelineSummary) -> int:
    from conducto_cli.view.rows import (
        approval_lines,
        counts_line,
        header_line,
        parent_lines,
        problem_lines,
        tree_lines,
    )
    from conducto_cli.view.session import page, write_lines

    model = _loaded(client, summary)
    marks, now, columns = page().marks, time.time(), page().columns
    head = [header_line(model, now, marks), counts_line(summary.counts)]
    write_lines([*head, *parent_lines(summary.pipeline), *problem_lines(model, columns)])
    write_lines(approval_lines(model))
    if model.root is not None:
        write_lines(tree_lines([model.root], now, marks))
    return DONE
