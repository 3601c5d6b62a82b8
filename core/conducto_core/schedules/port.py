"""Where schedules and their firings are stored.

A damaged record affects no other one: `get` refuses it, and `all_of` and the firings have a
substitute for it, of `conducto_core.schedules.rules.schedules`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from conducto_core.events.model import StoredEvent
from conducto_core.partitions.model import PartitionState
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.schedules.model import Firing, Schedule, ScriptSource


class Schedules(Protocol):
    """The schedules of all organisations; those of an agent have the organisation ``""``."""

    def list_by_name(self, org: str) -> Sequence[Schedule]:
        """Return the schedules of an organisation, by name."""

    def get(self, org: str, name: str) -> Schedule | None:
        """Return a schedule; raises `RefusedError` if its record is damaged."""

    def create(self, org: str, schedule: Schedule, template: bytes | None = None) -> bool:
        """Store a new schedule with its template; return False if the name is taken."""

    def change(
        self,
        org: str,
        old: Schedule,
        new: Schedule,
        firings: Sequence[Firing] = (),
        template: bytes | None = None,
    ) -> Schedule | None:
        """Replace a schedule, and add firings; return the stored schedule, with its new revision.

        A ``template`` replaces the stored one.

        The result is None, and nothing is replaced, if the stored schedule is another one than
        ``old``, by its revision. Firings that are known by their ids are changed only if they
        were not executed.
        """

    def delete(self, org: str, name: str) -> bool:
        """Delete a schedule with its firings and its template; return whether there was one."""

    def template(self, org: str, name: str) -> bytes | None:
        """Return the template of a schedule, as `conducto_core.schedules.runner` has it."""

    def firing(self, org: str, name: str, firing_id: str) -> Firing | None:
        """Return a firing."""

    def put_firing(self, org: str, name: str, firing: Firing) -> None:
        """Replace a firing."""

    def firings(
        self, org: str, name: str, before: str | None = None, limit: int = 50
    ) -> Sequence[Firing]:
        """Return firings with ids below ``before``, the newest first."""

    def add_event(self, org: str, name: str, event: StoredEvent) -> StoredEvent:
        """Store an event, unless one with its mark is known; return the stored one."""

    def event(self, org: str, name: str, mark: str) -> StoredEvent | None:
        """Return an event; None if it is unknown, or older than `REMEMBERED_SECONDS`."""

    def due(self, now: float) -> Sequence[tuple[str, str]]:
        """Return ``(organisation, name)`` of the schedules that need attention at a time.

        Those are the ones for which `conducto_core.schedules.rules.schedules.wakes` is not later.
        """

    def next_wake(self, now: float) -> float | None:
        """Return the earliest time after ``now`` at which a schedule needs attention, or None."""


# ----------------------------------------------------------------------------------------
# What the runner of schedules needs from a target.


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

    async def start_script(
        self, schedule: Schedule, source: ScriptSource, key: str, parts: Mapping[str, Any]
    ) -> str:
        """Start a script, or find the pipeline that it launched with this key; return its id.

        ``parts``: Further parts of its launch form.
        """

    async def record(self, org: str, pipeline_id: str) -> PipelineRecord | None:
        """Return the record of a pipeline; None if it was deleted."""

    async def partition_states(
        self, org: str, owner: str, record: PipelineRecord
    ) -> Mapping[str, PartitionState]:
        """Return ``{key: state}`` of the partitions of a pipeline's program."""

    async def cancel(self, org: str, owner: str, pipeline_id: str) -> None:
        """Cancel a pipeline, unless it has ended."""

    async def ended_since(self, org: str, since: float) -> Iterable[PipelineRecord]:
        """Return the pipelines that ended at or after a time."""

    async def paused_itself(self, org: str, schedule: Schedule) -> None:
        """Note that a schedule paused itself, for the people who should know."""
