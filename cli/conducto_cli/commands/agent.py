"""``conducto agent``: the process that runs pipelines on this machine."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.arguments import add_json
from conducto_cli.exit_codes import DONE, FAILED
from conducto_cli.output import as_json
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse

    from conducto_cli.argument_parser import Parser
    from conducto_core.model.requests import AgentStatus


def add_arguments(parser: Parser) -> None:
    """Add the action."""
    actions = ("start", "stop", "status", "repair")
    parser.add_argument("what", choices=actions, metavar="|".join(actions))
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Start, stop, repair or describe the agent."""
    from conducto_cli.connection import LocalAgent
    from conducto_client import Client, HttpTransport

    local = LocalAgent(arguments.profile)
    if arguments.what == "stop":
        print("agent stopped" if local.stop() else "no agent is running")
        return DONE
    if arguments.what == "repair":
        print("\n".join(map(printable, local.repair())))
        return DONE
    endpoint = local.ensure() if arguments.what == "start" else local.find()
    if endpoint is None:
        none = "no agent is running; the next launch starts it, or: conducto agent start"
        print("null" if arguments.json else none)
        return FAILED
    with Client(HttpTransport(endpoint)) as client:
        status = client.status()
        listed = client.list()
    if arguments.json:
        print(as_json(status.model_dump(mode="json")))
        return DONE
    print(_described(status))
    for summary in listed:
        if summary.pipeline.problem is not None:
            print(f"{summary.pipeline.id}: {printable(summary.pipeline.problem)}")
    return DONE


def _described(status: AgentStatus) -> str:
    memory = "" if status.memory is None else f", {status.memory / 2**20:.0f} MB"
    engine = "not used yet" if status.engine is None else status.engine
    return (
        f"agent {status.version} at {status.url}, pid {status.pid}{memory}\n"
        f"engine: {engine}\n"
        f"pipelines: {status.pipelines}"
    )
