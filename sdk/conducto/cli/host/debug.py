"""``conducto debug`` and ``conducto livedebug``: a shell like the one a command ran in."""

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

from conducto.cli.host import selection
from conducto.cli.host.addresses import expand, has_wildcard, node_path
from conducto.cli.host.connection import OpenClient, find_pipeline
from conducto.cli.host.exit_codes import DONE, FAILED, NO_ENGINE
from conducto.cli.host.view.text import printable
from conducto.client import ApiError, Client
from conducto.model.debug import DebugPlan, DebugRequest

_NOT_FOUND = 404
_SCRIPT = "/conducto/cmd.sh"

Front = Callable[[], ModuleType]


def _front() -> ModuleType:
    """Return what works with the engine; the command line does not know the local runner."""
    return importlib.import_module("conducto_local.debug.front")


def debug(arguments: argparse.Namespace, open_client: OpenClient, front: Front = _front) -> int:
    """Carry out ``debug`` and ``livedebug``; return the shell's exit code."""
    with open_client() as client:
        plan = _plan(client, arguments)
    shells = front()
    try:
        if arguments.print:
            print(shells.docker_line(plan))
            _say(_of_the_line(plan))
            return DONE
        if arguments.no_shell:
            name = shells.keep_container(plan)
            print(name)
            _say(_of_the_container(plan, name))
            return DONE
        _say(_of_the_shell(plan))
        return int(shells.open_shell(plan))
    except shells.DebugError as error:
        print(f"conducto: {error}", file=sys.stderr)
        return NO_ENGINE if error.no_engine else FAILED


def _plan(client: Client, arguments: argparse.Namespace) -> DebugPlan:
    pipeline_id = find_pipeline(client, arguments.id).pipeline.id
    path = node_path(arguments.path)
    if has_wildcard(path):
        path = selection.one(client, pipeline_id, path)
    request = DebugRequest(
        path=path,
        attempt=arguments.attempt,
        live=arguments.verb == "livedebug",
        snapshot=arguments.snapshot,
    )
    try:
        return client.debug(pipeline_id, request)
    except ApiError as error:
        paths = selection.all_paths(client, pipeline_id)
        if error.status == _NOT_FOUND and path not in paths:
            expand([path], paths)  # names the nearest path
        raise


def _say(lines: Iterator[str]) -> None:
    """Print for the person; what is on stdout is for whoever reads it there."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def _of_all(plan: DebugPlan) -> Iterator[str]:
    for note in plan.notes:
        yield f"note: {printable(note)}"
    for mount in plan.code:
        yield f"Mounting {printable(mount.source)} at {printable(mount.target)}"
    if plan.code:
        yield "This is your code, read-write: a change on either side is there on the other."


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
