"""The operations on tests and quarantines, the same for every target."""

import asyncio
import logging
import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from conducto.wire.shards import VARIABLE, packed
from conducto_core.api.serve import serves
from conducto_core.coverage.handlers import CoverageReports
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.programs.relaunch import PipelinesOfProgram
from conducto_core.programs.rules.programs import tested_program
from conducto_core.results.model import OutputParams
from conducto_core.results.records import compressed, decompressed, records_in
from conducto_core.run.model import params as p
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.requests import PipelineSummary
from conducto_core.test_results import operations, rules
from conducto_core.test_results.model import (
    PipelineTestParams,
    PipelineTests,
    ProgramTestParams,
    ProgramTests,
    Quarantine,
    QuarantineParams,
    QuarantineRequest,
    TestAggregate,
    TestedPipeline,
    TestResult,
)

logger = logging.getLogger(__name__)

#: Maximum attempts of a pipeline whose tests are read, and seconds after which no more pipelines
#: are read for one response; the next one continues.
MAX_ATTEMPTS_READ = 300
MAX_SECONDS = 10.0
MAX_QUARANTINES = 1_000
MAX_DAYS = 365
_DAY = 86_400
_AT_ONCE = 8


class QuarantineStore(Protocol):
    """The quarantines of one organisation, or of one machine."""

    def all(self) -> Sequence[Quarantine]:
        """Return the quarantines, also those that have ended."""

    def put(self, quarantine: Quarantine) -> None:
        """Store a quarantine, replacing one of the same name."""

    def delete(self, name: str) -> bool:
        """Delete a quarantine; return whether there was one."""


