"""The CLI's operations on a debug plan: open a shell, keep a container, or print a line."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from conducto_core.model.debug import DebugPlan
from conducto_local.debug.command_line import docker_run_line
from conducto_local.debug.container import container_spec
from conducto_local.debug.errors import DebugError
from conducto_local.debug.scripts import lasting_script
from conducto_local.debug.session import run_shell, start_container
from conducto_local.debug.terminal import Terminal
from conducto_local.engine.address import Address, candidates
from conducto_local.ports import EngineError

__all__ = ["DebugError", "docker_line", "keep_container", "open_shell"]


def open_shell(plan: DebugPlan) -> int:
    """Open a shell on this process's terminal; return its exit code.

    Raises:
        DebugError: The shell could not be opened, or was lost.
    """
    try:
        return asyncio.run(run_shell(plan, Terminal(), term=os.environ.get("TERM", "")))
    except (EngineError, OSError) as error:
        raise _told(error) from error


def keep_container(plan: DebugPlan) -> str:
    """Start a container that outlives this process; return its name.

    Raises:
        DebugError: The container does not start.
    """
    try:
        return asyncio.run(start_container(plan))
    except (EngineError, OSError) as error:
        raise _told(error) from error


def docker_line(plan: DebugPlan) -> str:
    """Return the ``docker run`` line of a shell; write the script that the line mounts.

    Raises:
        DebugError: The script cannot be written.
    """
    try:
        spec = container_spec(plan, "", str(lasting_script(plan)))
        return docker_run_line(plan, spec, _engine(os.environ))
    except (EngineError, OSError) as error:
        raise _told(error) from error


def _engine(env: Mapping[str, str]) -> Address:
    """Return the address of the engine, without contacting it."""
    known = candidates(env)
    there = (each for each in known if each.path is None or Path(each.path).exists())
    return next(there, known[0])


def _told(error: Exception) -> DebugError:
    return DebugError(str(error), no_engine=isinstance(error, EngineError))
