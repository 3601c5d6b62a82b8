"""Distributes an organisation's workers between its pipelines.

`conducto_core.workers.rules.pools` decides who gets how many. A pipeline below the plan's limit
launches its workers without a look at others: if a worker is free, it reads the shares of all, and
if another one waits, it takes only its part. The others get theirs here, in entries of their own
(`chalicelib.run.model.HealthChecked`), after the entry that freed a worker or had to wait. A
pipeline records that it waits before it looks for free workers, and a pipeline records a freed
worker before it looks for waiting pipelines: at least one of two concurrent pipelines sees the
other. The schedule that runs every minute repeats interrupted steps.
"""

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial

from chalicelib.billing.metering import reason_to_wait
from chalicelib.installation import Installation
from chalicelib.people.port import InUse, Share
from chalicelib.records import Records
from chalicelib.run.model import HealthChecked, Input
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto_core.workers.rules import pools as warm_workers
from conducto_core.workers.rules.pools import Claimant, Kept, grants, shortage, too_many

logger = logging.getLogger(__name__)

#: Returns the event to commit to a current pipeline, or None.
Decide = Callable[[CloudPipeline], Input | None]
Submit = Callable[[str, str, Decide], bool]


class SlotNeed(StrEnum):
    """The step after an entry: ``MAKE`` room for the pipeline, or ``HAND_ON`` free workers."""

    MAKE = "make"
    HAND_ON = "hand_on"


def needed_room(before: Share, after: Share, *, more_spare: bool) -> SlotNeed | None:
    """Return the step after an entry, given the shares before and after it."""
    # Without a number, it waits for workers that other groups have reserved.
    other_need = before.wanted > 0 and not after.wanted
    if after.waiting is not None and (before.waiting is None or more_spare or other_need):
        return SlotNeed.MAKE
    freed = after.workers < before.workers or after.reserved < before.reserved
    warmer = (after.warm or 0) > (before.warm or 0)
    if freed or warmer or more_spare:
        return SlotNeed.HAND_ON
    if after.wanted > before.wanted:
        return SlotNeed.MAKE
    gave_up = before.waiting is not None and after.waiting is None
    return SlotNeed.HAND_ON if gave_up and after.workers == before.workers else None


