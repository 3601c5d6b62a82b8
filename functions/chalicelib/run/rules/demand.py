"""The workers that a cloud pipeline needs, its share of the organisation's, and those that stay.

No I/O, no clock.
"""

from collections.abc import Iterable, Mapping

from chalicelib.people.port import Share
from chalicelib.run.rules.state import CloudState
from chalicelib.workers.rules import WorkerEntry, WorkerStatus
from conducto_core.run.model.records import Lifecycle
from conducto_core.run.rules.contexts import Hold, hold_of, is_late
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.tree.model import NodeSpec, Pipeline
from conducto_core.tree.rules.callbacks import PoolKind, kind_of, owner_of
from conducto_core.workers.model import WarmPool
from conducto_core.workers.rules import pools as capacity
from conducto_core.workers.rules import pools as warm_workers
from conducto_core.workers.rules.pools import (
    ExecKind,
    Need,
    PoolWorkers,
    exec_in_need,
    may_need,
    workers_wanted,
)
from conducto_core.workers.rules.start_failures import PoolStarts

#: Seconds after which a task that was offered to no worker counts as lost: three times as long as
#: Step Functions needs to offer again a task that a worker left with.
STUCK = 180.0
#: Maximum seconds until a retry for which workers stay that have nothing else to run: another one
#: takes as long to start, and AWS charges at least a minute for it.
SHORT_WAIT = 60.0


