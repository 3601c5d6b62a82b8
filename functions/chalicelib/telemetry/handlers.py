"""Values of instruments of an organisation: as text for Prometheus, and to the collector."""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from chalicelib.api.dispatch import RULES, Api
from chalicelib.errors import Timing
from chalicelib.limits.named_limits import NamedLimits
from chalicelib.people.port import Identity
from chalicelib.records import Records
from chalicelib.run.handlers import CloudPipelines
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

if TYPE_CHECKING:
    from conducto_core.telemetry.otlp import OtlpSender

logger = logging.getLogger(__name__)

_ORGANISATION = "conducto.organisation"


class Metrics:
    """Reads the values of instruments.

    Args:
        api: Checks the caller.
        pipelines: Returns the pipelines of a caller.
    """

    def __init__(
        self,
        api: Api,
        pipelines: Callable[[Identity], CloudPipelines],
        records: Records,
        timing: Timing,
        collector: "Callable[[], OtlpSender] | None",
    ) -> None:
        self._api, self._pipelines = api, pipelines
        self._records, self._timing, self._collector = records, timing, collector

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
        pipelines = self._pipelines(Identity(org, "", frozenset()))
        activity = asyncio.run(pipelines.get_activity(ActivityParams()))
        holders = [
            lease.request()
            for lease in NamedLimits(self._records, self._timing).reader(org).holders()
        ]
        totals, _ = self._records.telemetry.read(org)
        counters = [] if totals is None else Counting.continued(totals).points()
        return [*gauges_of(activity, holders, self._timing.clock()), *counters]

    def send_all(self) -> None:
        """Send the values of organisations with open pipelines to the collector, if any."""
        if self._collector is None:
            return
        for org in sorted({org for org, _ in self._records.store.open_pipelines()}):
            try:
                self._send(org)
            except Exception:
                logger.exception("metrics were not sent", extra={"org": org})

    def _send(self, org: str) -> None:
        totals, _ = self._records.telemetry.read(org)
        now = self._timing.clock()
        points = (
            point._replace(attributes=((_ORGANISATION, org), *point.attributes))
            for point in self.points(org)
        )
        since = now if totals is None else totals.since
        if self._collector is not None and not self._collector().points(points, since, now):
            logger.warning("the collector did not take metrics", extra={"org": org})
