"""Scripts that schedules start."""

import asyncio
import os
import secrets
import shutil
import sys
import time
from pathlib import Path

from conducto.wire.launching import LAUNCH_KEY, LAUNCH_TAG
from conducto_core.errors import RefusedError
from conducto_core.model.program_calls import ProgramCall
from conducto_core.model.programs import ProgramStart, StartState
from conducto_core.model.schedules import SCHEDULE_TAG, Schedule, ScriptSource
from conducto_local.programs.process import ProgramProcess
from conducto_local.programs.starts import process_environment
from conducto_local.state_dir import StateDir

#: Maximum number of scripts at once.
MAX_SCRIPTS = 4
_FLAGS = ("--local", "--no-app", "--run", "--detach")
_SHOWN_LINES = 3


class ScheduledScripts:
    """Starts the scripts of schedules, each in its directory, like a user in a terminal."""

    def __init__(self, home: StateDir) -> None:
        self._home = home
        self._free = asyncio.Semaphore(MAX_SCRIPTS)

    async def launch(self, schedule: Schedule, source: ScriptSource, key: str) -> str:
        """Run a script to its end; return the pipeline that it launched.

        Raises:
            RefusedError: It cannot be started, or launched no pipeline.
        """
        check_script(source)
        title = () if schedule.title is None else (f"--title={schedule.title}",)
        env = process_environment(self._home)
        env |= {LAUNCH_KEY: key, LAUNCH_TAG: f"{SCHEDULE_TAG}{schedule.name}"}
        start = ProgramStart(id=secrets.token_hex(8), state=StartState.RUNNING, started=time.time())
        process = ProgramProcess(start)
        try:
            async with self._free:
                await process.run(_call_of(source), [*_FLAGS, *title], env)
            return _pipeline_of(process.view())
        except asyncio.CancelledError:  # the agent stops
            await process.cancel()
            raise
        finally:
            shutil.rmtree(process.directory, ignore_errors=True)


def check_script(source: ScriptSource) -> None:
    """Check that a script can be started; raises `RefusedError`."""
    if not Path(source.directory).is_dir():
        raise RefusedError(
            f"its directory {source.directory} does not exist; create it, or change the schedule"
        )
    program, *words = source.command
    if shutil.which(program, path=_search_path(source)) is None:
        raise RefusedError(f"its program {program!r} was not found; change the schedule")
    script = next((word for word in words[:1] if word.endswith(".py")), None)
    if script is not None and not Path(source.directory, script).is_file():
        where = Path(source.directory, script)
        raise RefusedError(f"its script {where} does not exist; create it, or change the schedule")


def _search_path(source: ScriptSource) -> str:
    own = Path(sys.executable).parent
    return os.pathsep.join((os.environ.get("PATH", os.defpath), str(own), source.directory))


def _call_of(source: ScriptSource) -> ProgramCall:
    program, *words = source.command
    found = shutil.which(program, path=_search_path(source)) or program
    script = words[0] if words else program
    return ProgramCall(
        function="", script=script, command=(found, *words), directory=source.directory
    )


def _pipeline_of(ended: ProgramStart) -> str:
    if ended.pipeline is not None:
        return ended.pipeline
    lines = [line for line in (ended.output or "").splitlines() if line.strip()]
    output = f"; its output ended with: {' / '.join(lines[-_SHOWN_LINES:])}" if lines else ""
    raise RefusedError(f"{ended.message or 'the script failed'}{output}")
