"""``conducto advice``: advice about the commands of a program."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json
from conducto_cli.app.records import show
from conducto_cli.text.text import count_of, printable, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.programs.history import NodeHistory

_CENT = 0.005
_START = "the start of its container with its image"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="ID of a pipeline of the program")
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.programs.history import NodeHistoryParams
    from conducto_core.programs.rules.programs import program_of

    with open_client() as client:
        record = find_pipeline(client, arguments.id).pipeline
        query = NodeHistoryParams.model_validate(program_of(record).model_dump())
        found = client.node_history(query)
    return show(arguments, found, advice_lines(found))


def advice_lines(found: NodeHistory) -> Iterator[str]:
    """Yield the advice, for a terminal."""
    if not (found.sizes or found.images or found.flaky):
        read = count_of(len(found.pipelines), "finished pipeline")
        yield f"nothing to advise: {read} read"
        yield "advice about memory and images needs five pipelines in which a command passed"
        return
    rows = []
    for one in found.sizes:
        saved = f"saves ${one.dollars_month:,.2f} a month" if one.dollars_month > _CENT else ""
        used = f"used at most {one.peak:.1f} GB of {one.mem:g} in {one.runs} pipelines"
        rows.append((printable(one.path), f"mem={one.enough:g}", used, saved))
    for each in found.images:
        whole, wait = f"{each.seconds:.0f} s", f"{each.wait_seconds:.0f} s"
        words = "the download or build of its image" if each.kind == "image" else _START
        use = f"{wait} of {whole} is {words}, in {each.runs} pipelines"
        rows.append((printable(each.path), "smaller image", use, ""))
    for node in found.flaky:
        seen = f"flaky in {node.flaked} of {node.runs} pipelines"
        rows.append((printable(node.path), "correct it", seen, ""))
    yield from (line.rstrip() for line in table(rows))
