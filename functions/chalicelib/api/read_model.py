"""Queries on one pipeline: build steps, times of groups, and reasons for waiting."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.domain.workers import WorkerStatus
from chalicelib.ports.identity import Share
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.named_limits import NamedLimits, lease_of
from conducto_core.images.build_steps import MAX_STEPS, steps_in
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import AttemptRecord, ImageRecord, ImageState, Lifecycle, Period
from conducto_core.model.responses import ImageStep
from conducto_core.model.states import State
from conducto_core.model.wait_phases import Wait
from conducto_core.semantics import waits
from conducto_core.semantics.autoscaling import Pool
from conducto_core.semantics.leased_limits import LeasedLimits
from conducto_core.semantics.pools import PoolKind, owner_of
from conducto_core.semantics.tree_state import LiveExec, LiveGroup, LiveNode

#: Attempts that can be read in about the time of one more query.
_PER_QUERY = 20
_OVER = frozenset({ImageState.DONE, ImageState.ERROR})


def steps_of(output: bytes, record: ImageRecord) -> tuple[ImageStep, ...]:
    """Return the steps of an image's latest build, including the wait for a build machine.

    Args:
        output: The progress that the build has reported so far.
        record: The image's state in the pipeline. A build that was stopped from outside cannot
            report its end, so its unfinished steps end with the image.
    """
    steps = steps_in(output.decode(errors="replace"))
    steps = _wait(record, steps) + steps
    if record.state in _OVER:
        steps = tuple(_ended(step, record) for step in steps)
    return steps[:MAX_STEPS]


def _wait(record: ImageRecord, steps: tuple[ImageStep, ...]) -> tuple[ImageStep, ...]:
    """Return the time in the queue; none if the build started before this pipeline requested it."""
    if record.started is None:
        return ()
    waiting = ImageStep(name=ImageState.QUEUED.value, started=record.started)
    if not steps:
        return (waiting,) if record.state is ImageState.QUEUED else ()
    began = steps[0].started
    if began is None or began < record.started:
        return ()
    return (waiting.model_copy(update={"ended": began}),)


def _ended(step: ImageStep, record: ImageRecord) -> ImageStep:
    if step.ended is not None:
        return step
    why = None if record.error is None else record.error.partition("\n")[0]
    return step.model_copy(update={"ended": record.ended, "error": why})


class CloudReadModel:
    """A `conducto_core.api.queries.pipelines.ReadModel` over the store.

    The named limits and the shares of pipelines are read at most once per second, because all nodes
    of a page may need them.
    """

    def __init__(self, cloud: Dependencies) -> None:
        self._cloud = cloud
        self._store = cloud.store
        self._limits: tuple[str, float, LeasedLimits] | None = None
        self._lines: tuple[str, float, Mapping[str, Share], int] | None = None

    def attempts(self, live: CloudPipeline, paths: Collection[str]) -> Iterable[AttemptRecord]:
        """Return the attempts of nodes, with one query if they are many."""
        if len(paths) == 1 or len(paths) * _PER_QUERY < len(live.times):
            return (one for path in paths for one in self._store.attempts(live.id, path))
        return self._store.attempts(live.id)

    def notifications(self, live: CloudPipeline) -> Iterable[NotificationRecord]:
        """Return the notifications of the pipeline."""
        return (one for sent in self._store.outgoing(live.id) for one in sent.notifications)

    def periods(self, live: CloudPipeline, groups: Sequence[LiveGroup]) -> Mapping[str, Period]:
        """Return the periods of groups."""
        return live.periods(groups)

    def wait(self, live: CloudPipeline, node: LiveNode) -> Wait | None:
        """Return why a node does not run."""
        if isinstance(node, LiveExec) and node.state is State.QUEUED:
            since, reasons = live.in_flight.queued_at(node.path), self._reasons(live, node)
            return waits.why_queued(live.record, node, since, reasons)
        lost = live.lost_contexts.get(node.spec.pool)
        misses = node.state is State.PENDING or owner_of(node.spec.pool) == node.path
        asleep = live.record.lifecycle is not Lifecycle.ACTIVE
        if lost is not None and misses and not asleep:
            return waits.lost_context(live.record, node.spec.pool, lost)
        return waits.why_pending(live.record, live.tree.nodes, node)

    def _reasons(self, live: CloudPipeline, node: LiveExec) -> Iterator[Wait | None]:
        """Yield the reasons why a queued Exec does not run."""
        pool = live.pool_at(node)
        image = live.images[pool.image].record
        if image.state is not ImageState.DONE:
            yield waits.image(live.record, image)
        full = live.full_group(node.path)
        if full is not None:
            yield waits.full_group(full, live.tree.nodes[full].spec.max_concurrent or 0)
        if node.spec.limits:
            yield self._limits_of(live.org).reason(lease_of(live, node))
        short = _why_without_worker(live, node.path, pool)
        yield self._in_line(live, short) if short is not None and short == live.limited else short
        pool_workers = live.registry.pool_workers().get(pool.name)
        if pool_workers is not None and pool_workers.starting:
            starts = live.starts_of(pool.name)
            yield waits.starting("a worker", starts.rounds, starts.reason)

    def _in_line(self, live: CloudPipeline, why: Wait) -> Wait:
        """Return a wait for a worker with the place of the pipeline in line."""
        if not live.share.wanted:
            return why
        shares, maximum = self._shares_of(live.org)
        claimants = {name: share.claimant() for name, share in shares.items()}
        return waits.shared_workers(why, claimants, live.id, maximum)

    def _shares_of(self, org: str) -> tuple[Mapping[str, Share], int]:
        now = self._cloud.clock()
        if self._lines is None or self._lines[0] != org or now - self._lines[1] >= 1:
            orgs = self._cloud.orgs
            self._lines = org, now, orgs.shares(org), orgs.plan(org).max_workers
        _, _, shares, maximum = self._lines
        return shares, maximum

    def _limits_of(self, org: str) -> LeasedLimits:
        now = self._cloud.clock()
        if self._limits is None or self._limits[0] != org or now - self._limits[1] >= 1:
            self._limits = org, now, NamedLimits(self._cloud).reader(org)
        return self._limits[2]


def _why_without_worker(live: CloudPipeline, path: str, pool: Pool) -> Wait | None:
    starts = live.starts_of(pool.name)
    if starts.until > live.now:
        return waits.refused_worker(starts.reason, starts.until)
    if pool.kind is not PoolKind.CONTEXT:
        return None if _has_worker(live, path, pool) else live.limited
    if any(live.registry.in_pool(pool.name, WorkerStatus.BUSY)):
        return waits.busy_container(pool.key)
    if any(live.registry.in_pool(pool.name, WorkerStatus.IDLE, WorkerStatus.STARTING)):
        return None
    return live.withheld or live.limited


def _has_worker(live: CloudPipeline, path: str, pool: Pool) -> bool:
    free = sum(
        1 for _ in live.registry.in_pool(pool.name, WorkerStatus.IDLE, WorkerStatus.STARTING)
    )
    return path in islice(live.queue.get(pool.name, ()), free)
