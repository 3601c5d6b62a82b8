"""Deletion of a pipeline: its AWS resources, files and output, and its records last.

A pipeline of 100,000 nodes takes longer than a request may: the request then ends with
`DeletionRunningError`, and the client repeats it. A deletion that is not repeated leaves an
archived pipeline, with a part of its files and output: the user repeats ``conducto delete``;
otherwise `chalicelib.run.deletion` deletes it after ``retention`` days in the archive.
"""

import logging
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import repeat
from math import inf
from typing import NamedTuple

from chalicelib.billing.metering import StorageMetering
from chalicelib.debug.sessions import DebugSessions
from chalicelib.errors import ThrottledError, Timing, retry_throttled
from chalicelib.logs.port import Storage
from chalicelib.partitions.store import PartitionBlobs
from chalicelib.records import Records
from chalicelib.run.model import ActionRequested, Input
from chalicelib.run.port import DataFiles
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.run.store import JournalStore
from chalicelib.workers.port import Compute
from conducto_core.asl.rules.naming import Site
from conducto_core.cache.rules import UNUSED_DAYS
from conducto_core.installation.names import pipeline_directory
from conducto_core.partitions.handlers import remember
from conducto_core.run.launching import check_deletable
from conducto_core.run.model.records import Lifecycle, PipelineRecord
from conducto_core.run.model.requests import Action

# ----------------------------------------------------------------------------------------
# Daily cleanup of AWS resources of finished runs and inactive pipelines.
#
# An account has a quota of 100,000 state machines. The names of state machines and task definitions
# identify their run or pipeline, so that no record of them is needed: unknown, archived and settled
# pipelines need none of them, other pipelines those of the latest run. Most are deleted when a run
# is stopped or a pipeline archived; this job deletes nested machines, machines of generated trees,
# and those that a dead process left.
#
# A pipeline that continues meanwhile creates resources with new names: those of a new run, and a
# new task definition for a worker (`chalicelib.workers.aws.ecs`).


logger = logging.getLogger(__name__)

#: Maximum seconds of a cleanup; the function has 15 minutes, shared with retention.
LONGEST = 600.0
#: Seconds to wait after throttling; AWS deletes one per second.
PAUSE = 1.0


class KeepSet(NamedTuple):
    """The AWS resources that a pipeline needs.

    Attributes:
        run: Number of the oldest run whose machines it needs.
        workers: Whether it may launch workers with its existing task definitions.
    """

    run: float
    workers: bool


NOTHING = KeepSet(float("inf"), workers=False)
EVERYTHING = KeepSet(0, workers=True)


class OrphanCleanup:
    """Deletes orphaned resources; after an interruption, the next run continues."""

    def __init__(
        self, engine: CommandProcessor, store: JournalStore, compute: Compute, timing: Timing
    ) -> None:
        self._engine, self._store = engine, store
        self._compute, self._timing = compute, timing

    def run(self) -> int:
        """Delete orphaned resources and return their number."""
        end = self._timing.clock() + LONGEST
        number = 0

        @cache
        def needs(pipeline_id: str) -> KeepSet:
            # Reading a large pipeline takes time, too.
            return self._needs(pipeline_id) if self._timing.clock() < end else EVERYTHING

        for delete in self._needless(needs):
            if self._timing.clock() >= end:
                logger.info("the cleanup continues in the next run")
                break
            number += self._patiently(delete)
        return number

    def _needless(self, needs: Callable[[str], KeepSet]) -> Iterator[Callable[[], bool]]:
        machines, fleet = self._compute.machines, self._compute.fleet
        for run, arn in machines.runs():
            pipeline_id, _, number = run.rpartition("-")
            if number.isdecimal() and int(number) < needs(pipeline_id).run:
                yield partial(self._forget_machine, arn)
        for pipeline_id, name in fleet.definitions():
            if not needs(pipeline_id).workers:
                yield partial(fleet.forget_definition, name)

    def _forget_machine(self, arn: str) -> bool:
        self._compute.machines.forget(arn)
        return True

    def _patiently(self, delete: Callable[[], bool]) -> bool:
        try:
            return delete()
        except ThrottledError:
            self._timing.sleep(PAUSE)  # the next cleanup finds it again
            return False
        except Exception:
            # One failure must not affect the others.
            logger.exception("an orphaned resource was not deleted")
            return False

    def _needs(self, pipeline_id: str) -> KeepSet:
        org = self._store.org_of(pipeline_id)
        if org is None:
            return NOTHING
        try:
            with self._engine.reading(org, pipeline_id) as live:
                status = live.cloud_machine.run_state
                over = live.settled() or not status.open
                archived = live.record.lifecycle is Lifecycle.ARCHIVED and not live.open()
                return KeepSet(status.number + over, workers=not archived)
        except Exception:
            logger.exception("a pipeline was not cleaned up", extra={"pipeline": pipeline_id})
            return EVERYTHING


