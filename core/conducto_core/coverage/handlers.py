"""The operation on coverage, the same for every target."""

import asyncio
import time
from collections.abc import AsyncIterator

from conducto_core.api.serve import serves
from conducto_core.coverage import operations, rules
from conducto_core.coverage.model import (
    BaseCoverage,
    CoverageParams,
    CoverageReport,
    FileCoverage,
)
from conducto_core.errors import NotFoundError
from conducto_core.results.model import OutputParams
from conducto_core.results.records import records_in
from conducto_core.run.model import params as p
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.port import PipelineReader

#: Maximum attempts whose coverage is read; pipelines among which the base is found, and of which
#: the coverage is read; and seconds for that.
MAX_ATTEMPTS_READ = 300
MAX_SEARCHED = 1_000
MAX_TRIED = 5
MAX_SECONDS = 8.0
_AT_ONCE = 8


class CoverageReports(PipelineReader):
    """The coverage of pipelines."""

    @serves(operations.GET_COVERAGE)
    async def get_coverage(self, params: CoverageParams) -> CoverageReport:
        """Return the coverage of a pipeline, and the difference from its base."""
        record = (await self.get_pipeline(p.PipelineParams(id=params.id))).pipeline
        files, problems, incomplete = await self._coverage_of(record.id)
        if not files and not problems:
            return CoverageReport(pipeline=record.id)
        coverage = await asyncio.to_thread(rules.merged, files)
        base, before = await self._coverage_of_base(record)
        found = await asyncio.to_thread(rules.listed, coverage, before)
        lines, covered = rules.counts(coverage)
        return CoverageReport(
            pipeline=record.id,
            lines=lines,
            covered=covered,
            base=base,
            files=tuple(found[: params.limit]),
            more=max(0, len(found) - params.limit),
            incomplete=incomplete,
            problems=problems,
        )

    async def coverage_counts(self, pipeline_id: str) -> tuple[int, int]:
        """Return the number of lines of a pipeline's coverage files, and of those that ran."""
        files, _, _ = await self._coverage_of(pipeline_id)
        return rules.counts(await asyncio.to_thread(rules.merged, files))

    async def _coverage_of_base(
        self, record: PipelineRecord
    ) -> tuple[BaseCoverage | None, rules.Coverage]:
        """Return the coverage of the best earlier pipeline that has some."""
        ranked = [
            (rank, -other.created, other)
            async for other in self._earlier(record)
            if (rank := rules.base_rank(other, record)) is not None
        ]
        for _, _, other in sorted(ranked, key=lambda each: each[:2])[:MAX_TRIED]:
            files, _, _ = await self._coverage_of(other.id)
            if files:
                coverage = await asyncio.to_thread(rules.merged, files)
                lines, covered = rules.counts(coverage)
                branch = None if other.git is None else other.git.branch
                base = BaseCoverage(pipeline=other.id, lines=lines, covered=covered, branch=branch)
                return base, coverage
        return None, {}

    async def _earlier(self, record: PipelineRecord) -> AsyncIterator[PipelineRecord]:
        until, number, after = time.monotonic() + MAX_SECONDS, 0, None
        while number < MAX_SEARCHED and time.monotonic() < until:
            page = await self.list_pipelines(p.ListParams(after=after))
            for summary in page.pipelines:
                number += 1
                if summary.agent is None and summary.pipeline.created < record.created:
                    yield summary.pipeline
            after = page.next
            if after is None:
                return

    async def _coverage_of(
        self, pipeline_id: str
    ) -> tuple[list[FileCoverage], tuple[str, ...], bool]:
        """Return the files of the newest attempts, problems, and whether some are left out."""
        stored = await asyncio.to_thread(lambda: list(self.stored_attempts(pipeline_id)))
        newest = {each.path: each for each in stored}.values()
        wanted = [each for each in newest if each.outputs is not None and each.outputs.coverage]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(attempt: AttemptRecord) -> tuple[list[FileCoverage], tuple[str, ...]]:
            query = OutputParams(id=pipeline_id, path=attempt.path, attempt=attempt.number)
            async with gate:
                try:
                    _, data = await self.attempt_output(query, "coverage")
                except NotFoundError:  # it has been deleted
                    data = b""
            return await asyncio.to_thread(records_in, data, FileCoverage)

        found = await asyncio.gather(*map(read, wanted[:MAX_ATTEMPTS_READ]))
        problems = tuple(each for _, some in found for each in some)
        incomplete = bool(problems) or len(wanted) > MAX_ATTEMPTS_READ
        return [each for files, _ in found for each in files], problems, incomplete
