"""``conducto debug`` and ``conducto livedebug``: a shell like the one a command ran in."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from conducto.cli.host import remote_shell, selection
from conducto.cli.host.addresses import UsageError, expand, has_wildcard, node_path
from conducto.cli.host.connection import OpenClient, find_pipeline
from conducto.cli.host.exit_codes import DONE, FAILED, NO_ENGINE
from conducto.cli.host.view.text import printable
from conducto.client import ApiError, Client
from conducto.model.debug import DebugPlan, DebugRequest
from conducto.model.remote_shells import DEFAULT_SECONDS, RemoteShellRequest

_NOT_FOUND = 404
_SCRIPT = "/conducto/cmd.sh"

Front = Callable[[], ModuleType]


def _front() -> ModuleType:
    """Return what works with the engine; the command line does not know the local runner."""
    return importlib.import_module("conducto_local.debug.front")


def debug(arguments: argparse.Namespace, open_client: OpenClient, front: Front = _front) -> int:
    """Carry out ``debug`` and ``livedebug``; return the shell's exit code."""
    _check(arguments)
    if arguments.remote:
        return _remote(arguments, open_client)
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


def _check(arguments: argparse.Namespace) -> None:
    if arguments.remote and arguments.snapshot:
        raise UsageError("--snapshot: workers of the cloud make none; leave it or --remote out")
    if arguments.time_limit is not None and not arguments.remote:
        raise UsageError("--time-limit is for shells on workers; add --remote")


def _remote(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Open a shell on a worker; what is missing on this machine is said before it is started."""
    enter = remote_shell.find_plugin(os.environ)
    limit = DEFAULT_SECONDS if arguments.time_limit is None else arguments.time_limit
    seconds = remote_shell.check_time(limit)
    with open_client() as client:
        pipeline_id, path = _subject(client, arguments)
        request = RemoteShellRequest(path=path, attempt=arguments.attempt, seconds=seconds)
        with _naming_the_nearest(client, pipeline_id, path):
            return remote_shell.remote_shell(client, pipeline_id, request, enter)


def _plan(client: Client, arguments: argparse.Namespace) -> DebugPlan:
    pipeline_id, path = _subject(client, arguments)
    request = DebugRequest(
        path=path,
        attempt=arguments.attempt,
        live=arguments.verb == "livedebug",
        snapshot=arguments.snapshot,
    )
    with _naming_the_nearest(client, pipeline_id, path):
        return client.debug(pipeline_id, request)


def _subject(client: Client, arguments: argparse.Namespace) -> tuple[str, str]:
    """Return the pipeline's whole id and the path that is meant."""
    pipeline_id = find_pipeline(client, arguments.id).pipeline.id
    path = node_path(arguments.path)
    if has_wildcard(path):
        path = selection.one(client, pipeline_id, path)
    return pipeline_id, path


@contextmanager
def _naming_the_nearest(client: Client, pipeline_id: str, path: str) -> Iterator[None]:
    """Turn the refusal of a path that there is not into one that names the nearest."""
    try:
        yield
    except ApiError as error:
        paths = selection.all_paths(client, pipeline_id)
        if error.status == _NOT_FOUND and path not in paths:
            expand([path], paths)
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
