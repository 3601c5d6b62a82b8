"""Schedules in memory."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conducto_core.api.pipelines import Pipelines
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.events.handlers import EventOperations
from conducto_core.events.model import EventRule, NewHook, StoredEvent
from conducto_core.partitions.model import PartitionState
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import PipelineRecord, PipelineStatus
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.schedules.model import Firing, Schedule, ScheduleSettings, ScriptSource
from conducto_core.schedules.rules.schedules import is_executed, wakes
from conducto_core.schedules.runner import ScheduleRunner


class MemorySchedules:
    """A `conducto_core.schedules.port.Schedules`, and a `chalicelib.events.port.CloudSchedules`."""

    def __init__(self) -> None:
        self._schedules: dict[tuple[str, str], Schedule] = {}
        self._templates: dict[tuple[str, str], bytes] = {}
        self._events: dict[tuple[str, str, str], StoredEvent] = {}
        self._firings: dict[tuple[str, str], dict[str, Firing]] = {}
        self._queues: dict[str, tuple[str, str]] = {}

    def list_by_name(self, org: str) -> Sequence[Schedule]:
        return [self._schedules[key] for key in sorted(self._schedules) if key[0] == org]

    def get(self, org: str, name: str) -> Schedule | None:
        return self._schedules.get((org, name))

    def create(self, org: str, schedule: Schedule, template: bytes | None = None) -> bool:
        key = org, schedule.name
        if key in self._schedules:
            return False
        self._schedules[key] = schedule
        self._firings[key] = {}
        if template is not None:
            self._templates[key] = template
        return True

    def change(
        self,
        org: str,
        old: Schedule,
        new: Schedule,
        firings: Sequence[Firing] = (),
        template: bytes | None = None,
    ) -> Schedule | None:
        key = org, new.name
        stored = self._schedules.get(key)
        if stored is None or stored.revision != old.revision:
            return None
        self._schedules[key] = new.model_copy(update={"revision": old.revision + 1})
        for firing in firings:
            known = self._firings[key].get(firing.id)
            if known is None or not is_executed(known):
                self._firings[key][firing.id] = firing
        if template is not None:
            self._templates[key] = template
        return self._schedules[key]

    def delete(self, org: str, name: str) -> bool:
        self._firings.pop((org, name), None)
        self._templates.pop((org, name), None)
        for key in [one for one in self._events if one[:2] == (org, name)]:
            del self._events[key]
        return self._schedules.pop((org, name), None) is not None

    def template(self, org: str, name: str) -> bytes | None:
        return self._templates.get((org, name))

    def firing(self, org: str, name: str, firing_id: str) -> Firing | None:
        return self._firings.get((org, name), {}).get(firing_id)

    def put_firing(self, org: str, name: str, firing: Firing) -> None:
        self._firings[org, name][firing.id] = firing

    def firings(
        self, org: str, name: str, before: str | None = None, limit: int = 50
    ) -> Sequence[Firing]:
        known = self._firings.get((org, name), {})
        ids = sorted(known)
        last = len(ids) if before is None else bisect_left(ids, before)
        return [known[one] for one in reversed(ids[:last])][:limit]

    def add_event(self, org: str, name: str, event: StoredEvent) -> StoredEvent:
        return self._events.setdefault((org, name, event.origin.mark), event)

    def event(self, org: str, name: str, mark: str) -> StoredEvent | None:
        return self._events.get((org, name, mark))

    def add_events(self, org: str, name: str, events: Sequence[StoredEvent]) -> bool:
        keys = [(org, name, one.origin.mark) for one in events]
        if any(key in self._events for key in keys):
            return False
        self._events.update(zip(keys, events, strict=True))
        return True

    def queue_trigger(self, queue: str) -> tuple[str, str] | None:
        return self._queues.get(queue)

    def claim_queue(
        self, queue: str, org: str, name: str, former: tuple[str, str] | None = None
    ) -> bool:
        if self._queues.get(queue) not in (None, former or (org, name)):
            return False
        self._queues[queue] = org, name
        return True

    def release_queue(self, queue: str) -> None:
        self._queues.pop(queue, None)

    def due(self, now: float) -> Sequence[tuple[str, str]]:
        times = {key: wakes(one) for key, one in self._schedules.items()}
        found = [(time, key) for key, time in times.items() if time is not None and time <= now]
        return [key for _, key in sorted(found)]

    def next_wake(self, now: float) -> float | None:
        times = (wakes(one) for one in self._schedules.values())
        return min((time for time in times if time is not None and time > now), default=None)


class PipelinesTarget:
    """A target of schedules over the operations of some pipelines, and the caller of a user."""

    org, user, runs_scripts = "", "me", False

    def __init__(self, pipelines: Pipelines) -> None:
        self._pipelines = pipelines

    async def may_launch(self, _org: str, _owner: str) -> bool:
        return True

    async def launch(
        self, _org: str, _owner: str, request: LaunchRequest, key: str, _since: float
    ) -> str:
        return (await self._pipelines.launch(request, key, repeated=True)).pipeline.id

    async def start_script(
        self, schedule: Schedule, _source: ScriptSource, _key: str, _parts: Mapping[str, Any]
    ) -> str:
        raise RefusedError(f"{schedule.name}: no scripts here")

    async def record(self, _org: str, pipeline_id: str) -> PipelineRecord | None:
        try:
            found = await self._pipelines.get_pipeline(PipelineParams(id=pipeline_id))
        except NotFoundError:
            return None
        status = PipelineStatus(state=found.state, settled=found.settled, ended=found.ended)
        return found.pipeline.model_copy(update={"status": status})

    async def partition_states(
        self, _org: str, _owner: str, _record: PipelineRecord
    ) -> Mapping[str, PartitionState]:
        return {}

    async def cancel(self, _org: str, _owner: str, pipeline_id: str) -> None:
        cancel = ControlRequest(action=Action.CANCEL)
        await self._pipelines.control(PipelineParams(id=pipeline_id), cancel)

    async def ended_since(self, _org: str, _since: float) -> Iterable[PipelineRecord]:
        return ()

    async def paused_itself(self, _org: str, _schedule: Schedule) -> None:
        pass

    async def template_launch(self, pipeline_id: str) -> LaunchRequest:
        return await self._pipelines.template_launch(pipeline_id)

    async def with_script(self, settings: ScheduleSettings) -> ScheduleSettings:
        return settings

    def new_hook(self, name: str) -> NewHook:
        return NewHook(url=f"http://127.0.0.1/hooks/{name}", secret="secret")

    def check_source(self, _name: str, rule: EventRule) -> EventRule:
        return rule

    def connect(self, name: str, rule: EventRule | None, former: EventRule | None = None) -> None:
        pass

    def changed(self) -> None:
        pass


def memory_operations(pipelines: Pipelines) -> EventOperations:
    """Return the operations on schedules in memory, which launch in some pipelines."""
    target = PipelinesTarget(pipelines)
    return EventOperations(ScheduleRunner(MemorySchedules(), target, time.time), target)