class Slots:
    """The exchange of workers between the pipelines of an organisation.

    Args:
        submit: Commits an event to a pipeline; returns whether there was one.
        seconds: Returns an organisation's seconds of workers in a month.
    """

    def __init__(
        self,
        records: Records,
        installation: Installation,
        clock: Callable[[], float],
        submit: Submit,
        seconds: Callable[[str, str], float],
    ) -> None:
        self._records = records
        self._installation = installation
        self._clock = clock
        self._submit = submit
        self._seconds = seconds

    def granted(self, live: CloudPipeline, used: InUse, free: int) -> int:
        """Return how many of the free workers a pipeline may launch now.

        Args:
            live: The pipeline, with the inputs of its next entry.
            used: The plan and its use before that entry.
            free: Number of free workers, with those that the entry frees.
        """
        shares = self._records.orgs.shares(live.org)
        others = {name: share.claimant() for name, share in shares.items() if name != live.id}
        if not any(other.wanted for other in others.values()):
            return free
        wanted = sum(live.wanted().values())
        own = live.share_with((), waits=True, wanted=wanted).claimant()
        held = sum(other.held for other in others.values())
        workers = _for_pipelines(used, held + live.share.workers)
        part = grants({**others, live.id: own}, workers, free, self._clock())
        return part.get(live.id, 0)

    def settle(self, org: str, pipeline_id: str, need: SlotNeed) -> None:
        """Do what an entry of a pipeline needs."""
        if need is SlotNeed.MAKE:
            self.make(org, pipeline_id)
        else:
            self._offer_to_waiting(org, pipeline_id)

    def make(self, org: str, pipeline_id: str, *, wakes: bool = True) -> None:
        """Stop workers of other pipelines, so that a waiting pipeline can launch its own.

        ``wakes``: Let waiting pipelines launch workers, too.
        """
        shares = self._records.orgs.shares(org)
        if self._spare(org, pipeline_id, self._short(self._records.orgs.in_use(org), shares)):
            shares = self._records.orgs.shares(org)
        if pipeline_id in shares and shares[pipeline_id].waiting is None:
            return
        used = self._records.orgs.in_use(org)
        keeps, short = self._new_keeps(used, shares), self._short(used, shares)
        for other in sorted(shares, key=lambda name: -shares[name].workers):
            if shares[other].workers and (other != pipeline_id or other in keeps):
                short -= self._spare(org, other, short, keeps.get(other))
        if wakes:
            self._wake(org)

    def resume(self, org: str) -> None:
        """Let all waiting pipelines launch workers, after the organisation's plan has changed."""
        self._offer_to_waiting(org, "")

    def stop_all_idle(self, org: str) -> None:
        for name, share in self._records.orgs.shares(org).items():
            if share.workers:
                self._spare(org, name, share.workers)

    def _offer_to_waiting(self, org: str, pipeline_id: str) -> None:
        """Let waiting pipelines launch workers, the next one first."""
        shares = self._records.orgs.shares(org)
        self._limit_warm(org, shares)
        waits = any(
            share.waiting is not None for name, share in shares.items() if name != pipeline_id
        )
        if not waits and all(share.keeps is None for share in shares.values()):
            return
        used = self._records.orgs.in_use(org)
        keeps, short = self._new_keeps(used, shares), self._short(used, shares)
        if waits and pipeline_id:
            kept = keeps.pop(pipeline_id, None)
            if self._spare(org, pipeline_id, short, kept):
                return  # the entry that stops them hands them on
        for name, number in keeps.items():
            short -= self._spare(org, name, short, number)
        self._wake(org)

    def _limit_warm(self, org: str, shares: Mapping[str, Share]) -> None:
        """Stop warm workers that are more than the installation's warm pool has."""
        kept = {
            name: Kept(share.warm, share.warm_since or 0.0)
            for name, share in shares.items()
            if share.warm
        }
        for name, number in warm_workers.surplus(kept, self._installation.warm.workers).items():
            self._try(org, name, partial(self._cool, number))

    def _cool(self, number: int, live: CloudPipeline) -> Input | None:
        first = tuple(worker.id for worker in live.warm_workers()[:number])
        return HealthChecked(time=self._clock(), spared=first) if first else None

    @staticmethod
    def _short(used: InUse, shares: Mapping[str, Share]) -> int:
        """Return how many workers without a command should stop for the waiting pipelines."""
        if any(share.waiting is not None and not share.wanted for share in shares.values()):
            return used.workers  # it waits for the workers that other groups have reserved
        claimants = {name: share.claimant() for name, share in shares.items()}
        return shortage(claimants, used.plan.max_workers - used.workers)

    def _new_keeps(self, used: InUse, shares: Mapping[str, Share]) -> dict[str, int]:
        """Return ``{pipeline: workers to keep}`` for those that keep another number now."""
        keeps = too_many(*self._claims(used, shares), self._clock())
        return {
            name: keeps.get(name, share.workers)
            for name, share in shares.items()
            if share.workers and keeps.get(name) != share.keeps
        }

    @staticmethod
    def _claims(used: InUse, shares: Mapping[str, Share]) -> tuple[dict[str, Claimant], int]:
        """Return the claimants, and the number of workers to distribute."""
        claimants = {name: share.claimant() for name, share in shares.items()}
        held = sum(share.workers for share in shares.values())
        return claimants, _for_pipelines(used, held)

    def _wake(self, org: str) -> None:
        """Let the pipelines that are next launch their workers."""
        looked: set[str] = set()
        while (name := self._next(org, looked)) is not None:
            looked.add(name)
            self._offer(org, name)

    def _next(self, org: str, looked: set[str]) -> str | None:
        """Return the waiting pipeline that may launch a worker now, or None."""
        used = self._records.orgs.in_use(org)
        free = used.plan.max_workers - used.workers
        if free <= 0 or reason_to_wait(
            self._installation.remedies, self._clock, org, used, self._seconds
        ):
            return None
        shares = self._records.orgs.shares(org)
        part = grants(*self._claims(used, shares), free, self._clock())
        # Those that wait for something else than a worker may have got it meanwhile.
        rest = {name: share.waiting for name, share in shares.items() if not share.wanted}
        others = sorted((time, name) for name, time in rest.items() if time is not None)
        names = [*part, *(name for _, name in others)]
        return next((name for name in names if name not in looked), None)

    def _spare(self, org: str, pipeline_id: str, most: int, keeps: int | None = None) -> int:
        """Stop workers without a command, at most ``most``; return how many stop.

        ``keeps`` is `HealthChecked.keeps` of the pipeline.
        """
        spared: tuple[str, ...] = ()

        def decide(live: CloudPipeline) -> Input | None:
            nonlocal spared
            spared = tuple(live.surplus()[: max(0, most)])
            if not spared and keeps is None:
                return None
            return HealthChecked(time=self._clock(), spared=spared, keeps=keeps)

        return len(spared) if self._try(org, pipeline_id, decide) else 0

    def _offer(self, org: str, pipeline_id: str) -> None:
        """Let a pipeline launch the workers that it waits for, or record that it needs none."""

        def decide(live: CloudPipeline) -> Input | None:
            waits = live.wanted() or live.share.waiting is not None
            return HealthChecked(time=self._clock()) if waits else None

        self._try(org, pipeline_id, decide)

    def _try(self, org: str, pipeline_id: str, decide: Decide) -> bool:
        try:
            return self._submit(org, pipeline_id, decide)
        except Exception:
            # One failure must not affect other pipelines; the schedule retries.
            logger.exception("a waiting pipeline was not checked", extra={"pipeline": pipeline_id})
            return False


def _for_pipelines(used: InUse, held: int) -> int:
    """Return the plan's workers without debug shells, given the workers of all pipelines."""
    return used.plan.max_workers - max(0, used.workers - held)
