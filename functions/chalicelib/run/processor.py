"""Reads and changes pipelines by their journals, with a cache in memory."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from chalicelib.api.store import TableConnections
from chalicelib.billing.store import BillingPorts
from chalicelib.cache.decisions import CacheDecisions
from chalicelib.cache.store import Flight
from chalicelib.errors import PlanLimitError, Timing
from chalicelib.images.builds import ImageBuilds
from chalicelib.images.poller import BuildPoller
from chalicelib.installation import Installation
from chalicelib.logs.port import Storage
from chalicelib.records import Records
from chalicelib.run.deferred_effects import DeferredExecutor
from chalicelib.run.effects import EffectExecutor, PendingEffects, effects_of
from chalicelib.run.expansions import MapExpander
from chalicelib.run.group_commit import Batch, GroupCommit
from chalicelib.run.model import (
    Changed,
    HealthChecked,
    Input,
    JournalEntry,
    Submitted,
)
from chalicelib.run.pipeline_cache import PipelineCache
from chalicelib.run.port import Entry
from chalicelib.run.rules import snapshots
from chalicelib.run.rules.changes import PipelineChanges, merged, without_superseded
from chalicelib.run.rules.deferred import BackgroundEvent
from chalicelib.run.rules.pipeline import CloudPipeline, Folded, add, fold
from chalicelib.run.rules.state import LISTED_SECONDS
from chalicelib.run.staffing import Staffing
from chalicelib.secrets.injection import SecretCache, inject, inject_commands
from chalicelib.secrets.references import SecretPorts
from chalicelib.workers.port import Compute
from chalicelib.workers.slots import Decide, Slots, needed_room
from conducto_core.asl.rules.machine import CompleteTask, MachineCommand, StartExecution
from conducto_core.errors import NotFoundError
from conducto_core.notifications.messages import masked
from conducto_core.run.model.states import IN_FLIGHT
from conducto_core.secrets.rules import changed
from conducto_core.tree.model import Pipeline
from conducto_core.workers.model import WarmPool

if TYPE_CHECKING:
    from conducto_core.telemetry.otlp import OtlpSender

logger = logging.getLogger(__name__)

#: Number of inputs between snapshots.
SNAPSHOT_EVERY = 200
#: In large trees snapshots are rarer: their cost is proportional to the number of nodes.
NODES_AN_INPUT = 10
#: Maximum decisions of the cache in one entry, and seconds for them.
MAX_DECISIONS = 200
DECIDING_SECONDS = 3.0
#: Seconds after which the holder of a flight must be in its journal.
FLIGHT_GRACE = 120.0


class CommandProcessor:
    """Reads and changes pipelines. Any number of processors can work on the same pipelines.

    Attributes:
        builds: Prepares, starts and polls image builds.
        watch: Polls images that are being built.
        slots: Hands free workers on to waiting pipelines.
        deferred: Executes effects that take long.
        secrets: The secrets of commands that this process has read.
        caches: Decides about commands with a cache.
    """

    def __init__(
        self,
        builds: ImageBuilds,
        *,
        records: Records,
        storage: Storage,
        compute: Compute,
        secrets: SecretPorts,
        installation: Installation,
        timing: Timing,
        connections: TableConnections,
        billing: BillingPorts | None,
        collector: "Callable[[], OtlpSender] | None",
        invoke_background: Callable[[BackgroundEvent], None] | None,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        self._records, self._installation, self._timing = records, installation, timing
        self._storage, self._secret_ports = storage, secrets
        self._snapshot_every = snapshot_every
        self._staffing = Staffing(records, installation, timing.clock)
        self.builds = builds
        self.slots = Slots(
            records,
            installation,
            timing.clock,
            self.submit,
            self._staffing.allowances.seconds,
        )
        self.deferred = DeferredExecutor(
            records,
            storage,
            compute,
            installation,
            timing,
            collector=collector,
            invoke_background=invoke_background,
            builds=self.builds,
            submit=self.submit,
            reading=self.reading,
            slots=self.slots,
            look_again=self.look_again,
            expand_maps=self.expand_maps,
        )
        self._effect_executor = EffectExecutor(
            records,
            storage,
            compute,
            installation,
            timing,
            connections=connections,
            billing=billing,
            collector=collector,
            reading=self.reading,
            deferred=self.deferred,
        )
        self.watch = BuildPoller(timing.clock, self.builds, self.submit, self.reading)
        self.secrets = SecretCache(
            lambda org, access: inject_commands(secrets.vault, org, access, secrets.services),
            timing.clock,
        )
        self.caches = CacheDecisions(
            records,
            storage,
            installation.threads,
            timing.clock,
            self.builds,
            secrets=self.secrets,
        )
        self._cache = PipelineCache(records, installation.cache_bytes)
        self._snapshots_due: set[str] = set()
        execute = self._effect_executor.execute
        self._group = GroupCommit(records, timing, self._cache, self._write_entry, execute)

    @contextmanager
    def reading(self, org: str, pipeline_id: str) -> Iterator[CloudPipeline]:
        """Yield the current pipeline for reading; raises `NotFoundError`."""
        with self._cache.lock_of(pipeline_id):
            yield self._cache.current(org, pipeline_id)[0]

    @contextmanager
    def seen(self, org: str, pipeline_id: str) -> Iterator[CloudPipeline]:
        """Yield the cached pipeline without rereading the journal, for use after `submit`.

        It is read if it is not cached. Changes of other processes may be missing.
        """
        with self._cache.lock_of(pipeline_id):
            yield self._cache.cached(org, pipeline_id)

    def submit(
        self, org: str, pipeline_id: str, decide: Decide, early: Decide | None = None
    ) -> bool:
        """Commit an event to a pipeline; return False if there was nothing to commit.

        ``decide`` is called with the current pipeline, again after each conflict with another
        writer; ``early`` with the cached one, if requests compete (`GroupCommit.submit`).

        Raises:
            NotFoundError: The organisation has no pipeline with that id.
            BusyError: Every attempt conflicted with another writer.
        """
        result = self._group.submit(org, pipeline_id, decide, early)
        while self._has_candidates(org, pipeline_id):
            if not self._group.submit(org, pipeline_id, self._next_decisions):
                break
        if pipeline_id in self._snapshots_due:
            self._snapshots_due.discard(pipeline_id)
            self._put_snapshot(org, pipeline_id)
        return result

    def expand_maps(self, org: str, pipeline_id: str) -> None:
        """Expand the maps of a pipeline that wait for it."""
        expander = MapExpander(self._records, self._storage, self.builds, self._installation)
        with self.reading(org, pipeline_id) as live:
            paths = tuple(live.expansions)
        for path in paths:
            decide = partial(expander.decide, path=path, clock=self._timing.clock)
            self.submit(org, pipeline_id, decide)

    def look_again(self, org: str, pipeline_id: str) -> None:
        """Decide again about the commands of a pipeline that wait for equal ones."""
        with self.seen(org, pipeline_id) as live:
            keys = {key for _, key in live.same_commands.values()}
        if keys:
            flights = {key: self._records.cache.flight(org, key) for key in keys}
            over = {key: f.holder for key, f in flights.items() if f and self._is_over(org, f)}
            self.submit(org, pipeline_id, partial(self.caches.look_again, over=over))

    def _is_over(self, org: str, flight: Flight) -> bool:
        """Return whether the holder of a flight has ended, and its release was lost."""
        if self._timing.clock() - flight.since < FLIGHT_GRACE:
            return False  # its entry of the journal may not be written yet
        try:
            with self.reading(org, flight.pipeline) as live:
                return live.exec_in(flight.path, flight.attempt, *IN_FLIGHT) is None
        except NotFoundError:
            return True

    def _has_candidates(self, org: str, pipeline_id: str) -> bool:
        with self.seen(org, pipeline_id) as live:
            return bool(live.candidates)

    def _next_decisions(self, live: CloudPipeline) -> Input | None:
        return HealthChecked(time=self._timing.clock()) if live.candidates else None

    def note_change(self, org: str, pipeline_id: str, change: str, by: str) -> None:
        """Record a change of a pipeline's commands or data that is not an action on its nodes."""

        def decide(live: CloudPipeline) -> Input | None:
            now = self._timing.clock()
            if changed(live.record, change, by, now) is live.record:
                return None
            return Changed(time=now, by=by, change=change)

        self.submit(org, pipeline_id, decide)

    def repeat_effects(self, org: str, pipeline_id: str, changes: PipelineChanges) -> None:
        """Execute effects again that may have been lost."""
        with self.seen(org, pipeline_id) as live:
            effects = effects_of(live, changes, ())
        self._effect_executor.execute(effects)

    def refuse_task(self, org: str, pipeline_id: str, token: str, error: str) -> None:
        """Fail a task without changing its pipeline, for example a task of an old run."""
        self._effect_executor.execute(
            PendingEffects(org, pipeline_id, machine_commands=[CompleteTask(token, error)])
        )

    def begin(
        self, org: str, pipeline_id: str, definition: dict[str, Any], pipeline: Pipeline
    ) -> None:
        """Cache a pipeline that this process has created.

        Args:
            org: The organisation that owns it.
            pipeline_id: Its id.
            definition: Its definition, which the cache then owns, like the tree.
            pipeline: The resolved tree.
        """
        self._cache.begin(org, pipeline_id, definition, pipeline)

    def drop(self, pipeline_id: str) -> None:
        """Remove a pipeline from the cache."""
        self._cache.forget(pipeline_id)

    # ---- one entry ----------------------------------------------------------------------------

    def _write_entry(self, live: CloudPipeline, batch: Batch) -> PendingEffects:
        """Write the next entry of a pipeline, which is not cached meanwhile; return its effects.

        The effects are those of the entry as a whole and of the writer's own input.
        """
        before, spare, inputs = live.share, len(live.surplus()), live.inputs
        warm = self._installation.warm if self._installation.warm != live.warm else None
        live.warm = self._installation.warm
        folded = fold(live, batch.own, batch.waiting, batch.failing)
        decided = self._decide_cached(live, folded)
        contents = _contents(folded, batch, warm)
        written = self._staffing.staffed(live, contents, self.slots, batch.turn)
        made_room = self._make_room(live, folded, written)
        if made_room is not None:
            contents = _contents(folded, batch, warm)
            written = self._staffing.staffed(live, contents, self.slots, batch.turn)
        changes = merged(folded.changes.values())
        if changes.new_notifications:
            ports = self._secret_ports
            mask = inject(ports.vault, live.org, live.record.owner, ports.services).mask()
            changes.new_notifications = [masked(each, mask) for each in changes.new_notifications]
        try:
            written = self._write(live, changes, written, batch)
        except PlanLimitError as error:
            self._staffing.forget_use()
            share = live.share_with((), waits=True, wanted=sum(live.wanted().values()))
            written = contents.model_copy(update={"limited": error.wait, "share": share})
            written = self._write(live, changes, written, batch)
        live.crew.adopt_decisions(written)
        self._cache.expect_results(folded.changes)
        every = max(self._snapshot_every, len(live.tree.nodes) // NODES_AN_INPUT)
        if live.inputs // every > inputs // every:
            self._snapshots_due.add(live.id)  # taken after the effects, which must not be lost
        executed = (folded.changes.get(batch.writer), *decided, made_room)
        own = merged(each for each in executed if each is not None)
        if decided:
            own.machine_commands = _postponed(live, without_superseded(own.machine_commands))
        room = needed_room(before, live.share, more_spare=len(live.surplus()) > spare)
        effects = effects_of(live, own, written.hires, room)
        if effects.deferred is not None and written.hires:
            effects.deferred = self.deferred.with_first(live, effects.deferred)
        effects.usage = live.metering
        effects.published = bool(changes.changes)
        return effects

    def _decide_cached(self, live: CloudPipeline, folded: Folded) -> list[PipelineChanges]:
        """Decide about the commands with a cache that may start now, within some seconds.

        The rest is decided by later entries (`submit`, and the minute's check).
        """
        done: list[PipelineChanges] = []
        until, number = self._timing.clock() + DECIDING_SECONDS, 0
        while live.candidates and number < MAX_DECISIONS and self._timing.clock() <= until:
            decisions = self.caches.decide(live)
            number += len(decisions.hits) + len(decisions.misses) + len(decisions.waits)
            done.append(add(live, folded, Submitted(id=_new_id(), input=decisions)))
        return done

    def _make_room(
        self, live: CloudPipeline, folded: Folded, written: JournalEntry
    ) -> PipelineChanges | None:
        """Stop as many of the pipeline's workers without a command as it waits for others.

        One that reports its command in this entry then leaves without another poll.
        """
        surplus = tuple(live.surplus())
        if not surplus or not (written.limited or written.withheld):
            return None
        missing = sum(live.wanted().values()) - len(written.hires)
        # Several may have to stop for one container of a group.
        stopped = surplus if written.withheld else surplus[:missing]
        spared = HealthChecked(time=self._timing.clock(), spared=stopped)
        return add(live, folded, Submitted(id=_new_id(), input=spared))

    def _write(
        self, live: CloudPipeline, changes: PipelineChanges, written: JournalEntry, batch: Batch
    ) -> JournalEntry:
        """Write an entry, and return it with the decisions about the records."""
        written, before = live.decided(written), live.share
        share = before if written.share is None else written.share
        entry = Entry(
            number=live.number,
            input=written.written(),
            changes=tuple(changes.changes),
            seq=live.seq,
            # An attempt whose command cannot be prepared starts and ends in one entry, but a
            # transaction writes an item only once.
            attempts=tuple({(a.path, a.number): a for a in changes.attempts}.values()),
            record=live.record,
            workers=share.workers - before.workers,
            reserved=share.reserved - before.reserved,
            admits=bool(written.hires),
            share=written.share,
            notifications=tuple(changes.new_notifications),
            listed=written.listed,
            open=live.open() or bool(written.hires),
            asks=bool(live.record.status.approvals),
            turn=batch.turn,
            opens=batch.opens,
        )
        try:
            self._records.store.commit(live.org, live.id, entry)
        except LookupError as error:
            raise NotFoundError(str(error)) from error
        return written

    def refresh_record(self, live: CloudPipeline) -> None:
        """Write a record whose counts or times have changed some seconds ago."""
        now, listing = self._timing.clock(), live.listing
        if listing is None or listing.record == live.record:
            return
        if now - listing.time >= LISTED_SECONDS:
            self._records.store.put_record(live.org, live.record, live.number)
            live.listing = listing._replace(record=live.record, time=now)

    def _put_snapshot(self, org: str, pipeline_id: str) -> None:
        try:
            with self.seen(org, pipeline_id) as live:
                snapshot = snapshots.snapshot_of(live) if snapshots.can_be_taken(live) else None
            if snapshot is not None:
                self._records.store.put_snapshot(pipeline_id, snapshot)
        except Exception:  # the input has taken effect, and the next snapshot replaces this one
            logger.exception("a snapshot was not written", extra={"pipeline": pipeline_id})


def _postponed(live: CloudPipeline, commands: list[MachineCommand]) -> list[MachineCommand]:
    """Return commands that start a run only after the last decision of the cache.

    If the request dies before that, the minute's check starts the run.
    """
    machine = live.cloud_machine
    rest: list[MachineCommand] = [each for each in commands if not isinstance(each, StartExecution)]
    is_due = machine.run_state.open and machine.run not in live.runs and not live.candidates
    return [*rest, StartExecution(machine.run, None)] if is_due else rest


def _contents(folded: Folded, batch: Batch, warm: WarmPool | None) -> JournalEntry:
    inputs = tuple(folded.inputs)
    return JournalEntry(inputs=inputs, refused=folded.refused, writer=batch.writer, warm=warm)


def _new_id() -> str:
    return "w" + token_hex(8)