#: Seconds of a request that may be used; API Gateway ends it after 29.
REQUEST_SECONDS = 15.0
#: Maximum number of attempts to delete an activity.
_TRIES = 10


class DeletionRunningError(Exception):
    """A deletion is not finished.

    Attributes:
        remedy: What to do next.
    """

    def __init__(self, pipeline_id: str, reason: str) -> None:
        super().__init__(f"{pipeline_id} is being deleted: {reason}")
        self.remedy = "repeat the request in a few seconds"


class PipelineDeletion:
    """Deletes pipelines."""

    def __init__(
        self,
        engine: CommandProcessor,
        shells: DebugSessions,
        *,
        records: Records,
        storage: Storage,
        compute: Compute,
        site: Site,
        timing: Timing,
    ) -> None:
        self._engine, self._shells = engine, shells
        self._records, self._storage, self._compute = records, storage, compute
        self._site, self._timing = site, timing

    def request(self, org: str, pipeline_id: str, user: str) -> None:
        """Archive a pipeline, so that nothing can start it, and delete it.

        Raises:
            RefusedError: It runs, or will start by itself.
            DeletionRunningError: Repeat the request.
        """
        end = self._timing.clock() + REQUEST_SECONDS
        record = self._records.store.record(org, pipeline_id)
        if record is not None and record.lifecycle is not Lifecycle.ARCHIVED:
            self._engine.submit(org, pipeline_id, partial(self._archive, user=user))
        self._shells.end_all(pipeline_id, "its pipeline was deleted")
        if self._has_workers(org, pipeline_id):
            raise DeletionRunningError(pipeline_id, "its workers are stopping")
        self.delete(org, pipeline_id, end)

    def delete(self, org: str, pipeline_id: str, end: float = inf) -> None:
        """Delete an archived pipeline; raises `DeletionRunningError` after the time ``end``."""

        def check() -> None:
            if self._timing.clock() > end:
                raise DeletionRunningError(pipeline_id, "it has much output or history")

        self._charge_storage(org, pipeline_id)
        self._keep_partitions(org, pipeline_id)
        self._release(org, pipeline_id, check)
        self._forget_files(pipeline_id, end)
        check()
        self._storage.logs.forget(pipeline_id, check)
        self._timing.retry(lambda: self._records.store.forget(pipeline_id, check))
        self._engine.drop(pipeline_id)
        logger.info("pipeline deleted", extra={"org": org, "pipeline": pipeline_id})

    def _charge_storage(self, org: str, pipeline_id: str) -> None:
        try:
            record = self._records.store.record(org, pipeline_id)
            if record is not None:
                StorageMetering(self._records, self._storage, self._timing.clock).close(org, record)
        except Exception:
            # A missing amount must not prevent the deletion.
            logger.exception("storage was not charged", extra={"pipeline": pipeline_id})

    def _keep_partitions(self, org: str, pipeline_id: str) -> None:
        try:
            with self._engine.reading(org, pipeline_id) as live:
                remember(PartitionBlobs(self._storage.blobs, org), live)
        except LookupError:
            return  # an interrupted deletion had already done this
        except Exception:
            # A missing state must not prevent the deletion.
            logger.exception("states of partitions were not kept", extra={"pipeline": pipeline_id})

    def _forget_files(self, pipeline_id: str, end: float) -> None:
        try:
            left = end - self._timing.clock()
            self._storage.data.forget(pipeline_directory(pipeline_id), left)
        except TimeoutError as error:
            raise DeletionRunningError(pipeline_id, "it has many files") from error

    def _archive(self, live: CloudPipeline, *, user: str) -> Input:
        check_deletable(live)
        return ActionRequested(time=self._timing.clock(), action=Action.ARCHIVE, by=user)

    def _has_workers(self, org: str, pipeline_id: str) -> bool:
        try:
            with self._engine.reading(org, pipeline_id) as live:
                return live.open()
        except LookupError:
            return False  # an interrupted deletion has deleted a part of it

    def _release(self, org: str, pipeline_id: str, check: Callable[[], None]) -> None:
        """Release its AWS resources; `services.orphan_cleanup` finds its state machines."""
        self._compute.fleet.release(pipeline_id)
        try:
            with self._engine.reading(org, pipeline_id) as live:
                activities = [self._site.activity_of(pool) for pool in live.pools]
        except LookupError:
            return  # an interrupted deletion had already done this
        # At AWS's rate; otherwise pipelines with many would never be deleted.
        for arn in activities:
            forget = partial(self._compute.machines.forget_activity, arn)
            retry_throttled(forget, repeat(PAUSE, _TRIES), self._timing.sleep)
            check()


