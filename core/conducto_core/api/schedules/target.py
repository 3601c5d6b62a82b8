"""What the runner of schedules needs from a target."""

from collections.abc import Iterable
from typing import Protocol

from conducto_core.model.records import PipelineRecord
from conducto_core.model.requests import LaunchRequest
from conducto_core.model.schedules import Schedule, ScriptSource


class ScheduleTarget(Protocol):
    """Launches and observes pipelines, with the current permissions of their owners."""

    async def may_launch(self, org: str, owner: str) -> bool:
        """Return whether a user may launch pipelines now."""

    async def launch(
        self, org: str, owner: str, request: LaunchRequest, key: str, since: float
    ) -> str:
        """Launch a pipeline once for each key; return its id.

        ``since``: When its firing began to wait, for its turn in the queue of launches.

        Raises:
            PlanFullError: The plan has no room for it; try again later.
        """

    async def start_script(self, schedule: Schedule, source: ScriptSource, key: str) -> str:
        """Start a script, or find the pipeline that it launched with this key; return its id."""

    async def record(self, org: str, pipeline_id: str) -> PipelineRecord | None:
        """Return the record of a pipeline; None if it was deleted."""

    async def cancel(self, org: str, owner: str, pipeline_id: str) -> None:
        """Cancel a pipeline, unless it has ended."""

    async def ended_since(self, org: str, since: float) -> Iterable[PipelineRecord]:
        """Return the pipelines that ended at or after a time."""

    async def paused_itself(self, org: str, schedule: Schedule) -> None:
        """Note that a schedule paused itself, for the people who should know."""
