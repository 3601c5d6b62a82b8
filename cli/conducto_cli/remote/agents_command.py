"""``conducto agents``: the machines that are linked to the organisation."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json, add_subcommand
from conducto_cli.app.records import moment, show, show_list
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_core.remote.model import LinkedAgent, LinkedAgentList

_HEAD = ("ID", "MACHINE", "MEMBER", "STATE", "ALLOWS", "VERSION")


def add_arguments(parser: Parser) -> None:
    commands = parser.add_subparsers(dest="what", metavar="list|forget", required=True)
    listing = add_subcommand(commands, "list", "list the linked agents of the organisation")
    forgetting = add_subcommand(
        commands,
        "forget",
        "remove an agent and its pipelines from the lists",
        "An agent that is still linked connects again: run 'conducto agent unlink' on its machine, "
        "or revoke its token.",
    )
    forgetting.add_argument("id", metavar="AGENT", help="as 'conducto agents list' prints it")
    add_json(listing)


def run(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.account import call
    from conducto_core.remote.operations import FORGET_AGENT, LIST_AGENTS

    if arguments.what == "forget":
        gone = call(arguments, FORGET_AGENT, {"id": arguments.id})
        return show(arguments, gone, f"forgot agent {gone.id}")
    found: LinkedAgentList = call(arguments, LIST_AGENTS)
    none = "no agents are linked; link this machine: conducto agent link"
    return show_list(arguments, found.agents, _HEAD, _cells, none)


def _cells(agent: LinkedAgent) -> tuple[str, ...]:
    allows = ", ".join(agent.allow) + (" for the organisation" if agent.who == "org" else "")
    state = online_text(online=agent.online, seen=agent.seen)
    return (agent.id, printable(agent.host), agent.user, state, allows, agent.version)


def online_text(*, online: bool, seen: float) -> str:
    """Return whether an agent is connected, and since when it is not."""
    if online:
        return "online"
    return f"offline since {moment(seen)}"
