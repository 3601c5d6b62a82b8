"""Deletion of a pipeline: its AWS resources, files and output, and its records last.

A pipeline of 100,000 nodes takes longer than a request may: the request then ends with
`DeletionRunningError`, and the client repeats it. A deletion that is not repeated leaves an
archived pipeline, with a part of its files and output: the user repeats ``conducto delete``;
otherwise `chalicelib.services.retention` deletes it after ``retention`` days in the archive.
"""

import logging
from collections.abc import Callable
from functools import partial
from itertools import repeat
from math import inf

from chalicelib.domain.events import ActionRequested, Input
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.domain.retry import retry_throttled
from chalicelib.services.debug_sessions import DebugSessions
from chalicelib.services.dependencies import write_with_retry
from chalicelib.services.orphan_cleanup import PAUSE
from chalicelib.services.processor import CommandProcessor
from chalicelib.services.storage_metering import StorageMetering
from conducto_core.api.action_checks import check_deletable
from conducto_core.model.deployment import pipeline_directory
from conducto_core.model.records import Lifecycle
from conducto_core.model.requests import Action

logger = logging.getLogger(__name__)

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

    def __init__(self, engine: CommandProcessor) -> None:
        self._engine = engine
        self._cloud = engine.cloud

    def request(self, org: str, pipeline_id: str, user: str) -> None:
        """Archive a pipeline, so that nothing can start it, and delete it.

        Raises:
            RefusedError: It runs, or will start by itself.
            DeletionRunningError: Repeat the request.
        """
        end = self._cloud.clock() + REQUEST_SECONDS
        record = self._cloud.store.record(org, pipeline_id)
        if record is not None and record.lifecycle is not Lifecycle.ARCHIVED:
            self._engine.submit(org, pipeline_id, partial(self._archive, user=user))
        DebugSessions(self._engine).end_all(pipeline_id, "its pipeline was deleted")
        if self._has_workers(org, pipeline_id):
            raise DeletionRunningError(pipeline_id, "its workers are stopping")
        self.delete(org, pipeline_id, end)

    def delete(self, org: str, pipeline_id: str, end: float = inf) -> None:
        """Delete an archived pipeline; raises `DeletionRunningError` after the time ``end``."""

        def check() -> None:
            if self._cloud.clock() > end:
                raise DeletionRunningError(pipeline_id, "it has much output or history")

        self._charge_storage(org, pipeline_id)
        self._release(org, pipeline_id, check)
        self._forget_files(pipeline_id, end)
        check()
        self._cloud.logs.forget(pipeline_id, check)
        write_with_retry(self._cloud, lambda: self._cloud.store.forget(pipeline_id, check))
        self._engine.drop(pipeline_id)
        logger.info("pipeline deleted", extra={"org": org, "pipeline": pipeline_id})

    def _charge_storage(self, org: str, pipeline_id: str) -> None:
        try:
            record = self._cloud.store.record(org, pipeline_id)
            if record is not None:
                StorageMetering(self._cloud).close(org, record)
        except Exception:
            # A missing amount must not prevent the deletion.
            logger.exception("storage was not charged", extra={"pipeline": pipeline_id})

    def _forget_files(self, pipeline_id: str, end: float) -> None:
        try:
            left = end - self._cloud.clock()
            self._cloud.data.forget(pipeline_directory(pipeline_id), left)
        except TimeoutError as error:
            raise DeletionRunningError(pipeline_id, "it has many files") from error

    def _archive(self, live: CloudPipeline, *, user: str) -> Input:
        check_deletable(live)
        return ActionRequested(time=self._cloud.clock(), action=Action.ARCHIVE, by=user)

    def _has_workers(self, org: str, pipeline_id: str) -> bool:
        try:
            with self._engine.reading(org, pipeline_id) as live:
                return live.open()
        except LookupError:
            return False  # an interrupted deletion has deleted a part of it

    def _release(self, org: str, pipeline_id: str, check: Callable[[], None]) -> None:
        """Release its AWS resources; `services.orphan_cleanup` finds its state machines."""
        cloud = self._cloud
        cloud.fleet.release(pipeline_id)
        try:
            with self._engine.reading(org, pipeline_id) as live:
                activities = [cloud.site.activity_of(pool) for pool in live.pools]
        except LookupError:
            return  # an interrupted deletion had already done this
        # At AWS's rate; otherwise pipelines with many would never be deleted.
        for arn in activities:
            forget = partial(cloud.machines.forget_activity, arn)
            retry_throttled(forget, repeat(PAUSE, _TRIES), cloud.sleep)
            check()
