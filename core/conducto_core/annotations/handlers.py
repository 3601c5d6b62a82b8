"""The operation on annotations, the same for every target."""

import asyncio
import base64
from abc import abstractmethod
from collections.abc import Iterable

from conducto_core.annotations import operations, rules
from conducto_core.annotations.model import (
    Annotation,
    AnnotationList,
    AnnotationParams,
    AnnotationSource,
)
from conducto_core.annotations.rules import Found
from conducto_core.api.serve import serves
from conducto_core.errors import NotFoundError
from conducto_core.results.model import OutputParams
from conducto_core.results.records import records_in
from conducto_core.run.model import params as p
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import FAILED, Cause
from conducto_core.run.port import PipelineReader
from conducto_core.test_results.model import MAX_LISTED, PipelineTestParams, PipelineTests

#: Maximum attempts whose annotations are read, and failed ones whose output is searched.
MAX_ATTEMPTS_READ = 300
MAX_SEARCHED = 20
#: Bytes at the end of each stream of a failed command that are searched.
SEARCHED_BYTES = 512 << 10
_AT_ONCE = 8


class Annotations(PipelineReader):
    """The annotations of pipelines."""

    @abstractmethod
    async def list_pipeline_tests(self, params: PipelineTestParams) -> PipelineTests:
        """Return the tests of a pipeline, failures first."""

    @serves(operations.LIST_ANNOTATIONS)
    async def list_annotations(self, params: AnnotationParams) -> AnnotationList:
        """Return the annotations of the newest attempts of a pipeline."""
        id_ = (await self.get_pipeline(p.PipelineParams(id=params.id))).pipeline.id
        newest = await asyncio.to_thread(self._attempts_annotated, id_, params.path)
        found, complete = await self.annotations_of(id_, newest)
        if any(each.outputs is not None and each.outputs.tests for each in newest):
            query = PipelineTestParams(id=id_, path=params.path, only="failed", limit=MAX_LISTED)
            found += rules.of_tests((await self.list_pipeline_tests(query)).tests)
        listed = await asyncio.to_thread(rules.ordered, found)
        return AnnotationList(
            pipeline=id_,
            annotations=tuple(listed[: params.limit]),
            more=max(0, len(listed) - params.limit),
            complete=complete,
        )

    async def annotations_of(
        self, pipeline_id: str, attempts: Iterable[AttemptRecord]
    ) -> tuple[list[Found], bool]:
        given = list(attempts)
        noted = [each for each in given if each.outputs is not None and each.outputs.annotations]
        failed = [each for each in given if each.state in FAILED and each.cause is Cause.EXIT_CODE]
        gate = asyncio.Semaphore(_AT_ONCE)
        found = await asyncio.gather(
            *(
                self._annotations_noted(pipeline_id, each, gate)
                for each in noted[:MAX_ATTEMPTS_READ]
            ),
            *(self._annotations_printed(pipeline_id, each, gate) for each in failed[:MAX_SEARCHED]),
        )
        complete = len(failed) <= MAX_SEARCHED and len(noted) <= MAX_ATTEMPTS_READ
        return list(found), complete

    def _attempts_annotated(self, pipeline_id: str, path: str | None) -> list[AttemptRecord]:
        attempts = self.stored_attempts(pipeline_id)
        return [*{a.path: a for a in attempts if path in {None, a.path}}.values()]

    async def _annotations_noted(
        self, pipeline_id: str, attempt: AttemptRecord, gate: asyncio.Semaphore
    ) -> Found:
        query = OutputParams(id=pipeline_id, path=attempt.path, attempt=attempt.number)
        async with gate:
            try:
                _, data = await self.attempt_output(query, "annotations")
            except NotFoundError:  # it has been deleted
                data = b""
        found, _ = await asyncio.to_thread(records_in, data, Annotation)
        return Found(attempt.path, attempt.number, AnnotationSource.COMMAND, found)

    async def _annotations_printed(
        self, pipeline_id: str, attempt: AttemptRecord, gate: asyncio.Semaphore
    ) -> Found:
        found = []
        for stream in ("stdout", "stderr"):
            query = p.LogParams(
                id=pipeline_id,
                path=attempt.path,
                attempt=attempt.number,
                stream="stdout" if stream == "stdout" else "stderr",
                offset=-SEARCHED_BYTES,
                limit=SEARCHED_BYTES,
            )
            async with gate:
                try:
                    data = base64.b64decode((await self.read_log(query)).data)
                except NotFoundError:  # it has been deleted
                    continue
            text = data.decode(errors="replace")
            found += await asyncio.to_thread(list, rules.problems_in(text))
        return Found(attempt.path, attempt.number, AnnotationSource.OUTPUT, found)
