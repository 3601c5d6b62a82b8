"""The operations that start programs again on this machine."""

import asyncio
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conducto.wire.launching import LAUNCH_KEY, LAUNCH_PARTS, LAUNCH_TAG
from conducto_core.api.serve import serves
from conducto_core.errors import RefusedError
from conducto_core.programs import operations as programs_operations
from conducto_core.programs.model import (
    ProgramCall,
    ProgramStart,
    ProgramStartParams,
    ProgramView,
    StartProgram,
    StartState,
)
from conducto_core.programs.relaunch import program_view
from conducto_core.programs.rules.programs import (
    PARTITION,
    argument_problems,
    effective,
    flag_of,
    words_of,
)
from conducto_core.remote.model import LINK_TAG
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import PipelineRecord
from conducto_core.schedules.model import SCHEDULE_TAG, Schedule, ScriptSource
from conducto_local.agent.state_dir import StateDir
from conducto_local.approvals.handlers import DECIDER
from conducto_local.programs import process as starts
from conducto_local.programs.process import ProgramProcess, ProgramStarts, process_environment
from conducto_local.run.reading import LocalQueries


class LocalPrograms(LocalQueries):
    """Programs of the pipelines of one profile."""

    _starts: ProgramStarts

    @serves(programs_operations.PROGRAM)
    async def get_program(self, params: PipelineParams) -> ProgramView:
        summary = await self.get_pipeline(params)
        launch = await self.stored_launch(summary.pipeline.id)
        view = program_view(summary, launch.tree)
        problem = await asyncio.to_thread(starts.problem_of, view.call)
        changed = view.call is not None and problem is None and starts.has_changed(view.call)
        return view.model_copy(update={"problem": problem, "script_changed": changed})

    @serves(programs_operations.START_PROGRAM)
    async def start_program(self, params: PipelineParams, request: StartProgram) -> ProgramStart:
        view = await self.get_program(params)
        record, call = view.pipeline.pipeline, view.call
        if call is None or view.problem is not None:
            raise RefusedError(f"{record.id}: {view.problem}")
        if request.backfill is not None:
            others = {k: v for k, v in request.arguments.items() if k != PARTITION}
            request = request.model_copy(update={"arguments": others})
        problems = argument_problems(call, request.arguments)
        if problems:
            return ProgramStart(id="", state=StartState.INVALID, problems=problems)
        rest = call.rest if request.rest is None else request.rest
        words = words_of(call, request.arguments, rest)
        tag = None if DECIDER.get() is None else LINK_TAG
        return self._starts.begin(call, [*words, *_flags(record, call, request)], tag)

    @serves(programs_operations.PROGRAM_START)
    async def get_program_start(self, params: ProgramStartParams) -> ProgramStart:
        return self._starts.find(params.start).view()

    @serves(programs_operations.CANCEL_PROGRAM_START)
    async def cancel_program_start(self, params: ProgramStartParams) -> ProgramStart:
        """Stop a program, unless it has ended."""
        found = self._starts.find(params.start)
        await found.cancel()
        return found.view()

    async def close(self) -> None:
        """Stop the programs that have not launched their pipelines yet."""
        await self._starts.close()


def _flags(record: PipelineRecord, call: ProgramCall, request: StartProgram) -> list[str]:
    """Return our flags of the command line, those of the first launch if they are known."""
    backfill = {} if request.backfill is None else request.backfill.flags()
    of_backfill = [f"{flag_of(call, name)}={value}" for name, value in backfill.items()]
    if request.action == "plan":
        return [flag_of(call, "local"), flag_of(call, "plan"), *of_backfill]
    title = request.title or call.title
    is_same = request.backfill is None and not record.backfill
    if (
        title is None
        and is_same
        and effective(call, request.arguments) == effective(call, call.arguments)
    ):
        title = record.title  # the same call has the same title, however it was written
    optional = {
        "title": title,
        "tags": ",".join(tag for tag in record.tags if tag != LINK_TAG) or None,
        "retention": str(record.retention),
        "engine": "process" if record.engine == "process" else None,
        "budget": None if request.budget is None else f"{request.budget!r}",
    }
    given = [f"{flag_of(call, k)}={v}" for k, v in optional.items() if v is not None]
    switches = ["run", "detach"] if request.run else []
    sleep = ["sleep-when-done"] if record.sleep_when_done else []
    return [
        *(flag_of(call, each) for each in ("local", "no-app", *switches, *sleep)),
        *given,
        *of_backfill,
    ]


# ----------------------------------------------------------------------------------------
# Scripts that schedules start.


#: Maximum number of scripts at once.
MAX_SCRIPTS = 4
_FLAGS = ("--local", "--no-app", "--run", "--detach")
_SHOWN_LINES = 3


class ScheduledScripts:
    """Starts the scripts of schedules, each in its directory, like a user in a terminal."""

    def __init__(self, home: StateDir) -> None:
        self._home = home
        self._free = asyncio.Semaphore(MAX_SCRIPTS)

    async def launch(
        self,
        schedule: Schedule,
        source: ScriptSource,
        key: str,
        parts: Mapping[str, Any],
    ) -> str:
        """Run a script to its end; return the pipeline that it launched.

        ``parts``: Further parts of its launch form.

        Raises:
            RefusedError: It cannot be started, or launched no pipeline.
        """
        check_script(source)
        title = () if schedule.title is None else (f"--title={schedule.title}",)
        env = process_environment(self._home)
        env |= {LAUNCH_KEY: key, LAUNCH_TAG: f"{SCHEDULE_TAG}{schedule.name}"}
        start = ProgramStart(id=secrets.token_hex(8), state=StartState.RUNNING, started=time.time())
        process = ProgramProcess(start)
        if parts:
            env[LAUNCH_PARTS] = str(process.directory / "parts.json")
        try:
            if parts:
                await asyncio.to_thread(Path(env[LAUNCH_PARTS]).write_text, json.dumps(parts))
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
