"""The pipelines of this machine, for the runner of schedules."""

import getpass
import logging
from collections.abc import Iterable

from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model.params import PipelineParams
from conducto_core.model.records import PipelineRecord
from conducto_core.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.model.schedules import Schedule, ScriptSource
from conducto_local.api.pipelines import LocalPipelines
from conducto_local.programs.scheduled import ScheduledScripts

logger = logging.getLogger(__name__)


class LocalScheduleTarget:
    """A `conducto_core.api.schedules.target.ScheduleTarget` over the operations of the API."""

    def __init__(self, pipelines: LocalPipelines, scripts: ScheduledScripts) -> None:
        self._pipelines = pipelines
        self._scripts = scripts

    async def may_launch(self, _org: str, _owner: str) -> bool:
        """Return True: an agent belongs to one user."""
        return True

    async def launch(
        self, _org: str, _owner: str, request: LaunchRequest, key: str, _since: float
    ) -> str:
        """Launch a pipeline once for each key; return its id."""
        return (await self._pipelines.launch(request, key, repeated=True)).pipeline.id

    async def start_script(self, schedule: Schedule, source: ScriptSource, key: str) -> str:
        """Start a script, or find the pipeline that it launched with this key; return its id."""
        known = self._pipelines.launched_with(key, getpass.getuser())
        if known is not None:
            await self._pipelines.begin_interrupted(known)
            return known
        return await self._scripts.launch(schedule, source, key)

    async def record(self, _org: str, pipeline_id: str) -> PipelineRecord | None:
        """Return the record of a pipeline, with its current status."""
        try:
            return self._pipelines.current_record(pipeline_id)
        except NotFoundError:
            return None

    async def cancel(self, _org: str, _owner: str, pipeline_id: str) -> None:
        """Cancel a pipeline, unless it has ended."""
        cancel = ControlRequest(action=Action.CANCEL)
        try:
            await self._pipelines.control(PipelineParams(id=pipeline_id), cancel)
        except (NotFoundError, RefusedError) as error:
            about = {"pipeline": pipeline_id, "why": str(error)}
            logger.info("a pipeline was not cancelled", extra=about)

    async def ended_since(self, _org: str, since: float) -> Iterable[PipelineRecord]:
        """Return the pipelines that ended at or after a time."""
        known = self._pipelines.current_records()
        return [one for one in known if (one.status.ended or 0.0) >= since]

    async def paused_itself(self, _org: str, schedule: Schedule) -> None:
        """Log the reason; the list of schedules shows it, too."""
        about = {"schedule": schedule.name, "why": schedule.paused_why}
        logger.warning("a schedule paused itself", extra=about)
