"""``conducto usage``: what commands took and cost, by month, pipeline and node."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import ID_HELP, add_json
from conducto_cli.app.records import show
from conducto_cli.text.text import clip, count_of, printable, table
from conducto_core.run.model.labels import in_dollars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.billing.model import (
        Charged,
        MonthSpent,
        NodeSpent,
        PipelineCost,
        PipelineSpent,
        ProgramSpent,
        Spent,
        Usage,
    )


#: Nodes that are named for each pipeline, the dearest first.
MAX_NODES = 5
_TITLE_COLUMNS = 40


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "id", metavar="ID", nargs="?", help=f"{ID_HELP}; its cost since its launch, by node"
    )
    parser.add_argument(
        "--month", metavar="YYYY-MM", type=_month, help="only this one, with its pipelines' nodes"
    )
    add_json(parser)


_COLUMNS = ("MONTH", "ATTEMPTS", "TIME", "vCPU-HOURS")


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_core.billing.model import MAX_USAGE_NODES

    if arguments.id is not None:
        return _print_cost(arguments, open_client)
    with open_client() as client:
        nodes = 0 if arguments.month is None else MAX_NODES
        if arguments.json:
            nodes = MAX_USAGE_NODES
        found = client.usage(arguments.month, nodes=nodes)
    return show(arguments, _document(found), _lines(found, arguments.month))


def _print_cost(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto.errors import UsageError
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.billing.model import COST_NODES, MAX_USAGE_NODES

    if arguments.month is not None:
        raise UsageError("the cost of a pipeline is that of all months; omit the ID or --month")
    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        nodes = MAX_USAGE_NODES if arguments.json else COST_NODES
        found = client.cost(pipeline_id, nodes=nodes)
    return show(arguments, _cost_document(found), _cost_lines(found))


def _cost_lines(found: PipelineCost) -> Iterator[str]:
    yield f"{found.id}: {printable(found.title)}"
    yield ""
    if not found.nodes:
        yield "no command has ended yet"
    else:
        yield from _node_table(found.nodes)
        if found.more_nodes:
            more = "" if found.free else f": {in_dollars(found.more_dollars)}"
            yield f"and {count_of(found.more_nodes, 'more node')}{more}"
    if found.running:
        yield f"{count_of(found.running, 'command')} running: they are counted when they end"
    yield ""
    if found.free:
        yield "commands on your own machine are free"
        return
    named = found.dollars - found.idle_dollars
    own = [] if found.price is None else [("price for the organisation", in_dollars(found.price))]
    rows = [
        ("commands", in_dollars(named)),
        ("idle workers", in_dollars(found.idle_dollars)),
        ("requests", in_dollars(found.request_dollars)),
        ("state transitions", in_dollars(found.transition_dollars)),
        ("storage", in_dollars(found.storage_dollars)),
        ("together", in_dollars(found.total_dollars)),
        *own,
    ]
    yield from table([("COST", "DOLLARS"), *rows])
    yield ""
    yield _prices(found.priced, found.region)


def _cost_document(found: PipelineCost) -> dict[str, Any]:
    names = ("id", "title", "free", "idle_dollars", "running", "object_bytes", "file_bytes")
    return {
        **{name: getattr(found, name) for name in names},
        "prices": {"date": found.priced, "region": found.region},
        **_sums(found),
        **_services(found),
        "nodes": {node.path: _sums(node) for node in found.nodes},
    }


def _prices(date: str, region: str) -> str:
    from conducto_core.workers.rules.fargate import PRICES

    files = f"{in_dollars(PRICES.file_read)} and {in_dollars(PRICES.file_write)} a GB"
    return (
        f"prices of {date} in {region}, on demand, for workers from the pull of their image to "
        "their stop; transitions, requests and storage are estimates; not included: data of users, "
        f"reading and writing of files ({files}), images and their builds, logs of "
        "functions, traffic, backups and tax"
    )


def _lines(found: Usage, month: str | None) -> Iterator[str]:
    if not found.pipelines:
        yield f"nothing ran in {month}" if month else "nothing ran yet"
        return
    is_billed = any(each.price is not None for each in found.months)
    amounts = ("PRICE", "AWS") if is_billed else ("DOLLARS",)
    head = (*_COLUMNS[:4], "WORKERS", "TRANSITIONS", "REQUESTS", "STORAGE", *amounts)
    yield from table([head, *map(_month_cells, found.months)])
    yield ""
    columns = ("MONTH", "PROGRAM", "PIPELINES", "ATTEMPTS", "TIME", "vCPU-HOURS", *amounts)
    yield from table([columns, *map(_program_cells, found.programs)])
    yield ""
    columns = ("MONTH", "PIPELINE", "ATTEMPTS", "TIME", "vCPU-HOURS", *amounts, "TITLE")
    yield from table([columns, *map(_pipeline_cells, found.pipelines)])
    for pipeline in found.pipelines:
        if pipeline.nodes:
            yield from _node_lines(pipeline)
    yield ""
    if is_billed:
        yield (
            "PRICE is what the organisation pays for workers, at the prices of its subscription; "
            "AWS and the other amounts are AWS's prices. Bill: conducto billing show"
        )
    yield f"{_prices(found.priced, found.region)}; commands on your own machine are free"


def _node_lines(pipeline: PipelineSpent) -> Iterator[str]:
    yield ""
    yield f"{pipeline.id}:"
    yield from (f"  {line}" for line in _node_table(pipeline.nodes))
    rest = max(0.0, pipeline.dollars - sum(node.dollars for node in pipeline.nodes))
    parts = [count_of(pipeline.more_nodes, "more node")] if pipeline.more_nodes else []
    if rest:
        parts.append("workers that started, waited or were lost")
    if parts:
        yield f"  and {', '.join(parts)}: {in_dollars(rest)}"
    if pipeline.request_dollars:
        yield (
            f"  state transitions: {in_dollars(pipeline.transition_dollars)}, "
            f"requests: {in_dollars(pipeline.request_dollars)}, "
            f"storage: {in_dollars(pipeline.storage_dollars)}"
        )


def _node_table(nodes: Sequence[NodeSpent]) -> Iterator[str]:
    rows = [(printable(node.path), *_cells(node)) for node in nodes]
    yield from table([("NODE", "ATTEMPTS", "TIME", "vCPU-HOURS", "DOLLARS"), *rows])


def _program_cells(program: ProgramSpent) -> tuple[str, ...]:
    from conducto_core.run.model.labels import duration

    name = program.title
    if program.program is not None and program.function is not None:
        script = program.program.replace("\\", "/").rsplit("/", 1)[-1]
        name = f"{script} {program.function}"
    return (
        program.month,
        clip(printable(name), _TITLE_COLUMNS),
        f"{program.pipelines:,}",
        f"{program.attempts:,}",
        duration(program.seconds),
        f"{program.cpu_seconds / 3600:.2f}",
        *_amounts(program),
    )


def _amounts(spent: Charged) -> tuple[str, ...]:
    """Return the price for the organisation, if it is billed, and the cost at AWS's prices."""
    own = () if spent.price is None else (in_dollars(spent.price),)
    return (*own, in_dollars(spent.total_dollars))


