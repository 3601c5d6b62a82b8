"""The way from a command to the agent, and from its errors to an exit code."""

import io
import os
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.exit import FAILED, LEFT, NO_ENGINE, USAGE
from conducto_cli.text.text import printable_lines
from conducto_client import AgentUnreachableError, ApiError, Client, ClientError
from conducto_client.transport.http import HttpTransport
from conducto_client.transport.port import Endpoint
from conducto_core.run.model.requests import Problem
from conducto_local.agent import launcher
from conducto_local.agent.state_dir import open_state_dir

if TYPE_CHECKING:
    from conducto_core.installation.model import GcReport
    from conducto_local.agent.repair import Confirm, RepairReport

#: `Problem.type` of a container engine that is missing, not running or not permitted.
ENGINE_PROBLEM = "about:blank#engine"
_USAGE_STATUSES = {400, 404, 409, 413, 422}


class LocalAgent:
    """The process that runs a profile's pipelines on this machine.

    Args:
        profile: None is the profile in use.

    Raises:
        UsageError: the profile is invalid, or its directory cannot be created.
    """

    def __init__(self, profile: str | None = None) -> None:
        try:
            self._dir = open_state_dir(profile)
        except (ValueError, OSError) as error:
            raise UsageError(str(error)) from error

    def find(self) -> Endpoint | None:
        """Return its address, or None if none is running."""
        return launcher.find_agent(self._dir)

    def is_unused(self) -> bool:
        """Return whether this profile never had a pipeline on this machine."""
        return not self._dir.store.exists() and not self._dir.pipeline_ids()

    def ensure(self, *, launching: bool = False) -> Endpoint:
        """Return its address; start it if none is running.

        Args:
            launching: Commands may start, so the agent must find the container engine.

        Raises:
            AgentUnreachableError: it cannot be started.
        """
        try:
            return launcher.ensure_agent(self._dir, launching=launching)
        except launcher.AgentStartError as error:
            raise AgentUnreachableError(str(error)) from error

    def stop(self) -> bool:
        """Stop it; return whether one was running.

        Raises:
            AgentUnreachableError: it did not stop.
        """
        try:
            return launcher.stop_agent(self._dir)
        except launcher.AgentStopError as error:
            raise AgentUnreachableError(str(error)) from error

    def collect_garbage(self, *, dry_run: bool) -> "GcReport | None":
        """Free unused resources without the agent, which cannot start; None: it is running.

        Raises:
            UsageError: the store cannot be read.
        """
        from conducto_core.installation.model import GcRequest  # noqa: PLC0415
        from conducto_local.agent.runner import collect_without_agent  # noqa: PLC0415 - loads the engine
        from conducto_local.store.port import StoreError  # noqa: PLC0415

        try:
            return collect_without_agent(self._dir, GcRequest(dry_run=dry_run))
        except (StoreError, OSError) as error:
            raise UsageError(str(error)) from error

    def repair(self, confirm: "Confirm") -> "RepairReport":
        """Rebuild lost or damaged parts of its store, if ``confirm`` accepts the report.

        Raises:
            UsageError: it is running, or the store cannot be repaired.
        """
        from conducto_local.agent.repair import RepairError, repair  # noqa: PLC0415 - loads the engine

        try:
            return repair(self._dir, confirm=confirm)
        except RepairError as error:
            raise UsageError(str(error)) from error


OpenClient = Callable[[], Client]


def client_opener(profile: str | None = None, *, launching: bool = False) -> OpenClient:
    """Return a factory of clients of the agent; its first call starts the agent if necessary."""
    local = LocalAgent(profile)
    ensure = cache(partial(local.ensure, launching=launching))
    return lambda: Client(HttpTransport(ensure(), find=local.find))


def exit_code_of(error: ClientError | UsageError) -> int:
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
    text = _problem_text(error.problem) if isinstance(error, ApiError) else str(error)
    return printable_lines(text)


def _problem_text(problem: Problem) -> str:
    return problem.detail if problem.remedy is None else f"{problem.detail}\n{problem.remedy}"
