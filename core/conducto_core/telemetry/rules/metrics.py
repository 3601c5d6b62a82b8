"""Instruments, their points, and the text format of Prometheus.

The same points are sent by OTLP and served to Prometheus. Counters and histograms come from
`Totals`, to which each ended attempt and run adds; gauges from the commands that run and wait now.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from conducto_core.activity.model import Activity
from conducto_core.api.operation import API_ROOT
from conducto_core.billing.rules import use_of
from conducto_core.limits.rules import LimitRequest
from conducto_core.run.model.records import AttemptRecord
from conducto_core.telemetry.model import Series, Totals
from conducto_core.telemetry.rules.spans import Run, task_result

#: Upper bounds of the buckets of histograms, in seconds.
BOUNDS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0)
#: Number of names of pipelines with a series of their own; those of others have this name.
MAX_NAMES, OTHER = 100, "(other)"
#: Path of the text for Prometheus, on both targets.
PATH = f"{API_ROOT}/prometheus"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_NAME = "cicd.pipeline.name"
_RESULT = "cicd.pipeline.result"
_TASK_RESULT = "cicd.pipeline.task.run.result"


class Instrument(NamedTuple):
    """An instrument; ``unit`` in UCUM, as in OpenTelemetry."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    unit: str
    description: str


_ROWS = (
    Instrument("cicd.pipeline.run.active", "gauge", "{run}", "Pipelines in progress."),
    Instrument("cicd.pipeline.run.duration", "histogram", "s", "Duration of runs of pipelines."),
    Instrument("cicd.worker.count", "gauge", "{worker}", "Containers or workers, by state."),
    Instrument("conducto.command.running", "gauge", "{command}", "Commands that run."),
    Instrument("conducto.queue.length", "gauge", "{command}", "Commands that could run, and wait."),
    Instrument("conducto.queue.longest", "gauge", "s", "The longest wait of a queued command."),
    Instrument("conducto.attempt", "counter", "{attempt}", "Attempts that ended, by result."),
    Instrument("conducto.attempt.duration", "histogram", "s", "Duration of commands."),
    Instrument("conducto.attempt.wait", "histogram", "s", "Time from queued to started."),
    Instrument("conducto.cost", "counter", "USD", "Cost of commands; none on a machine."),
    Instrument("conducto.limit.held", "gauge", "{command}", "Commands that hold a named limit."),
    Instrument("conducto.limit.maximum", "gauge", "{command}", "Number that a limit allows."),
    Instrument("conducto.cpu.used", "gauge", "{cpu}", "CPUs that running commands asked for."),
    Instrument("conducto.cpu.total", "gauge", "{cpu}", "CPUs for commands."),
)
INSTRUMENTS: Mapping[str, Instrument] = {row.name: row for row in _ROWS}


