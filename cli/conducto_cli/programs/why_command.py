"""``conducto why``: the reason why a command ran."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json
from conducto_cli.app.records import show
from conducto_cli.text.text import printable, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.programs.history import ChangedField, Why


def add_arguments(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="ID of a pipeline")
    parser.add_argument("path", metavar="PATH", help="path of a command")
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.programs.history import WhyParams

    with open_client() as client:
        pipeline = find_pipeline(client, arguments.id).pipeline.id
        found = client.get_why(WhyParams(id=pipeline, path=arguments.path))
    return show(arguments, found, why_lines(found))


def why_lines(found: Why) -> Iterator[str]:
    """Yield the reason and the fields, for a terminal."""
    attempt = "" if found.attempt is None else f" attempt {found.attempt}"
    when = (
        ""
        if found.ended is None
        else time.strftime(" (%Y-%m-%d %H:%M)", time.localtime(found.ended))
    )
    yield f"{printable(found.path)}{attempt}: {printable(found.reason)}{when}"
    rows = [(each.field, _names(each)) for each in found.changed]
    if found.cache is not None:
        rows.append(("cache", printable(found.cache)))
    if found.not_stored is not None:
        rows.append(("not stored", printable(found.not_stored)))
    if found.equal:
        rows.append(("equal", ", ".join(found.equal)))
    for line in table(rows):
        yield f"  {line.rstrip()}"


def _names(change: ChangedField) -> str:
    if not change.names:
        return "changed"
    more = change.count - len(change.names)
    rest = f" and {more:,} more" if more else ""
    return f"{', '.join(map(printable, change.names))}{rest} changed"
