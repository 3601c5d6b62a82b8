"""Alerts of notification rules about running pipelines, which are checked each minute."""

from functools import partial

from chalicelib.errors import Timing
from chalicelib.notifications.sender import OrgRules
from chalicelib.records import Records
from chalicelib.run.model import Alerted, Input
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.reading import CloudReadModel
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.run.store import all_records
from conducto_core.notifications.model import NotificationEvent, NotificationRule
from conducto_core.notifications.rules import AlertFacts, alerting, alerts_due, durations_of
from conducto_core.programs.rules.programs import program_key
from conducto_core.run.model.records import PipelineRecord

#: Seconds for which the durations of a program's pipelines are kept in memory.
_KEPT_SECONDS = 600.0


class Alerts:
    """Checks the alerts of pipelines."""

    def __init__(self, engine: CommandProcessor, records: Records, timing: Timing) -> None:
        self._engine = engine
        self._records = records
        self._clock = timing.clock
        self._waits = CloudReadModel(records, timing)
        self._durations: dict[tuple[str, object], tuple[float, list[float]]] = {}

    def check(self, org: str, pipeline_id: str) -> None:
        """Report the alerts of a pipeline that are due."""
        with self._engine.reading(org, pipeline_id) as live:
            if live.settled() or not live.record.notification_rules:
                return
            record = live.record
        rules = alerting(OrgRules(self._records, org).all(), record)
        if not rules:
            return
        # Before the decision, during which no other entry of the pipeline is written.
        long = any(NotificationEvent.LONG in rule.on for rule in rules)
        earlier = self._earlier(org, record) if long else None
        self._engine.submit(org, pipeline_id, partial(self._decide, rules, earlier))

    def _decide(
        self, rules: list[NotificationRule], earlier: list[float] | None, live: CloudPipeline
    ) -> Input | None:
        now, since = self._clock(), live.activity.since
        facts = AlertFacts(now, since, live.cost_of("/"), self._waiting(live), earlier)
        due = alerts_due(live.record, rules, facts)
        return Alerted(time=now, alerts=tuple(due)) if due else None

    def _waiting(self, live: CloudPipeline) -> tuple[str, float, str] | None:
        since = {
            path: live.in_flight.queued_at(path) or self._clock()
            for paths in live.queue.values()
            for path in paths
        }
        if not since:
            return None
        path = min(since, key=lambda each: since[each])
        wait = self._waits.wait(live, live.tree.nodes[path])
        return path, since[path], "" if wait is None else str(wait)

    def _earlier(self, org: str, record: PipelineRecord) -> list[float]:
        """Return the durations of the program's earlier pipelines, which are read now and then."""
        now, key = self._clock(), (org, program_key(record))
        known = self._durations.get(key)
        if known is None or now - known[0] >= _KEPT_SECONDS:
            records = all_records(self._records.store, org)
            known = self._durations[key] = now, durations_of(records, record)
        return known[1]
