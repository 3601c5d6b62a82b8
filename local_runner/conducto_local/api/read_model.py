"""The read model of local pipelines, over the store and the scheduler."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import AttemptRecord, Period
from conducto_core.model.states import State
from conducto_core.model.wait_phases import Wait
from conducto_core.semantics import waits
from conducto_core.semantics.tree_state import LiveGroup, LiveNode
from conducto_local.scheduling.live_pipeline import ActiveAttempt, LivePipeline
from conducto_local.scheduling.scheduler import Scheduler
from conducto_local.store.port import Store


class LocalReadModel:
    """A `conducto_core.api.queries.pipelines.ReadModel`."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self._store = store
        self._scheduler = scheduler

    def attempts(self, live: LivePipeline, paths: Collection[str]) -> Iterable[AttemptRecord]:
        """Return the attempts of nodes, with one query if they are many."""
        if len(paths) * 2 > len(live.tree.nodes):
            return self._store.attempts(live.id)
        return (one for path in paths for one in self._store.attempts(live.id, path))

    def notifications(self, live: LivePipeline) -> Iterable[NotificationRecord]:
        """Return the notifications of the pipeline."""
        return self._store.notifications(live.id)

    def periods(self, live: LivePipeline, groups: Sequence[LiveGroup]) -> Mapping[str, Period]:
        """Return the periods of groups; that of the root needs no query."""
        removed = live.tree.removed()
        return {
            group.path: live.period
            if group is live.tree.root
            else self._store.period(live.id, group.path, removed)
            for group in groups
        }

    def wait(self, live: LivePipeline, node: LiveNode) -> Wait | None:
        """Return why a node does not run."""
        active = live.active_attempts.get(node.path)
        if active is not None and node.state is State.QUEUED:
            reasons = self._reasons(active)
            return waits.why_queued(live.record, node, active.queued, reasons)
        return waits.why_pending(live.record, live.tree.nodes, node)

    def _reasons(self, active: ActiveAttempt) -> Iterator[Wait]:
        """Yield the reason why a queued attempt does not run, if it is known."""
        live = active.live
        image = live.images.get(active.spec.placement.image)
        if image is not None and image.built is None:
            yield waits.image(live.record, image.record)
        if active.ticket is None:
            return
        if active.started is None and active.container is None and active.taken:
            yield waits.starting("its container")
        yield self._scheduler.engine_context(live).queue().reason(active.ticket)
