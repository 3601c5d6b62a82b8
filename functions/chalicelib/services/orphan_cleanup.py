"""What AWS keeps of runs that are over and of pipelines that nobody needs: deleted once a day.

An account has room for 10,000 state machines. Each is a run's own and says so by its name, as a
task definition says whose it is, so that what is found tells by itself whether it is needed: of a
pipeline that is unknown, archived or settled nothing is, of another one the newest run's. Most of
it went when the run was halted, or the pipeline archived; here are the nested machines, those of
generated trees, and what a process that died left behind. Nothing is written down for it.

A pipeline that goes on meanwhile makes what it needs under names that were not there when it was
looked at: a new run's, and for a worker a new task definition (`chalicelib.adapters.ecs`).
"""

import logging
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

from chalicelib.ports import ThrottledError
from chalicelib.services.processor import CommandProcessor
from conducto_core.model.records import Lifecycle

logger = logging.getLogger(__name__)

#: Seconds that a sweep may take; the function has 15 minutes, and retention needs some.
LONGEST = 600.0
#: Seconds until AWS, which deletes one a second, is asked again.
PAUSE = 1.0


class KeepSet(NamedTuple):
    """What a pipeline needs of what AWS has for it.

    Attributes:
        run: Number of the oldest run whose machines it needs.
        workers: Whether it may start workers by the task definitions that are there.
    """

    run: float
    workers: bool


NOTHING = KeepSet(float("inf"), workers=False)
EVERYTHING = KeepSet(0, workers=True)


class OrphanCleanup:
    """Deletes; it may be cut off anywhere, and the next one goes on."""

    def __init__(self, engine: CommandProcessor) -> None:
        self._engine = engine
        self._cloud = engine.cloud

    def run(self) -> int:
        """Delete what nobody needs; return how many there were."""
        end = self._cloud.clock() + LONGEST
        number = 0

        @cache
        def needs(pipeline_id: str) -> KeepSet:
            # A look at a large pipeline takes a while, too.
            return self._needs(pipeline_id) if self._cloud.clock() < end else EVERYTHING

        for delete in self._needless(needs):
            if self._cloud.clock() >= end:
                logger.info("the sweep goes on the next time")
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
            self._cloud.sleep(PAUSE)  # what was refused is found again by the next sweep
            return False
        except Exception:
            # One that cannot be deleted must not keep the others.
            logger.exception("something at AWS was kept")
            return False

    def _needs(self, pipeline_id: str) -> KeepSet:
        org = self._cloud.store.org_of(pipeline_id)
        if org is None:
            return NOTHING
        try:
            with self._engine.reading(org, pipeline_id) as live:
                standing = live.course.standing
                over = live.settled() or not standing.open
                archived = live.record.lifecycle is Lifecycle.ARCHIVED and not live.open()
                return KeepSet(standing.number + over, workers=not archived)
        except Exception:
            logger.exception("a pipeline was not swept", extra={"pipeline": pipeline_id})
            return EVERYTHING
