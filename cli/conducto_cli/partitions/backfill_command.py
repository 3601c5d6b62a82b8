"""``conducto backfill``: one pipeline over many partitions of a program."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.arguments import a_positive, add_json, parameters_of
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.records import show
from conducto_cli.partitions.command import PROGRAM_HELP
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.programs.model import BackfillRange, ProgramStart

_CONCURRENT = 10


def add_arguments(parser: Parser) -> None:
    parser.add_argument("program", metavar="PROGRAM", help=PROGRAM_HELP)
    parser.add_argument("method", metavar="METHOD", nargs="?", help="the function of FILE.py")
    parser.add_argument(
        "--from", dest="first", metavar="KEY", help="first partition (default: the first of all)"
    )
    parser.add_argument(
        "--to", dest="last", metavar="KEY", help="last partition (default: the newest)"
    )
    kinds = parser.add_mutually_exclusive_group()
    for name, help_ in (
        ("missing", "only partitions that no pipeline has run"),
        ("failed", "only partitions whose latest run failed"),
        ("stale", "only partitions that are done, and whose inputs have changed since"),
    ):
        kinds.add_argument(f"--{name}", dest="only", action="store_const", const=name, help=help_)
    parser.add_argument(
        "--max-concurrent",
        metavar="N",
        type=a_positive,
        default=_CONCURRENT,
        help=f"commands at once, at most (default: {_CONCURRENT})",
    )
    parser.add_argument(
        "--budget", metavar="DOLLARS", type=float, help="maximum cost of the backfill in the cloud"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the value of another parameter; again for others",
    )
    parser.add_argument(
        "--plan", action="store_true", help="print the number of commands and the cost, run nothing"
    )
    parser.add_argument("--no-run", action="store_true", help="launch it, and start nothing")
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from pydantic import ValidationError

    from conducto_core.programs.model import BackfillRange

    changes = parameters_of(arguments.set)
    try:
        wanted = BackfillRange(
            first=arguments.first,
            last=arguments.last,
            only=arguments.only,
            max_concurrent=arguments.max_concurrent,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['loc'][0]}: {first['msg']}, got {first['input']!r}") from error
    if arguments.program.endswith(".py"):
        return _run_script(arguments, wanted, changes)
    with open_client() as client:
        start = _start(client, arguments, wanted, changes)
    if start.plan is not None:
        dollars = start.plan.dollars
        cost = f"about ${dollars:,.2f} in the cloud" if dollars is not None else start.plan.note
        text = f"{start.plan.commands:,} commands{f', {cost}' if cost else ''}"
        return show(arguments, start.plan, text)
    if start.pipeline is None:
        for line in (*start.output.rstrip().splitlines()[-20:], start.message):
            if line:
                print(printable(line))
        for name, reason in start.problems.items():
            print(f"{printable(name)}: {printable(reason)}")
        return DONE if "nothing to do" in start.output else FAILED
    record = {"id": start.pipeline, "action": "backfill"}
    return show(arguments, record, f"pipeline {start.pipeline}")


def _run_script(
    arguments: argparse.Namespace, wanted: BackfillRange, changes: dict[str, str]
) -> int:
    """Run the script as in a terminal: it makes the tree, launches it, and stays."""
    if not Path(arguments.program).is_file():
        raise UsageError(f"no such file: {arguments.program!r}")
    words = [arguments.method] if arguments.method else []
    words += [f"--{name.replace('_', '-')}={value}" for name, value in changes.items()]
    words += [f"--conducto.{name}={value}" for name, value in wanted.flags().items()]
    words += ["--conducto.cloud" if arguments.target == "cloud" else "--conducto.local"]
    if arguments.budget is not None:
        words.append(f"--conducto.budget={arguments.budget!r}")
    if arguments.plan:
        words.append("--conducto.plan")
    elif not arguments.no_run:
        words.append("--conducto.run")
    profile = [] if arguments.profile is None else [f"--conducto.profile={arguments.profile}"]
    command = [sys.executable, arguments.program, *words, *profile]
    return subprocess.run(command, check=False).returncode  # noqa: S603 (the user's own script)


def _start(
    client: Client, arguments: argparse.Namespace, wanted: BackfillRange, changes: dict[str, str]
) -> ProgramStart:
    """Start the program of a pipeline on its machine, and wait for the launch."""
    from conducto_cli.target.lookup import find_pipeline
    from conducto_client.programs import wait_for_launch
    from conducto_core.programs.model import StartProgram

    pipeline_id = find_pipeline(client, arguments.program).pipeline.id
    view = client.program(pipeline_id)
    if view.call is None or view.problem is not None:
        raise UsageError(f"{pipeline_id}: {view.problem}; or: conducto backfill FILE.py")
    request = StartProgram(
        arguments={**view.call.arguments, **changes},
        run=not arguments.no_run,
        action="plan" if arguments.plan else "launch",
        budget=arguments.budget,
        backfill=wanted,
    )
    return wait_for_launch(lambda operation: operation(client), pipeline_id, request)
