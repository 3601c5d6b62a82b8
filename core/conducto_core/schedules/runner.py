"""Fires schedules: due times are claimed first, then launched.

A claim stores the firing and the next due time together. Everything after it may be repeated: a
launch has the idempotency key of its firing, so that a due time has one pipeline, whenever the
process is killed.
"""

import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conducto.errors import DefinitionError
from conducto_core.billing.rules import queue_reason
from conducto_core.budgets.rules import with_default
from conducto_core.errors import NotFoundError, PlanFullError, RefusedError
from conducto_core.events.model import PAYLOAD_PART
from conducto_core.events.rules.payloads import with_arguments
from conducto_core.partitions.model import PartitionState
from conducto_core.partitions.rules import key_at
from conducto_core.run.model.records import Lifecycle, PipelineRecord
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import State
from conducto_core.schedules.model import (
    DAY,
    SCHEDULE_TAG,
    CatchUp,
    Firing,
    FiringState,
    GitSource,
    Schedule,
    ScriptSource,
)
from conducto_core.schedules.port import Schedules, ScheduleTarget
from conducto_core.schedules.rules import partitions
from conducto_core.schedules.rules import schedules as rules
from conducto_core.secrets.rules import with_set

# ----------------------------------------------------------------------------------------
# The stored form of a template: a launch request.


def packed(request: LaunchRequest) -> bytes:
    """Return a launch request for storage; it is not armed, and has no owner."""
    # Its pipeline may be deleted before a firing; `template_launch` has checked it.
    changes = {"run": False, "run_at": None, "owner": "", "copy_of": None}
    stored = request.model_copy(update=changes)
    return zlib.compress(stored.model_dump_json().encode())


def unpacked(data: bytes) -> LaunchRequest:
    return LaunchRequest.model_validate_json(zlib.decompress(data))


logger = logging.getLogger(__name__)

#: Attempts of a change, which fails while others change the same schedule.
_TRIES = 10
#: Number of the newest firings in which failures are counted, and launches are found.
_NEWEST = 200
_REFUSALS = (RefusedError, NotFoundError, DefinitionError)

Change = Callable[[Schedule], Schedule]


@dataclass
class _Open:
    """The open firings of a schedule: those whose pipelines run, and those that wait."""

    running: list[Firing] = field(default_factory=list)
    waiting: list[Firing] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)

    def record_state(self, firing: Firing) -> None:
        if not rules.is_open(firing):
            self.closed.add(firing.id)
        elif firing.state is FiringState.LAUNCHED:
            self.running.append(firing)
        else:
            self.waiting.append(firing)


