"""Reads and changes pipelines by their journals, with a cache in memory."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from secrets import token_hex
from threading import Lock, RLock

from chalicelib.domain import snapshots
from chalicelib.domain.events import Changed, Input, JournalEntry, WorkerLaunch
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.domain.pipeline_changes import PipelineChanges
from chalicelib.ports.errors import ConflictError, PlanLimitError, ThrottledError
from chalicelib.ports.identity import InUse, Share
from chalicelib.ports.journal import Entry, Snapshot, Store, TreeKind
from chalicelib.services.build_poller import BuildPoller
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.effects import EffectExecutor, Effects, effects_of
from chalicelib.services.metering import reason_to_wait
from chalicelib.services.secret_injection import inject
from chalicelib.services.slots import Decide, Slots, needed_room
from conducto_core.errors import NotFoundError
from conducto_core.model.notifications import NotificationRecord
from conducto_core.notifications.messages import masked
from conducto_core.semantics.capacity import Room
from conducto_core.semantics.cloud_machine import CompleteTask
from conducto_core.semantics.user_secrets import changed

#: Maximum bytes of cached definitions and trees, as stored (compressed).
MAX_BYTES = 64 << 20


class DefinitionCache:
    """A thread-safe cache of definitions and generated trees, which never change.

    Args:
        store: Returns the store.
        maximum: Maximum bytes; the latest entry stays whatever its size.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = Lock()

    def of(self, pipeline_id: str) -> bytes:
        """Return the definition of a pipeline."""
        return self._get(pipeline_id, "", lambda: self._store().definition(pipeline_id))

    def tree(self, pipeline_id: str, key: str, kind: TreeKind = "tree") -> bytes:
        """Return a generated tree, or another definition or plan of the pipeline."""
        return self._get(pipeline_id, key, lambda: self._store().tree(pipeline_id, key, kind))

    def drop(self, pipeline_id: str) -> None:
        """Remove a pipeline's definition and trees."""
        with self._lock:
            for known in [known for known in self._kept if known[0] == pipeline_id]:
                del self._kept[known]

    def _get(self, pipeline_id: str, key: str, read: Callable[[], bytes]) -> bytes:
        with self._lock:
            found = self._kept.get((pipeline_id, key))
            if found is not None:
                self._kept.move_to_end((pipeline_id, key))
                return found
        found = read()
        with self._lock:
            self._kept[pipeline_id, key] = found
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > MAX_BYTES:
                self._kept.popitem(last=False)
        return found


logger = logging.getLogger(__name__)

#: Number of cached pipelines.
KEPT = 32
#: Maximum number of attempts to commit a decision against concurrent writers.
MAX_TRIES = 12
#: Number of entries between snapshots.
SNAPSHOT_EVERY = 200
#: In large trees snapshots are rarer: their cost is proportional to the number of nodes.
NODES_AN_ENTRY = 10


class BusyError(Exception):
    """Too many concurrent changes of one pipeline; nothing was done. Retry later."""


