"""Daily cleanup of AWS resources of finished runs and inactive pipelines.

An account has a quota of 10,000 state machines. The names of state machines and task definitions
identify their run or pipeline, so that no record of them is needed: unknown, archived and settled
pipelines need none of them, other pipelines those of the latest run. Most are deleted when a run is
stopped or a pipeline archived; this job deletes nested machines, machines of generated trees, and
those that a dead process left.

A pipeline that continues meanwhile creates resources with new names: those of a new run, and a new
task definition for a worker (`chalicelib.adapters.ecs`).
"""

import logging
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

from chalicelib.ports.errors import ThrottledError
from chalicelib.services.processor import CommandProcessor
from conducto_core.model.records import Lifecycle

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

    def __init__(self, engine: CommandProcessor) -> None:
        self._engine = engine
        self._cloud = engine.cloud

    def run(self) -> int:
        """Delete orphaned resources and return their number."""
        end = self._cloud.clock() + LONGEST
        number = 0

        @cache
        def needs(pipeline_id: str) -> KeepSet:
            # Reading a large pipeline takes time, too.
            return self._needs(pipeline_id) if self._cloud.clock() < end else EVERYTHING

        for delete in self._needless(needs):
            if self._cloud.clock() >= end:
                logger.info("the cleanup continues in the next run")
                break
            number += self._patiently(delete)
        return number

    def _needless(self, needs: Callable[[str], KeepSet]) -> Iterator[Callable[[], bool]]:
        machines, fleet = self._cloud.machines, self._cloud.fleet
        for run, arn in machines.runs():
            pipeline_id, _, number = run.rpartition("-")
            if number.isdecimal() and int(number) < needs(pipeline_id).run:
                yield partial(self._forget_machine, arn)
        for pipeline_id, name in fleet.definitions():
            if not needs(pipeline_id).workers:
                yield partial(fleet.forget_definition, name)

    def _forget_machine(self, arn: str) -> bool:
        self._cloud.machines.forget(arn)
        return True

    def _patiently(self, delete: Callable[[], bool]) -> bool:
        try:
            return delete()
        except ThrottledError:
            self._cloud.sleep(PAUSE)  # the next cleanup finds it again
            return False
        except Exception:
            # One failure must not affect the others.
            logger.exception("an orphaned resource was not deleted")
            return False

    def _needs(self, pipeline_id: str) -> KeepSet:
        org = self._cloud.store.org_of(pipeline_id)
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
