"""Spans and metrics of pipelines, by OpenTelemetry's conventions for CI/CD.

A pipeline is a trace. Each of its runs is a span at the top, a node is a span below, and an attempt
is a child of its node's span. All ids follow from the pipeline, the path and the attempt, so that a
command knows the id of its span before the span exists, and a span that is sent twice has one id.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Literal
from urllib.parse import unquote

from conducto_core.billing.rules import use_of
from conducto_core.run.model.records import AttemptRecord, PipelineRecord, Round
from conducto_core.run.model.states import STATE_OF_CAUSE, Cause, State

#: The version of the semantic conventions whose names are used; ``cicd.*`` is in development.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
SERVICE = "conducto"
#: Variables of commands.
TRACE_PARENT, RESOURCE = "TRACEPARENT", "OTEL_RESOURCE_ATTRIBUTES"
#: Spans in one request.
BATCH = 512
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_ROOT = "/"

Value = str | int | float
Attributes = Mapping[str, Value]

# ----------------------------------------------------------------------------------------
# Ids, and the variables of commands.


def trace_id(pipeline_id: str) -> str:
    """Return the id of a pipeline's trace, in hexadecimal."""
    return _digest(pipeline_id)[:_TRACE_DIGITS]


def attempt_span_id(pipeline_id: str, path: str, attempt: int) -> str:
    """Return the id of the span of an attempt, in hexadecimal."""
    return _digest(pipeline_id, path, str(attempt))[:_SPAN_DIGITS]


def node_span_id(pipeline_id: str, path: str, started: float) -> str:
    """Return the id of the span of a node in the run that started then, in hexadecimal."""
    return _digest(pipeline_id, path, f"run {started:.6f}")[:_SPAN_DIGITS]


def _digest(*parts: str) -> str:
    return sha256("\0".join(("conducto", *parts)).encode()).hexdigest()


def trace_variables(
    pipeline_id: str, path: str, attempt: int, env: Mapping[str, str], *, isolated: bool
) -> dict[str, str]:
    """Return the variables that make the spans of a command children of its attempt's span.

    Args:
        pipeline_id: The pipeline.
        path: The node.
        attempt: Its number.
        env: The variables of the node and its secrets: their ``TRACEPARENT`` and attributes have
            precedence.
        isolated: It is cached, and does not know its pipeline.
    """
    span = attempt_span_id(pipeline_id, path, attempt)
    found = {TRACE_PARENT: f"00-{trace_id(pipeline_id)}-{span}-01"}
    if not isolated:
        about = task_attributes(pipeline_id, path, attempt)
        own = [f"{name}={_escaped(str(value))}" for name, value in about.items()]
        found[RESOURCE] = ",".join([*own, *filter(None, [env.get(RESOURCE)])])
    return {**found, **{name: env[name] for name in (TRACE_PARENT,) if name in env}}


def _escaped(text: str) -> str:
    """Return a value of a resource attribute, with the characters escaped that W3C names."""
    plain = "-._~/:@+#"
    return "".join(c if c.isascii() and (c.isalnum() or c in plain) else _percent(c) for c in text)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def task_attributes(pipeline_id: str, path: str, attempt: int) -> dict[str, Value]:
    """Return the attributes that identify an attempt."""
    return {
        "cicd.pipeline.run.id": pipeline_id,
        "cicd.pipeline.task.name": path,
        "cicd.pipeline.task.run.id": f"{pipeline_id}{path}#{attempt}",
    }


