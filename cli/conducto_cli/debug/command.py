"""``conducto debug`` and ``conducto livedebug``: a shell like the one a command ran in."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.wire.node_patterns import has_wildcard, node_path
from conducto_cli.app.arguments import a_positive, a_time, add_id
from conducto_cli.app.exit import DONE, FAILED, NO_ENGINE
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.debug.model import DebugPlan, DebugRequest


#: Of ids of pipelines on linked machines: `conducto_client.agents`.
PREFIX = "a/"
_SCRIPT = "/conducto/cmd.sh"

Front = Callable[[], ModuleType]


def _front() -> ModuleType:
    from conducto_local.debug import command as commands

    return commands


def add_arguments(parser: Parser) -> None:
    add_id(parser)
    parser.add_argument("path", metavar="PATH", help="an Exec")
    parser.add_argument(
        "--attempt", type=a_positive, metavar="N", help="counted from 1 (default: the newest)"
    )
    parser.add_argument(
        "--snapshot",
        action="store_true",
        help="with the files as the failed command left them, if that was asked for "
        "(snapshot_on_error)",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--print", action="store_true", help="open nothing, print a docker run line that does"
    )
    instead.add_argument(
        "--no-shell",
        action="store_true",
        help="start a container that stays, for an editor to attach to; print its name",
    )
    parser.set_defaults(remote=False, time_limit=None)
    if parser.command == "debug":
        instead.add_argument(
            "--remote",
            action="store_true",
            help="of a pipeline in the cloud: on a worker of its own, where the data is "
            "(needs AWS's session-manager-plugin)",
        )
        parser.add_argument(
            "--time-limit",
            type=a_time,
            metavar="TIME",
            help="with --remote: end it after so long, such as 30m or 2h (default: 1h)",
        )


def run(arguments: argparse.Namespace, open_client: OpenClient, front: Front = _front) -> int:
    from conducto_cli.target.lookup import naming_nearest

    _check(arguments)
    if arguments.remote:
        return _remote(arguments, open_client)
    with open_client() as client:
        pipeline_id, path = _subject(client, arguments)
        request = _request(arguments, path)
        if pipeline_id.startswith(PREFIX):
            return _on_machine(client, pipeline_id, request, arguments)
        with naming_nearest(client, pipeline_id, [path]):
            plan = client.debug(pipeline_id, request)
    shells = front()
    try:
        if arguments.print:
            print(shells.docker_line(plan))
            _print_error(_of_the_line(plan))
            return DONE
        if arguments.no_shell:
            name = shells.keep_container(plan)
            print(name)
            _print_error(_of_the_container(plan, name))
            return DONE
        _print_error(_of_the_shell(plan))
        return int(shells.open_shell(plan))
    except shells.DebugError as error:
        print(f"conducto: {error}", file=sys.stderr)
        return NO_ENGINE if error.no_engine else FAILED


def _check(arguments: argparse.Namespace) -> None:
    if arguments.remote and arguments.snapshot:
        raise UsageError("--snapshot: workers of the cloud make none; leave it or --remote out")
    if arguments.time_limit is not None and not arguments.remote:
        raise UsageError("--time-limit is for shells on workers; add --remote")


def _remote(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Open a shell on a worker, after checking the programs on this machine."""
    from conducto_cli.debug import shell as remote_shell
    from conducto_cli.target.lookup import naming_nearest
    from conducto_core.debug.model import DEFAULT_SECONDS, RemoteShellRequest

    enter = remote_shell.find_plugin(os.environ)
    limit = DEFAULT_SECONDS if arguments.time_limit is None else arguments.time_limit
    seconds = remote_shell.check_time(limit)
    with open_client() as client:
        pipeline_id, path = _subject(client, arguments)
        request = RemoteShellRequest(path=path, attempt=arguments.attempt, seconds=seconds)
        with naming_nearest(client, pipeline_id, [path]):
            return remote_shell.remote_shell(client, pipeline_id, request, enter)


def _on_machine(
    client: Client, pipeline_id: str, request: DebugRequest, arguments: argparse.Namespace
) -> int:
    from conducto_cli.debug.shell import open_relayed_shell
    from conducto_cli.target.lookup import naming_nearest
    from conducto_client.transport.cloud import CloudClient

    given = {"--print": arguments.print, "--no-shell": arguments.no_shell}
    for option in (option for option, value in given.items() if value):
        raise UsageError(f"{option}: the container is on the machine of the pipeline; run it there")
    if request.live:
        raise UsageError("livedebug: the code is on the machine of the pipeline; run it there")
    assert isinstance(client, CloudClient)  # noqa: S101  only it returns such ids
    with naming_nearest(client, pipeline_id, [request.path]):
        return open_relayed_shell(client, pipeline_id, request)


def _request(arguments: argparse.Namespace, path: str) -> DebugRequest:
    from conducto_core.debug.model import DebugRequest

    return DebugRequest(
        path=path,
        attempt=arguments.attempt,
        live=arguments.verb == "livedebug",
        snapshot=arguments.snapshot,
    )


def _subject(client: Client, arguments: argparse.Namespace) -> tuple[str, str]:
    """Return the pipeline's whole id and the path that is meant."""
    from conducto_cli.target import lookup as selection
    from conducto_cli.target.lookup import find_pipeline

    pipeline_id = find_pipeline(client, arguments.id).pipeline.id
    path = node_path(arguments.path)
    if has_wildcard(path):
        path = selection.one(client, pipeline_id, path)
    return pipeline_id, path


def _print_error(lines: Iterator[str]) -> None:
    """Print on stderr, for people; programs read stdout."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def _of_all(plan: DebugPlan) -> Iterator[str]:
    for note in plan.notes:
        yield f"note: {printable(note)}"
    for mount in plan.code:
        yield f"Mounting {printable(mount.source)} at {printable(mount.target)}"
    if plan.code:
        yield "This is your code, read-write: changes in the container are changes on this machine."


def _of_the_shell(plan: DebugPlan) -> Iterator[str]:
    yield from _of_all(plan)
    if not sys.stdin.isatty():
        return
    which = "never ran" if plan.attempt is None else f"attempt {plan.attempt}"
    yield f"{printable(plan.path)} ({which}) in a fresh container of {printable(plan.image)}"
    yield f"Run its command: {_SCRIPT}    Leave: exit"


def _of_the_line(plan: DebugPlan) -> Iterator[str]:
    yield from _of_all(plan)
    if plan.secrets:
        names = ", ".join(plan.secrets)
        yield f"The line passes secrets on from your environment; set them there first: {names}"
    yield f"In the shell, run the command: {_SCRIPT}"


def _of_the_container(plan: DebugPlan, name: str) -> Iterator[str]:
    yield from _of_all(plan)
    yield f"enter:  docker exec -it {name} {plan.shell}"
    yield f"remove: docker rm -f {name}"
