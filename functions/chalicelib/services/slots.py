"""Workers that are free go to who waits for one, in the same pipeline or in another one.

What is done here is entries of their own (`chalicelib.domain.events.HealthChecked`), after the
commit of the one that freed a worker or that had to wait. Who waits is in the organisation's record
before it looks around, and who frees a worker has written that before it looks who waits: of two at
the same moment, one at least sees the other. One that is cut off is made up for by the minute rule.
"""

import logging
from collections.abc import Callable
from enum import Enum, auto

from chalicelib.domain.events import HealthChecked, Input
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.ports import Share
from chalicelib.services.dependencies import Dependencies

logger = logging.getLogger(__name__)

Submit = Callable[[str, str, Callable[[CloudPipeline], Input | None]], bool]


class Need(Enum):
    """What is to be looked at after an entry: ``MAKE`` room for it, or ``HAND_ON`` what is free."""

    MAKE = auto()
    HAND_ON = auto()


def needed_room(before: Share, after: Share, *, more_spare: bool) -> Need | None:
    """Return what is to be looked at after an entry.

    Args:
        before: The pipeline's share before it.
        after: ... and after it.
        more_spare: More of its workers have no command than before.
    """
    if after.waiting is not None and (before.waiting is None or more_spare):
        return Need.MAKE
    freed = after.workers < before.workers or after.reserved < before.reserved
    return Need.HAND_ON if freed or more_spare else None


class Slots:
    """The workers of organisations, as far as they change hands."""

    def __init__(self, cloud: Dependencies, submit: Submit) -> None:
        self._cloud = cloud
        self._submit = submit

    def settle(self, org: str, pipeline_id: str, need: Need) -> None:
        """See to what an entry of a pipeline needs."""
        if need is Need.MAKE:
            self.make(org, pipeline_id)
        else:
            self._hand_on(org, pipeline_id)

    def make(self, org: str, pipeline_id: str) -> None:
        """Have workers stop that are not used, so that a pipeline gets those it waits for."""
        self._spare(org, pipeline_id)
        shares = self._cloud.orgs.shares(org)
        if pipeline_id in shares and shares[pipeline_id].waiting is None:
            return
        for other, share in shares.items():
            if other != pipeline_id and share.workers:
                self._spare(org, other)
        self._look(org, pipeline_id)

    def spare_all(self, org: str) -> None:
        """Have all workers of an organisation stop that are not used."""
        for name, share in self._cloud.orgs.shares(org).items():
            if share.workers:
                self._spare(org, name)

    def _hand_on(self, org: str, pipeline_id: str) -> None:
        """Have those look that wait, the longest waiting first."""
        shares = self._cloud.orgs.shares(org)
        since = {name: share.waiting for name, share in shares.items() if name != pipeline_id}
        waiting = sorted((time, name) for name, time in since.items() if time is not None)
        if not waiting or self._spare(org, pipeline_id):
            return  # what stops is handed on by its own entry
        for _, name in waiting:
            self._look(org, name)

    def _spare(self, org: str, pipeline_id: str) -> bool:
        """Have the workers of a pipeline stop that have no command; return whether any do."""

        def decide(live: CloudPipeline) -> Input | None:
            surplus = live.surplus()
            return (
                HealthChecked(time=self._cloud.clock(), spared=tuple(surplus)) if surplus else None
            )

        return self._try(org, pipeline_id, decide)

    def _look(self, org: str, pipeline_id: str) -> None:
        """Have a pipeline start the workers that it waits for, if there is room."""
        used = self._cloud.orgs.in_use(org)
        if used.workers < used.plan.max_workers:
            self._try(
                org,
                pipeline_id,
                lambda live: HealthChecked(time=self._cloud.clock()) if live.wanted() else None,
            )

    def _try(
        self, org: str, pipeline_id: str, decide: Callable[[CloudPipeline], Input | None]
    ) -> bool:
        try:
            return self._submit(org, pipeline_id, decide)
        except Exception:
            # The next pipeline need not wait because one cannot be read; the minute rule goes on.
            logger.exception("a pipeline was not looked at", extra={"pipeline": pipeline_id})
            return False
