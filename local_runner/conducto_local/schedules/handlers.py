"""The operations on the schedules of this machine."""

import asyncio
import getpass
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from conducto_core.errors import NotFoundError, RefusedError, invalid
from conducto_core.events.model import EventRule
from conducto_core.partitions.model import PartitionsParams, PartitionState
from conducto_core.partitions.rules import states_of, with_times
from conducto_core.programs.model import ProgramCall
from conducto_core.programs.relaunch import program_view
from conducto_core.programs.rules.programs import (
    PARTITION,
    argument_problems,
    program_of,
    words_of,
)
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.schedules.model import Schedule, ScheduleSettings, ScriptSource
from conducto_core.schedules.runner import ScheduleRunner
from conducto_local.events.handlers import LocalHooks
from conducto_local.programs.handlers import ScheduledScripts, check_script
from conducto_local.run.handlers import LocalPipelines


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
    """A `conducto_core.schedules.handlers.ScheduleCaller`: the owner of the machine.

    Args:
        changed: Called after a change of a schedule.
        hooks: The webhooks of triggers.
    """

    org = ""
    runs_scripts = True

    def __init__(
        self, programs: LocalPipelines, changed: Callable[[], None], hooks: LocalHooks
    ) -> None:
        self.user = getpass.getuser()
        self._programs = programs
        self.changed = changed
        self.new_hook = hooks.new
        self._hooks = hooks

    def check_source(self, _name: str, rule: EventRule) -> EventRule:
        """Accept every rule: an agent belongs to one user."""
        return rule

    def connect(self, name: str, rule: EventRule | None, _former: EventRule | None = None) -> None:
        if rule is None or rule.source != "webhook":
            self._hooks.forget(name)

    async def template_launch(self, pipeline_id: str) -> LaunchRequest:
        return await self._programs.template_launch(pipeline_id)

    async def with_script(self, settings: ScheduleSettings) -> ScheduleSettings:
        source = settings.what
        if not isinstance(source, ScriptSource):
            return settings
        if source.pipeline is not None:
            call = await self._call_of(source.pipeline)
            if PARTITION not in source.arguments and settings.cron is not None:
                changes = {"partitions": settings.partitions or with_times(call.partitions)}
                settings = settings.model_copy(update=changes)
            source = _script_of(source, call, partitions=settings.partitions is not None)
        try:
            await asyncio.to_thread(check_script, source)
        except RefusedError as error:
            raise invalid("what", str(error)) from None
        return settings.model_copy(update={"what": source})

    async def _call_of(self, pipeline: str) -> ProgramCall:
        summary = await self._programs.get_pipeline(PipelineParams(id=pipeline))
        launch = await self._programs.stored_launch(summary.pipeline.id)
        call = program_view(summary, launch.tree).call
        if call is None:
            raise invalid(
                "what", f"the script of {pipeline} is not known; use its tree as a template"
            )
        return call


def _script_of(source: ScriptSource, call: ProgramCall, *, partitions: bool) -> ScriptSource:
    """Return a script with the command of a call; with partitions, each firing adds its own."""
    arguments = {**call.arguments, **source.arguments}
    if partitions:
        arguments.pop(PARTITION, None)
    problems = argument_problems(call, arguments)
    if problems:
        raise invalid("what", "; ".join(f"{name}: {why}" for name, why in problems.items()))
    command = (*call.command, *words_of(call, arguments, call.rest))
    return source.model_copy(update={"command": command, "directory": call.directory})


# ----------------------------------------------------------------------------------------
# The pipelines of this machine, for the runner of schedules.


logger = logging.getLogger(__name__)


class LocalScheduleTarget:
    """A `conducto_core.schedules.port.ScheduleTarget` over the operations of the API."""

    def __init__(self, pipelines: LocalPipelines, scripts: ScheduledScripts) -> None:
        self._pipelines = pipelines
        self._scripts = scripts

    async def may_launch(self, _org: str, _owner: str) -> bool:
        """Return True: an agent belongs to one user."""
        return True

    async def launch(
        self, _org: str, _owner: str, request: LaunchRequest, key: str, _since: float
    ) -> str:
        return (await self._pipelines.launch(request, key, repeated=True)).pipeline.id

    async def start_script(
        self, schedule: Schedule, source: ScriptSource, key: str, parts: Mapping[str, Any]
    ) -> str:
        known = self._pipelines.launched_with(key, getpass.getuser())
        if known is not None:
            await self._pipelines.begin_interrupted(known)
            return known
        return await self._scripts.launch(schedule, source, key, parts)

    async def record(self, _org: str, pipeline_id: str) -> PipelineRecord | None:
        try:
            return self._pipelines.current_record(pipeline_id)
        except NotFoundError:
            return None

    async def partition_states(
        self, _org: str, _owner: str, record: PipelineRecord
    ) -> Mapping[str, PartitionState]:
        query = PartitionsParams.model_validate(program_of(record).model_dump())
        return states_of(await self._pipelines.list_partitions(query))

    async def cancel(self, _org: str, _owner: str, pipeline_id: str) -> None:
        cancel = ControlRequest(action=Action.CANCEL)
        try:
            await self._pipelines.control(PipelineParams(id=pipeline_id), cancel)
        except (NotFoundError, RefusedError) as error:
            about = {"pipeline": pipeline_id, "why": str(error)}
            logger.info("a pipeline was not cancelled", extra=about)

    async def ended_since(self, _org: str, since: float) -> Iterable[PipelineRecord]:
        known = self._pipelines.current_records()
        return [one for one in known if (one.status.ended or 0.0) >= since]

    async def paused_itself(self, _org: str, schedule: Schedule) -> None:
        """Log the reason; the list of schedules shows it, too."""
        about = {"schedule": schedule.name, "why": schedule.paused_why}
        logger.warning("a schedule paused itself", extra=about)
