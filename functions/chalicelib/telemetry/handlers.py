"""Values of instruments of an organisation: as text for Prometheus, and to the collector."""

import asyncio
import logging
from http import HTTPStatus

from chalicelib.api.dispatch import RULES, Api
from chalicelib.limits.named_limits import NamedLimits
from chalicelib.people.port import Identity
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.processor import CommandProcessor
from conducto_core.activity.model import ActivityParams
from conducto_core.api import problems
from conducto_core.api.dispatch import Response, Service
from conducto_core.api.operation import Permission
from conducto_core.telemetry.rules.metrics import (
    CONTENT_TYPE,
    Counting,
    Point,
    gauges_of,
    prometheus_text,
)

logger = logging.getLogger(__name__)

_ORGANISATION = "conducto.organisation"


class Metrics:
    """Reads the values of instruments.

    Args:
        engine: Reads pipelines.
        api: Checks the caller.
    """

    def __init__(self, engine: CommandProcessor, api: Api) -> None:
        self._engine, self._api = engine, api
        self._cloud = engine.cloud

    def respond(self, identity: Identity | None) -> Response:
        """Return the text for Prometheus, about the caller's organisation."""
        caller = self._api.current(identity)
        if caller is None or Permission.METRICS not in caller.permissions:
            wrong = problems.not_allowed([Permission.METRICS])
            refusal = problems.wrong_token() if caller is None else wrong
            return Service(rules=RULES).refusal(refusal)
        text = prometheus_text(self.points(caller.org))
        return Response(HTTPStatus.OK, CONTENT_TYPE, text.encode())

    def points(self, org: str) -> list[Point]:
        """Return the values of all instruments of an organisation."""
        pipelines = CloudPipelines(self._engine, Identity(org, "", frozenset()))
        activity = asyncio.run(pipelines.get_activity(ActivityParams()))
        holders = [
            lease.request()
            for lease in NamedLimits(self._cloud.records, self._cloud.timing).reader(org).holders()
        ]
        totals, _ = self._cloud.records.telemetry.read(org)
        counters = [] if totals is None else Counting.continued(totals).points()
        return [*gauges_of(activity, holders, self._cloud.timing.clock()), *counters]

    def send_all(self) -> None:
        """Send the values of organisations with open pipelines to the collector, if any."""
        if self._cloud.collector is None:
            return
        for org in sorted({org for org, _ in self._cloud.records.store.open_pipelines()}):
            try:
                self._send(org)
            except Exception:
                logger.exception("metrics were not sent", extra={"org": org})

    def _send(self, org: str) -> None:
        totals, _ = self._cloud.records.telemetry.read(org)
        now = self._cloud.timing.clock()
        points = (
            point._replace(attributes=((_ORGANISATION, org), *point.attributes))
            for point in self.points(org)
        )
        since = now if totals is None else totals.since
        if self._cloud.collector is not None and not self._cloud.collector().points(
            points, since, now
        ):
            logger.warning("the collector did not take metrics", extra={"org": org})
