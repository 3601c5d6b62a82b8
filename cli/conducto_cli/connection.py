"""The way from a command to the agent, and from its errors to an exit code."""

import importlib
import io
import os
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import cast

from conducto_cli.exit_codes import FAILED, LEFT, NO_ENGINE, USAGE
from conducto_cli.references import UsageError, suggestion
from conducto_cli.text.text import printable_lines
from conducto_client import AgentUnreachableError, ApiError, Client, ClientError
from conducto_client.http_transport import HttpTransport
from conducto_client.transport import Endpoint
from conducto_core.model.requests import PipelineSummary, Problem

#: `Problem.type` of an engine that is not there, not started or not permitted.
ENGINE_PROBLEM = "about:blank#engine"
_USAGE_STATUSES = {400, 404, 409, 413, 422}
_NOT_FOUND = 404


class LocalAgent:
    """The process that runs a profile's pipelines on this machine.

    The local runner is looked up by name: the command line knows it only as something that
    answers the API, and the runner's modules may import the command line's.

    Args:
        profile: None is the profile in use.

    Raises:
        UsageError: there cannot be such a profile, or its directory cannot be made.
    """

    def __init__(self, profile: str | None = None) -> None:
        self._launcher = importlib.import_module("conducto_local.launcher")
        try:
            self._home = importlib.import_module("conducto_local.state_dir").open_state_dir(profile)
        except (ValueError, OSError) as error:
            raise UsageError(str(error)) from error

    def find(self) -> Endpoint | None:
        """Return its address, or None when none is running."""
        return cast("Endpoint | None", self._launcher.find_agent(self._home))

    def ensure(self, *, launching: bool = False) -> Endpoint:
        """Return its address; start it if none is running.

        Args:
            launching: Something is to run, so it matters where the agent looks for the engine.

        Raises:
            AgentUnreachableError: it cannot be started.
        """
        try:
            return cast("Endpoint", self._launcher.ensure_agent(self._home, launching=launching))
        except self._launcher.AgentStartError as error:
            raise AgentUnreachableError(str(error)) from error

    def stop(self) -> bool:
        """Stop it; return whether there was one.

        Raises:
            AgentUnreachableError: it lives on.
        """
        try:
            return bool(self._launcher.stop_agent(self._home))
        except self._launcher.AgentStopError as error:
            raise AgentUnreachableError(str(error)) from error

    def repair(self) -> list[str]:
        """Rebuild what is lost or damaged in its store; return what was done, in lines.

        Raises:
            UsageError: it is running, or the store cannot be repaired.
        """
        module = importlib.import_module("conducto_local.repair")
        try:
            return cast("list[str]", module.repair(self._home).lines())
        except module.RepairError as error:
            raise UsageError(str(error)) from error


OpenClient = Callable[[], Client]


def client_opener(profile: str | None = None, *, launching: bool = False) -> OpenClient:
    """Return what makes a client of the agent; the first call starts the agent if need be."""
    local = LocalAgent(profile)
    ensure = cache(partial(local.ensure, launching=launching))
    return lambda: Client(HttpTransport(ensure(), find=local.find))


def find_pipeline(client: Client, pipeline_id: str) -> PipelineSummary:
    """Return a pipeline by its id or the beginning of it.

    Raises:
        UsageError: there is none; names the nearest.
    """
    try:
        return client.get(pipeline_id)
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
        if pipeline_id.startswith("/"):
            raise UsageError(f"{pipeline_id!r} is a PATH; the ID comes before it") from error
        known = [summary.pipeline.id for summary in client.list()]
        if not known:
            raise UsageError(
                f"no pipeline {pipeline_id!r}, for there is none yet; launch one: "
                "python pipeline.py --local --run"
            ) from error
        raise UsageError(f"{error.problem.detail}{suggestion(pipeline_id, known)}") from error


def exit_code_of(error: ClientError | UsageError) -> int:
    """Return the exit code that an error means."""
    match error:
        case UsageError():
            return USAGE
        case ApiError():
            if error.problem.type == ENGINE_PROBLEM:
                return NO_ENGINE
            return USAGE if error.status in _USAGE_STATUSES else FAILED
        case _:
            return FAILED


def _print_any_name() -> None:
    """Let standard output take every character: names may hold some that its encoding lacks."""
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and out.errors == "strict":
        out.reconfigure(errors="backslashreplace")


def guarded(command: Callable[[], int]) -> int:
    """Run a command; turn what it may raise into a message on stderr and an exit code."""
    _print_any_name()
    try:
        code = command()
        sys.stdout.flush()
    except (AgentUnreachableError, ApiError, UsageError) as error:
        print(f"conducto: {message_of(error)}", file=sys.stderr)
        return exit_code_of(error)
    except BrokenPipeError:
        # The reader has seen enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return LEFT
    return code


def message_of(error: ClientError | UsageError) -> str:
    """Return what to tell a person, as a terminal may show it."""
    text = _problem_text(error.problem) if isinstance(error, ApiError) else str(error)
    return printable_lines(text)


def _problem_text(problem: Problem) -> str:
    return problem.detail if problem.remedy is None else f"{problem.detail}\n{problem.remedy}"
