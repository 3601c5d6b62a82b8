"""Decide, write down, carry out: how anything happens to a cloud pipeline.

::

    read on ──► decide ──► commit entry n + 1 ──► carry out
       ▲                        │ somebody was faster
       └────────────────────────┘

What is committed is what happened. Carrying out may be cut off at any point and then heals by
itself (`chalicelib.reconcile`), so that nothing here needs a transaction over two services.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from threading import Lock, RLock

from chalicelib import snapshots
from chalicelib.carry_out import Errand, Errands, errand_of
from chalicelib.cloud import Cloud
from chalicelib.definitions import Definitions
from chalicelib.image_watch import ImageWatch
from chalicelib.inputs import Changed, Hire, Input, Journalled
from chalicelib.pipeline import CloudPipeline, Effects
from chalicelib.ports import (
    ConflictError,
    Entry,
    InUse,
    PlanLimitError,
    Share,
    Snapshot,
    ThrottledError,
)
from chalicelib.secret_delivery import deliver
from chalicelib.slots import Slots, needed_room
from conducto.model.notifications import NotificationRecord
from conducto.running.notify.texts import masked
from conducto.semantics.capacity import Room
from conducto.semantics.course import Reply
from conducto.semantics.user_secrets import changed
from conducto.service.port import NotFoundError

logger = logging.getLogger(__name__)

#: Pipelines that stay in memory.
KEPT = 32
#: How often a decision is made anew because others were faster.
MOST_TRIES = 12
#: Entries after which a snapshot is written.
SNAPSHOT_EVERY = 200
#: A large tree's are rarer: one costs as much as so many nodes' worth of entries.
NODES_AN_ENTRY = 10

#: Looks at a pipeline as it is now and says what happened, or that nothing has.
Decide = Callable[[CloudPipeline], Input | None]


class BusyError(Exception):
    """Too many want to change one pipeline; nothing was done, come back later."""


class Engine:
    """Reads and changes pipelines. Any number of engines may work on the same ones.

    Attributes:
        watch: Looks at images that are being built.
        slots: Hands workers on to those who wait.
    """

    def __init__(self, cloud: Cloud, *, snapshot_every: int = SNAPSHOT_EVERY) -> None:
        self.cloud = cloud
        self._snapshot_every = snapshot_every
        self.slots = Slots(cloud, self.submit)
        self._errands = Errands(cloud, self.submit, self.reading, self.slots)
        self.watch = ImageWatch(cloud, self.submit, self.reading)
        self._definitions = Definitions(lambda: self.cloud.store)
        self._kept: OrderedDict[str, CloudPipeline] = OrderedDict()
        self._locks: dict[str, RLock] = {}
        self._lock = Lock()

    @contextmanager
    def reading(self, org: str, pipeline_id: str) -> Iterator[CloudPipeline]:
        """Give a pipeline as it is now, to be looked at and not changed.

        Raises:
            NotFoundError: the org has none of that id.
        """
        with self._lock_of(pipeline_id):
            yield self._current(org, pipeline_id)

    @contextmanager
    def seen(self, org: str, pipeline_id: str) -> Iterator[CloudPipeline]:
        """Give a pipeline as this process saw it last: for who has just submitted something.

        It is read where it is not in memory. What others did meanwhile may be missing.

        Raises:
            NotFoundError: the org has none of that id.
        """
        with self._lock_of(pipeline_id):
            live = self._kept.get(pipeline_id)
            known = live is not None and live.org == org
            yield live if live is not None and known else self._current(org, pipeline_id)

    def submit(self, org: str, pipeline_id: str, decide: Decide) -> bool:
        """Let something happen; return whether it did.

        Args:
            org: Whose pipeline it is.
            pipeline_id: Which.
            decide: Called again, with what there is then, whenever somebody else was faster.

        Raises:
            NotFoundError: the org has none of that id.
            BusyError: somebody else was faster every time.
        """
        for attempt in range(MOST_TRIES):
            try:
                with self._lock_of(pipeline_id):
                    live = self._current(org, pipeline_id)
                    happened = decide(live)
                    if happened is None:
                        return False
                    errand = self._commit(live, happened)
            except (ConflictError, ThrottledError):
                self.cloud.sleep(self.cloud.jitter() * 0.02 * 2 ** min(attempt, 6))
                continue
            self._errands.carry_out(errand)
            return True
        raise BusyError(f"{pipeline_id}: too many changes at the same time; try again")

    def note_change(self, org: str, pipeline_id: str, change: str, by: str) -> None:
        """Note a change of what a pipeline's commands do that is no action on its nodes."""

        def decide(live: CloudPipeline) -> Input | None:
            now = self.cloud.clock()
            if changed(live.record, change, by, now) is live.record:
                return None
            return Changed(time=now, by=by, change=change)

        self.submit(org, pipeline_id, decide)

    def refuse_task(self, org: str, pipeline_id: str, token: str, error: str) -> None:
        """Fail a task that changes nothing for its pipeline, such as one of an old run."""
        self._errands.carry_out(Errand(org, pipeline_id, orders=[Reply(token, error)]))

    def drop(self, pipeline_id: str) -> None:
        """Forget what is in memory of a pipeline; it is read anew when it is needed."""
        with self._lock_of(pipeline_id):
            self._kept.pop(pipeline_id, None)
        self._definitions.drop(pipeline_id)

    # ---- one entry ----------------------------------------------------------------------------

    def _commit(self, live: CloudPipeline, happened: Input) -> Errand:
        self._kept.pop(live.id, None)  # until it is sure, what is in memory is only a guess
        before, spare = live.share, len(live.surplus())
        live.count(before)
        effects = live.take_in(happened)
        effects.told = self._masked(live, effects.told)
        written = self._staffed(live, happened)
        try:
            self._write(live, effects, written)
        except PlanLimitError as error:
            share = live.share_with((), waits=True)
            written = Journalled(input=happened, limited=str(error), share=share)
            self._write(live, effects, written)
        live.staff(written)
        self._keep(live)
        every = max(self._snapshot_every, len(live.tree.nodes) // NODES_AN_ENTRY)
        if live.number % every == 0 and snapshots.can_be_taken(live):
            self._put_snapshot(live.id, snapshots.take(live))
        errand = errand_of(live, effects, written.hires, self.cloud.spot_share)
        errand.room = needed_room(before, live.share, more_spare=len(live.surplus()) > spare)
        return errand

    def _masked(
        self, live: CloudPipeline, told: list[NotificationRecord]
    ) -> list[NotificationRecord]:
        """Return what is told with the values of secrets hidden: so it is written down."""
        if not told:
            return told
        cloud = self.cloud
        mask = deliver(cloud.vault, live.org, live.record.owner, cloud.services).mask()
        return [masked(each, mask) for each in told]

    def _staffed(self, live: CloudPipeline, happened: Input) -> Journalled:
        """Return the entry of an input: with the workers to start now, and why not more."""
        if not live.wanted():
            share = live.share_with((), waits=False)
            return Journalled(input=happened, share=_if_new(live, share))
        used = self.cloud.orgs.in_use(live.org)
        before, now = live.share, live.share_with((), waits=False)
        most = used.plan.max_workers
        free = Room(
            most - used.workers + before.workers - now.workers,
            most - used.reserved + before.reserved - now.reserved,
        )
        admitted = live.admission(free)
        names = [name for name, number in admitted.workers.items() for _ in range(number)]
        waits = admitted.limited or admitted.withheld
        return Journalled(
            input=happened,
            hires=tuple(Hire(worker=_new_id(), pool=name) for name in names),
            limited=_limit(used, used.workers - before.workers) if admitted.limited else None,
            withheld=_reservation(used) if admitted.withheld else None,
            share=_if_new(live, live.share_with(names, waits=waits)),
        )

    def _write(self, live: CloudPipeline, effects: Effects, written: Journalled) -> None:
        before = live.share
        share = before if written.share is None else written.share
        entry = Entry(
            number=live.number,
            input=written.written(),
            changes=tuple(effects.changes),
            attempts=tuple(effects.attempts),
            record=live.record,
            workers=share.workers - before.workers,
            reserved=share.reserved - before.reserved,
            admits=bool(written.hires),
            share=written.share,
            notifications=tuple(effects.told),
            open=live.open() or bool(written.hires),
        )
        self.cloud.store.commit(live.org, live.id, entry)

    def _put_snapshot(self, pipeline_id: str, snapshot: Snapshot) -> None:
        try:
            self.cloud.store.put_snapshot(pipeline_id, snapshot)
        except ThrottledError:
            logger.info("a snapshot was not written", extra={"pipeline": pipeline_id})

    # ---- what is in memory --------------------------------------------------------------------

    def _current(self, org: str, pipeline_id: str) -> CloudPipeline:
        """Return a pipeline with everything that was committed so far in it."""
        live = self._kept.get(pipeline_id)
        if live is None:
            live = self._load(org, pipeline_id)
        elif live.org != org:
            raise _unknown(pipeline_id)
        self._kept.pop(pipeline_id, None)
        read_on(live, self.cloud)
        self._keep(live)
        return live

    def _load(self, org: str, pipeline_id: str) -> CloudPipeline:
        store, definitions = self.cloud.store, self._definitions
        if store.record(org, pipeline_id) is None:
            raise _unknown(pipeline_id)
        return snapshots.restore(
            org,
            definitions.of(pipeline_id),
            store.snapshot(pipeline_id),
            lambda key: definitions.tree(pipeline_id, key),
        )

    def _keep(self, live: CloudPipeline) -> None:
        with self._lock:
            self._kept[live.id] = live
            self._kept.move_to_end(live.id)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def _lock_of(self, pipeline_id: str) -> RLock:
        with self._lock:
            return self._locks.setdefault(pipeline_id, RLock())


def read_on(live: CloudPipeline, cloud: Cloud) -> None:
    """Take in what others have committed."""
    for entry in cloud.store.entries(live.id, live.number):
        written = Journalled.model_validate(entry.input)
        live.take_in(written.input)
        live.staff(written)


def _if_new(live: CloudPipeline, share: Share) -> Share | None:
    return None if share == live.share else share


def _limit(used: InUse, others: int) -> str:
    """Say that the organisation has all the workers of its plan."""
    plan = used.plan
    elsewhere = f", other pipelines and debug shells have {others} of them" if others else ""
    return (
        f"the plan {plan.name!r} allows {plan.max_workers} workers at once{elsewhere}; "
        "more commands run when one of them is free, or on a larger plan"
    )


def _reservation(used: InUse) -> str:
    """Say why a group does not begin although a worker is free."""
    plan = used.plan
    return (
        f"the plan {plan.name!r} allows {plan.max_workers} workers at once, and {used.reserved} "
        "are reserved so that the container_reuse_context=NEW groups that have begun can finish; "
        "this group begins when one of them has ended, or on a larger plan"
    )


def _new_id() -> str:
    return "w" + token_hex(8)


def _unknown(pipeline_id: str) -> NotFoundError:
    return NotFoundError(f"no pipeline {pipeline_id!r}; 'conducto list' shows those there are")
