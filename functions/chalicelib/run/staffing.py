"""Decides which workers an entry of a journal launches."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from secrets import token_hex

from chalicelib.billing.metering import (
    Allowances,
    exec_seconds,
    reason_to_wait,
    workers_reserved,
    workers_used,
)
from chalicelib.installation import Installation
from chalicelib.people.port import InUse, Share
from chalicelib.records import Records
from chalicelib.run.model import JournalEntry, Shortage, WorkerLaunch
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.workers.slots import Slots
from conducto_core.machines.model import Rung
from conducto_core.workers.rules.placement import is_in_share, place, rungs_of
from conducto_core.workers.rules.pools import Room


class Staffing:
    """Decides by the organisation's plan and use.

    Attributes:
        allowances: The run time that plans allow.
    """

    def __init__(
        self, records: Records, installation: Installation, clock: Callable[[], float]
    ) -> None:
        self._records, self._clock = records, clock
        self._remedies, self._spot_share = installation.remedies, installation.spot_share
        self.allowances = Allowances(partial(exec_seconds, records), clock)
        #: ``((pipeline, turn), the plan and its use, the share of the pipeline in it)``
        self._used: tuple[tuple[str, int], InUse, Share] | None = None

    def staffed(
        self, live: CloudPipeline, contents: JournalEntry, slots: Slots, turn: int | None
    ) -> JournalEntry:
        """Return an entry with the workers to launch, or the reason for none.

        ``turn``: the version of the turn in which the entry is written, if it is.
        """
        if not live.wanted():
            share = live.share_with((), waits=False)
            return contents.model_copy(update={"share": _if_new(live, share)})
        used = self._in_use(live, turn)
        stopped = reason_to_wait(
            self._remedies,
            self._clock,
            live.org,
            used,
            self.allowances.seconds,
        )
        if stopped is not None:
            return _stopped(live, contents, stopped)
        before, now = live.share, live.share_with((), waits=False)
        maximum = used.plan.max_workers
        free = Room(
            maximum - used.workers + before.workers - now.workers,
            maximum - used.reserved + before.reserved - now.reserved,
        )
        if free.workers > 0:
            granted = slots.granted(live, used, free.workers)
            free = replace(free, workers=granted)
        admitted = live.admission(free)
        names = [name for name, number in admitted.workers.items() for _ in range(number)]
        if names:
            stopped = reason_to_wait(
                self._remedies,
                self._clock,
                live.org,
                used,
                self.allowances.current,
            )
            if stopped is not None:
                return _stopped(live, contents, stopped)
        waits = admitted.limited or admitted.withheld
        # More than the plan allows changes nothing, and would be written with each entry.
        wanted = max(0, min(admitted.missing, maximum - now.workers - len(names)))
        others = used.workers - before.workers
        decided = {
            "hires": tuple(self._launch_in(live, name) for name in names),
            "limited": workers_used(self._remedies, used, others) if admitted.limited else None,
            "withheld": workers_reserved(self._remedies, used) if admitted.withheld else None,
            "share": _if_new(live, live.share_with(names, waits=waits, wanted=wanted)),
        }
        return contents.model_copy(update=decided)

    def _in_use(self, live: CloudPipeline, turn: int | None) -> InUse:
        """Return the plan and its use, which is read once in a turn of less than a second.

        Other pipelines may have changed it since: the entry's transaction checks new workers.
        """
        own, known = live.share, self._used
        if turn is None or known is None or known[0] != (live.id, turn):
            used = self._records.orgs.in_use(live.org)
            self._used = None if turn is None else ((live.id, turn), used, own)
            return used
        _, used, before = known
        return used._replace(
            workers=used.workers + own.workers - before.workers,
            reserved=used.reserved + own.reserved - before.reserved,
        )

    def forget_use(self) -> None:
        """Read the use again for the next entry: the plan had no room for the last one."""
        self._used = None

    def _launch_in(self, live: CloudPipeline, pool: str) -> WorkerLaunch:
        worker, of = "w" + token_hex(8), live.pools[pool]
        in_share = is_in_share(worker, self._spot_share)
        rungs = rungs_of(of.spot, of.machine, in_share=in_share)
        rung = place(rungs, live.starts_of(pool).histories, self._clock())
        return WorkerLaunch(worker=worker, pool=pool, spot=rung is Rung.SPOT)


def _if_new(live: CloudPipeline, share: Share) -> Share | None:
    return None if share == live.share else share


def _stopped(live: CloudPipeline, contents: JournalEntry, reason: Shortage) -> JournalEntry:
    """Return an entry without new workers, and with the reason."""
    share = live.share_with((), waits=True)
    return contents.model_copy(update={"limited": reason, "share": _if_new(live, share)})
