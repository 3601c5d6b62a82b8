"""Alerts of notification rules about running pipelines of this machine, checked each minute."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from conducto_core.notifications.model import NotificationEvent, NotificationRule
from conducto_core.notifications.rules import (
    AlertFacts,
    alert_command,
    alerting,
    alerts_due,
    durations_of,
    with_alerts,
)
from conducto_core.run.model.states import State
from conducto_local.run.access import LocalReadModel
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.scheduler import Scheduler
from conducto_local.store.port import Store

logger = logging.getLogger(__name__)

#: Seconds between two checks.
EVERY = 60.0


class Alerts:
    """Checks the pipelines of an agent; commands cost nothing here, so none is expensive.

    Args:
        scheduler: It has the pipelines in memory.
        store: It has the records of all pipelines.
        rules: Returns the current rules.
    """

    def __init__(
        self, scheduler: Scheduler, store: Store, rules: Callable[[], Sequence[NotificationRule]]
    ) -> None:
        self._scheduler, self._store, self._rules = scheduler, store, rules
        self._waits = LocalReadModel(store, scheduler)
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Check all pipelines each minute from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop checking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                self.check(time.time())
            except Exception:
                logger.exception("alerts were not checked")

    def check(self, now: float) -> None:
        """Report the alerts that are due."""
        rules = self._rules()
        records = None  # read once, if at all
        for live in list(self._scheduler.live.values()):
            mine = [] if live.settled() else alerting(rules, live.record)
            if not mine:
                continue
            long = any(NotificationEvent.LONG in rule.on for rule in mine)
            if long and records is None:
                records = self._store.records()
            earlier = durations_of(records or (), live.record) if long else None
            facts = AlertFacts(now, live.activity.since, 0.0, self._waiting(live), earlier)
            due = alerts_due(live.record, mine, facts)
            for alert in due:
                self._scheduler.notifier.put(live, alert_command(alert))
            if due:
                live.set_record(alerts=with_alerts(live.record, due))

    def _waiting(self, live: LivePipeline) -> tuple[str, float, str] | None:
        queued = {
            path: active.queued
            for path, active in live.active_attempts.items()
            if live.tree.nodes[path].state is State.QUEUED and active.spec.approval is None
        }
        if not queued:
            return None
        path = min(queued, key=lambda each: queued[each])
        wait = self._waits.wait(live, live.tree.nodes[path])
        return path, queued[path], "" if wait is None else str(wait)
