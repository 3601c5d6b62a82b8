"""``conducto metrics``: the metrics of the newest pipelines of a program."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from conducto_cli.arguments import add_json
from conducto_cli.exit_codes import DONE
from conducto_cli.output import as_json
from conducto_cli.text.table import table
from conducto_cli.text.text import count_of, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_cli.argument_parser import Parser
    from conducto_cli.connection import OpenClient
    from conducto_client import Client
    from conducto_core.model.outputs import ComparedPipeline, MetricComparison

_LAST = 10
_MAX_COLUMNS = 6

#: Node and name.
_Key = tuple[str, str]


def add_arguments(parser: Parser) -> None:
    """Add the title and the options."""
    parser.add_argument(
        "id", metavar="TITLE", help="title of the pipelines, or the ID of one of them"
    )
    parser.add_argument(
        "--last", metavar="N", type=_count, default=_LAST, help=f"pipelines (default: {_LAST})"
    )
    parser.add_argument("--node", metavar="PATH", help="only metrics of this node")
    parser.add_argument("--name", metavar="NAME", help="only this metric")
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print the last values; return the exit code."""
    with open_client() as client:
        found = _comparison(client, arguments)
    if arguments.json:
        print(as_json(found.model_dump(mode="json")))
    else:
        for line in _lines(found):
            print(line)
    return DONE


def _comparison(client: Client, arguments: argparse.Namespace) -> MetricComparison:
    from conducto_cli.pipeline_lookup import find_pipeline
    from conducto_core.model.outputs import CompareParams

    query = CompareParams(
        title=arguments.id, limit=arguments.last, path=arguments.node, name=arguments.name
    )
    found = client.compare_metrics(query)
    if found.pipelines:
        return found
    record = find_pipeline(client, arguments.id).pipeline
    names = {"title": record.title, "program": record.program}
    if record.program is not None:
        names["function"] = record.function
    return client.compare_metrics(query.model_copy(update=names), beside=record.id)


def _lines(found: MetricComparison) -> Iterator[str]:
    keys = list(
        dict.fromkeys((one.path, one.name) for each in found.pipelines for one in each.metrics)
    )
    if not keys:
        yield f"no metrics in {count_of(len(found.pipelines), 'pipeline')}"
        return
    shown = keys[:_MAX_COLUMNS]
    yield from table([("ID", "LAUNCHED", "STATE", *_heads(shown)), *_rows(found, shown)])
    if len(keys) > len(shown):
        more = count_of(len(keys) - len(shown), "more metric")
        yield f"{more}; choose with --node and --name, or use --json"
    if not found.complete:
        yield "older pipelines have more metrics than can be read; choose with --node"


def _heads(keys: list[_Key]) -> list[str]:
    single = len({path for path, _ in keys}) == 1
    return [printable(name if single else f"{path} {name}") for path, name in keys]


def _rows(found: MetricComparison, keys: list[_Key]) -> Iterator[tuple[str, ...]]:
    for each in found.pipelines:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.created))
        yield (each.id, when, each.state.value, *_cells(each, keys))


def _cells(pipeline: ComparedPipeline, keys: list[_Key]) -> Iterator[str]:
    known = {(one.path, one.name): one.last for one in pipeline.metrics}
    for key in keys:
        last = known.get(key)
        yield f"{last:.6g}" if last is not None else "null" if key in known else "-"


def _count(text: str) -> int:
    from conducto_core.model.outputs import MAX_COMPARED

    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_COMPARED:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_COMPARED}, got {text!r}")
    return int(text)