class CommandProcessor:
    """Reads and changes pipelines. Any number of processors can work on the same pipelines.

    Attributes:
        watch: Polls images that are being built.
        slots: Hands free workers on to waiting pipelines.
    """

    def __init__(self, cloud: Dependencies, *, snapshot_every: int = SNAPSHOT_EVERY) -> None:
        self.cloud = cloud
        self._snapshot_every = snapshot_every
        self.slots = Slots(cloud, self.submit)
        self._effect_executor = EffectExecutor(cloud, self.submit, self.reading, self.slots)
        self.watch = BuildPoller(cloud, self.submit, self.reading)
        self._definitions = DefinitionCache(lambda: self.cloud.store)
        self._kept: OrderedDict[str, CloudPipeline] = OrderedDict()
        self._locks: dict[str, RLock] = {}
        self._lock = Lock()

    @contextmanager
    def reading(self, org: str, pipeline_id: str) -> Iterator[CloudPipeline]:
        """Yield the current pipeline for reading; raises `NotFoundError`."""
        with self._lock_of(pipeline_id):
            yield self._current(org, pipeline_id)

    @contextmanager
    def seen(self, org: str, pipeline_id: str) -> Iterator[CloudPipeline]:
        """Yield the cached pipeline without rereading the journal, for use after `submit`.

        It is read if it is not cached. Changes of other processes may be missing.
        """
        with self._lock_of(pipeline_id):
            live = self._kept.get(pipeline_id)
            known = live is not None and live.org == org
            yield live if live is not None and known else self._current(org, pipeline_id)

    def submit(self, org: str, pipeline_id: str, decide: Decide) -> bool:
        """Commit an event to a pipeline; return False if there was nothing to commit.

        ``decide`` is called with the current pipeline, again after each conflict with another
        writer.

        Raises:
            NotFoundError: The organisation has no pipeline with that id.
            BusyError: Every attempt conflicted with another writer.
        """
        for attempt in range(MAX_TRIES):
            try:
                with self._lock_of(pipeline_id):
                    live = self._current(org, pipeline_id)
                    happened = decide(live)
                    if happened is None:
                        return False
                    effects = self._commit(live, happened)
            except (ConflictError, ThrottledError):
                self.cloud.sleep(self.cloud.jitter() * 0.02 * 2 ** min(attempt, 6))
                continue
            self._effect_executor.execute(effects)
            return True
        raise BusyError(f"{pipeline_id}: too many concurrent changes; retry")

    def note_change(self, org: str, pipeline_id: str, change: str, by: str) -> None:
        """Record a change of a pipeline's commands or data that is not an action on its nodes."""

        def decide(live: CloudPipeline) -> Input | None:
            now = self.cloud.clock()
            if changed(live.record, change, by, now) is live.record:
                return None
            return Changed(time=now, by=by, change=change)

        self.submit(org, pipeline_id, decide)

    def refuse_task(self, org: str, pipeline_id: str, token: str, error: str) -> None:
        """Fail a task without changing its pipeline, for example a task of an old run."""
        self._effect_executor.execute(
            Effects(org, pipeline_id, machine_commands=[CompleteTask(token, error)])
        )

    def drop(self, pipeline_id: str) -> None:
        """Remove a pipeline from the cache."""
        with self._lock_of(pipeline_id):
            self._kept.pop(pipeline_id, None)
        self._definitions.drop(pipeline_id)

    # ---- one entry ----------------------------------------------------------------------------

    def _commit(self, live: CloudPipeline, happened: Input) -> Effects:
        self._kept.pop(live.id, None)  # the cached state is invalid until the commit succeeds
        before, spare = live.share, len(live.surplus())
        changes = live.apply(happened)
        changes.new_notifications = self._masked(live, changes.new_notifications)
        written = self._staffed(live, happened)
        try:
            self._write(live, changes, written)
        except PlanLimitError as error:
            share = live.share_with((), waits=True)
            written = JournalEntry(input=happened, limited=str(error), share=share)
            self._write(live, changes, written)
        live.pool_workers(written)
        self._keep(live)
        every = max(self._snapshot_every, len(live.tree.nodes) // NODES_AN_ENTRY)
        if live.number % every == 0 and snapshots.can_be_taken(live):
            self._put_snapshot(live.id, snapshots.take(live))
        effects = effects_of(live, changes, written.hires, self.cloud.spot_share)
        effects.room = needed_room(before, live.share, more_spare=len(live.surplus()) > spare)
        return effects

    def _masked(
        self, live: CloudPipeline, new_notifications: list[NotificationRecord]
    ) -> list[NotificationRecord]:
        if not new_notifications:
            return new_notifications
        cloud = self.cloud
        mask = inject(cloud.vault, live.org, live.record.owner, cloud.services).mask()
        return [masked(each, mask) for each in new_notifications]

    def _staffed(self, live: CloudPipeline, happened: Input) -> JournalEntry:
        """Return the journal entry of an event: the workers to launch, or the reason for none."""
        if not live.wanted():
            share = live.share_with((), waits=False)
            return JournalEntry(input=happened, share=_if_new(live, share))
        used = self.cloud.orgs.in_use(live.org)
        stopped = reason_to_wait(self.cloud, live.org, used)
        if stopped is not None:
            share = live.share_with((), waits=True)
            return JournalEntry(input=happened, limited=stopped, share=_if_new(live, share))
        before, now = live.share, live.share_with((), waits=False)
        maximum = used.plan.max_workers
        free = Room(
            maximum - used.workers + before.workers - now.workers,
            maximum - used.reserved + before.reserved - now.reserved,
        )
        admitted = live.admission(free)
        names = [name for name, number in admitted.workers.items() for _ in range(number)]
        waits = admitted.limited or admitted.withheld
        return JournalEntry(
            input=happened,
            hires=tuple(WorkerLaunch(worker=_new_id(), pool=name) for name in names),
            limited=self._limit(used, used.workers - before.workers) if admitted.limited else None,
            withheld=self._reservation(used) if admitted.withheld else None,
            share=_if_new(live, live.share_with(names, waits=waits)),
        )

    def _limit(self, used: InUse, others: int) -> str:
        plan = used.plan
        elsewhere = f", of which other pipelines and debug shells use {others}" if others else ""
        return (
            f"the plan {plan.name!r} allows {plan.max_workers} workers at once{elsewhere}; "
            f"more commands run when a worker is free, {self._or_more(used)}"
        )

    def _reservation(self, used: InUse) -> str:
        plan = used.plan
        return (
            f"the plan {plan.name!r} allows {plan.max_workers} workers at once, and "
            f"{used.reserved} are reserved so that the container_reuse_context=NEW groups that "
            "have started can finish; this group starts when one of them has finished, "
            f"{self._or_more(used)}"
        )

    def _or_more(self, used: InUse) -> str:
        remedies = self.cloud.remedies()
        own = remedies.billing and not used.paying
        return f"or {remedies.larger_plan()}" if own else "or on a larger plan"

    def _write(self, live: CloudPipeline, changes: PipelineChanges, written: JournalEntry) -> None:
        before = live.share
        share = before if written.share is None else written.share
        entry = Entry(
            number=live.number,
            input=written.written(),
            changes=tuple(changes.changes),
            # An attempt whose command cannot be prepared starts and ends in one entry, but a
            # transaction writes an item only once.
            attempts=tuple({(a.path, a.number): a for a in changes.attempts}.values()),
            record=live.record,
            workers=share.workers - before.workers,
            reserved=share.reserved - before.reserved,
            admits=bool(written.hires),
            share=written.share,
            notifications=tuple(changes.new_notifications),
            open=live.open() or bool(written.hires),
        )
        self.cloud.store.commit(live.org, live.id, entry)

    def _put_snapshot(self, pipeline_id: str, snapshot: Snapshot) -> None:
        try:
            self.cloud.store.put_snapshot(pipeline_id, snapshot)
        except ThrottledError:
            logger.info("a snapshot was not written", extra={"pipeline": pipeline_id})

    # ---- cache ------------------------------------------------------------------------------

    def _current(self, org: str, pipeline_id: str) -> CloudPipeline:
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
            partial(definitions.tree, pipeline_id),
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


def read_on(live: CloudPipeline, cloud: Dependencies) -> None:
    """Apply the entries that other processes have committed."""
    for entry in cloud.store.entries(live.id, live.number):
        written = JournalEntry.model_validate(entry.input)
        live.apply(written.input)
        live.pool_workers(written)


def _if_new(live: CloudPipeline, share: Share) -> Share | None:
    return None if share == live.share else share


def _new_id() -> str:
    return "w" + token_hex(8)


def _unknown(pipeline_id: str) -> NotFoundError:
    return NotFoundError(f"no pipeline {pipeline_id!r}; 'conducto list' shows the existing ones")
