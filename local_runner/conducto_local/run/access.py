"""Access to the pipelines of a profile, for the operations of the API."""

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from conducto.integrations.http import DeliveryError
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.records import AttemptRecord, Period, Wait
from conducto_core.run.model.states import State
from conducto_core.run.rules import waits
from conducto_core.run.rules.live_nodes import LiveGroup, LiveNode
from conducto_local.agent.state_dir import StateDir
from conducto_local.notifications.store import RulesFile
from conducto_local.run.context import EngineContext
from conducto_local.run.live_pipeline import ActiveAttempt, LivePipeline
from conducto_local.run.pipelines import PipelineCache
from conducto_local.run.scheduler import ScheduledStarts, Scheduler
from conducto_local.store.port import Store, StoreFullError

# ----------------------------------------------------------------------------------------
# The read model of local pipelines, over the store and the scheduler.


class LocalReadModel:
    """A `conducto_core.run.handlers.ReadModel`."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self._store = store
        self._scheduler = scheduler

    def attempts(self, live: LivePipeline, paths: Collection[str]) -> Iterable[AttemptRecord]:
        """Return the attempts of nodes, with one query if they are many."""
        if len(paths) * 2 > len(live.tree.nodes):
            return self._store.attempts(live.id)
        return (one for path in paths for one in self._store.attempts(live.id, path))

    def notifications(self, live: LivePipeline) -> Iterable[NotificationRecord]:
        return self._store.notifications(live.id)

    def periods(self, live: LivePipeline, groups: Sequence[LiveGroup]) -> Mapping[str, Period]:
        """Return the periods of groups; that of the root needs no query."""
        removed = live.tree.removed()
        return {
            group.path: live.period
            if group is live.tree.root
            else self._store.period(live.id, group.path, removed)
            for group in groups
        }

    def wait(self, live: LivePipeline, node: LiveNode) -> Wait | None:
        active = live.active_attempts.get(node.path)
        if active is not None and node.state is State.QUEUED:
            reasons = self._reasons(active)
            return waits.why_queued(live.record, node, active.queued, reasons)
        return waits.why_pending(live.record, live.tree.nodes, node, time.time())

    def _reasons(self, active: ActiveAttempt) -> Iterator[Wait]:
        """Yield the reason why a queued attempt does not run, if it is known."""
        live = active.live
        if active.same_command is not None:
            yield waits.same_command(active.same_command)
        image = live.images.get(active.spec.placement.image)
        if image is not None and image.built is None:
            yield waits.image(live.record, image.record)
        if active.ticket is None:
            return
        if active.started is None and active.container is None and active.taken:
            yield waits.starting("its container")
        yield self._scheduler.engine_context(live).queue().reason(active.ticket)


#: Seconds that a reader waits for pending writes: reads must work while the store cannot write.
READ_TIMEOUT = 1.0


class LocalAccess:
    """Base of the operations on the pipelines of one profile."""

    def __init__(
        self,
        *,
        home: StateDir,
        store: Store,
        engine_contexts: dict[str, EngineContext],
        scheduler: Scheduler,
    ) -> None:
        self._home = home
        self._store = store
        self._engine_contexts = engine_contexts
        self._scheduler = scheduler
        self._cache = PipelineCache(store, scheduler)
        self._start_times = ScheduledStarts(scheduler)
        self._read_model = LocalReadModel(store, scheduler)

    def rule_store(self) -> RulesFile:
        return RulesFile(self._home.notification_rules)

    async def deliver_now(self, message: NotificationRecord) -> DeliveryError | None:
        return await self._scheduler.notifier.send_now(message.path, message)

    def live(self, pipeline_id: str) -> LivePipeline:
        """Return a pipeline, loaded, as `PipelineCache.find` does."""
        return self._cache.find(pipeline_id)

    async def _current(self, pipeline_id: str) -> LivePipeline:
        """Return a pipeline whose pending changes are stored, unless the store cannot write."""
        live = self.live(pipeline_id)
        await self._caught_up()
        return live

    async def _caught_up(self) -> bool:
        """Wait until everything is written, at most `READ_TIMEOUT`; return whether it is."""
        try:
            await asyncio.wait_for(self._scheduler.saved(wait=False), READ_TIMEOUT)
        except (TimeoutError, StoreFullError):
            return False
        return True