class CloudDemand(CloudState):
    """The state of a pipeline, and the workers that it needs."""

    # ---- queued work ------------------------------------------------------------------------

    def is_stuck(self, now: float) -> bool:
        """Return whether a worker has waited long for a task that the execution does not offer."""
        held = self.cloud_machine.run_state.held
        for name, paths in self.queue.items():
            idle = any(self.registry.in_pool(name, WorkerStatus.IDLE))
            busy = any(self.registry.in_pool(name, WorkerStatus.BUSY))
            oldest = min((self.in_flight.queued_at(path) or now for path in paths), default=now)
            waited = now - max(oldest, self.planned_at)
            free = any(self.full_group(path) is None for path in paths)
            if idle and not busy and free and waited > STUCK and not any(p in held for p in paths):
                return True
        return False

    def needs(self) -> list[Need]:
        """Return the queued work by pool, oldest first."""
        active = self.record.lifecycle is Lifecycle.ACTIVE
        needs = []
        for name, paths in self.queue.items():
            pool = self.pools[name]
            if paths and active:
                needs.append(Need(pool, len(paths), ready=self.is_ready(pool.image)))
        return needs

    def wanted(self) -> dict[str, int]:
        """Return ``{pool name: workers}`` to launch now."""
        needs = self.needs()
        groups = {group for need in needs for group in need.pool.groups}
        room = {group: self._room(group) for group in groups}
        pool_workers = self.registry.pool_workers()
        wanted: dict[str, int] = {}
        for pool, number in workers_wanted(needs, pool_workers, room).items():
            there = pool_workers.get(pool, PoolWorkers())
            free = there.starting + there.idle + self.registry.unexplained(pool)
            allowed = self.starts_of(pool).allowed(number, free, self.now)
            if allowed:
                wanted[pool] = allowed
        return wanted

    def starts_of(self, pool: str) -> PoolStarts:
        """Return the launch history of a pool, or of another pool with the same bad image."""
        image = self.pools[pool].image
        for name, starts in self.starts.items():
            if starts.bad_image and self.pools[name].image == image:
                return starts
        return self.starts.get(pool, PoolStarts())

    def may_start_again(self, now: float) -> bool:
        """Return whether a launch delay of a pool with queued Execs has ended since `now`."""
        return any(self.now < self.starts_of(pool).until <= now for pool in self.queue)

    # ---- share of the organisation's workers --------------------------------------------------

    @property
    def keeps(self) -> int | None:
        """Number of workers to keep while other pipelines wait; None: all."""
        return self.share.keeps if self.told is None else self.told

    def share_with(self, hires: Iterable[str], *, waits: bool, wanted: int = 0) -> Share:
        """Return the pipeline's current share.

        Args:
            hires: Pool names of the workers that this entry launches.
            waits: Whether it needs further workers that it cannot launch.
            wanted: Number of further workers that it could use now.
        """
        before = self.share
        pools = [*(worker.pool for worker in self.registry.staying()), *hires]
        number, keeps = len(pools), self.keeps
        warm = [worker.kept for worker in self.warm_workers() if worker.kept is not None]
        # A pipeline that has lost all of its workers waits behind those that wait already.
        waited = before.waiting if before.workers == 0 or number else None
        return Share(
            workers=number,
            reserved=capacity.claim(self._contexts_of(pools)),
            waiting=(waited or self.now) if waits else None,
            wanted=wanted if waits else 0,
            since=(before.since or self.now) if number else None,
            keeps=keeps if keeps is not None and keeps < number else None,
            warm=len(warm) or None,
            warm_since=max(warm, default=None),
        )

    def reserved_with(self, nodes: Mapping[str, NodeSpec]) -> int:
        """Return the number of workers that it would reserve if these were its nodes."""
        pools = [worker.pool for worker in self.registry.staying()]
        return capacity.claim(self._contexts_of(pools, capacity.extras(nodes)))

    def nodes_with(self, target: str, tree: Pipeline) -> dict[str, NodeSpec]:
        """Return its nodes with a generated tree in place."""
        below = "/" if target == "/" else target + "/"
        old = self.pipeline.nodes.items()
        kept = {path: spec for path, spec in old if path == target or not path.startswith(below)}
        return {**kept, **tree.nodes}

    def admission(self, room: capacity.Room) -> capacity.Admission:
        """Return the workers to launch now, given the organisation's free capacity."""
        wanted = self.wanted()
        contexts = {name: extra for name in wanted for extra in self._contexts_of([name])}
        begun = self._contexts_of(worker.pool for worker in self.registry.staying())
        return capacity.admit(wanted, contexts, begun, room)

    def late_contexts(self, now: float) -> bool:
        """Return whether the container of a context has been kept long enough."""
        return any(
            is_late(self.hold_of(worker), now - worker.unused)
            for worker in self.registry.staying()
            if worker.unused is not None and self.pools[worker.pool].kind is PoolKind.CONTEXT
        )

    def surplus(self) -> list[str]:
        """Return the workers without a command that stop when another command waits for one."""
        found: list[str] = []
        free: dict[str, list[str]] = {}
        for status in (WorkerStatus.IDLE, WorkerStatus.STARTING):  # the idle ones run the queue
            for worker in self.registry.workers.values():
                if worker.status is status:
                    free.setdefault(worker.pool, []).append(worker.id)
                    if self.pools[worker.pool].kind is PoolKind.CONTEXT:
                        found += [worker.id] * (self.hold_of(worker) is Hold.SPARE)
        for pool, workers in free.items():
            if self.pools[pool].kind is not PoolKind.CONTEXT:
                found += workers[len(self.queue.get(pool, ())) :]
        return found

    def has_backlog(self, pool: str) -> bool:
        """Return whether at least as many Execs of a pool are queued as it has workers."""
        staying = sum(worker.pool == pool for worker in self.registry.staying())
        return len(self.queue.get(pool, ())) >= staying > 0

    def may_need_more(self, pool: str) -> bool:
        """Return whether a pool may have to run further Execs, without an action of a user.

        Failed Execs count, because users often rerun them at once.
        """
        run_state = self.cloud_machine.run_state
        if self.queue.get(pool) or run_state.joined or run_state.late:
            return True
        counts = self.counts()
        if self.tree.retrying and not counts.queued + counts.running:
            return self.tree.first_retry - self.now <= SHORT_WAIT
        known = self._in_need.pop(pool, None)
        if known is None or not self._needs(known, pool):
            of = self.pools[pool]
            known = exec_in_need(
                self.tree,
                ExecKind(of.key, of.image, of.cpu),
                lambda node: self._pool_of(node).name == pool,
            )
        if known is None:
            return False
        self._in_need[pool] = known  # checked first the next time
        return True

    def _needs(self, node: LiveExec, pool: str) -> bool:
        """Return whether an Exec that was found earlier still needs a pool."""
        if self.tree.nodes.get(node.path) is not node or not may_need(node):
            return False
        return node.spec.lazy_target is not None or self._pool_of(node).name == pool

    def hold_of(self, worker: WorkerEntry) -> Hold:
        """Return why the worker of a context stays."""
        return hold_of(self.tree, self.pools[worker.pool].key, used=worker.commands > 0)

    def _contexts_of(
        self, pools: Iterable[str], extras: Mapping[str, int] | None = None
    ) -> list[int]:
        keys = [self.pools[name].key for name in pools]
        owners = [owner_of(key) or "" for key in keys if kind_of(key) is PoolKind.CONTEXT]
        if owners and extras is None:
            if self._extras is None:
                self._extras = capacity.extras(self.pipeline.nodes)
            extras = self._extras
        return [(extras or {}).get(owner, 0) for owner in owners]

    # ---- warm workers -----------------------------------------------------------------------

    def warm_workers(self) -> list[WorkerEntry]:
        """Return the workers that stay for the next run, the first that became idle first.

        While Execs are started, those that their pool needs are no longer warm.
        """
        done = self.settled()
        warm = [
            worker
            for worker in self.registry.staying()
            if worker.kept is not None and (done or not self.may_need_more(worker.pool))
        ]
        return sorted(warm, key=lambda worker: (worker.kept or 0.0, worker.id))

    def stays_warm(self, worker: WorkerEntry, now: float) -> bool:
        """Return whether a worker stays without work for the next run of the pipeline."""
        over = worker.kept is None or warm_workers.is_over(worker.kept, self.warm, now)
        return not over and worker.status is WorkerStatus.IDLE

    def has_late_warm(self, pool: WarmPool, now: float) -> bool:
        """Return whether a warm worker has stayed long enough for a warm pool."""
        since = (worker.kept for worker in self.registry.staying())
        return any(warm_workers.is_over(each, pool, now) for each in since if each is not None)
