"""``conducto agent``: the process that runs pipelines on this machine."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from conducto_cli.app.arguments import add_json, add_subcommand, add_yes, confirmed
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_core.run.model.requests import AgentStatus
    from conducto_local.agent.repair import RepairReport


def add_arguments(parser: Parser) -> None:
    kinds = parser.add_subparsers(
        dest="what",
        metavar="start|stop|status|repair|link|unlink|enable|disable",
        required=True,
    )
    start = add_subcommand(kinds, "start", "start it, if it is not running")
    add_subcommand(kinds, "stop", "stop it; its pipelines continue with the next one")
    status = add_subcommand(kinds, "status", "show its state, and that of its link")
    repair = add_subcommand(
        kinds,
        "repair",
        "rebuild lost or damaged parts of its store",
        "Shows what it would do, and asks. It works on a copy: the damaged store is kept.",
    )
    add_yes(repair)
    _add_link(add_subcommand(kinds, "link", _LINK_SUMMARY, _LINK_DETAILS))
    add_subcommand(kinds, "unlink", "close the link and revoke the agent's token")
    add_subcommand(
        kinds,
        "enable",
        "start it with the machine",
        "As a service of systemd or launchd, with the variables for proxies, certificates and the "
        "engine that are set now.",
    )
    add_subcommand(kinds, "disable", "stop starting it with the machine")
    add_json(start, status)


_LINK_SUMMARY = "show the pipelines of this machine in the installation, and control them from it"
_LINK_DETAILS = (
    "Needs 'conducto login' first. The agent opens one outbound connection; each later launch "
    "opens it, too. Only this command changes what the installation may do. Without options, an "
    "existing policy is kept; the first one is read and control, for you only."
)


def _add_link(parser: Parser) -> None:
    parser.add_argument(
        "--allow",
        metavar="CLASSES",
        help="read; control: run, pause, reset, skip, kill, sleep; author: launch, modify, delete, "
        "write data; debug: shells. Separated by commas",
    )
    parser.add_argument(
        "--who", choices=("me", "org"), help="org: other members may read and control, too"
    )
    parser.add_argument(
        "--new", action="store_true", help="give this machine a new identity: it is a copy"
    )


def run(arguments: argparse.Namespace) -> int:
    return {
        "start": _status,
        "stop": _stop,
        "status": _status,
        "repair": _repair,
        "link": _link,
        "unlink": _unlink,
        "enable": _enable,
        "disable": _disable,
    }[arguments.what](arguments)


def _stop(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.connection import LocalAgent

    print("agent stopped" if LocalAgent(arguments.profile).stop() else "no agent is running")
    return DONE


def _repair(arguments: argparse.Namespace) -> int:
    from conducto_cli.target.connection import LocalAgent

    def confirm(report: RepairReport) -> bool:
        print("\n".join(map(printable, report.lines())), flush=True)
        return confirmed("Repair the store in this way?", yes=arguments.yes)

    report = LocalAgent(arguments.profile).repair(confirm)
    if not report.needs_repair():
        print("\n".join(map(printable, report.lines())))
    elif report.done and report.moved is not None:
        print(printable(f"repaired; the damaged store was moved to {report.moved}"))
    elif report.done:
        print("repaired")
    is_refused = report.needs_repair() and not report.done
    return FAILED if report.left or is_refused else DONE


def _status(arguments: argparse.Namespace) -> int:
    from conducto_cli.remote import machine_link
    from conducto_cli.target.connection import LocalAgent
    from conducto_client import Client, HttpTransport
    from conducto_local.agent.launcher import RESPONSE_TIMEOUT

    local = LocalAgent(arguments.profile)
    endpoint = local.ensure() if arguments.what == "start" else local.find()
    link = machine_link.current_link(arguments.profile)
    state = machine_link.status_of(arguments.profile)
    if endpoint is None:
        none = "no agent is running; the next launch starts it, or: conducto agent start"
        print("null" if arguments.json else none)
        if link is not None and not arguments.json:
            print("\n".join(map(printable, machine_link.described(link, state, running=False))))
        return FAILED
    with Client(HttpTransport(endpoint, timeout=RESPONSE_TIMEOUT)) as client:
        status = client.status()
    with Client(HttpTransport(endpoint)) as client:
        listed = client.list()
    if arguments.json:
        document = machine_link.as_document(link, state)
        print(as_json({**status.model_dump(mode="json"), "link": document}))
        return DONE
    print(_described(status))
    if link is not None:
        print("\n".join(map(printable, machine_link.described(link, state, running=True))))
    for summary in listed:
        if summary.pipeline.problem is not None:
            print(f"{summary.pipeline.id}: {printable(summary.pipeline.problem)}")
    return DONE


def _link(arguments: argparse.Namespace) -> int:
    from conducto_cli.remote import machine_link
    from conducto_cli.target.connection import LocalAgent

    began, before = time.time(), machine_link.existing_link(arguments.profile)
    link = machine_link.link(
        arguments.profile, allow=arguments.allow, who=arguments.who, new=arguments.new
    )
    LocalAgent(arguments.profile).ensure()
    since = 0.0 if link == before else began
    state = machine_link.wait_until_connected(arguments.profile, since)
    print("\n".join(map(printable, machine_link.described(link, state, running=True))))
    if state is None or state.state != "connected":
        print("the agent keeps trying; see: conducto agent status", file=sys.stderr)
        return FAILED
    print("to start the agent with the machine: conducto agent enable")
    return DONE


def _unlink(arguments: argparse.Namespace) -> int:
    from conducto_cli.remote import machine_link

    note = machine_link.unlink(arguments.profile)
    print(printable(note or "this machine is not linked"))
    return DONE if note else FAILED


def _enable(arguments: argparse.Namespace) -> int:
    from conducto_cli.remote.service import UserService
    from conducto_cli.target.connection import LocalAgent
    from conducto_local.agent.state_dir import open_state_dir

    running = LocalAgent(arguments.profile).find() is not None
    service = UserService(open_state_dir(arguments.profile))
    print("\n".join(map(printable, service.enable(start=not running))))
    return DONE


def _disable(arguments: argparse.Namespace) -> int:
    from conducto_cli.remote.service import UserService
    from conducto_local.agent.state_dir import open_state_dir

    removed = UserService(open_state_dir(arguments.profile)).disable()
    print("the agent does not start with the machine any more" if removed else "it was not enabled")
    return DONE if removed else FAILED


def _described(status: AgentStatus) -> str:
    memory = "" if status.memory is None else f", {status.memory / 2**20:.0f} MB"
    engine = "not used yet" if status.engine is None else status.engine
    return (
        f"agent {status.version} at {status.url}, pid {status.pid}{memory}\n"
        f"engine: {engine}\n"
        f"pipelines: {status.pipelines}"
    )
