"""Executes effects in AWS after a commit. Each effect may be lost, or executed twice.

The request executes the short ones. Those that may take longer than a client waits run in the
background (`chalicelib.run.deferred_effects`).

| lost effect | recovery |
| --- | --- |
| completion of a task | the task is offered again, and completed when it is claimed |
| start of an execution | `ExecutionStarted` is missing: the minute's check starts it again |
| stop of an execution | its tasks belong to an old run and fail when they are claimed |
| launch of a worker | the worker has no mark of its launch: the minute's check launches it |
| stop of a worker | it leaves by itself after its idle timeout |
| release of files and activities | later entries repeat it; retention deletes the rest |
| deletion of a run's machines | `chalicelib.run.deletion` finds them once a day |
| reassignment of a free worker | waiting pipelines are checked every minute |
| start of a build | polling starts the missing build |
| frame to a follower | the next frame includes its changes |
| metering of some seconds | none: they do not count in the usage reports |
| release of named limits | the background retries; `chalicelib.limits.named_limits` sweeps |
| entry of the cache | none: the next equal command runs |
| spans and copy of the output of a run | none: collector and bucket lack them |
| charge of an ended worker | `chalicelib.billing.run` reads its end from ECS |
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.api.followers import Followers
from chalicelib.api.store import TableConnections
from chalicelib.billing.metering import Charging, WorkerTime
from chalicelib.billing.store import BillingPorts
from chalicelib.cache.decisions import store_entry
from chalicelib.cache.store import Flight
from chalicelib.errors import ConflictError, TaskGoneError, ThrottledError, Timing
from chalicelib.images.poller import Reading
from chalicelib.installation import Installation
from chalicelib.limits.named_limits import NamedLimits
from chalicelib.logs.port import Storage
from chalicelib.records import Records
from chalicelib.run.deferred_effects import DeferredExecutor, run_all
from chalicelib.run.model import WorkerLaunch
from chalicelib.run.rules.changes import PipelineChanges, WorkerCharge, WorkerUsage
from chalicelib.run.rules.deferred import BackgroundEvent, DeferredEffects, LazyReply
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.telemetry.exporter import ends_run, has_receiver
from chalicelib.workers.port import Compute
from chalicelib.workers.slots import SlotNeed
from conducto_core.asl.rules.machine import (
    CompleteTask,
    MachineCommand,
    StartExecution,
    StopExecution,
)
from conducto_core.cache.model import CacheInputs
from conducto_core.run import views
from conducto_core.run.model.records import (
    AttemptRecord,
    ImageRecord,
    Lifecycle,
    NodeChange,
    PipelineRecord,
)
from conducto_core.run.model.requests import EventBatch

if TYPE_CHECKING:
    from conducto_core.telemetry.otlp import OtlpSender

# ----------------------------------------------------------------------------------------
# The bound on invocations of the function ``background`` that start each other.
#
# Lambda would stop a chain of about 16 functions that invoke each other. Infra allows longer ones:
# an invocation continues the work of the one before it, and hands free workers on to another
# pipeline, whose own effects run in the next. The minute's check starts a new chain with whatever
# is missing, so that the end of a chain delays effects, and loses none.


logger = logging.getLogger(__name__)

#: Maximum number of invocations that one request or check causes, one after another.
MAX_CHAIN = 64
#: Number of invocations before the current one.
_before: ContextVar[int] = ContextVar("background invocations", default=-1)


def begin(event: BackgroundEvent) -> None:
    """Record the place in its chain of the invocation that executes an event."""
    _before.set(event.before)


def invoke_next(invoke: Callable[[BackgroundEvent], object], event: BackgroundEvent) -> None:
    """Start an invocation, unless its chain is too long."""
    before = _before.get() + 1
    if before < MAX_CHAIN:
        invoke(event.model_copy(update={"before": before}))
    else:
        logger.error("a chain of invocations ends; the next minute's check continues")


# ----------------------------------------------------------------------------------------
# Pushes changes to the followers of a pipeline over WebSockets.
#
# Two Lambdas may push at the same time: a change can arrive twice but is never skipped, because a
# frame starts after the last change that is known to have arrived. Clients ignore duplicates.


#: Changes per read.
MAX_CHANGES = 300
#: Maximum bytes of a frame, safely below `FRAME_LIMIT`.
MAX_FRAME = 30_000
#: Characters to which an image's error is cut in a frame that would otherwise be too large.
_BRIEF_ERROR = 200


def publish(records: Records, connections: TableConnections, live: CloudPipeline) -> None:
    """Send every follower the changes that it does not have yet.

    An unreachable follower keeps its cursor and does not delay the others. A follower whose token
    was revoked or has expired receives no more changes.
    """
    followers = Followers(connections, records.tokens)
    for connection, cursor in connections.followers(live.id):
        try:
            identity = followers.identity_of(connection)
            if identity is None or identity.org != live.org:
                followers.close(connection)
            else:
                _send(records, connections, live, connection, cursor)
        except Exception:
            # The next change includes these; other followers must not wait.
            logger.exception("changes were not sent to a follower", extra={"pipeline": live.id})


def batch_after(
    records: Records, live: CloudPipeline, cursor: int, seen: int = 0
) -> EventBatch | None:
    """Return up to `MAX_CHANGES` changes after ``cursor``, or None if there are none.

    Args:
        live: The pipeline, at least as new as the changes.
        cursor: Number of the last known change.
        seen: Number of the last entry whose image changes are known.
    """
    changes = records.store.changes(live.id, cursor, MAX_CHANGES)
    moved = any(image.version > seen for image in live.images.values())
    if not changes and not moved:
        return None
    return views.batch(live, list(changes), seen, live.periods)


def _send(
    records: Records,
    connections: TableConnections,
    live: CloudPipeline,
    connection: str,
    cursor: int,
) -> None:
    while (batch := batch_after(records, live, cursor, live.number - 1)) is not None:
        for frame, last in frames(live, batch):
            if not connections.send(connection, frame):
                connections.delete(connection)
                return
            if last is not None:
                cursor = last
                connections.put(connection, live.org, live.id, cursor)
        if len(batch.changes) < MAX_CHANGES:
            return


def frames(live: CloudPipeline, batch: EventBatch) -> Iterator[tuple[bytes, int | None]]:
    """Yield frames of at most `MAX_FRAME` bytes, each with the number of its last change."""
    data = _encoded(batch)
    if len(data) <= MAX_FRAME or len(batch.changes) <= 1:
        fitting = data if len(data) <= MAX_FRAME else _shortened(batch)
        yield fitting, batch.changes[-1].seq if batch.changes else None
        return
    half = len(batch.changes) // 2
    yield from frames(live, _part(live, batch, batch.changes[:half]))
    yield from frames(
        live, views.batch(live, list(batch.changes[half:]), live.number, live.periods)
    )


def _part(live: CloudPipeline, batch: EventBatch, changes: Sequence[NodeChange]) -> EventBatch:
    first = views.batch(live, list(changes), live.number, live.periods)
    return first.model_copy(update={"images": batch.images})


def _shortened(batch: EventBatch) -> bytes:
    """Return a frame of a batch whose single change does not fit into a frame.

    Errors of images are shortened first. Then images are left out, and then counts of groups, the
    deepest first.
    """
    summary = batch.pipeline
    brief = batch.model_copy(
        update={
            "images": tuple(map(_brief, batch.images)),
            "pipeline": summary.model_copy(update={"images": tuple(map(_brief, summary.images))}),
        }
    )
    if len(data := _encoded(brief)) <= MAX_FRAME:
        return data
    bare = summary.model_copy(update={"images": ()})
    counts = sorted(batch.counts.items(), key=lambda item: len(item[0]))
    while True:
        kept = {"images": (), "pipeline": bare, "counts": dict(counts), "times": {}}
        data = _encoded(batch.model_copy(update=kept))
        if len(data) <= MAX_FRAME or not counts:
            return data
        del counts[len(counts) // 2 :]


def _brief(image: ImageRecord) -> ImageRecord:
    if image.error is None or len(image.error) <= _BRIEF_ERROR:
        return image
    return image.model_copy(update={"error": image.error[:_BRIEF_ERROR] + "…"})


def _encoded(batch: EventBatch) -> bytes:
    return batch.model_dump_json().encode()


@dataclass(slots=True)
class PendingEffects:
    """The effects of one entry.

    Attributes:
        machine_commands: Commands to Step Functions that take one call each.
        executions: ``{run: ARN}`` of known executions.
        run: The latest run.
        known_pools: Names of all its pools, if they are to be released.
        released: Whether to release all of its AWS resources except its files.
        unlimited: ``(path, attempt)`` of attempts that release their named limits.
        deferred: The effects that run in the background.
        cached: Attempts whose outcomes are stored in the cache, with their inputs.
        record: The pipeline, if there are any.
        flights: ``(key, path, attempt)`` of ended attempts for which equal commands wait.
    """

    org: str
    pipeline_id: str
    machine_commands: list[StopExecution | CompleteTask] = field(default_factory=list)
    executions: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    stops: list[tuple[str, str | None]] = field(default_factory=list)
    usage: list[WorkerUsage] = field(default_factory=list)
    charges: list[WorkerCharge] = field(default_factory=list)
    known_pools: tuple[str, ...] = ()
    published: bool = False
    released: bool = False
    unlimited: list[tuple[str, int]] = field(default_factory=list)
    deferred: DeferredEffects | None = None
    cached: list[tuple[AttemptRecord, CacheInputs]] = field(default_factory=list)
    record: PipelineRecord | None = None
    flights: list[tuple[str, str, int]] = field(default_factory=list)


def effects_of(
    live: CloudPipeline,
    changes: PipelineChanges,
    hires: tuple[WorkerLaunch, ...],
    room: SlotNeed | None = None,
) -> PendingEffects:
    """Return the effects of an entry, which then do not require the pipeline's state."""
    released = live.record.lifecycle is Lifecycle.ARCHIVED and not live.open() and not hires
    short, run, replies = _divided(changes.machine_commands)
    return PendingEffects(
        live.org,
        live.id,
        machine_commands=short,
        executions=dict(live.runs),
        run=live.cloud_machine.run,
        stops=changes.stops,
        charges=changes.charges,
        unlimited=changes.released,
        cached=changes.cached,
        record=live.record if changes.cached else None,
        flights=changes.flights,
        published=bool(changes.changes),
        known_pools=tuple(live.pools) if released else (),
        released=released,
        deferred=DeferredEffects(
            org=live.org,
            pipeline_id=live.id,
            run=run,
            workers=tuple(launch.worker for launch in hires),
            replies=replies,
            builds=tuple(image.name for image in changes.builds),
            room=None if room is None else room.value,
            ended=ends_run(live, changes),
            expands=changes.expands,
        ),
    )


