"""``conducto gc``: frees what no live pipeline needs, and says how much that was."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json
from conducto_cli.app.exit import DONE
from conducto_cli.app.output import as_json
from conducto_cli.text.text import count_of, printable, table

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.installation.model import GcItem, GcReport


_COLUMNS = ("KIND", "SIZE", "PIPELINE", "NAME", "")
_UNITS = ("B", "KB", "MB", "GB", "TB")
_STEP = 1024.0
_WHOLE = 10  # from here on without a decimal


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only list the items, free nothing")
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    report = _collected(arguments, open_client)
    if arguments.json:
        print(as_json(report))
        return DONE
    for line in _lines(report):
        print(line)
    return DONE


def _collected(arguments: argparse.Namespace, open_client: OpenClient) -> GcReport:
    from conducto_cli.target.connection import LocalAgent
    from conducto_client import AgentUnreachableError

    try:
        with open_client() as client:
            return client.gc(dry_run=arguments.dry_run)
    except AgentUnreachableError:
        report = LocalAgent(arguments.profile).collect_garbage(dry_run=arguments.dry_run)
        if report is None:
            raise
        notes = (*report.notes, "done without the agent, which cannot start: conducto agent start")
        return report.model_copy(update={"notes": notes})


def _lines(report: GcReport) -> list[str]:
    rows = [_COLUMNS, *map(_cells, report.items)]
    lines = list(table(rows)) if report.items else []
    lines += [printable(note) for note in report.notes]
    freed = [i for i in report.items if i.freed or (report.dry_run and i.note is None)]
    verb = "would be freed" if report.dry_run else "freed"
    lines.append(f"{count_of(len(freed), 'thing')}, {size_of(report.bytes)} {verb}")
    return lines


def _cells(item: GcItem) -> tuple[str, ...]:
    note = "" if item.note is None else f"stays: {printable(item.note)}"
    return (item.kind, size_of(item.bytes), item.pipeline or "", printable(item.name), note)


def size_of(number: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in _UNITS[:-1]:
        if number < _STEP:
            return (
                f"{number:.0f} {unit}"
                if number >= _WHOLE or unit == "B"
                else f"{number:.1f} {unit}"
            )
        number /= _STEP
    return f"{number:.1f} {_UNITS[-1]}"
