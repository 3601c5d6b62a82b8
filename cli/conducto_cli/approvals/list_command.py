"""``conducto approvals``: the nodes that wait for a decision of the user."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json
from conducto_cli.app.records import moment, show_list
from conducto_cli.target.both_targets import gathered, report_away
from conducto_cli.text.text import clip

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.run.model.responses import AskedApproval

_HEAD = ("ID", "PATH", "SINCE", "TITLE", "QUESTION")
#: Columns of a question in the table.
_SHOWN = 60


def add_arguments(parser: Parser) -> None:
    add_json(parser)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_cli.target.target import second_opener

    beside = second_opener(arguments)
    openers = (open_client,) if beside is None else (open_client, beside)
    found, away = gathered(openers, lambda client: client.approvals())
    waiting = sorted(_once(found), key=lambda one: one.approval.since)
    none = "nothing waits for your approval"
    decide = ("\nDecide with: conducto approve ID PATH [--reject]",)
    code = show_list(arguments, waiting, _HEAD, _cells, none, more=decide)
    report_away(away, "approvals", "approvals")
    return code


def _once(found: list[AskedApproval]) -> list[AskedApproval]:
    """Return the approvals; those of this machine only once if its agent is linked."""
    from conducto_client.agents import split

    here = {one.pipeline for one in found if one.agent is None}
    return [one for one in found if one.agent is None or split(one.pipeline)[1] not in here]


def _cells(one: AskedApproval) -> tuple[str, ...]:
    approval = one.approval
    again = f"[{approval.withdrawn[-1]}] " if approval.withdrawn else ""
    question = clip(" ".join((again + approval.message).split()), _SHOWN)
    return (one.pipeline, approval.path, moment(approval.since), one.title, question)
