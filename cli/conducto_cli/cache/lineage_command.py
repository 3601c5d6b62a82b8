"""``conducto lineage``: the files of cached commands, and the origin of a file."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json
from conducto_cli.text.text import printable, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.cache.model import FileOrigin, Lineage, NodeFiles

_COLUMNS = ("COMMAND", "READS", "WRITES", "FROM", "STALE")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="ID of a pipeline")
    parser.add_argument(
        "name", metavar="FILE", nargs="?", help="a file or directory of its data, as in 'data list'"
    )
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.cache.model import LineageParams

    with open_client() as client:
        pipeline = find_pipeline(client, arguments.id).pipeline.id
        found = client.get_lineage(LineageParams(id=pipeline, name=arguments.name))
    if arguments.json:
        print(as_json(found))
    else:
        lines = _nodes(found, pipeline) if arguments.name is None else _origins(found)
        print("\n".join(lines))
    return DONE


def _nodes(found: Lineage, pipeline: str) -> Iterator[str]:
    if not found.nodes:
        yield "no command with reads= or writes= of a cache is done"
        return
    yield from (line.rstrip() for line in table([_COLUMNS, *map(_cells, found.nodes)]))
    if any(each.stale_count for each in found.nodes):
        yield f"rerun: conducto rerun {pipeline} --stale"


def _cells(node: NodeFiles) -> tuple[str, ...]:
    source = "" if node.source is None else f"cache {node.source.pipeline}"
    stale = f"{_names(node.stale, node.stale_count)} changed" if node.stale_count else ""
    command = f"{printable(node.path)} #{node.attempt}"
    return (command, f"{node.reads:,}", f"{node.writes:,}", source, stale)


def _origins(found: Lineage) -> Iterator[str]:
    for each in found.origins:
        yield f"{'  ' * each.depth}{_names(each.names, each.count)}  {_writer(each)}"


def _writer(origin: FileOrigin) -> str:
    if origin.path is None:
        return "by a command without writes=, or uploaded"
    where = f"by {printable(origin.path)} attempt {origin.attempt}"
    if origin.source is None:
        return where
    return f"{where}, from {printable(origin.source.text)}"


def _names(names: Sequence[str], count: int) -> str:
    more = count - len(names)
    return ", ".join(map(printable, names)) + (f" and {more:,} more" if more else "")
