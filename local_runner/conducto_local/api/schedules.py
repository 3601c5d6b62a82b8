"""The operations on the schedules of this machine."""

import asyncio
import getpass
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from conducto_core.api.queries.relaunch import program_view
from conducto_core.api.schedules.runner import ScheduleRunner
from conducto_core.errors import RefusedError, invalid
from conducto_core.model.params import PipelineParams
from conducto_core.model.requests import LaunchRequest
from conducto_core.model.schedules import ScheduleSettings, ScriptSource
from conducto_core.semantics.programs import argument_problems, words_of
from conducto_local.api.pipelines import LocalPipelines
from conducto_local.programs.scheduled import check_script


class OneAtATime(ScheduleRunner):
    """A runner that serves a schedule once at a time, for the timer and requests."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def serve(self, org: str, name: str) -> bool:
        """Claim due times, follow the pipelines, and launch those that can start."""
        async with self._turns[name]:
            return await super().serve(org, name)


class LocalScheduleCaller:
    """A `conducto_core.api.schedules.operations.ScheduleCaller`: the owner of the machine.

    Args:
        programs: The pipelines of the profile.
        changed: Called after a change of a schedule.
    """

    org = ""
    runs_scripts = True

    def __init__(self, programs: LocalPipelines, changed: Callable[[], None]) -> None:
        self.user = getpass.getuser()
        self._programs = programs
        self.changed = changed

    async def template_launch(self, pipeline_id: str) -> LaunchRequest:
        """Return the launch request of a pipeline."""
        return await self._programs.template_launch(pipeline_id)

    async def with_script(self, settings: ScheduleSettings) -> ScheduleSettings:
        """Return settings whose script has its command and directory."""
        source = settings.what
        if not isinstance(source, ScriptSource):
            return settings
        if source.pipeline is not None:
            source = await self._script_of(source, source.pipeline)
        try:
            await asyncio.to_thread(check_script, source)
        except RefusedError as error:
            raise invalid("what", str(error)) from None
        return settings.model_copy(update={"what": source})

    async def _script_of(self, source: ScriptSource, pipeline: str) -> ScriptSource:
        summary = await self._programs.get_pipeline(PipelineParams(id=pipeline))
        launch = await self._programs.stored_launch(summary.pipeline.id)
        call = program_view(summary, launch.tree).call
        if call is None:
            raise invalid(
                "what", f"the script of {pipeline} is not known; use its tree as a template"
            )
        arguments = {**call.arguments, **source.arguments}
        problems = argument_problems(call, arguments)
        if problems:
            raise invalid("what", "; ".join(f"{name}: {why}" for name, why in problems.items()))
        command = (*call.command, *words_of(call, arguments, call.rest))
        return source.model_copy(update={"command": command, "directory": call.directory})
