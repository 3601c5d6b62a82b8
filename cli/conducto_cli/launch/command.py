"""``conducto launch``: the program of a pipeline again, with other parameters."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from conducto.errors import UsageError
from conducto_cli.app.arguments import add_id, add_json, parameters_of
from conducto_cli.app.exit import FAILED
from conducto_cli.app.records import show
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.programs.model import ProgramStart

T = TypeVar("T")


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the value of a parameter, as on the script's command line (default: that of the "
        "pipeline); again for others",
    )
    parser.add_argument("--no-run", action="store_true", help="launch it, and start nothing")
    parser.add_argument(
        "--same-tree",
        action="store_true",
        help="copy the tree without running the script; the only way in the cloud",
    )
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.lookup import find_pipeline

    changes = parameters_of(arguments.set)
    if changes and arguments.same_tree:
        raise UsageError(
            "--set changes parameters, which --same-tree cannot; leave one of them out"
        )
    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        if arguments.same_tree:
            launched: str | None = _copy(client, pipeline_id, run=not arguments.no_run)
        else:
            launched = _start(client, pipeline_id, changes, run=not arguments.no_run)
    if launched is None:
        return FAILED
    return show(arguments, {"id": launched, "action": "launch"}, f"pipeline {launched}")


def _copy(client: Client, pipeline_id: str, *, run: bool) -> str:
    from conducto_core.programs.model import LaunchAgain

    return client.launch_again(pipeline_id, LaunchAgain(run=run)).pipeline.id


def _start(client: Client, pipeline_id: str, changes: dict[str, str], *, run: bool) -> str | None:
    """Start the program and wait for its launch; return the new pipeline, or None."""
    from conducto_client.programs import wait_for_launch
    from conducto_core.programs.model import StartProgram

    view = client.program(pipeline_id)
    if view.call is None or view.problem is not None:
        raise UsageError(f"{pipeline_id}: {view.problem}: --same-tree launches it")
    request = StartProgram(arguments={**view.call.arguments, **changes}, run=run)

    def call(operation: Callable[[Client], T]) -> T:
        return operation(client)

    start = wait_for_launch(call, pipeline_id, request)
    if start.pipeline is None:
        _report(start)
    return start.pipeline


def _report(start: ProgramStart) -> None:
    from conducto.wire.printable import printable_lines

    if start.output:
        print(printable_lines(start.output.rstrip()))
    for name, reason in start.problems.items():
        print(f"{printable(name)}: {printable(reason)}")
    if start.message is not None:
        print(printable(start.message))
