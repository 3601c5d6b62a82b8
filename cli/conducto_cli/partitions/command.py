"""``conducto partitions``: the states of the partitions of a program."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import a_positive, add_json
from conducto_cli.app.records import show
from conducto_cli.text.text import count_of, printable, table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.partitions.model import PartitionsParams, ProgramPartitions

PROGRAM_HELP = "the script FILE.py, or the ID or title of a pipeline of the program"
_STATES = {"d": "done", "f": "failed", "s": "stale", "r": "running", "m": "missing"}
_LAST = 30


def add_arguments(parser: Parser) -> None:
    parser.add_argument("program", metavar="PROGRAM", help=PROGRAM_HELP)
    parser.add_argument("method", metavar="METHOD", nargs="?", help="the function of FILE.py")
    parser.add_argument(
        "--only", choices=tuple(_STATES.values()), help="only partitions in this state"
    )
    parser.add_argument(
        "--last",
        metavar="N",
        type=a_positive,
        default=_LAST,
        help=f"partitions in the table (default: {_LAST})",
    )
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    with open_client() as client:
        found = client.partitions(query_of(client, arguments.program, arguments.method))
    return show(arguments, found, _lines(found, arguments.only, arguments.last))


def query_of(client: Client, program: str, method: str | None = None) -> PartitionsParams:
    """Return the query for a program.

    Raises:
        UsageError: there is no such program.
    """
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.partitions.model import PartitionsParams
    from conducto_core.programs.rules.programs import program_of

    if not program.endswith(".py"):
        record = find_pipeline(client, program).pipeline
        return PartitionsParams.model_validate(program_of(record).model_dump())
    path = str(Path(program).absolute())
    return PartitionsParams(program=path, function=method or _function_of(client, path))


def _function_of(client: Client, path: str) -> str:
    """Return the only function of a script that launched pipelines."""
    from conducto_core.run.model.params import ListParams

    page = client.list_page(ListParams(text=path[:1000], lifecycle="all")).pipelines
    known = {
        one.pipeline.function
        for one in page
        if one.pipeline.program == path and (one.pipeline.partition or one.pipeline.backfill)
    }
    names = sorted(name for name in known if name is not None)
    if len(names) != 1:
        which = f"several functions have: {', '.join(names)}; name one" if names else "none has"
        raise UsageError(f"{path}: {which} launched a partition; or give the ID of a pipeline")
    return names[0]


def _lines(found: ProgramPartitions, only: str | None, last: int) -> Iterator[str]:
    if found.partitions is None:
        yield "no partitions: its script needs co.main(partitions=co.daily('2026-01-01'))"
        return
    numbers = Counter(found.states)
    total = len(found.keys) + found.more
    states = ", ".join(f"{numbers[s]:,} {name}" for s, name in _STATES.items() if numbers[s])
    yield f"{count_of(total, 'partition')}: {states or 'none has ended yet'}"
    chosen = [
        index for index, state in enumerate(found.states) if only is None or _STATES[state] == only
    ]
    rows = [("partition", "state", "pipeline", "steps")]
    for index in chosen[-last:]:
        at = found.at[index]
        pipeline = "" if at < 0 else found.places[at].pipeline
        steps = "".join(step.states[index] for step in found.steps) if at >= 0 else ""
        rows.append((printable(found.keys[index]), _STATES[found.states[index]], pipeline, steps))
    if len(rows) > 1:
        yield from (line.rstrip() for line in table(rows))
        if found.steps:
            yield f"steps: {', '.join(printable(step.name) for step in found.steps)}"
    if len(chosen) > last:
        yield f"and {len(chosen) - last:,} before; see them with --last {len(chosen)}"
    if not found.complete:
        yield "not all pipelines were read in time; repeat the command for the others"
