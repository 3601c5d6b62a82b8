"""``conducto approve``: decides a node that waits for a person."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.wire.printable import printable
from conducto_cli.app.arguments import a_positive, add_id, add_json
from conducto_cli.app.records import show

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.add_argument(
        "path", metavar="PATH", nargs="?", help="the approval (default: the only waiting approval)"
    )
    parser.add_argument("--reject", action="store_true", help="reject it: the node fails")
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        dest="values",
        help="the value of a field of its form; repeat it for more",
    )
    parser.add_argument("--comment", metavar="TEXT", help="kept with the decision")
    parser.add_argument(
        "--attempt",
        metavar="N",
        type=a_positive,
        help="the question that you saw; needed to approve one that was asked again",
    )
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target import lookup as selection
    from conducto_cli.target.account import checked
    from conducto_cli.target.lookup import find_pipeline
    from conducto_core.approvals.model import DecideApproval

    values = _values(arguments.values)
    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        if arguments.path is None:
            path = _waiting(client, pipeline_id)
        else:
            path = selection.one(client, pipeline_id, arguments.path)
        request = checked(
            DecideApproval,
            path=path,
            approve=not arguments.reject,
            comment=arguments.comment,
            attempt=arguments.attempt,
            values=values,
        )
        attempt = client.decide_approval(pipeline_id, request)
    done = "rejected" if arguments.reject else "approved"
    return show(arguments, attempt, f"{printable(path)} {done}")


def _values(given: list[str]) -> dict[str, str]:
    """Return ``{name: text}`` of ``--set``.

    Raises:
        UsageError: it is not of the form NAME=VALUE, or a name is given twice.
    """
    values: dict[str, str] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {printable(each)}: expected NAME=VALUE")
        if name in values:
            raise UsageError(f"--set {printable(name)}: is given twice")
        values[name] = text
    return values


def _waiting(client: Client, pipeline_id: str) -> str:
    """Return the path of the only approval that waits.

    Raises:
        UsageError: there is none, or there are several.
    """
    from conducto_core.run.model.states import State

    queued = client.tree(pipeline_id, state=State.QUEUED, attempts="none")
    waiting = [view.path for view in queued if view.approval is not None]
    if not waiting:
        raise UsageError(f"{pipeline_id}: no approval waits for a decision")
    if len(waiting) > 1:
        raise UsageError(
            f"{pipeline_id}: {len(waiting)} approvals wait; name one of them: {', '.join(waiting)}"
        )
    return waiting[0]
