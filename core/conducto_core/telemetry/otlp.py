"""Sends spans and metrics by OTLP over HTTP, with OpenTelemetry's exporters.

They are an extra, and are imported only where an endpoint is configured.
"""

import logging
from collections.abc import Iterable, Mapping

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from conducto_core.telemetry.rules.metrics import BOUNDS, INSTRUMENTS, Point
from conducto_core.telemetry.rules.spans import SCHEMA_URL, SERVICE, Span

_KINDS = {"server": SpanKind.SERVER, "internal": SpanKind.INTERNAL}
_NANOSECONDS = 1_000_000_000
_SCOPE = InstrumentationScope(SERVICE, schema_url=SCHEMA_URL)
# The caller reports the first failure; the exporters would log each of them.
logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)


class OtlpSender:
    """Sends to one collector.

    Args:
        endpoint: Address of the collector, without the path of a signal; None for the standard
            variables ``OTEL_EXPORTER_OTLP_*``.
        headers: Headers of requests; None for the standard variables.
        timeout: Seconds for one request with its retries; None for the standard variables.
        attributes: Attributes of the resource.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        own = {"service.name": SERVICE, **(attributes or {})}
        self._resource = Resource.create(own, schema_url=SCHEMA_URL)
        place = None if endpoint is None else endpoint.rstrip("/")
        known = None if headers is None else dict(headers)
        self._traces = OTLPSpanExporter(
            endpoint=place and f"{place}/v1/traces", headers=known, timeout=timeout
        )
        self._metrics = OTLPMetricExporter(
            endpoint=place and f"{place}/v1/metrics", headers=known, timeout=timeout
        )

    def spans(self, spans: Iterable[Span]) -> bool:
        """Send one batch; return whether the collector took it."""
        found = [self._span(each) for each in spans]
        return self._traces.export(found) is SpanExportResult.SUCCESS

    def points(self, points: Iterable[Point], since: float, now: float) -> bool:
        """Send the values of instruments; return whether the collector took them.

        Args:
            points: The values.
            since: Start of counters and histograms, in seconds since the epoch.
            now: The time of the values.
        """
        groups: dict[str, list[Point]] = {}
        for point in points:
            groups.setdefault(point.name, []).append(point)
        metrics = [_metric(name, found, since, now) for name, found in groups.items()]
        scope = ScopeMetrics(_SCOPE, metrics, SCHEMA_URL)
        data = MetricsData([ResourceMetrics(self._resource, [scope], SCHEMA_URL)])
        return self._metrics.export(data) is MetricExportResult.SUCCESS

    def close(self) -> None:
        """End a retry that is waiting."""
        self._traces.shutdown()  # type: ignore[no-untyped-call]
        self._metrics.shutdown()

    def _span(self, span: Span) -> ReadableSpan:
        error = span.error
        return ReadableSpan(
            span.name,
            context=_context(span.trace_id, span.span_id),
            parent=None if span.parent_id is None else _context(span.trace_id, span.parent_id),
            resource=self._resource,
            attributes=dict(span.attributes),
            events=[Event(each.name, timestamp=_time(each.time)) for each in span.events],
            links=[Link(_context(each.trace_id, each.span_id)) for each in span.links],
            kind=_KINDS[span.kind],
            status=Status() if error is None else Status(StatusCode.ERROR, error),
            start_time=_time(span.start),
            end_time=_time(span.end),
            instrumentation_scope=_SCOPE,
        )


def _context(trace_id: str, span_id: str) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)


def _time(seconds: float) -> int:
    return round(seconds * _NANOSECONDS)


def _metric(name: str, points: list[Point], since: float, now: float) -> Metric:
    instrument = INSTRUMENTS[name]
    start, end = _time(since), _time(now)
    data: Gauge | Sum | Histogram
    if instrument.kind == "histogram":
        found = [_distribution(each, start, end) for each in points]
        data = Histogram(found, AggregationTemporality.CUMULATIVE)
    else:
        # Of a gauge there is no start: 0 in the protocol.
        first = start if instrument.kind == "counter" else 0
        numbers = [NumberDataPoint(dict(p.attributes), first, end, float(p.value)) for p in points]
        data = Gauge(numbers)
        if instrument.kind == "counter":
            data = Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Metric(name, instrument.description, instrument.unit, data)


def _distribution(point: Point, start: int, end: int) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=dict(point.attributes),
        start_time_unix_nano=start,
        time_unix_nano=end,
        count=sum(point.counts),
        sum=point.value,
        bucket_counts=list(point.counts),
        explicit_bounds=BOUNDS,
        min=None,  # type: ignore[arg-type]  # optional in the protocol
        max=None,  # type: ignore[arg-type]
    )
