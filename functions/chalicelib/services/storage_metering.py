"""Meters what pipelines store, once a day and before a deletion.

A measurement charges the time since the last one, so that missed days are charged later, and a
repeated measurement of the same interval is refused. A daily run has a time limit; the next one
begins with the pipeline after the last one that this run has reached.
"""

import logging
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from itertools import chain

from chalicelib.ports.errors import ConflictError
from chalicelib.ports.identity import Measured, Spender
from chalicelib.services.dependencies import Dependencies
from conducto_core.api.queries.usage_reports import month_of, months_before
from conducto_core.model.deployment import pipeline_directory
from conducto_core.model.records import PipelineRecord
from conducto_core.model.usage import PipelineSpent
from conducto_core.semantics.storage_costs import (
    KEPT_SECONDS,
    RECORD_BYTES,
    Stored,
    storage_dollars,
)

logger = logging.getLogger(__name__)

#: Minimum seconds between two daily measurements of a pipeline.
_INTERVAL = 12 * 3600.0
#: Maximum seconds for the files of a pipeline; files beyond that are not counted.
_FILE_SECONDS = 20.0


class StorageMetering:
    """Measures and charges storage."""

    def __init__(self, cloud: Dependencies) -> None:
        self._cloud = cloud

    def run(self, seconds: float) -> int:
        """Measure every pipeline, for at most ``seconds``; return how many were measured."""
        end, number = self._cloud.clock() + seconds, 0
        store = self._cloud.store
        found = sorted(chain(store.open_pipelines(), store.resting_pipelines()))
        first = bisect_right(found, self._cloud.orgs.measured_last())
        for org, pipeline_id in found[first:] + found[:first]:
            if self._cloud.clock() > end:
                logger.info("the next measurement of storage continues", extra={"org": org})
                break
            try:
                number += self._measure_daily(org, pipeline_id)
            except Exception:
                # One failure must not affect other pipelines.
                logger.exception("storage was not measured", extra={"pipeline": pipeline_id})
        return number

    def _measure_daily(self, org: str, pipeline_id: str) -> bool:
        record = self._cloud.store.record(org, pipeline_id)
        known = self._cloud.orgs.measured(pipeline_id)
        if record is None:
            return False
        if known is not None and self._cloud.clock() - known.time < _INTERVAL:  # or being deleted
            return False
        # Before the measurement: one that ends the process does not stop all later runs.
        self._cloud.orgs.note_measured(org, pipeline_id)
        self.measure(org, record)
        return True

    def measure(self, org: str, record: PipelineRecord) -> None:
        """Charge the time since the last measurement."""
        known = self._cloud.orgs.measured(record.id)
        now = Measured(self._cloud.clock(), self.stored(org, record))
        before = known or Measured(record.created, now.stored)
        dollars = storage_dollars(before.stored, now.stored, before.time, now.time)
        self._charge(org, record, known, now, dollars)

    def close(self, org: str, record: PipelineRecord) -> None:
        """Charge a pipeline that is about to be deleted; a repeated call charges nothing.

        The bucket keeps deleted objects for some time, which is charged here.
        """
        known = self._cloud.orgs.measured(record.id)
        before = known or Measured(record.created, self.stored(org, record))
        now = self._cloud.clock()
        end = now + KEPT_SECONDS
        if before.time >= now:
            return
        left = Stored(objects=before.stored.objects)
        dollars = defaultdict(
            float, storage_dollars(before.stored, before.stored, before.time, now)
        )
        for month, kept in storage_dollars(left, left, now, end).items():
            dollars[month] += kept
        self._charge(org, record, known, Measured(end, Stored()), dollars)

    def _charge(
        self,
        org: str,
        record: PipelineRecord,
        before: Measured | None,
        now: Measured,
        dollars: Mapping[str, float],
    ) -> None:
        whose = Spender.of(record, 0.0, attempts=0)
        try:
            self._cloud.orgs.add_storage(org, whose, before, now, dollars)
        except ConflictError:
            logger.info("storage was measured by another process", extra={"pipeline": record.id})

    def current(self, org: str, record: PipelineRecord) -> tuple[Stored, float]:
        """Return the stored sizes of a pipeline, and their cost that is not yet charged.

        Nothing is written. Sizes are those of the last measurement, so that readers cause no work,
        or measured now if there is none.
        """
        known = self._cloud.orgs.measured(record.id)
        before = known or Measured(record.created, self.stored(org, record))
        now = self._cloud.clock()
        dollars = storage_dollars(before.stored, before.stored, before.time, now)
        return before.stored, sum(dollars.values())

    def stored(self, org: str, record: PipelineRecord) -> Stored:
        """Return the sizes of a pipeline now."""
        cloud, id_ = self._cloud, record.id
        try:
            files = cloud.data.total(pipeline_directory(id_), _FILE_SECONDS)
        except TimeoutError:
            known = cloud.orgs.measured(id_)
            files = 0 if known is None else known.stored.files
        return Stored(
            objects=cloud.store.object_bytes(id_) + cloud.logs.object_bytes(id_),
            files=files,
            records=self._attempts(org, record) * RECORD_BYTES,
        )

    def _attempts(self, org: str, record: PipelineRecord) -> int:
        return sum(each.attempts for each in self.spent(org, record))

    def spent(self, org: str, record: PipelineRecord) -> list[PipelineSpent]:
        """Return the usage of a pipeline in each month since it was launched."""
        cloud, since = self._cloud, month_of(record.created)
        months = [month for month in months_before(cloud.clock()) if month >= since]
        found = (cloud.orgs.spent_by(org, month, record.id) for month in months)
        return [each for each in found if each is not None]
