"""``conducto activity``: the running and the waiting commands of all pipelines."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json
from conducto_cli.app.records import show
from conducto_cli.text.text import count_of, printable, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.activity.model import Activity, WaitGroup


def add_arguments(parser: Parser) -> None:
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_core.activity.model import ActivityParams

    with open_client() as client:
        found = client.get_activity(ActivityParams())
    return show(arguments, found, activity_lines(found, time.time()))


def activity_lines(found: Activity, now: float) -> Iterator[str]:
    """Yield the running and the waiting commands, for a terminal."""
    from conducto_core.run.model.labels import duration

    yield (
        f"{found.running:,} running, {found.queued:,} waiting, {found.pending:,} later, in "
        f"{count_of(found.pipelines, 'pipeline')}"
    )
    if found.commands:
        yield ""
        rows = [
            (each.pipeline, printable(each.path), duration(max(0.0, now - each.started)))
            for each in found.commands
        ]
        yield from table([("PIPELINE", "RUNNING", "FOR"), *rows])
    for group in found.waits:
        yield ""
        yield from _wait_lines(group)
    left = found.queued - found.read
    if left > 0:
        yield f"{left:,} more wait behind these"


def _wait_lines(group: WaitGroup) -> Iterator[str]:
    yield f"{group.count:,} waiting: {printable(group.text)}"
    yield "  " + ", ".join(f"{each.pipeline} {printable(each.path)}" for each in group.first)
    if group.remedy is not None:
        yield f"  {printable(group.remedy)}"