# ----------------------------------------------------------------------------------------
# Retention: inactive pipelines are archived, and later deleted with their data.
#
# The rule is the same as in local mode (docs/decisions/0007): a pipeline without activity for
# ``retention`` days is archived, and deleted after as many days in the archive. AWS clocks do not
# jump, so a pipeline's age is a difference of two times.


_DAY = 86_400.0


class Retention:
    """Archives and deletes pipelines; the next run continues an interrupted deletion of its own."""

    def __init__(
        self,
        engine: CommandProcessor,
        deletion: PipelineDeletion,
        records: Records,
        data: DataFiles,
        clock: Callable[[], float],
    ) -> None:
        self._engine, self._deletion = engine, deletion
        self._records, self._data, self._clock = records, data, clock

    def run(self) -> int:
        """Check every inactive pipeline; return how many were archived or deleted."""
        number = 0
        for org, pipeline_id in self._records.store.resting_pipelines():
            try:
                number += self._look_at(org, pipeline_id)
            except Exception:
                # One failure must not affect other pipelines.
                logger.exception("a pipeline was kept", extra={"pipeline": pipeline_id})
        try:
            self._data.trim(UNUSED_DAYS + 1)
        except Exception:
            logger.exception("files of the cache that are not used were kept")
        return number

    def _look_at(self, org: str, pipeline_id: str) -> bool:
        record = self._records.store.record(org, pipeline_id)
        if record is None or not self._is_old(record):
            return False
        if self._records.shells.of_pipeline(pipeline_id):
            return False  # a debug shell is open
        if record.lifecycle is Lifecycle.ARCHIVED:
            self._deletion.delete(org, pipeline_id)
            return True
        return self._engine.submit(org, pipeline_id, self._archive)

    def _archive(self, live: CloudPipeline) -> Input | None:
        kept = live.open() or live.record.lifecycle is Lifecycle.ARCHIVED
        if kept or not self._is_old(live.record):
            return None
        return ActionRequested(time=self._clock(), action=Action.ARCHIVE)

    def _is_old(self, record: PipelineRecord) -> bool:
        idle = self._clock() - max(record.touched, record.created)
        return record.retention > 0 and idle >= record.retention * _DAY