class Tests(CoverageReports):
    """The tests of pipelines and programs, and the history of their coverage."""

    __test__ = False

    @abstractmethod
    def read_test_history(self, name: str) -> bytes | None:
        """Return the stored history of a program's tests."""

    @abstractmethod
    def write_test_history(self, name: str, data: bytes) -> None:
        """Store the history of a program's tests."""

    @abstractmethod
    def quarantine_store(self) -> QuarantineStore:
        """Return the store of the quarantines."""

    @abstractmethod
    def caller_name(self) -> str:
        """Return the user that sent the request."""

    @serves(operations.PIPELINE_TESTS)
    async def list_pipeline_tests(self, params: PipelineTestParams) -> PipelineTests:
        """Return the tests of a pipeline, compared with the earlier pipelines of the program."""
        record = (await self.get_pipeline(p.PipelineParams(id=params.id))).pipeline
        program = tested_program(record)
        attempts = await self._tested_attempts(record.id, params.path)
        history = TestAggregate()
        if attempts:
            history, _ = await self._test_history(program)
        found = await asyncio.to_thread(self._quarantines, program)
        newest = {each.attempt.path: each for each in attempts}
        return await asyncio.to_thread(
            rules.pipeline_tests,
            record.id,
            list(newest.values()),
            rules.letters_of(attempts),
            rules.before(history, record),
            rules.tests_of(found),
            only=params.only,
            limit=params.limit,
        )

    @serves(operations.PROGRAM_TESTS)
    async def list_program_tests(self, params: ProgramTestParams) -> ProgramTests:
        """Return the history of a program's tests."""
        program = await self._program(params.id)
        history, complete = await self._test_history(program)
        chosen = await asyncio.to_thread(rules.selected, history, params.only)
        quarantines = await asyncio.to_thread(self._quarantines, program)
        return ProgramTests(
            pipelines=history.pipelines,
            tests=tuple(chosen[: params.limit]),
            more=max(0, len(chosen) - params.limit),
            files=history.files,
            quarantines=quarantines,
            complete=complete,
            suggested=rules.suggested(history, rules.tests_of(quarantines)),
        )

    @serves(operations.QUARANTINE)
    async def quarantine_test(
        self, params: p.PipelineParams, request: QuarantineRequest
    ) -> Quarantine:
        """Store the quarantine of a test.

        Raises:
            RefusedError: It would end in the past or after a year, the test never ran, or there are
                too many.
        """
        now, program = self.time_now(), await self._program(params.id)
        if not now < request.until <= now + MAX_DAYS * _DAY:
            raise RefusedError(
                f"the quarantine of {request.test} must end between now and in {MAX_DAYS} days; "
                "give a later or an earlier date"
            )
        rules.check_test(request.test, (await self._test_history(program))[0])
        quarantine = Quarantine(
            name=rules.quarantine_name(program, request.test),
            program=program,
            test=request.test,
            until=request.until,
            reason=request.reason,
            by=self.caller_name(),
            created=now,
            automatic=request.automatic,
        )
        await asyncio.to_thread(self._put_quarantine, quarantine, now)
        return quarantine

    async def times_of_tests(self, record: PipelineRecord) -> dict[str, str]:
        """Return the variable with which `co.shard` in a Lazy knows the times of tests."""
        try:
            history, _ = await self._test_history(tested_program(record))
        except Exception:  # the Lazy also runs without them
            logger.exception("the times of tests cannot be read")
            return {}
        return {VARIABLE: packed(history.files)} if history.files else {}

    def _put_quarantine(self, quarantine: Quarantine, now: float) -> None:
        store = self.quarantine_store()
        others = [each for each in store.all() if each.name != quarantine.name]
        for each in others:
            if each.until < now - rules.MAX_DAYS * _DAY:
                store.delete(each.name)
        if len(others) >= MAX_QUARANTINES:
            raise RefusedError(f"there are {MAX_QUARANTINES} quarantines already; end some first")
        store.put(quarantine)

    @serves(operations.END_QUARANTINE)
    async def end_quarantine(self, params: QuarantineParams) -> Quarantine:
        program = rules.program_id(await self._program(params.id))
        return await asyncio.to_thread(self._delete_quarantine, program, params.name)

    def _delete_quarantine(self, program: str, name: str) -> Quarantine:
        store = self.quarantine_store()
        mine = (each for each in store.all() if rules.program_id(each.program) == program)
        known = next((each for each in mine if each.name == name), None)
        if known is not None and known.by == rules.AUTOMATIC:
            # It stays, so that the rule of its program does not make it again.
            store.put(known.model_copy(update={"until": self.time_now()}))
        elif known is None or not store.delete(name):
            raise NotFoundError(
                f"there is no quarantine {name!r}; list them with 'conducto tests TITLE'"
            )
        return known

    def _quarantine_flaky(self, program: p.ProgramParams, history: TestAggregate) -> None:
        """Store the quarantines that the rule of a program makes."""
        now, known = self.time_now(), self.quarantine_store().all()
        for each in rules.new_quarantines(known, program, history, now):
            try:
                self._put_quarantine(each, now)
            except RefusedError:
                logger.warning("there are too many quarantines for %s", each.test)
                return

    def _quarantines(self, program: p.ProgramParams) -> tuple[Quarantine, ...]:
        return rules.in_force(self.quarantine_store().all(), program, self.time_now())

    async def _program(self, pipeline: str) -> p.ProgramParams:
        return tested_program((await self.get_pipeline(p.PipelineParams(id=pipeline))).pipeline)

    # ---- reading --------------------------------------------------------------------------------

    async def _tested_attempts(self, id_: str, path: str | None = None) -> list[rules.AttemptTests]:
        """Return the attempts of a pipeline that have tests; those of a node in order."""
        with_tests = await asyncio.to_thread(
            lambda: [
                each
                for each in self.stored_attempts(id_)
                if each.outputs is not None
                and each.outputs.tests is not None
                and path in {None, each.path}
            ]
        )
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(attempt: AttemptRecord) -> rules.AttemptTests:
            query = OutputParams(id=id_, path=attempt.path, attempt=attempt.number)
            async with gate:
                try:
                    _, data = await self.attempt_output(query, "tests")
                except NotFoundError:  # it has been deleted
                    data = b""
                return rules.AttemptTests(
                    attempt, *await asyncio.to_thread(records_in, data, TestResult)
                )

        return list(await asyncio.gather(*map(read, with_tests[-MAX_ATTEMPTS_READ:])))

    async def _test_history(self, program: p.ProgramParams) -> tuple[TestAggregate, bool]:
        """Return the history of a program's tests, with the pipelines that it does not have yet."""
        name = rules.program_id(program)
        stored = await asyncio.to_thread(self.read_test_history, name)
        history = await asyncio.to_thread(
            decompressed, stored, TestAggregate, 4 * rules.MAX_AGGREGATE
        )
        known = {each.id: each for each in history.pipelines}
        until = time.monotonic() + MAX_SECONDS
        pipelines = PipelinesOfProgram(
            self, program, lambda: time.monotonic() < until, rules.is_in_history
        )
        new = [
            each
            async for each in pipelines.newest(rules.MAX_PIPELINES)
            if each.settled and each.started is not None and each.agent is None
        ]
        changed = False
        for summary in reversed(new):
            id_, seen = summary.pipeline.id, str(summary.seq)
            if id_ in known and known[id_].seen == seen:
                continue
            if time.monotonic() >= until:
                return history, False
            history = await self._with_pipeline(history, known.get(id_), summary)
            changed = True
        if changed:
            await asyncio.to_thread(self.write_test_history, name, compressed(history))
            await asyncio.to_thread(self._quarantine_flaky, program, history)
        return history, not pipelines.has_more

    async def _with_pipeline(
        self, history: TestAggregate, known: TestedPipeline | None, summary: PipelineSummary
    ) -> TestAggregate:
        record = summary.pipeline
        attempts = await self._tested_attempts(record.id)
        prints = [each.attempt.fingerprint for each in attempts]
        inputs = rules.inputs_of(record, prints)
        lines, covered = await self.coverage_counts(record.id)
        column = TestedPipeline(
            id=record.id,
            time=record.created,
            branch=None if record.git is None else record.git.branch,
            inputs=inputs,
            seen=str(summary.seq),
            lines=lines,
            covered=covered,
        )
        has_tests = any(each.tests for each in attempts)
        if known is not None and not has_tests and not lines:  # its files are deleted
            kept = known.model_copy(update={"seen": column.seen})
            pipelines = tuple(kept if each.id == kept.id else each for each in history.pipelines)
            return history.model_copy(update={"pipelines": pipelines})
        return await asyncio.to_thread(
            rules.with_pipeline, history, column, attempts, self.time_now()
        )
