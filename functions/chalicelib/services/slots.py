"""Hands free workers on to waiting pipelines of the organisation.

This happens in entries of their own (`chalicelib.domain.events.HealthChecked`), after the entry
that freed a worker or had to wait. A pipeline records that it waits before it looks for free
workers, and a pipeline records a freed worker before it looks for waiting pipelines: at least one
of two concurrent pipelines sees the other. The schedule that runs every minute repeats interrupted
steps.
"""

import logging
from collections.abc import Callable
from enum import StrEnum

from chalicelib.domain.events import HealthChecked, Input
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.ports.identity import Share
from chalicelib.services.dependencies import Dependencies

logger = logging.getLogger(__name__)

#: Returns the event to commit to a current pipeline, or None.
Decide = Callable[[CloudPipeline], Input | None]
Submit = Callable[[str, str, Decide], bool]


class Need(StrEnum):
    """The step after an entry: ``MAKE`` room for the pipeline, or ``HAND_ON`` free workers."""

    MAKE = "make"
    HAND_ON = "hand_on"


def needed_room(before: Share, after: Share, *, more_spare: bool) -> Need | None:
    """Return the step after an entry, given the shares before and after it."""
    if after.waiting is not None and (before.waiting is None or more_spare):
        return Need.MAKE
    freed = after.workers < before.workers or after.reserved < before.reserved
    return Need.HAND_ON if freed or more_spare else None


class Slots:
    """The exchange of workers between the pipelines of an organisation."""

    def __init__(self, cloud: Dependencies, submit: Submit) -> None:
        self._cloud = cloud
        self._submit = submit

    def settle(self, org: str, pipeline_id: str, need: Need) -> None:
        """Do what an entry of a pipeline needs."""
        if need is Need.MAKE:
            self.make(org, pipeline_id)
        else:
            self._hand_on(org, pipeline_id)

    def make(self, org: str, pipeline_id: str) -> None:
        """Stop idle workers, so that a waiting pipeline can launch its own."""
        self._spare(org, pipeline_id)
        shares = self._cloud.orgs.shares(org)
        if pipeline_id in shares and shares[pipeline_id].waiting is None:
            return
        for other, share in shares.items():
            if other != pipeline_id and share.workers:
                self._spare(org, other)
        self._look(org, pipeline_id)

    def resume(self, org: str) -> None:
        """Let all waiting pipelines launch workers, after the organisation's plan has changed."""
        self._hand_on(org, "")

    def spare_all(self, org: str) -> None:
        """Stop all idle workers of an organisation."""
        for name, share in self._cloud.orgs.shares(org).items():
            if share.workers:
                self._spare(org, name)

    def _hand_on(self, org: str, pipeline_id: str) -> None:
        """Let waiting pipelines launch workers, the longest waiting first."""
        shares = self._cloud.orgs.shares(org)
        since = {name: share.waiting for name, share in shares.items() if name != pipeline_id}
        waiting = sorted((time, name) for name, time in since.items() if time is not None)
        if not waiting or (pipeline_id and self._spare(org, pipeline_id)):
            return  # its own entry hands it on when it stops
        for _, name in waiting:
            self._look(org, name)

    def _spare(self, org: str, pipeline_id: str) -> bool:
        def decide(live: CloudPipeline) -> Input | None:
            surplus = live.surplus()
            return (
                HealthChecked(time=self._cloud.clock(), spared=tuple(surplus)) if surplus else None
            )

        return self._try(org, pipeline_id, decide)

    def _look(self, org: str, pipeline_id: str) -> None:
        """Let a pipeline launch the workers that it waits for, if the plan has room."""
        used = self._cloud.orgs.in_use(org)
        if used.workers < used.plan.max_workers and not used.suspended:
            self._try(
                org,
                pipeline_id,
                lambda live: HealthChecked(time=self._cloud.clock()) if live.wanted() else None,
            )

    def _try(self, org: str, pipeline_id: str, decide: Decide) -> bool:
        try:
            return self._submit(org, pipeline_id, decide)
        except Exception:
            # One failure must not affect other pipelines; the schedule retries.
            logger.exception("a waiting pipeline was not checked", extra={"pipeline": pipeline_id})
            return False