class Point(NamedTuple):
    """A value of an instrument: of a histogram its sum, and ``counts`` of its buckets."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    value: float
    counts: tuple[int, ...] = ()


# ----------------------------------------------------------------------------------------
# Counters and histograms.


@dataclass(slots=True)
class Counting:
    """Totals that grow.

    Attributes:
        since: Their start, in seconds since the epoch.
    """

    since: float
    _series: dict[tuple[str, tuple[tuple[str, str], ...]], Series] = field(default_factory=dict)

    @classmethod
    def continued(cls, totals: Totals) -> "Counting":
        """Return totals that continue stored ones."""
        return cls(totals.since, {(each.name, each.attributes): each for each in totals.series})

    def totals(self) -> Totals:
        """Return them for storage."""
        return Totals(since=self.since, series=tuple(self._series.values()))

    def points(self) -> Iterator[Point]:
        """Yield the points of counters and histograms."""
        for each in self._series.values():
            yield Point(each.name, each.attributes, each.total, each.counts)

    def add_attempt(self, attempt: AttemptRecord, *, charged: bool) -> None:
        """Add an attempt that has ended; it has a cost if ``charged``."""
        result = task_result(attempt.state, attempt.cause) or "error"
        named = ((_TASK_RESULT, result),)
        self._add("conducto.attempt", named, 1.0)
        if attempt.started is None or attempt.ended is None:
            return
        self._add("conducto.attempt.duration", named, max(0.0, attempt.ended - attempt.started))
        if attempt.queued is not None:
            self._add("conducto.attempt.wait", (), max(0.0, attempt.started - attempt.queued))
        if charged:
            self._add("conducto.cost", (), use_of(attempt).dollars)

    def add_run(self, run: Run) -> None:
        """Add the run of a pipeline that has ended."""
        result = task_result(run.record.status.state, None) or "skip"
        named = ((_NAME, self._name(run.record.title)), (_RESULT, result))
        self._add("cicd.pipeline.run.duration", named, max(0.0, run.ended - run.started))

    def _name(self, title: str) -> str:
        """Return the title of a pipeline, or `OTHER` if there are too many titles."""
        known = {
            value for _, attributes in self._series for name, value in attributes if name == _NAME
        }
        return title if title in known or len(known) < MAX_NAMES else OTHER

    def _add(self, name: str, attributes: tuple[tuple[str, str], ...], value: float) -> None:
        key = (name, attributes)
        known = self._series.get(key) or Series(name=name, attributes=attributes)
        counts = known.counts
        if INSTRUMENTS[name].kind == "histogram":
            bucket = next((i for i, bound in enumerate(BOUNDS) if value <= bound), len(BOUNDS))
            counts = counts or (0,) * (len(BOUNDS) + 1)
            counts = (*counts[:bucket], counts[bucket] + 1, *counts[bucket + 1 :])
        self._series[key] = known.model_copy(
            update={"total": known.total + value, "counts": counts}
        )


# ----------------------------------------------------------------------------------------
# Gauges.


def gauges_of(activity: Activity, holders: Iterable[LimitRequest], now: float) -> Iterator[Point]:
    """Yield the gauges.

    Args:
        activity: The commands that run and wait.
        holders: The commands that hold named limits.
        now: The time, in seconds since the epoch.
    """
    since = [group.since for group in activity.waits if group.since is not None]
    yield Point("cicd.pipeline.run.active", (), activity.pipelines)
    for state, number in (("busy", activity.workers), ("available", activity.workers_idle)):
        yield Point("cicd.worker.count", (("cicd.worker.state", state),), number)
    yield Point("conducto.command.running", (), activity.running)
    yield Point("conducto.queue.length", (), activity.queued)
    yield Point("conducto.queue.longest", (), max(0.0, now - min(since)) if since else 0.0)
    if activity.cpu is not None:
        yield Point("conducto.cpu.used", (), activity.cpu_used or 0.0)
        yield Point("conducto.cpu.total", (), activity.cpu)
    held: dict[str, list[int]] = {}
    for request in holders:
        for limit in request.limits:
            held.setdefault(limit.name, []).append(limit.number)
    for name, numbers in sorted(held.items()):
        yield Point("conducto.limit.held", (("conducto.limit.name", name),), len(numbers))
        yield Point("conducto.limit.maximum", (("conducto.limit.name", name),), min(numbers))


# ----------------------------------------------------------------------------------------
# The text format of Prometheus.


def prometheus_text(points: Iterable[Point]) -> str:
    """Return points in the text format, with the names that OpenTelemetry gives them there."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point.name, []).append(point)
    lines: list[str] = []
    for instrument in _ROWS:
        found = groups.get(instrument.name)
        if found:
            name = prometheus_name(instrument)
            lines += (
                f"# HELP {name} {instrument.description}",
                f"# TYPE {name} {instrument.kind}",
            )
            for point in found:
                lines += _lines(name, point)
    return "\n".join([*lines, ""])


def prometheus_name(instrument: Instrument) -> str:
    """Return the name of an instrument for Prometheus, with its unit, and ``total`` of counters."""
    unit = {"s": "seconds"}.get(instrument.unit, instrument.unit)
    parts = [instrument.name.replace(".", "_"), *([] if unit.startswith("{") else [unit])]
    return "_".join([*parts, "total"] if instrument.kind == "counter" else parts)


def _lines(name: str, point: Point) -> Iterator[str]:
    if not point.counts:
        yield f"{name}{_labels(point.attributes)} {_number(point.value)}"
        return
    number = 0
    for bound, count in zip((*map(_number, BOUNDS), "+Inf"), point.counts, strict=True):
        number += count
        yield f"{name}_bucket{_labels((*point.attributes, ('le', bound)))} {number}"
    yield f"{name}_sum{_labels(point.attributes)} {_number(point.value)}"
    yield f"{name}_count{_labels(point.attributes)} {number}"


def _number(value: float) -> str:
    return repr(float(value))


def _labels(attributes: tuple[tuple[str, str], ...]) -> str:
    if not attributes:
        return ""
    pairs = (f'{name.replace(".", "_")}="{_escaped(value)}"' for name, value in attributes)
    return f"{{{','.join(pairs)}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