class ScheduleRunner:
    """Fires the schedules of one target."""

    def __init__(
        self, store: Schedules, target: ScheduleTarget, clock: Callable[[], float]
    ) -> None:
        self.store = store
        self._target = target
        self.clock = clock

    async def run(self) -> None:
        """Serve every schedule that needs attention; one failure does not affect the others."""
        for org, name in self.store.due(self.clock()):
            await self.serve(org, name)

    async def serve(self, org: str, name: str) -> bool:
        """Claim due times, follow the pipelines, and launch those that can start.

        Return whether that was possible.
        """
        try:
            await self._serve(org, name)
        except RefusedError as error:
            about = {"org": org, "schedule": name, "why": str(error)}
            logger.error("a schedule was not served", extra=about)  # noqa: TRY400
        except Exception:
            logger.exception("a schedule was not served", extra={"org": org, "schedule": name})
        else:
            return True
        return False

    async def _serve(self, org: str, name: str) -> None:
        schedule = self.store.get(org, name)
        if schedule is None:
            return
        schedule = await self._claimed(org, schedule)
        if schedule is not None and schedule.after is not None:
            schedule = await self._chained(org, schedule)
        if schedule is not None and schedule.open:
            await self._continue(org, schedule)

    async def _claimed(self, org: str, schedule: Schedule) -> Schedule | None:
        due = rules.due(schedule, self.clock())
        if due.schedule == schedule and not due.firings:
            return schedule
        if schedule.catch_up is CatchUp.MISSING and any(map(rules.is_open, due.firings)):
            states = await self._partition_states(org, schedule)
            gaps = partitions.gaps(due.schedule, due.firings, states, self.clock())
            fitting = rules.fitted(due.schedule, gaps)
            due = rules.Due(rules.with_open(due.schedule, fitting), (*due.firings, *fitting))
        # If it was changed meanwhile, another process has claimed it; the next run looks again.
        return self.store.change(org, schedule, due.schedule, due.firings)

    async def _partition_states(self, org: str, schedule: Schedule) -> Mapping[str, PartitionState]:
        """Return the states of the partitions of the program that a schedule launches."""
        before = rules.id_after(self.clock())
        for firing in self.store.firings(org, schedule.name, before, limit=_NEWEST):
            record = await self._target.record(org, firing.pipeline or "")
            if record is not None:
                return await self._target.partition_states(org, schedule.owner, record)
        return {}

    async def _chained(self, org: str, schedule: Schedule) -> Schedule | None:
        now = self.clock()
        since = max(schedule.since, now - DAY)
        new = []
        for record in await self._target.ended_since(org, since):
            if not rules.fires_after(schedule, record):
                continue
            known = rules.chained(record, 0, now).id
            if self.store.firing(org, schedule.name, known) is None:
                new.append(rules.chained(record, await self._depth(org, record), now))
        if not new:
            return schedule
        fitting = rules.fitted(schedule, new)
        return self.store.change(org, schedule, rules.with_open(schedule, fitting), fitting)

    async def _depth(self, org: str, record: PipelineRecord) -> int:
        """Return the number of firings of chains that led to a pipeline, or to one above it."""
        above: PipelineRecord | None = record
        while above is not None:
            name = rules.schedule_of(above)
            if name is not None:
                known = self.store.firings(org, name, limit=_NEWEST)
                return next((one.depth for one in known if one.pipeline == above.id), 0)
            parent = above.parent
            above = None if parent is None else await self._target.record(org, parent.pipeline)
        return 0

    async def _continue(self, org: str, schedule: Schedule) -> None:
        known = (self.store.firing(org, schedule.name, one) for one in schedule.open)
        firings = {one.id: one for one in known if one is not None}
        found = _Open(closed=set(schedule.open) - set(firings))
        for firing in firings.values():
            if firing.state is FiringState.LAUNCHED:
                found.record_state(await self._followed(org, schedule, firing))
            elif not rules.is_open(firing):  # an earlier run ended before it could close it
                found.record_state(firing)
        launches = [one for one in firings.values() if one.state is not FiringState.LAUNCHED]
        for firing in filter(rules.is_open, launches):
            done = await self._executed(org, schedule, firing, found)
            if done.state is FiringState.LAUNCHED:  # its pipeline may have ended already
                done = await self._followed(org, schedule, done)
            found.record_state(done)
        if found.closed:
            await self._close(org, schedule, found.closed)

    async def _close(self, org: str, schedule: Schedule, closed: set[str]) -> None:
        before = rules.id_after(self.clock())
        newest = self.store.firings(org, schedule.name, before, limit=_NEWEST)

        def change(stored: Schedule) -> Schedule:
            why = rules.pause_reason(stored, newest)
            changes = {"open": tuple(one for one in stored.open if one not in closed)}
            pause = {} if why is None else {"paused": True, "paused_why": why}
            return stored.model_copy(update={**changes, **pause})

        await self._changed(org, schedule.name, change)

    async def _changed(self, org: str, name: str, change: Change) -> None:
        """Change a schedule, also while others change it, and note whether it paused itself."""
        for _ in range(_TRIES):
            old = self.store.get(org, name)
            if old is None:
                return
            new = change(old)
            stored = old if new == old else self.store.change(org, old, new)
            if stored is not None:
                if stored.paused_why is not None and not old.paused:
                    await self._target.paused_itself(org, stored)
                return
        logger.warning("a schedule changes all the time", extra={"org": org, "schedule": name})

    # ---- firings ---------------------------------------------------------------------------------

    async def _followed(self, org: str, schedule: Schedule, firing: Firing) -> Firing:
        """Return a firing with the outcome of its pipeline, if that has ended."""
        record = await self._target.record(org, firing.pipeline or "")
        outcome, why = _outcome(record)
        if outcome is None:
            return firing
        return self._put(org, schedule, firing, outcome=outcome, why=firing.why or why)

    def _put(self, org: str, schedule: Schedule, firing: Firing, **changes: object) -> Firing:
        changed = firing.model_copy(update={"at": self.clock(), **changes})
        self.store.put_firing(org, schedule.name, changed)
        return changed

    async def _executed(self, org: str, schedule: Schedule, firing: Firing, known: _Open) -> Firing:
        """Return a firing after it launched, was skipped, or has to wait."""
        step = rules.step_of(schedule, firing, known.running, known.waiting)
        if step is rules.FiringStep.WAIT:
            return self._waiting(org, schedule, firing, known)
        if step is rules.FiringStep.SKIP:
            why = rules.skip_reason(known.running, known.waiting)
            return self._put(org, schedule, firing, state=FiringState.SKIPPED, why=why)
        if step is rules.FiringStep.REPLACE:
            await self._replace(org, schedule, firing, known.running)
        return await self._launched(org, schedule, firing)

    def _waiting(self, org: str, schedule: Schedule, firing: Firing, known: _Open) -> Firing:
        if firing.state is FiringState.QUEUED:
            return firing
        why = rules.wait_reason(known.running)
        return self._put(org, schedule, firing, state=FiringState.QUEUED, why=why)

    async def _replace(
        self, org: str, schedule: Schedule, firing: Firing, running: list[Firing]
    ) -> None:
        for one in running:
            why = f"replaced by the firing {firing.id}"
            self._put(org, schedule, one, why=why)
            await self._target.cancel(org, schedule.owner, one.pipeline or "")

    async def _launched(self, org: str, schedule: Schedule, firing: Firing) -> Firing:
        if not await self._target.may_launch(org, schedule.owner):
            return await self._without_owner(org, schedule, firing)
        try:
            pipeline = await self._launch(org, schedule, firing)
        except PlanFullError as error:
            return self._queued(org, schedule, firing, error)
        except _REFUSALS as error:
            return self._failed(org, schedule, firing, error)
        except Exception as error:
            now = self.clock()
            if rules.retries(firing, now):
                logger.warning("a launch failed; it is repeated", exc_info=True)
                first = {"tried": now, "at": firing.at}
                return firing if firing.tried else self._put(org, schedule, firing, **first)
            logger.exception("a launch failed", extra={"org": org, "schedule": schedule.name})
            return self._failed(org, schedule, firing, error)
        state = FiringState.LAUNCHED
        return self._put(org, schedule, firing, state=state, pipeline=pipeline, why=None)

    def _queued(self, org: str, schedule: Schedule, firing: Firing, error: PlanFullError) -> Firing:
        """Return a firing that waits for room in the plan, or was given up."""
        until = firing.at + schedule.window
        why, over = queue_reason(str(error), until, self.clock())
        if over:
            return self._put(org, schedule, firing, state=FiringState.FAILED, why=why)
        if (firing.state, firing.why) == (FiringState.QUEUED, why):
            return firing
        changes = {"state": FiringState.QUEUED, "why": why, "at": firing.at, "tried": None}
        return self._put(org, schedule, firing, **changes)

    def _failed(self, org: str, schedule: Schedule, firing: Firing, error: Exception) -> Firing:
        why = str(error) or repr(error)
        return self._put(org, schedule, firing, state=FiringState.FAILED, why=why)

    async def _without_owner(self, org: str, schedule: Schedule, firing: Firing) -> Firing:
        why = (
            f"its owner {schedule.owner or 'nobody'} may not launch pipelines any more; another "
            "member becomes the owner by changing or resuming it"
        )
        pause = {"paused": True, "paused_why": why}
        failed = self._put(org, schedule, firing, state=FiringState.FAILED, why=why)
        await self._changed(org, schedule.name, lambda old: old.model_copy(update=pause))
        return failed

    async def _launch(self, org: str, schedule: Schedule, firing: Firing) -> str:
        key = rules.launch_key(schedule, firing)
        parts: dict[str, Any] = {}
        if schedule.on is not None:
            payload = self._payload(org, schedule, firing)
            parts = {PAYLOAD_PART: payload}
            schedule = with_arguments(schedule, payload)
        program: dict[str, Any] = {}
        if schedule.partitions is not None:
            partition = key_at(schedule.partitions, firing.due)
            schedule = partitions.with_partition(schedule, partition)
            if isinstance(schedule.what, GitSource):
                parts["call"] = partitions.git_call(schedule, schedule.what, partition)
                program = {"program": schedule.what.url}
        if isinstance(schedule.what, ScriptSource):
            parts = with_set(parts, schedule.secret_set)
            return await self._target.start_script(schedule, schedule.what, key, parts)
        request = self._request(org, schedule)
        tags = (*request.tags, f"{SCHEDULE_TAG}{schedule.name}")
        title = schedule.title or request.title
        tree = with_default({**request.tree, **parts}, schedule.budget)
        tree = with_set(tree, schedule.secret_set)
        changes = {"run": True, "tags": tags, "title": title, "owner": schedule.owner, "tree": tree}
        changed = request.model_copy(update=changes | program)
        return await self._target.launch(org, schedule.owner, changed, key, firing.at)

    def _payload(self, org: str, schedule: Schedule, firing: Firing) -> Any:
        """Return the payload of a firing; None for one that a user requested."""
        if firing.event is None:
            return None
        stored = self.store.event(org, schedule.name, firing.event.mark)
        if stored is None:
            raise NotFoundError("the payload of its event is no longer stored")
        return stored.payload

    def _request(self, org: str, schedule: Schedule) -> LaunchRequest:
        if isinstance(schedule.what, GitSource):
            return LaunchRequest(tree=rules.git_form(schedule.what), title=schedule.name)
        data = self.store.template(org, schedule.name)
        if data is None:
            raise NotFoundError(f"{schedule.name}: its template is missing; change the schedule")
        return unpacked(data)


def _outcome(record: PipelineRecord | None) -> tuple[State | None, str | None]:
    """Return the state in which a pipeline ended, and the reason for which it does not count."""
    if record is None:
        return State.KILLED, "its pipeline was deleted"
    status = record.status
    if not status.settled:
        return None, None
    if status.state in rules.ENDED:
        return status.state, None
    if record.armed and record.lifecycle is Lifecycle.ACTIVE:
        return None, None
    return State.PENDING, "its pipeline was paused before its end"


def newest(firings: Sequence[Firing]) -> Firing | None:
    """Return the first of some firings."""
    return firings[0] if firings else None
