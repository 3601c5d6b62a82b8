"""The budgets of a cloud pipeline's nodes. No I/O, no clock.

`conducto_core.budgets.rules` decides; this counts the cost of workers as it is in the journal.
"""

from collections.abc import Iterator

from chalicelib.run.rules.demand import CloudDemand
from chalicelib.workers.rules import WorkerEntry
from conducto_core.billing.rules import charged_seconds, dollars_of
from conducto_core.budgets import rules as budgets
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.tree.model import ancestors, is_within
from conducto_core.tree.rules.callbacks import PoolKind, kind_of
from conducto_core.workers.rules.fargate import Size
from conducto_core.workers.rules.pools import Pool


class PipelineBudgets(CloudDemand):
    """The state of a pipeline, and what its budgets allow.

    Attributes:
        asked_at: Time of the request that is being decided, which may be long after the latest
            event; 0 while an event is applied.
    """

    asked_at: float = 0.0

    # ---- admission ----------------------------------------------------------------------------

    def groups_above(self, path: str) -> tuple[str, ...]:
        """Return the nodes at or above an Exec with a limit of running Execs, or with a budget.

        The innermost is the first.
        """
        parent = path.rpartition("/")[0] or "/"
        if parent not in self._groups:
            nodes = self.tree.nodes
            self._groups[parent] = tuple(
                above
                for above in ancestors(path)
                if nodes[above].spec.max_concurrent is not None
                or nodes[above].spec.budget is not None
            )
        node = self.tree.nodes.get(path)
        own = isinstance(node, LiveExec) and node.spec.budget is not None
        above = self._groups[parent] if path != "/" else ()
        return (path, *above) if own else above

    def full_group(self, path: str) -> str | None:
        """Return the node at or above an Exec that lets nothing more start, or None.

        A group with a container of its own continues whatever it costs: to start it again would
        cost more.
        """
        room = super()._room if self._has_started_context(path) else self._room
        return next((group for group in self.groups_above(path) if room(group) <= 0), None)

    def over_budget(self) -> str | None:
        """Return the node whose budget holds back all queued Execs, or None."""
        full = [self._exhausted(self.pools[pool], paths) for pool, paths in self.queue.items()]
        return full[0] if full and all(full) else None

    def exceeded(self, now: float) -> tuple[str, ...]:
        """Return the nodes with running commands that are to stop, as the budget is used up."""
        self.asked_at = now
        return tuple(
            path
            for path in dict.fromkeys(
                group
                for worker in self.registry.workers.values()
                if worker.busy and worker.path in self.tree.nodes
                for group in self.groups_above(worker.path)
            )
            if self._is_exceeded(path)
        )

    def _is_exceeded(self, path: str) -> bool:
        spec = self.tree.nodes[path].spec
        kills = spec.budget_kills and spec.budget is not None
        return kills and self.cost_of(path) >= (spec.budget or 0.0)

    def why_over_budget(self, path: str) -> str | None:
        """Return why a budget lets nothing start at or below a node; None if it does."""
        node = self.tree.nodes.get(path)
        if node is None or node.spec.budget is None or self._affordable_in(path) > 0:
            return None
        return budgets.used_up(path, node.spec.budget, self.cost_of(path))

    def _exhausted(self, pool: Pool, paths: dict[str, None]) -> str | None:
        found = next((each for each in pool.groups if self._affordable_in(each) <= 0), None)
        if found is None or any(map(self._has_started_context, paths)):
            return None
        return found

    def _room(self, group: str) -> int:
        return min(super()._room(group), self._affordable_in(group))

    def _affordable_in(self, group: str) -> int:
        node = self.tree.nodes.get(group)
        if node is None or node.spec.budget is None:
            return len(self.tree.nodes)
        sizes = [pool.size for pool in self.pools.values() if group in pool.groups]
        least = min(map(budgets.minute_of, sizes), default=budgets.LEAST)
        if node is not self.tree.root:
            ahead = sum(
                budgets.minute_of(self.size_of_worker(worker)) for worker in self._busy_in(group)
            )
            return budgets.affordable(node.spec.budget, self.cost_of(group) + ahead, least)
        committed, paid = self.cost_of(group), 0
        for worker in self.registry.workers.values():
            beyond = min(self._existed(worker), budgets.AHEAD)  # AWS charges a minute at least
            if worker.busy:
                committed += dollars_of(self.size_of_worker(worker), beyond)
            else:
                paid += beyond < budgets.AHEAD
        return budgets.affordable(node.spec.budget, committed, least) + paid

    def _has_started_context(self, path: str) -> bool:
        pool = self.tree.nodes[path].spec.pool
        if kind_of(pool) is not PoolKind.CONTEXT:
            return False
        staying = self.registry.staying()
        return any(worker.commands and self.pools[worker.pool].key == pool for worker in staying)

    # ---- the cost so far ----------------------------------------------------------------------

    def why_above(self, path: str, now: float) -> str | None:
        """Return why a budget at or above an Exec lets nothing more start; None if none does."""
        self.asked_at = now
        reasons = map(self.why_over_budget, self.groups_above(path))
        return next((reason for reason in reasons if reason is not None), None)

    def has_budget_above(self, path: str) -> bool:
        """Return whether a budget counts the cost of an Exec."""
        return any(self.tree.nodes[each].spec.budget for each in self.groups_above(path))

    def cost_of(self, path: str) -> float:
        """Return the cost of a node until the latest event, with its children, in dollars."""
        below = (dollars for at, dollars, _ in self.children.values() if is_within(at, path))
        return self._own_cost(path) + sum(below)

    def _own_cost(self, path: str) -> float:
        cost = self.spent.get(path, 0.0)
        if path != self.tree.root.path:
            return cost + sum(map(self.running_dollars, self._busy_in(path)))
        for worker in (*self.registry.workers.values(), *self.registry.ended.values()):
            cost += self._rest_of(worker, worker.launched, worker.launched + self._existed(worker))
        return cost

    def spend_rest(self, worker: WorkerEntry, began: float | None, ended: float | None) -> None:
        """Add the cost of an ended worker beyond that of its commands.

        ECS may not say when it began: unless it never called, the time since its launch counts.
        """
        if began is None and worker.up is None:
            return
        first = worker.launched if began is None else began
        cost = self._rest_of(worker, first, self.now if ended is None else ended)
        self.spent["/"] = self.spent.get("/", 0.0) + cost

    def _rest_of(self, worker: WorkerEntry, began: float, ended: float) -> float:
        seconds = charged_seconds(began, ended) - worker.metered
        return dollars_of(self.size_of_worker(worker), max(0.0, seconds))

    def _existed(self, worker: WorkerEntry) -> float:
        ended = worker.id in self.registry.ended
        until = worker.since if ended else max(self.now, self.asked_at)
        return max(0.0, until - worker.launched)

    def spend(self, path: str, dollars: float) -> None:
        """Add the cost of an ended attempt to its node, and to those above."""
        node = self.tree.nodes.get(path)
        own = path == "/" or (node is not None and node.spec.budget is not None)
        for above in (path, *ancestors(path)) if own else ancestors(path):
            self.spent[above] = self.spent.get(above, 0.0) + dollars

    def _busy_in(self, path: str) -> Iterator[WorkerEntry]:
        workers = self.registry.workers.values()
        return (worker for worker in workers if worker.busy and is_within(worker.path, path))

    def running_dollars(self, worker: WorkerEntry) -> float:
        """Return the cost of the command that a worker runs, until the latest event."""
        record = self.in_flight.get(worker.path)
        started = None if record is None else record.started
        seconds = 0.0 if started is None else max(0.0, max(self.now, self.asked_at) - started)
        return dollars_of(self.size_of_worker(worker), seconds)

    def size_of_worker(self, worker: WorkerEntry) -> Size:
        return self.pools[worker.pool].size
