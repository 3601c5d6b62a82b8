"""Retention: inactive pipelines are archived, and later deleted with their data.

The rule is the same as in local mode (docs/decisions/0007): a pipeline without activity for
``retention`` days is archived, and deleted after as many days in the archive. AWS clocks do not
jump, so a pipeline's age is a difference of two times.
"""

import logging

from chalicelib.domain.events import ActionRequested, Input
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.services.deletion import PipelineDeletion
from chalicelib.services.processor import CommandProcessor
from conducto_core.model.records import Lifecycle, PipelineRecord
from conducto_core.model.requests import Action

logger = logging.getLogger(__name__)

_DAY = 86_400.0


class Retention:
    """Archives and deletes pipelines; the next run continues an interrupted deletion of its own."""

    def __init__(self, engine: CommandProcessor) -> None:
        self._engine = engine
        self._cloud = engine.cloud
        self._deletion = PipelineDeletion(engine)

    def run(self) -> int:
        """Check every inactive pipeline; return how many were archived or deleted."""
        number = 0
        for org, pipeline_id in self._cloud.store.resting_pipelines():
            try:
                number += self._look_at(org, pipeline_id)
            except Exception:
                # One failure must not affect other pipelines.
                logger.exception("a pipeline was kept", extra={"pipeline": pipeline_id})
        return number

    def _look_at(self, org: str, pipeline_id: str) -> bool:
        record = self._cloud.store.record(org, pipeline_id)
        if record is None or not self._is_old(record):
            return False
        if self._cloud.shells.of_pipeline(pipeline_id):
            return False  # a debug shell is open
        if record.lifecycle is Lifecycle.ARCHIVED:
            self._deletion.delete(org, pipeline_id)
            return True
        return self._engine.submit(org, pipeline_id, self._archive)

    def _archive(self, live: CloudPipeline) -> Input | None:
        kept = live.open() or live.record.lifecycle is Lifecycle.ARCHIVED
        if kept or not self._is_old(live.record):
            return None
        return ActionRequested(time=self._cloud.clock(), action=Action.ARCHIVE)

    def _is_old(self, record: PipelineRecord) -> bool:
        idle = self._cloud.clock() - max(record.touched, record.created)
        return record.retention > 0 and idle >= record.retention * _DAY
