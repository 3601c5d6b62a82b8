"""Queries on one pipeline: build steps, times of groups, and reasons for waiting."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from time import gmtime, strftime

from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.domain.workers import WorkerStatus
from chalicelib.ports.identity import Share
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.named_limits import NamedLimits, lease_of
from conducto_core.api.queries import views
from conducto_core.images.build_steps import MAX_STEPS, steps_in
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import AttemptRecord, ImageRecord, ImageState, Lifecycle, Period
from conducto_core.model.responses import ImageStep
from conducto_core.model.states import State
from conducto_core.model.wait_phases import Wait
from conducto_core.semantics.autoscaling import Pool
from conducto_core.semantics.contexts import loss
from conducto_core.semantics.fair_shares import place_in_line
from conducto_core.semantics.leased_limits import LeasedLimits
from conducto_core.semantics.pools import PoolKind, owner_of
from conducto_core.semantics.start_failures import with_remedy
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
        if live.record.lifecycle is not Lifecycle.ACTIVE and node.state is State.PENDING:
            return Wait(f"{live.record.lifecycle.value}; wake it with: conducto wake {live.id}")
        if isinstance(node, LiveExec) and node.state is State.QUEUED:
            return views.why_undecided(node) or self._why_queued(live, node)
        lost = live.lost_contexts.get(node.spec.pool)
        misses = node.state is State.PENDING or owner_of(node.spec.pool) == node.path
        if lost is not None and misses:
            return Wait(loss(node.spec.pool, lost, live.id))
        return views.why_pending(live, node)

    def _why_queued(self, live: CloudPipeline, node: LiveExec) -> Wait:
        pool = live.pool_at(node)
        image = live.images[pool.image].record
        if image.state is not ImageState.DONE:
            why = "" if image.error is None else f": {image.error}"
            return Wait(f"the image {pool.image!r} is {image.state.value}{why}", "image")
        limit = None
        if node.spec.limits and live.full_group(node.path) is None:
            limit = self._limits_of(live.org).reason(lease_of(live, node))
        if limit is not None:
            return Wait(limit, "limit")
        found = _why_without_worker(live, node, pool)
        return self._in_line(live, found) if found.text == live.limited else found

    def _in_line(self, live: CloudPipeline, why: Wait) -> Wait:
        """Return a wait for a worker with the place of the pipeline in line."""
        if not live.share.wanted:
            return why
        shares, maximum = self._shares_of(live.org)
        claimants = {name: share.claimant() for name, share in shares.items()}
        place = place_in_line(claimants, live.id, maximum)
        return why if place is None else why._replace(text=f"{place}: {why.text}")

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


def _why_without_worker(live: CloudPipeline, node: LiveExec, pool: Pool) -> Wait:
    held = _held_back(live, node.path, pool)
    if held is not None:
        return Wait(held, "turn")
    pool_workers = live.registry.pool_workers().get(pool.name)
    if pool_workers is not None and pool_workers.starting:
        starts = live.starts_of(pool.name)
        again = f", retry {starts.rounds}: {with_remedy(starts.reason)}" if starts.rounds else ""
        return Wait(f"a worker is starting{again}", "start")
    return Wait("next in the queue", "turn")


def _held_back(live: CloudPipeline, path: str, pool: Pool) -> str | None:
    full = live.full_group(path)
    if full is not None:
        room = live.tree.nodes[full].spec.max_concurrent
        return f"max_concurrent={room} of {full} is reached"
    starts = live.starts_of(pool.name)
    if starts.until > live.now:
        said = with_remedy(starts.reason)
        return (
            f"waiting for a worker: AWS reported {said!r}; the next launch is {_when(starts.until)}"
        )
    if pool.kind is not PoolKind.CONTEXT:
        return None if _has_worker(live, path, pool) else live.limited
    if any(live.registry.in_pool(pool.name, WorkerStatus.BUSY)):
        return f"the container of {owner_of(pool.key)} runs one command at a time"
    if any(live.registry.in_pool(pool.name, WorkerStatus.IDLE, WorkerStatus.STARTING)):
        return None
    return live.withheld or live.limited


def _when(moment: float) -> str:
    return strftime("after %H:%M UTC", gmtime(moment))


def _has_worker(live: CloudPipeline, path: str, pool: Pool) -> bool:
    free = sum(
        1 for _ in live.registry.in_pool(pool.name, WorkerStatus.IDLE, WorkerStatus.STARTING)
    )
    return path in islice(live.queue.get(pool.name, ()), free)
