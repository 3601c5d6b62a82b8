"""``conducto usage``: what commands took and cost, by month, pipeline and node."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from conducto_cli.arguments import add_json
from conducto_cli.exit_codes import DONE
from conducto_cli.output import as_json, dollars
from conducto_cli.text.table import table
from conducto_cli.text.text import clip, count_of, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from conducto_cli.argument_parser import Parser
    from conducto_cli.connection import OpenClient
    from conducto_core.model.usage import Charged, MonthSpent, PipelineSpent, Spent, Usage


#: Nodes that are named for each pipeline, the dearest first.
MAX_NODES = 5
_TITLE_COLUMNS = 40


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument(
        "--month", metavar="YYYY-MM", type=_month, help="only this one, with its pipelines' nodes"
    )
    add_json(parser)


_COLUMNS = ("MONTH", "ATTEMPTS", "TIME", "vCPU-HOURS")


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print it; return the exit code."""
    from conducto_core.model.usage import MAX_USAGE_NODES

    with open_client() as client:
        nodes = 0 if arguments.month is None else MAX_NODES
        if arguments.json:
            nodes = MAX_USAGE_NODES
        found = client.usage(arguments.month, nodes=nodes)
    if arguments.json:
        print(as_json(_document(found)))
    else:
        for line in _lines(found, arguments.month):
            print(line)
    return DONE


def _lines(found: Usage, month: str | None) -> Iterator[str]:
    if not found.pipelines:
        yield f"nothing ran in {month}" if month else "nothing ran yet"
        return
    head = (*_COLUMNS[:4], "WORKERS", "TRANSITIONS", "REQUESTS", "DOLLARS")
    yield from table([head, *map(_month_cells, found.months)])
    yield ""
    columns = ("MONTH", "PIPELINE", "ATTEMPTS", "TIME", "vCPU-HOURS", "DOLLARS", "TITLE")
    yield from table([columns, *map(_pipeline_cells, found.pipelines)])
    for pipeline in found.pipelines:
        if pipeline.nodes:
            yield from _node_lines(pipeline)
    yield ""
    yield (
        f"prices of {found.priced} in {found.region}, on demand, for workers from the pull of "
        "their image to their stop; transitions and requests are estimates; storage is on top; "
        "commands on your own machine are free"
    )


def _node_lines(pipeline: PipelineSpent) -> Iterator[str]:
    yield ""
    yield f"{pipeline.id}:"
    rows = [(printable(node.path), *_cells(node)) for node in pipeline.nodes]
    head = ("NODE", "ATTEMPTS", "TIME", "vCPU-HOURS", "DOLLARS")
    yield from (f"  {line}" for line in table([head, *rows]))
    rest = max(0.0, pipeline.dollars - sum(node.dollars for node in pipeline.nodes))
    parts = [count_of(pipeline.more_nodes, "more node")] if pipeline.more_nodes else []
    if rest:
        parts.append("workers that started, waited or were lost")
    if parts:
        yield f"  and {', '.join(parts)}: {dollars(rest)}"
    if pipeline.request_dollars:
        yield (
            f"  state transitions: {dollars(pipeline.transition_dollars)}, "
            f"requests: {dollars(pipeline.request_dollars)}"
        )


def _pipeline_cells(pipeline: PipelineSpent) -> tuple[str, ...]:
    title = clip(printable(pipeline.title), _TITLE_COLUMNS)
    *cells, _ = _cells(pipeline)
    return (pipeline.month, pipeline.id, *cells, dollars(pipeline.total_dollars), title)


def _month_cells(spent: MonthSpent) -> tuple[str, ...]:
    services = (spent.transition_dollars, spent.request_dollars, spent.total_dollars)
    return (spent.month, *_cells(spent), *map(dollars, services))


def _cells(spent: Spent) -> tuple[str, ...]:
    from conducto_core.model.labels import duration

    hours = spent.cpu_seconds / 3600
    return (
        f"{spent.attempts:,}",
        duration(spent.seconds),
        f"{hours:.2f}",
        dollars(spent.dollars),
    )


def _document(found: Usage) -> dict[str, Any]:
    return {
        "prices": {"date": found.priced, "region": found.region},
        "months": {spent.month: _sums(spent) | _services(spent) for spent in found.months},
        "pipelines": [
            {
                "id": spent.id,
                "title": spent.title,
                "month": spent.month,
                **_sums(spent),
                **_services(spent),
                "idle_dollars": spent.idle_dollars,
                "nodes": {node.path: _sums(node) for node in spent.nodes},
            }
            for spent in found.pipelines
        ],
    }


def _services(spent: Charged) -> dict[str, float]:
    names = ("transition_dollars", "request_dollars", "total_dollars")
    return {name: getattr(spent, name) for name in names}


def _sums(spent: Spent) -> dict[str, float]:
    from conducto_core.model.usage import Spent

    return {name: getattr(spent, name) for name in Spent.model_fields}


_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def _month(text: str) -> str:
    if _MONTH.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"must be a month such as 2026-11, got {text!r}")
    return text
