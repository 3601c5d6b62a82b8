"""``conducto metrics``: the metrics of the newest pipelines of a program."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

from conducto.errors import UsageError
from conducto.wire.printable import suggestion
from conducto_cli.app.arguments import add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json
from conducto_cli.app.records import moment
from conducto_cli.text.text import WIDEST, count_of, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.results.model import ComparedPipeline, MetricComparison

_LAST = 10
_MAX_COLUMNS = 6
_PARAMETER = re.compile(r"--([A-Za-z_]\w*)=(.*)", re.DOTALL)

_Value = str | float | None


class _Row(NamedTuple):
    """A row: a pipeline, or a node of one.

    Attributes:
        identity: ``{column: text}``, e.g. of the ID and the node.
        parameters: ``{name: value}`` of a node's command.
        metrics: ``{name: last value}``; None if it is not finite.
    """

    identity: dict[str, str]
    parameters: dict[str, str]
    metrics: dict[str, float | None]


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "id", metavar="TITLE", help="title of the pipelines, or the ID of one of them"
    )
    parser.add_argument(
        "--last", metavar="N", type=_count, default=_LAST, help=f"pipelines (default: {_LAST})"
    )
    parser.add_argument("--node", metavar="PATH", help="only metrics of this node")
    parser.add_argument("--name", metavar="NAME", help="only this metric")
    parser.add_argument(
        "--by-node",
        action="store_true",
        help="a row for each node, with the parameters of its command (--NAME=VALUE)",
    )
    parser.add_argument(
        "--sort", metavar="COLUMN", help="sort by a parameter or metric, the lowest first"
    )
    parser.add_argument("--reverse", action="store_true", help="with --sort: the highest first")
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    if arguments.reverse and arguments.sort is None:
        raise UsageError("--reverse needs --sort COLUMN")
    with open_client() as client:
        found = _comparison(client, arguments)
        rows = list(_nodes(client, found) if arguments.by_node else _pipelines(found))
    if arguments.sort is not None:
        rows = _sorted(rows, arguments.sort, reverse=arguments.reverse)
    if not arguments.json:
        for line in _lines(found, rows):
            print(line)
    elif arguments.by_node:
        print(
            as_json(
                [{**r.identity, "parameters": r.parameters, "metrics": r.metrics} for r in rows]
            )
        )
    else:
        places = {row.identity["id"]: place for place, row in enumerate(rows)}
        pipelines = sorted(found.pipelines, key=lambda each: places[each.id])
        print(
            as_json(
                {
                    **found.model_dump(mode="json"),
                    "pipelines": [p.model_dump(mode="json") for p in pipelines],
                }
            )
        )
    return DONE


def _comparison(client: Client, arguments: argparse.Namespace) -> MetricComparison:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.results.model import CompareParams

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


def _pipelines(found: MetricComparison) -> Iterator[_Row]:
    """Yield a row for each pipeline, with the metrics of all its nodes."""
    single = len({one.path for each in found.pipelines for one in each.metrics}) == 1
    for each in found.pipelines:
        when = moment(each.created)
        metrics = {
            one.name if single else f"{one.path} {one.name}": one.last for one in each.metrics
        }
        identity = {"id": each.id, "launched": when, "state": each.state.value}
        yield _Row(identity, {}, metrics)


def _nodes(client: Client, found: MetricComparison) -> Iterator[_Row]:
    for each in found.pipelines:
        commands = _commands(client, each)
        for path in dict.fromkeys(one.path for one in each.metrics):
            metrics = {one.name: one.last for one in each.metrics if one.path == path}
            identity = {"id": each.id, "node": path}
            yield _Row(identity, _parameters(commands.get(path)), metrics)


def _commands(client: Client, pipeline: ComparedPipeline) -> dict[str, str | None]:
    if not pipeline.metrics:
        return {}
    return {view.path: view.command for view in client.tree(pipeline.id, attempts="newest")}


def _parameters(command: str | None) -> dict[str, str]:
    """Return the ``--NAME=VALUE`` words of a command; none if a shell cannot read it.

    >>> _parameters("conducto grid.py train --rate=0.1 --kind='two words' > log")
    {'rate': '0.1', 'kind': 'two words'}
    """
    try:
        words = shlex.split(command or "")
    except ValueError:
        return {}
    return {found[1]: found[2] for word in words if (found := _PARAMETER.fullmatch(word))}


def _sorted(rows: Sequence[_Row], column: str, *, reverse: bool) -> list[_Row]:
    """Return the rows in the order of a column; those without a value there come last."""
    known = {name for row in rows for name in (*row.parameters, *row.metrics)}
    if rows and column not in known:
        raise UsageError(f"no parameter or metric is called {column!r}{suggestion(column, known)}")
    found = [(_number_or_text(_value(row, column)), row) for row in rows]
    valued = [(value, row) for value, row in found if value is not None]
    valued.sort(key=lambda pair: pair[0], reverse=reverse)
    return [row for _, row in valued] + [row for value, row in found if value is None]


def _value(row: _Row, column: str) -> _Value:
    metric = row.metrics.get(column)
    return row.parameters.get(column) if metric is None else metric


def _number_or_text(value: _Value) -> tuple[bool, float, str] | None:
    """Return a key for sorting: numbers by their size, before texts."""
    if value is None:
        return None
    try:
        return (False, float(value), "")
    except ValueError:
        return (True, 0.0, str(value))


def _lines(found: MetricComparison, rows: Sequence[_Row]) -> Iterator[str]:
    parameters = list(dict.fromkeys(name for row in rows for name in row.parameters))
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    if not metrics:
        yield f"no metrics in {count_of(len(found.pipelines), 'pipeline')}"
        return
    shown = metrics[:_MAX_COLUMNS]
    cells = [
        (
            *row.identity.values(),
            *(row.parameters.get(name, "-") for name in parameters),
            *(_shown(row, name) for name in shown),
        )
        for row in rows
    ]
    heads = (name.upper() for name in rows[0].identity)
    yield from table([(*heads, *parameters, *shown), *cells], widest=WIDEST)
    if len(metrics) > len(shown):
        more = count_of(len(metrics) - len(shown), "more metric")
        yield f"{more}; choose with --node and --name, or use --json"
    if not found.complete:
        yield "older pipelines have more metrics than can be read; choose with --node"


def _shown(row: _Row, name: str) -> str:
    last = row.metrics.get(name)
    return f"{last:.6g}" if last is not None else "null" if name in row.metrics else "-"


def _count(text: str) -> int:
    from conducto_core.results.model import MAX_COMPARED

    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_COMPARED:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_COMPARED}, got {text!r}")
    return int(text)