def _pipeline_cells(pipeline: PipelineSpent) -> tuple[str, ...]:
    title = clip(printable(pipeline.title), _TITLE_COLUMNS)
    *cells, _ = _cells(pipeline)
    return (pipeline.month, pipeline.id, *cells, *_amounts(pipeline), title)


def _month_cells(spent: MonthSpent) -> tuple[str, ...]:
    *services, _ = _services(spent).values()
    return (spent.month, *_cells(spent), *map(in_dollars, services), *_amounts(spent))


def _cells(spent: Spent) -> tuple[str, ...]:
    from conducto_core.run.model.labels import duration

    hours = spent.cpu_seconds / 3600
    return (
        f"{spent.attempts:,}",
        duration(spent.seconds),
        f"{hours:.2f}",
        in_dollars(spent.dollars),
    )


def _document(found: Usage) -> dict[str, Any]:
    return {
        "prices": {"date": found.priced, "region": found.region},
        "months": {spent.month: _sums(spent) | _services(spent) for spent in found.months},
        "programs": [
            {
                "program": spent.program,
                "function": spent.function,
                "title": spent.title,
                "month": spent.month,
                "pipelines": spent.pipelines,
                **_sums(spent),
                **_services(spent),
            }
            for spent in found.programs
        ],
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
    names = ("transition_dollars", "request_dollars", "storage_dollars", "total_dollars")
    return {name: getattr(spent, name) for name in names}


def _sums(spent: Spent) -> dict[str, float]:
    from conducto_core.billing.model import Spent

    return {name: getattr(spent, name) for name in Spent.model_fields}


_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def _month(text: str) -> str:
    if _MONTH.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"must be a month such as 2026-11, got {text!r}")
    return text
