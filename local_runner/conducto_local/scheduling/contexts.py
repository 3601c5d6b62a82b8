"""The containers of ``new`` groups: how long each is kept, and the effects of its loss.

The rules are in `conducto_core.semantics.contexts`; the cloud applies the same rules.
"""

from collections.abc import Iterable

from conducto_core.model.states import Cause
from conducto_core.semantics import events as ev
from conducto_core.semantics.attempt_end import AttemptEnd
from conducto_core.semantics.contexts import Hold, hold_of, is_inside, used_contexts
from conducto_core.semantics.pools import PoolKind, kind_of
from conducto_local.scheduling.attempt_records import pool_owner
from conducto_local.scheduling.containers import Container, Containers, Owner
from conducto_local.scheduling.context import SchedulerContext
from conducto_local.scheduling.live_pipeline import ActiveAttempt, LivePipeline

_UNLOADED = "the agent was stopped, or the pipeline was idle for some time"


class Contexts:
    """The containers of all ``new`` groups of one agent."""

    def __init__(self, common: SchedulerContext, containers: Containers) -> None:
        self._common = common
        self._containers = containers
        containers.when_lost = self._note_loss

    def need(self, active: ActiveAttempt) -> None:
        """Keep the container of a queued attempt's group, however long the attempt waits."""
        if kind_of(active.spec.pool) is PoolKind.CONTEXT:
            active.live.kept.add(active.spec.pool)
            self._containers.keep(pool_owner(active), kept=True)

    def recall(self, live: LivePipeline) -> None:
        """Record which containers are missing for a pipeline that was just loaded."""
        for pool in used_contexts(live.tree):
            if not self._containers.has_idle((live.id, pool)):
                live.lose_context(pool, _UNLOADED, 1)

    def let_go(self, live: LivePipeline) -> None:
        """Stop keeping containers whose group neither waits nor is paused."""
        for pool in list(live.kept):
            hold = hold_of(live.tree, pool, used=True)
            if hold in (Hold.NEEDED, Hold.PAUSED):
                continue
            live.kept.discard(pool)
            self._containers.keep((live.id, pool), kept=False)
            if hold is Hold.OVER:
                self._drop((live.id, pool))

    def forget(self, live: LivePipeline, paths: Iterable[str]) -> None:
        """Remove the containers of groups that are entirely inside these subtrees."""
        tops = frozenset(paths)
        self._containers.drop(lambda key: key[0] == live.id and is_inside(str(key[1]), tops))
        for active in live.active_attempts.values():
            active.leaves = active.leaves or is_inside(active.spec.pool, tops)

    def end_without(self, live: LivePipeline, event: ev.Event | None = None) -> None:
        """End the queued attempts whose group's container is lost.

        Args:
            live: The pipeline.
            event: The current event. A user who resets a part of a group accepts a fresh container.
        """
        paths = event.paths if isinstance(event, ev.NodesReset) else ()
        for node, message in live.stranded(paths):
            live.active_attempts[node.path].result = AttemptEnd(message=message)
            end = ev.AttemptFinished(
                node.path, node.attempt, Cause.WORKER_LOST, started=False, final=True
            )
            self._common.apply(live, end)

    def _drop(self, owner: Owner) -> None:
        self._containers.drop(lambda pool: pool[:2] == owner)

    def _note_loss(self, container: Container, why: str) -> None:
        """Record the loss of a container if its group still depends on its state."""
        live, pool = self._common.live.get(str(container.pool[0])), str(container.pool[1])
        if live is None or self._common.closing:
            return
        if live.lose_context(pool, why, container.completed):
            self.end_without(live)
