"""The programs that clients started, and whether a program can be started."""

import asyncio
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from conducto.wire.launching import LAUNCH_TAG
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model.program_calls import ProgramCall
from conducto_core.model.programs import ProgramStart, StartState
from conducto_local.programs.process import ProgramProcess
from conducto_local.state_dir import StateDir

#: Maximum number of programs at once, and of starts that are remembered.
MAX_RUNNING = 4
MAX_KNOWN = 50
_NO_CALL = (
    "it was launched by Python code, a notebook or another program, so its parameters are not "
    "known; the same tree can be launched again"
)


class ProgramStarts:
    """The starts of programs since the agent started."""

    def __init__(self, home: StateDir) -> None:
        self._home = home
        self._starts: dict[str, ProgramProcess] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(
        self, call: ProgramCall, words: Sequence[str], tag: str | None = None
    ) -> ProgramStart:
        """Start a program with these words after its command; its pipelines get the tag.

        Raises:
            RefusedError: too many programs run.
        """
        running = sum(one.now.state is StartState.RUNNING for one in self._starts.values())
        if running >= MAX_RUNNING:
            raise RefusedError(
                f"{running} programs are starting already; wait for one, or cancel it"
            )
        self._forget()
        start = ProgramStart(id=secrets.token_hex(8), state=StartState.RUNNING, started=time.time())
        process = ProgramProcess(start)
        self._starts[start.id] = process
        env = process_environment(self._home) | ({} if tag is None else {LAUNCH_TAG: tag})
        task = asyncio.create_task(process.run(call, words, env))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return process.now

    def find(self, start_id: str) -> ProgramProcess:
        """Return a start.

        Raises:
            NotFoundError: it is unknown.
        """
        found = self._starts.get(start_id)
        if found is None:
            raise NotFoundError(
                f"program start {start_id!r} is unknown; the agent was restarted since, or it was "
                "long ago. If its pipeline is not in the list, start the program again"
            )
        return found

    async def close(self) -> None:
        """Stop all programs."""
        await asyncio.gather(*(one.cancel() for one in self._starts.values()))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in self._starts.values():
            shutil.rmtree(one.directory, ignore_errors=True)

    def _forget(self) -> None:
        ended = [
            key for key, one in self._starts.items() if one.now.state is not StartState.RUNNING
        ]
        for key in ended[: max(0, len(self._starts) - MAX_KNOWN + 1)]:
            shutil.rmtree(self._starts.pop(key).directory, ignore_errors=True)


def process_environment(home: StateDir) -> dict[str, str]:
    """Return the environment of a program that launches to this profile's agent."""
    return {
        **os.environ,
        "CONDUCTO_BASE_DIR": str(home.base),
        "CONDUCTO_PROFILE": home.profile,
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }


def problem_of(call: ProgramCall | None) -> str | None:
    """Return the reason why a program cannot be started, or None; it reads the file system."""
    if call is None:
        return _NO_CALL
    if not Path(call.script).is_file():
        return f"its script {call.script} no longer exists; restore it, or launch the same tree"
    if not os.access(call.command[0], os.X_OK):
        return (
            f"its Python interpreter {call.command[0]} no longer exists; launch the script in a "
            "terminal, or launch the same tree"
        )
    if not Path(call.directory).is_dir():
        return (
            f"its directory {call.directory} no longer exists; restore it, or launch the same tree"
        )
    return None


def has_changed(call: ProgramCall) -> bool:
    """Return whether a script has another content than at the launch."""
    try:
        content = Path(call.script).read_bytes()
    except OSError:
        return True
    return call.digest is not None and hashlib.sha256(content).hexdigest() != call.digest
