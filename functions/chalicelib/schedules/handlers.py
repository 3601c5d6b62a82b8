"""Schedules of organisations: their callers, and the pipelines that they launch."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from random import shuffle
from threading import Lock
from typing import Any

from chalicelib.api.callers import current_user
from chalicelib.events.handlers import check_source, connect, new_hook
from chalicelib.events.port import EventPorts
from chalicelib.events.queues import with_queue
from chalicelib.people.port import Identity, Mail, SecretVault
from chalicelib.records import Records
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.launch_queue import turn_of
from chalicelib.run.store import all_records
from chalicelib.secrets.injection import smtp_password
from conducto.integrations.http import DeliveryError
from conducto_core.api.operation import Permission
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.events.model import EventRule, NewHook
from conducto_core.partitions.model import PartitionsParams, PartitionState
from conducto_core.partitions.rules import states_of
from conducto_core.people.model import Role
from conducto_core.programs.rules.programs import program_of
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.schedules.model import DAY, Schedule, ScheduleSettings, ScriptSource
from conducto_core.schedules.rules.schedules import looks_until
from conducto_core.schedules.runner import ScheduleRunner

logger = logging.getLogger(__name__)

#: Number of schedules that are served at once.
_THREADS = 16
#: Seconds after which a run serves no further schedule; the run of the next minute does.
_RUN_SECONDS = 60.0


class CloudScheduleCaller:
    """A `conducto_core.schedules.handlers.ScheduleCaller`."""

    runs_scripts = False

    def __init__(
        self,
        events: EventPorts,
        vault: SecretVault,
        url: Callable[[], str],
        pipelines: CloudPipelines,
        identity: Identity,
    ) -> None:
        self._events = events
        self._vault = vault
        self._url = url
        self._permissions = identity.permissions
        self.org = identity.org
        self.user = identity.user
        self._pipelines = pipelines

    async def template_launch(self, pipeline_id: str) -> LaunchRequest:
        return await self._pipelines.template_launch(pipeline_id)

    async def with_script(self, settings: ScheduleSettings) -> ScheduleSettings:
        """Return the settings: the cloud has no scripts."""
        return settings

    def check_source(self, name: str, rule: EventRule) -> EventRule:
        """Return the rule of a trigger with its defaults, if the caller may create it."""
        check_source(self._events.rules, rule, self._permissions)
        return with_queue(self._events, self.org, name, rule)

    def new_hook(self, name: str) -> NewHook:
        """Return the webhook of a trigger with a new secret."""
        return new_hook(self._vault, self._url, self.org, name)

    def connect(self, name: str, rule: EventRule | None, former: EventRule | None = None) -> None:
        """Subscribe a trigger to the events of a rule, instead of those of its former one."""
        connect(self._events, self._vault, self.org, name, rule, former=former)

    def changed(self) -> None:
        """Do nothing: schedules are checked every minute."""


class CloudScheduleTarget:
    """A `conducto_core.schedules.port.ScheduleTarget`, for one run or request."""

    def __init__(
        self,
        records: Records,
        vault: SecretVault,
        mail: Mail,
        clock: Callable[[], float],
        pipelines: Callable[[Identity], CloudPipelines],
    ) -> None:
        self._records = records
        self._vault = vault
        self._mail = mail
        self._clock = clock
        self._pipelines = pipelines
        self._turn = Lock()
        self._turns: dict[str, Lock] = {}
        self._ended: dict[str, list[PipelineRecord]] = {}

    async def may_launch(self, org: str, owner: str) -> bool:
        permissions = await asyncio.to_thread(self._permissions, org, owner)
        return Permission.LAUNCH in permissions

    def _permissions(self, org: str, owner: str) -> frozenset[str]:
        user = current_user(self._records, org, owner)
        return frozenset() if user is None else user.permissions

    def _as_owner(self, org: str, owner: str) -> CloudPipelines:
        return self._pipelines(Identity(org, owner, self._permissions(org, owner)))

    async def launch(
        self, org: str, owner: str, request: LaunchRequest, key: str, since: float
    ) -> str:
        """Launch a pipeline once for each key, in its turn; return its id."""
        pipelines = await asyncio.to_thread(self._as_owner, org, owner)
        turn = turn_of(since, key)
        launched = await pipelines.launch_stored(request, key, repeated=True, turn=turn)
        return launched.pipeline.id

    async def start_script(
        self, schedule: Schedule, _source: ScriptSource, _key: str, _parts: Mapping[str, Any]
    ) -> str:
        """Refuse: scripts are on the machines of agents."""
        raise RefusedError(f"{schedule.name}: the cloud starts no scripts")

    async def record(self, org: str, pipeline_id: str) -> PipelineRecord | None:
        return await asyncio.to_thread(self._records.store.record, org, pipeline_id)

    async def partition_states(
        self, org: str, owner: str, record: PipelineRecord
    ) -> Mapping[str, PartitionState]:
        pipelines = await asyncio.to_thread(self._as_owner, org, owner)
        query = PartitionsParams.model_validate(program_of(record).model_dump())
        return states_of(await pipelines.list_partitions(query))

    async def cancel(self, org: str, owner: str, pipeline_id: str) -> None:
        pipelines = await asyncio.to_thread(self._as_owner, org, owner)
        cancel = ControlRequest(action=Action.CANCEL)
        try:
            await pipelines.control(PipelineParams(id=pipeline_id), cancel)
        except (NotFoundError, RefusedError) as error:
            about = {"pipeline": pipeline_id, "why": str(error)}
            logger.info("a pipeline was not cancelled", extra=about)

    async def ended_since(self, org: str, since: float) -> Iterable[PipelineRecord]:
        """Return the pipelines that ended at or after a time of the last day."""
        known = await asyncio.to_thread(self._recent, org)
        return [one for one in known if (one.status.ended or 0.0) >= since]

    def _recent(self, org: str) -> list[PipelineRecord]:
        """Return the pipelines that ended in the last day, read once in a run."""
        with self._turn:
            turn = self._turns.setdefault(org, Lock())
        with turn:
            if org not in self._ended:
                since = self._clock() - DAY
                known = all_records(self._records.store, org)
                self._ended[org] = [one for one in known if (one.status.ended or 0.0) >= since]
            return self._ended[org]

    async def paused_itself(self, org: str, schedule: Schedule) -> None:
        """Log the reason and mail it to administrators; the list of schedules shows it, too."""
        about = {"org": org, "schedule": schedule.name, "why": schedule.paused_why}
        logger.warning("a schedule paused itself", extra=about)
        await asyncio.to_thread(self._mail_administrators, org, schedule)

    def _mail_administrators(self, org: str, schedule: Schedule) -> None:
        subject = f"Conducto: the schedule {schedule.name} of {org} paused itself"
        text = f"{schedule.paused_why}.\n\nResume it: conducto schedule resume {schedule.name}\n"
        password = smtp_password(self._vault, org)
        for member in self._records.people.members(org):
            if not member.email or member.role not in (Role.OWNER, Role.ADMIN):
                continue
            try:
                self._mail(member.email, subject, text, password)
            except DeliveryError as error:
                about = {"schedule": schedule.name, "to": member.user, "why": str(error)}
                logger.warning("a mail was not sent", extra=about)


def serve_schedules(runner: ScheduleRunner, clock: Callable[[], float]) -> int:
    """Serve the schedules that need attention, for at most a minute; return their number."""
    due = list(runner.store.due(looks_until(clock())))
    shuffle(due)  # so that each one has its turn if the time is too short for all
    end = clock() + _RUN_SECONDS

    def serve(one: tuple[str, str]) -> bool:
        in_time = clock() < end
        if in_time:
            asyncio.run(runner.serve(*one))
        return in_time

    with ThreadPoolExecutor(_THREADS) as threads:
        return sum(threads.map(serve, due))