def _divided(
    commands: list[MachineCommand],
) -> tuple[list[StopExecution | CompleteTask], str | None, tuple[LazyReply, ...]]:
    """Return the commands that take one call each, the run to start, and the replies of Lazies."""
    short: list[StopExecution | CompleteTask] = []
    run: str | None = None
    replies: list[LazyReply] = []
    for command in commands:
        match command:
            case StartExecution():
                run = command.run
            case CompleteTask(generates=True):
                replies.append(LazyReply(token=command.token, target=command.target))
            case _:
                short.append(command)
    return short, run, tuple(replies)


class EffectExecutor:
    """Executes the effects of entries."""

    def __init__(
        self,
        records: Records,
        storage: Storage,
        compute: Compute,
        installation: Installation,
        timing: Timing,
        *,
        connections: TableConnections,
        billing: BillingPorts | None,
        collector: "Callable[[], OtlpSender] | None",
        reading: Reading,
        deferred: DeferredExecutor,
    ) -> None:
        self._records = records
        self._storage = storage
        self._compute = compute
        self._installation = installation
        self._timing = timing
        self._connections = connections
        self._collector = collector
        self._reading = reading
        self._deferred = deferred
        self._charging = Charging(records, timing, billing)

    def execute(self, effects: PendingEffects) -> None:
        """Execute the short effects, and defer the others.

        A failure is logged and does not affect the others.
        """
        about = {"pipeline": effects.pipeline_id, "run_id": effects.run}
        calls: list[Callable[[], object]] = [
            *(
                lambda command=command: self._execute(effects, command)
                for command in effects.machine_commands
            ),
            *(lambda stop=stop: self._stop_worker(effects, *stop) for stop in effects.stops),
            *(lambda usage=usage: self._meter(effects, usage) for usage in effects.usage),
            *(lambda charge=charge: self._charge(effects, charge) for charge in effects.charges),
            *(lambda ended=ended: self._store(effects, *ended) for ended in effects.cached),
        ]
        run_all(calls, self._installation.threads, about)
        calls = [lambda: self._defer(effects.deferred)]
        calls += [partial(self._land, effects, *flight) for flight in effects.flights]
        if effects.unlimited:
            calls.append(lambda: self._release_limits(effects))
        if effects.released:
            calls += self._releases(effects)
        if effects.published:
            calls.append(lambda: self._publish(effects))
        run_all(calls, 1, about)

    def _defer(self, effects: DeferredEffects | None) -> None:
        if effects is None:
            return
        if not has_receiver(self._storage.log_bucket, self._collector):
            effects = effects.model_copy(update={"ended": False})
        if effects.are_any():
            self._deferred.defer(effects)

    def _store(self, effects: PendingEffects, attempt: AttemptRecord, ran: CacheInputs) -> None:
        if effects.record is not None:
            store_entry(self._records, self._storage, effects.org, effects.record, attempt, ran=ran)

    def _land(self, effects: PendingEffects, key: str, path: str, attempt: int) -> None:
        """End a flight, whose outcome is stored by now, and let the pipelines look that wait."""
        flight = Flight(effects.pipeline_id, path, attempt, 0.0)
        for pipeline_id in self._records.cache.release(effects.org, key, flight.holder):
            looks = DeferredEffects(org=effects.org, pipeline_id=pipeline_id, looks=True)
            self._deferred.defer(looks)

    def _release_limits(self, effects: PendingEffects) -> None:
        keys = [(effects.pipeline_id, path, attempt) for path, attempt in effects.unlimited]
        try:
            NamedLimits(self._records, self._timing).release(effects.org, keys)
        except (ConflictError, ThrottledError):
            # Too many commands request the limits now: the background has more time.
            self._defer(
                DeferredEffects(
                    org=effects.org,
                    pipeline_id=effects.pipeline_id,
                    unlimited=tuple(effects.unlimited),
                )
            )

    def _releases(self, effects: PendingEffects) -> list[Callable[[], object]]:
        return [
            lambda: self._compute.fleet.release(effects.pipeline_id),
            *(lambda run=run: self._halt(effects, run) for run in effects.executions),
            lambda: self._forget_activities(effects),
        ]

    def _forget_activities(self, effects: PendingEffects) -> None:
        """Delete activities until AWS throttles, which it does after one per second.

        Retention deletes the rest, because a client waits for this request.
        """
        for pool in effects.known_pools:
            self._compute.machines.forget_activity(self._installation.site.activity_of(pool))

    def _execute(self, effects: PendingEffects, command: StopExecution | CompleteTask) -> None:
        match command:
            case StopExecution():
                self._halt(effects, command.run)
            case CompleteTask():
                self._reply(command)

    def _halt(self, effects: PendingEffects, run: str) -> None:
        arn = effects.executions.get(run)
        if arn is not None:
            machines = self._compute.machines
            machines.stop(arn, "superseded by a new run")
            machines.forget(machines.machine_of(arn))

    def _reply(self, reply: CompleteTask) -> None:
        machines = self._compute.machines
        try:
            if reply.error is None:
                machines.succeed(reply.token, {})
            else:
                machines.fail(reply.token, reply.error)
        except TaskGoneError:
            return  # its execution was stopped; the journal has the result

    def _stop_worker(self, effects: PendingEffects, worker: str, task: str | None) -> None:
        fleet = self._compute.fleet
        arn = task if task is not None else fleet.running(effects.pipeline_id).get(worker)
        if arn is not None:
            fleet.stop(arn, "no longer needed")

    def _publish(self, effects: PendingEffects) -> None:
        if self._connections.followers(effects.pipeline_id):
            with self._reading(effects.org, effects.pipeline_id) as live:
                publish(self._records, self._connections, live)

    def _charge(self, effects: PendingEffects, seen: WorkerCharge) -> None:
        span = (seen.began, seen.until)
        time = WorkerTime(
            seen.worker, effects.pipeline_id, seen.size, *span, seen.task, ended=seen.ended
        )
        self._charging.observe(effects.org, time)

    def _meter(self, effects: PendingEffects, usage: WorkerUsage) -> None:
        key = f"{effects.pipeline_id}{usage.key}"
        self._timing.retry(
            lambda: self._records.orgs.add_usage(
                effects.org, usage.month, key, usage.seconds, usage.cpu, whose=usage.whose
            ),
        )