def read_headers(text: str) -> dict[str, str]:
    """Return the headers in a text ``name=value,name=value``, as in OpenTelemetry's variables."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


# ----------------------------------------------------------------------------------------
# Spans.


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """A moment of a span, in seconds since the epoch."""

    name: str
    time: float


@dataclass(frozen=True, slots=True)
class SpanLink:
    """Another span, possibly of another trace."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """A span, with ids in hexadecimal and times in seconds since the epoch.

    Attributes:
        kind: ``server`` for the run of a pipeline, ``internal`` below.
        error: The class of the error, or None.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start: float
    end: float
    kind: Literal["server", "internal"] = "internal"
    attributes: Attributes = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a pipeline that has ended: its spans are sent together.

    Attributes:
        record: The pipeline, with its status.
        started: Start of the run.
        ended: Its end.
        before: Start of the run before, or None.
        since: Attempts that ended after this time belong to it.
        groups: ``{path: state}`` of the groups at the end.
        url: Address of the pipeline's page, or "".
        charged: Whether its commands cost money.
    """

    record: PipelineRecord
    started: float
    ended: float
    before: float | None
    since: float
    groups: Mapping[str, State]
    url: str = ""
    charged: bool = False


def run_of(
    record: PipelineRecord,
    rounds: tuple[Round, ...],
    groups: Mapping[str, State],
    *,
    url: str = "",
    charged: bool = False,
) -> Run | None:
    """Return the run that ended last; None if nothing has run.

    Rounds that continue others, because only approvals or retries were waited for, are one run.
    """
    if not rounds or rounds[-1].ended is None:
        return None
    first = len(rounds) - 1
    while first > 0 and rounds[first].continues:
        first -= 1
    earlier = first - 1
    while earlier > 0 and rounds[earlier].continues:
        earlier -= 1
    return Run(
        record,
        rounds[first].started,
        rounds[-1].ended,
        rounds[earlier].started if earlier >= 0 else None,
        (rounds[first - 1].ended or 0.0) if first else 0.0,
        groups,
        url,
        charged,
    )


@dataclass(slots=True)
class _Period:
    """The first start and the last end of the attempts below a node."""

    start: float
    end: float
    cause: Cause | None = None

    def add(self, start: float, end: float) -> None:
        self.start, self.end = min(self.start, start), max(self.end, end)


def is_of(run: Run, attempt: AttemptRecord) -> bool:
    """Return whether an attempt belongs to a run."""
    return attempt.ended is not None and run.since < attempt.ended <= run.ended + 1.0


def spans_of(run: Run, attempts: Iterable[AttemptRecord]) -> Iterator[Span]:
    """Yield the spans of a run: those of attempts as they are read, then nodes, then the run."""
    periods: dict[str, _Period] = {}
    for attempt in attempts:
        if not is_of(run, attempt):
            continue
        span = attempt_span(run, attempt)
        for path in _with_groups(attempt.path):
            period = periods.setdefault(path, _Period(span.start, span.end))
            period.add(span.start, span.end)
        periods[attempt.path].cause = attempt.cause
        yield span
    whole = periods.pop(_ROOT, _Period(run.started, run.ended))
    for path, period in periods.items():
        yield _node_span(run, path, period)
    yield _run_span(run, whole)


def batches(spans: Iterable[Span], size: int) -> Iterator[list[Span]]:
    """Yield the spans in lists of at most ``size``."""
    left = iter(spans)
    while found := list(islice(left, size)):
        yield found


def _with_groups(path: str) -> Iterator[str]:
    """Yield a path and those of the groups above it."""
    yield path
    while path != _ROOT:
        path = path.rpartition("/")[0] or _ROOT
        yield path


def attempt_span(run: Run, attempt: AttemptRecord) -> Span:
    """Return the span of an attempt that has ended."""
    pipeline, path, number = run.record.id, attempt.path, attempt.number
    end = attempt.ended or 0.0
    times = {
        "queued": attempt.queued,
        "image": attempt.image_ready,
        "claimed": attempt.admitted,
        "started": attempt.started,
        "ended": attempt.ended,
    }
    known = [SpanEvent(name, time) for name, time in times.items() if time is not None]
    start = min(event.time for event in known)
    before = attempt_span_id(pipeline, path, number - 1)
    error = _error(attempt.cause)
    return Span(
        trace_id(pipeline),
        attempt_span_id(pipeline, path, number),
        node_span_id(pipeline, path, run.started),
        f"attempt {number}",
        start,
        max(start, end),
        attributes=_attempt_attributes(run, attempt),
        events=tuple(known),
        links=(SpanLink(trace_id(pipeline), before),) if number > 1 else (),
        error=error,
    )


def _attempt_attributes(run: Run, attempt: AttemptRecord) -> dict[str, Value]:
    dollars = use_of(attempt).dollars if run.charged and attempt.from_cache is None else None
    more: dict[str, Value | None] = {
        "cicd.pipeline.task.run.result": task_result(attempt.state, attempt.cause),
        "cicd.worker.name": attempt.container,
        "container.image.name": attempt.image or None,
        "error.type": _error(attempt.cause),
        "process.exit.code": attempt.exit_code,
        "conducto.attempt": attempt.number,
        "conducto.cpu": attempt.cpu,
        "conducto.memory": attempt.mem,
        "conducto.cost": dollars,
        "conducto.from_cache": None if attempt.from_cache is None else attempt.from_cache.text,
    }
    known = {name: value for name, value in more.items() if value is not None}
    return {**task_attributes(run.record.id, attempt.path, attempt.number), **known}


def _node_span(run: Run, path: str, period: _Period) -> Span:
    pipeline = run.record.id
    above = path.rpartition("/")[0] or _ROOT
    state = run.groups.get(path, STATE_OF_CAUSE[period.cause])
    error = _error(period.cause)
    result = task_result(state, period.cause)
    attributes: dict[str, Value] = {
        "cicd.pipeline.run.id": pipeline,
        "cicd.pipeline.task.name": path,
        **({} if result is None else {"cicd.pipeline.task.run.result": result}),
        **({} if error is None else {"error.type": error}),
    }
    return Span(
        trace_id(pipeline),
        node_span_id(pipeline, path, run.started),
        node_span_id(pipeline, above, run.started),
        path.rpartition("/")[2],
        period.start,
        period.end,
        attributes=attributes,
        error=error or (state.value if result not in {None, "success"} else None),
    )


def _run_span(run: Run, whole: _Period) -> Span:
    record = run.record
    pipeline, state = record.id, record.status.state
    result = task_result(state, None)
    links = []
    if run.before is not None:
        links.append(SpanLink(trace_id(pipeline), node_span_id(pipeline, _ROOT, run.before)))
    if record.parent is not None:
        above = record.parent
        span = attempt_span_id(above.pipeline, above.path, above.attempt)
        links.append(SpanLink(trace_id(above.pipeline), span))
    error = state.value if result not in {None, "success"} else None
    start, end = min(run.started, whole.start), max(run.ended, whole.end)
    return Span(
        trace_id(pipeline),
        node_span_id(pipeline, _ROOT, run.started),
        None,
        f"RUN {record.title}",
        start,
        max(start, end),
        kind="server",
        attributes=run_attributes(run, result, error),
        links=tuple(links),
        error=error,
    )


def run_attributes(run: Run, result: str | None, error: str | None) -> dict[str, Value]:
    """Return the attributes of the span of a run."""
    record = run.record
    git, commit = record.git, record.commit
    found: dict[str, Value | None] = {
        "cicd.pipeline.name": record.title,
        "cicd.pipeline.action.name": "RUN",
        "cicd.pipeline.run.id": record.id,
        "cicd.pipeline.run.url.full": run.url or None,
        "cicd.pipeline.result": result,
        "error.type": error,
        "vcs.ref.head.revision": git.sha if git else commit.sha if commit else None,
        "vcs.ref.head.name": git.branch if git else commit.branch if commit else None,
        "vcs.repository.url.full": git.url if git else None,
    }
    return {name: value for name, value in found.items() if value is not None}


#: Results of attempts, by cause; others are errors of Conducto or of the machine.
_RESULTS = {
    Cause.EXIT_CODE: "failure",
    Cause.OUT_OF_MEMORY: "failure",
    Cause.REJECTED: "failure",
    Cause.TIMEOUT: "timeout",
    Cause.APPROVAL_TIMEOUT: "timeout",
    Cause.KILLED_BY_USER: "cancellation",
    Cause.SPEND_LIMIT: "cancellation",
    Cause.BUDGET: "cancellation",
}
_GROUP_RESULTS = {State.DONE: "success", State.ERROR: "failure", State.KILLED: "cancellation"}


def task_result(state: State, cause: Cause | None) -> str | None:
    """Return the result of an attempt, node or pipeline; None if it has not ended."""
    if cause is not None and state is not State.DONE:
        return _RESULTS.get(cause, "error")
    return _GROUP_RESULTS.get(state)


def _error(cause: Cause | None) -> str | None:
    return None if cause is None else cause.value
