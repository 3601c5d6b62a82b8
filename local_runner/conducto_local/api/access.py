"""Access to the pipelines of a profile, for the operations of the API."""

import asyncio

from conducto.integrations.http import DeliveryError
from conducto_core.model.notifications import NotificationRecord
from conducto_local.api.log_queries import LogQueries
from conducto_local.api.read_model import LocalReadModel
from conducto_local.notify.rules_file import RulesFile
from conducto_local.scheduling.engine_context import EngineContext
from conducto_local.scheduling.live_pipeline import LivePipeline
from conducto_local.scheduling.pipeline_cache import PipelineCache
from conducto_local.scheduling.scheduled_starts import ScheduledStarts
from conducto_local.scheduling.scheduler import Scheduler
from conducto_local.state_dir import StateDir
from conducto_local.store.errors import StoreFullError
from conducto_local.store.port import Store

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
        self._outputs = LogQueries(scheduler.logs)
        self._read_model = LocalReadModel(store, scheduler)

    def rule_store(self) -> RulesFile:
        """Return the rules that send notifications."""
        return RulesFile(self._home.notification_rules)

    async def deliver_now(self, message: NotificationRecord) -> DeliveryError | None:
        """Send a message with the current settings and secrets."""
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
