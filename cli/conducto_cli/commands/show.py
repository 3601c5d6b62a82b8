"""The verbs that look at pipelines, and their data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.arguments import (
    ID_HELP,
    PATHS_HELP,
    a_count,
    a_positive,
    add_id,
    add_json,
    add_verb,
)

if TYPE_CHECKING:
    import argparse

    from conducto_cli.arguments import Verbs
    from conducto_client import Client
    from conducto_core.model.requests import PipelineSummary
import sys
import time

from conducto_cli import selection
from conducto_cli.commands.export import _add_export
from conducto_cli.commands.list import _STATES
from conducto_cli.commands.logs import _add_logs
from conducto_cli.connection import OpenClient, find_pipeline
from conducto_cli.exit_codes import DONE
from conducto_cli.output import as_json, pipeline_document
from conducto_cli.references import UsageError
from conducto_cli.text.text import printable
from conducto_cli.view.model import PipelineModel
from conducto_cli.view.rows import counts_line, header_line, place, problem_lines
from conducto_core.model.labels import failure_text


def add_looks(verbs: Verbs) -> None:
    """Add what shows one pipeline, its nodes and their output."""
    _add_show(verbs)

    tree = add_verb(verbs, "tree", "print the nodes of a pipeline and how they stand")
    add_id(tree)
    tree.add_argument("paths", metavar="PATH", nargs="*", help=PATHS_HELP)
    tree.add_argument("--depth", metavar="N", type=a_count, help="only N levels below each PATH")
    tree.add_argument(
        "--state", choices=(*_STATES, "failed", "skipped"), help="only Execs in this state"
    )

    diff = add_verb(
        verbs,
        "diff",
        "show what changed between two attempts of a node",
        "The command, environment, image and limits, how it ended, and what it printed. "
        "Without numbers: the last two attempts; with one: that and the newest.",
    )
    add_id(diff)
    diff.add_argument("path", metavar="PATH", help="an Exec")
    diff.add_argument("first", metavar="A", nargs="?", type=a_positive, help="an attempt's number")
    diff.add_argument("second", metavar="B", nargs="?", type=a_positive, help="another's")
    add_json(tree, diff)
    _add_logs(verbs)
    _add_export(verbs)


def _add_show(verbs: Verbs) -> None:
    show = add_verb(
        verbs,
        "show",
        "show a pipeline, or all about one node",
        "On a terminal it is live, and keys act on the pipeline ('?' lists them). It stays until "
        "the pipeline settles, like --local --run, and ends with the same exit code; one that has "
        "settled stays until you leave with 'q'. Elsewhere it prints the tree once.",
    )
    show.add_argument(
        "id", metavar="ID", nargs="?", help=f"{ID_HELP}; --app without it opens the list"
    )
    show.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="a node: where its parameters come from, its attempts",
    )
    show.add_argument(
        "--failed",
        action="store_true",
        help="only list what failed: Execs, and groups that timed out",
    )
    show.add_argument("--once", action="store_true", help="print the tree once and return")
    show.add_argument("--plain", action="store_true", help="stay, but print lines, no live picture")
    show.add_argument(
        "--app",
        action="store_true",
        help="open its page in a browser, signed in; print its address and a code to sign in with",
    )
    show.add_argument("--json", action="store_true", help="everything, with all attempts")


def show(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print or watch one pipeline, or print all about one node."""
    if arguments.app:
        return _show_app(arguments.id, open_client)
    if arguments.id is None:
        raise UsageError("no pipeline is named; 'conducto list' lists them, --app in a browser")
    with open_client() as client:
        summary = find_pipeline(client, arguments.id)
        pipeline_id = summary.pipeline.id
        if arguments.path is not None:
            from conducto_cli.view.node_detail import show_node  # noqa: PLC0415

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
    from conducto_cli.view.session import stay  # noqa: PLC0415

    return stay(open_client, pipeline_id, plain=arguments.plain, since=time.time(), linger=True)


def _show_app(named: str | None, open_client: OpenClient) -> int:
    from conducto_cli.web_page import open_page  # noqa: PLC0415

    with open_client() as client:
        found = None if named is None else find_pipeline(client, named).pipeline.id
        page = open_page(client, found)
    print(page.address)
    print(page.code_line())
    return DONE


def _loaded(client: Client, summary: PipelineSummary) -> PipelineModel:
    model = PipelineModel(summary)
    model.add(client.tree(summary.pipeline.id, attempts="newest"))
    return model


def _show_failed(client: Client, summary: PipelineSummary) -> int:
    found = False
    for view in selection.failed(client, summary.pipeline.id, attempts="newest"):
        found = True
        facts = (printable(view.path), printable(failure_text(view)), place(view.file, view.line))
        print("  ".join(fact for fact in facts if fact))
    if not found:
        print("nothing failed", file=sys.stderr)
    return DONE


def _show_once(client: Client, summary: PipelineSummary) -> int:
    from conducto_cli.view.session import page, write_lines  # noqa: PLC0415
    from conducto_cli.view.tree_lines import tree_lines  # noqa: PLC0415

    model = _loaded(client, summary)
    marks, now, columns = page().marks, time.time(), page().columns
    head = [header_line(model, now, marks), counts_line(summary.counts)]
    write_lines([*head, *problem_lines(model, columns)])
    if model.root is not None:
        write_lines(tree_lines([model.root], now, marks))
    return DONE
