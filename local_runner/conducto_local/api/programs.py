"""The operations that start programs again on this machine."""

import asyncio

from conducto_core.api.queries.relaunch import program_view
from conducto_core.errors import RefusedError
from conducto_core.model.params import PipelineParams
from conducto_core.model.program_calls import ProgramCall
from conducto_core.model.programs import (
    ProgramStart,
    ProgramStartParams,
    ProgramView,
    StartProgram,
    StartState,
)
from conducto_core.model.records import PipelineRecord
from conducto_core.model.relay import LINK_TAG
from conducto_core.semantics.programs import argument_problems, effective, flag_of, words_of
from conducto_local.api.approvals import DECIDER
from conducto_local.api.reading import LocalQueries
from conducto_local.programs import starts
from conducto_local.programs.starts import ProgramStarts


class LocalPrograms(LocalQueries):
    """Programs of the pipelines of one profile."""

    _starts: ProgramStarts

    async def get_program(self, params: PipelineParams) -> ProgramView:
        """Return the program of a pipeline, and whether it can be started."""
        summary = await self.get_pipeline(params)
        launch = await self.stored_launch(summary.pipeline.id)
        view = program_view(summary, launch.tree)
        problem = await asyncio.to_thread(starts.problem_of, view.call)
        changed = view.call is not None and problem is None and starts.has_changed(view.call)
        return view.model_copy(update={"problem": problem, "script_changed": changed})

    async def start_program(self, params: PipelineParams, request: StartProgram) -> ProgramStart:
        """Start the program of a pipeline with other arguments."""
        view = await self.get_program(params)
        record, call = view.pipeline.pipeline, view.call
        if call is None or view.problem is not None:
            raise RefusedError(f"{record.id}: {view.problem}")
        problems = argument_problems(call, request.arguments)
        if problems:
            return ProgramStart(id="", state=StartState.INVALID, problems=problems)
        rest = call.rest if request.rest is None else request.rest
        words = words_of(call, request.arguments, rest)
        tag = None if DECIDER.get() is None else LINK_TAG
        return self._starts.begin(call, [*words, *_flags(record, call, request)], tag)

    async def get_program_start(self, params: ProgramStartParams) -> ProgramStart:
        """Return the state and the output of a program that was started."""
        return self._starts.find(params.start).view()

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
    if request.action == "plan":
        return [flag_of(call, "local"), flag_of(call, "plan")]
    title = request.title or call.title
    if title is None and effective(call, request.arguments) == effective(call, call.arguments):
        title = record.title  # the same call has the same title, however it was written
    optional = {
        "title": title,
        "tags": ",".join(tag for tag in record.tags if tag != LINK_TAG) or None,
        "retention": str(record.retention),
        "engine": "process" if record.engine == "process" else None,
    }
    given = [f"{flag_of(call, k)}={v}" for k, v in optional.items() if v is not None]
    switches = ["run", "detach"] if request.run else []
    sleep = ["sleep-when-done"] if record.sleep_when_done else []
    return [*(flag_of(call, each) for each in ("local", "no-app", *switches, *sleep)), *given]
