"""One process of a program, which launches a pipeline or plans one.

It runs as it did in the user's terminal: the same interpreter, script and directory, without a
shell. Its input is closed; its output goes to a file, so that a process that outlives it cannot
delay its end.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conducto.wire.launching import LAUNCH_TAG, RECEIPT
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.programs.model import ProgramCall, ProgramPlan, ProgramStart, StartState
from conducto_local.agent.state_dir import StateDir

#: Bytes of output that are returned, its end.
SHOWN_OUTPUT = 32 << 10
#: Limits of a process: bytes of output, and seconds.
MAX_OUTPUT = 64 << 20
MAX_SECONDS = 3600.0
#: Seconds between two checks of the limits, and that a process has to end after a cancellation.
CHECK_EVERY = 0.5
TERMINATION = 5.0

_OF_PARAMETER = re.compile(r"parameter '(\w+)': (.+)")
_UNKNOWN = re.compile(r"Unknown argument: --([\w-]+)")
_MISSING = re.compile(r"no value for (\w+)")
_INPUT = "the script asks for input, which is closed here; make the value a parameter"


@dataclass
class ProgramProcess:
    """A start of a program and its process.

    Attributes:
        now: The start as of the latest change, without its output.
    """

    now: ProgramStart
    directory: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(prefix="conducto-start-"))
    )
    _process: asyncio.subprocess.Process | None = None
    _stopped: str | None = None

    @property
    def output(self) -> Path:
        return self.directory / "output"

    @property
    def receipt(self) -> Path:
        """The file into which the launcher writes the id of the pipeline, or the plan."""
        return self.directory / "receipt.json"

    def view(self) -> ProgramStart:
        return self.now.model_copy(update={"output": _end_of(self.output)})

    async def run(self, call: ProgramCall, words: Sequence[str], env: Mapping[str, str]) -> None:
        """Run the program to its end; the result is in `now`."""
        try:
            code = await self._wait(call, words, env)
        except OSError as error:
            self._end(StartState.FAILED, message=f"cannot start {call.command[0]}: {error}")
        else:
            self._finish(call, code)

    async def _wait(self, call: ProgramCall, words: Sequence[str], env: Mapping[str, str]) -> int:
        with self.output.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *call.command,
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                cwd=call.directory,
                env={**env, RECEIPT: str(self.receipt)},
                start_new_session=True,
            )
        try:
            if self.now.state is StartState.CANCELLED:  # meanwhile
                _signal(self._process, signal.SIGKILL)
            return await self._guarded(self._process)
        finally:
            _signal(self._process, signal.SIGKILL)  # what it left in its session, too

    async def _guarded(self, process: asyncio.subprocess.Process) -> int:
        ends = time.monotonic() + MAX_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(process.wait(), CHECK_EVERY)
            if time.monotonic() > ends:
                self._stopped = f"the script took more than {MAX_SECONDS / 60:g} minutes"
            elif self.output.stat().st_size > MAX_OUTPUT:
                self._stopped = f"the script printed more than {MAX_OUTPUT >> 20} MB"
            if self._stopped is not None:
                _signal(process, signal.SIGKILL)

    async def cancel(self) -> None:
        """Stop the process, unless it has ended; `run` notes the end."""
        process = self._process
        if self.now.state is not StartState.RUNNING:
            return
        self._end(StartState.CANCELLED, message="cancelled; no pipeline was launched")
        if process is None:  # it is being created
            return
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), TERMINATION)
        _signal(process, signal.SIGKILL)

    def _finish(self, call: ProgramCall, code: int) -> None:
        made = self._receipt()
        pipeline, plan = made.get("pipeline"), made.get("plan")
        if pipeline is not None:  # launched, even if the script failed or was stopped afterwards
            self._end(StartState.DONE, exit_code=code, pipeline=pipeline)
        elif self.now.state is StartState.CANCELLED:
            self._end(StartState.CANCELLED, exit_code=code)
        elif plan is not None:
            self._end(StartState.DONE, exit_code=code, plan=ProgramPlan.model_validate(plan))
        else:
            text = _end_of(self.output)
            problems = problems_in(text, {one.name for one in call.parameters})
            message = self._stopped or failure_of(text, code)
            self._end(StartState.FAILED, exit_code=code, problems=problems, message=message)

    def _receipt(self) -> dict[str, Any]:
        try:
            made = json.loads(self.receipt.read_text())
        except (OSError, ValueError):
            return {}
        return made if isinstance(made, dict) else {}

    def _end(self, state: StartState, **changes: Any) -> None:
        self.now = self.now.model_copy(update={"state": state, "ended": time.time(), **changes})


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _end_of(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - SHOWN_OUTPUT))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def problems_in(output: str, parameters: set[str]) -> dict[str, str]:
    """Return ``{parameter: reason}`` of the values that a script rejected, by its output."""
    found = {name: reason for name, reason in _OF_PARAMETER.findall(output) if name in parameters}
    for name in _UNKNOWN.findall(output):
        plain = name.replace("-", "_")
        plain = plain if plain in parameters else plain.removeprefix("no_")
        if plain in parameters:
            found[plain] = "the script has no such parameter any more"
    for name in _MISSING.findall(output):
        found[name] = "the script needs a value"
    return found


def failure_of(output: str, code: int) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if last.startswith("EOFError"):
        return _INPUT
    if code == 0:
        return "the script ended without launching a pipeline"
    end = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"the script {end}{f': {last}' if last else ''}"


# ----------------------------------------------------------------------------------------
# The programs that clients started, and whether a program can be started.


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
