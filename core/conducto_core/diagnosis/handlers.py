"""The operation that diagnoses a pipeline, and what it needs of a target."""

import asyncio
import base64
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import NamedTuple

from pydantic import ValidationError

from conducto_core.annotations.model import NodeAnnotation
from conducto_core.annotations.rules import Found, ordered
from conducto_core.api.serve import serves
from conducto_core.diagnosis import operations
from conducto_core.diagnosis.model import (
    MAX_CAUSES,
    MAX_COMMITS,
    MAX_NOTES,
    MAX_PATHS,
    MAX_STRIP,
    MAX_TESTS,
    CommitSubject,
    Diagnosis,
    DiagnosisParams,
    EarlierPipeline,
    ErrorExcerpt,
)
from conducto_core.diagnosis.rules.diagnosis import (
    CauseHistory,
    Facts,
    Failure,
    diagnose,
    error_of,
    grouped,
)
from conducto_core.diagnosis.rules.first_error import GENERIC, IN_MESSAGE, ErrorFinder, clean
from conducto_core.diagnosis.rules.text import render
from conducto_core.errors import NotFoundError
from conducto_core.programs.comparison import earlier_pipelines
from conducto_core.programs.history import ChangedField
from conducto_core.programs.rules.fingerprints import CODE, code_of
from conducto_core.programs.rules.why import are_comparable, changed_field, recorded_changes
from conducto_core.run.model import params as p
from conducto_core.run.model.records import AttemptRecord, FirstError
from conducto_core.run.model.requests import (
    LogChunk,
    NodeView,
    PipelineSummary,
)
from conducto_core.run.model.states import FAILED, State
from conducto_core.run.port import PipelineReader
from conducto_core.test_results.model import PipelineTestParams, PipelineTests

#: Maximum number of failures that are read.
MAX_FAILURES = 10_000
_PAGE = 2000
#: Maximum number of nodes of the previous pipeline whose states are compared.
MAX_COMPARED = 20_000
#: Maximum number of causes of which earlier attempts are read.
MAX_HISTORIES = 8
#: Maximum bytes that are searched in the output of attempts without a record of their error, and
#: the number of these attempts.
MAX_SEARCHED = 8 << 20
MAX_SEARCHED_ATTEMPTS = 20
_SEARCHED_AT_ONCE = 1 << 20
#: Bytes of output before and after an error, and at the end of a stream, for an excerpt.
_BEFORE, _AFTER = 3000, 3000
_MAX_LINES = 40


class _Baseline(NamedTuple):
    """The earlier pipelines, the newest first."""

    summaries: Sequence[PipelineSummary]

    @property
    def good(self) -> PipelineSummary | None:
        return next((each for each in self.summaries if each.state is State.DONE), None)


class Diagnoses(PipelineReader):
    """The diagnosis of pipelines, the same for every target."""

    @abstractmethod
    def node_attempts(self, pipeline_id: str, path: str) -> Iterable[AttemptRecord]:
        """Return the stored attempts of a node by the full id of its pipeline, in order."""

    @abstractmethod
    async def list_pipeline_tests(self, params: PipelineTestParams) -> PipelineTests:
        """Return the tests of a pipeline, failures first."""

    @abstractmethod
    async def annotations_of(
        self, pipeline_id: str, attempts: Iterable[AttemptRecord]
    ) -> tuple[list[Found], bool]:
        """Return the annotations of attempts without those of tests, and whether these are all."""

    @serves(operations.GET_DIAGNOSIS)
    async def get_diagnosis(self, params: DiagnosisParams) -> Diagnosis:
        summary = await self.get_pipeline(p.PipelineParams(id=params.id))
        facts = await self._facts(summary, params.root)
        found = await asyncio.to_thread(diagnose, facts)
        if params.format == "json":
            return found
        text = await asyncio.to_thread(render, found, params.max_bytes, token_hex(4))
        return Diagnosis(
            pipeline=found.pipeline, state=found.state, settled=found.settled, text=text
        )

    async def _facts(self, summary: PipelineSummary, root: str) -> Facts:
        failures, complete = await self._failures(summary.pipeline.id, root)
        groups = await asyncio.to_thread(grouped, failures)
        if not groups:
            return Facts(summary)
        firsts = [group[0] for group in groups[:MAX_CAUSES]]
        excerpts = {each.node.path: await self._excerpt(summary, each) for each in firsts}
        earlier = [each async for each in earlier_pipelines(self, summary, MAX_STRIP)]
        baseline = _Baseline([each for each in earlier if each.settled and each.started])
        histories = {
            each.node.path: await self._history(each, baseline)
            for each in firsts[:MAX_HISTORIES]
            if baseline.summaries
        }
        return Facts(
            summary,
            groups,
            complete,
            {path: each for path, each in excerpts.items() if each is not None},
            [_earlier(each) for each in baseline.summaries],
            histories,
            images=_images(baseline.good, summary),
            parameters=_parameters(baseline.good, summary),
            fixed=await self._fixed(summary, baseline),
            commits=await self._commits(summary) if baseline.good is not None else (),
            shas={
                each.pipeline.id: each.pipeline.commit.sha
                for each in (summary, *baseline.summaries)
                if each.pipeline.commit is not None
            },
            blocked_paths=await self._blocked(summary),
            tests=await self._failed_tests(summary.pipeline.id, failures),
            annotations=await self._annotations(summary.pipeline.id, firsts),
        )

    async def _annotations(
        self, pipeline_id: str, failures: Sequence[Failure]
    ) -> tuple[NodeAnnotation, ...]:
        """Return the annotations of the first failure of each cause."""
        attempts = [each.attempt for each in failures if each.attempt is not None]
        found, _ = await self.annotations_of(pipeline_id, attempts)
        return tuple((await asyncio.to_thread(ordered, found))[:MAX_NOTES])

    async def _failed_tests(
        self, pipeline_id: str, failures: Sequence[Failure]
    ) -> PipelineTests | None:
        """Return the failed tests, without their output, if nodes failed that have some."""
        outputs = [each.attempt.outputs for each in failures if each.attempt is not None]
        if not any(each is not None and each.tests and each.tests.failed for each in outputs):
            return None
        query = PipelineTestParams(id=pipeline_id, only="failed", limit=MAX_TESTS)
        found = await self.list_pipeline_tests(query)
        tests = tuple(each.model_copy(update={"output": ""}) for each in found.tests)
        return found.model_copy(update={"tests": tests})

    async def _failures(self, pipeline_id: str, root: str) -> tuple[list[Failure], bool]:
        """Return the failures at or below a node, and whether they are all."""
        failures: list[Failure] = []
        missing: list[tuple[int, NodeView, AttemptRecord | None]] = []
        async for node in self._failed(pipeline_id, root):
            if len(failures) == MAX_FAILURES:
                return await self._searched(pipeline_id, failures, missing), False
            attempt = node.attempts[-1] if node.attempts else None
            error = error_of(node, attempt)
            if error is None:
                missing.append((len(failures), node, attempt))
                error = FirstError(signature="", text="")
            failures.append(Failure(node, attempt, error))
        return await self._searched(pipeline_id, failures, missing), True

    async def _failed(self, pipeline_id: str, root: str) -> AsyncIterator[NodeView]:
        query = p.TreeParams(id=pipeline_id, root=root, failed=True, attempts="newest", limit=_PAGE)
        while True:
            page = await self.get_tree(query)
            for node in page.nodes:
                yield node
            if page.next is None:
                return
            query = query.model_copy(update={"after": page.next})

    async def _searched(
        self,
        pipeline_id: str,
        failures: list[Failure],
        missing: Sequence[tuple[int, NodeView, AttemptRecord | None]],
    ) -> list[Failure]:
        """Search the errors that no record has; return the failures with them."""
        left = MAX_SEARCHED
        for place, node, attempt in missing[:MAX_SEARCHED_ATTEMPTS]:
            if attempt is None or left <= 0:
                break
            finder = ErrorFinder()
            for stream in ("stderr", "stdout"):
                offset = 0
                while left > 0:
                    query = p.LogParams(
                        id=pipeline_id,
                        path=node.path,
                        attempt=attempt.number,
                        stream="stderr" if stream == "stderr" else "stdout",
                        offset=offset,
                        limit=min(_SEARCHED_AT_ONCE, left),
                    )
                    data = b""
                    with suppress(NotFoundError):
                        data = _bytes_of(await self.read_log(query))
                    if not data:
                        break
                    await asyncio.to_thread(finder.feed, query.stream, data)
                    offset += len(data)
                    left -= len(data)
            error = finder.result() or FirstError(signature="", text="")
            failures[place] = Failure(node, attempt, error, searched=True)
        return failures

    async def _excerpt(self, summary: PipelineSummary, failure: Failure) -> ErrorExcerpt | None:
        """Return the lines around an error: of the output, or of the message that has it."""
        attempt, error = failure.attempt, failure.error
        if failure.cause in IN_MESSAGE and attempt is not None and attempt.message:
            lines = clean(attempt.message).split("\n")[:_MAX_LINES]
            at = next((n for n, line in enumerate(lines) if error.text in line), None)
            return ErrorExcerpt(lines=tuple(lines), error=at)
        known = attempt.first_error if attempt is not None else None
        error = known if failure.cause in GENERIC and known is not None else error
        if attempt is None or error.stream is None:
            return None
        start = -_BEFORE if error.offset is None else max(0, error.offset - _BEFORE)
        query = p.LogParams(
            id=summary.pipeline.id,
            path=failure.node.path,
            attempt=attempt.number,
            stream=error.stream,
            offset=start,
            limit=_BEFORE + _AFTER,
        )
        try:
            data = _bytes_of(await self.read_log(query))
        except NotFoundError:  # it has been deleted
            return None
        return _excerpt_in(data, error, start)

    async def _history(self, failure: Failure, baseline: _Baseline) -> CauseHistory:
        """Return the attempts of a node in earlier pipelines, compared with the newest."""
        path, newest = failure.node.path, failure.attempt
        found = [
            await asyncio.to_thread(self._attempts_started, each.pipeline.id, path)
            for each in baseline.summaries
        ]
        letters = [_letter(attempts) for attempts in found]
        passed = next((n for n, letter in enumerate(letters) if letter in "pr"), None)
        history = CauseHistory(
            outcomes="".join(reversed(letters)),
            commands=tuple(
                attempts[-1].command if attempts else None for attempts in reversed(found)
            ),
        )
        if passed is None or newest is None:
            return history
        before = found[passed][-1]
        first = next((each[-1] for each in reversed(found[:passed]) if each), newest)
        return CauseHistory(
            history.outcomes,
            history.commands,
            changed=await self._changed(before, newest),
            at_start=await self._changed(before, first),
            passed_in=baseline.summaries[passed].pipeline.id,
            before=before.command,
            comparable=are_comparable(before, newest),
        )

    def _attempts_started(self, pipeline_id: str, path: str) -> list[AttemptRecord]:
        attempts = self.node_attempts(pipeline_id, path)
        return [each for each in attempts if each.path == path and each.started is not None]

    async def _changed(self, before: AttemptRecord, now: AttemptRecord) -> tuple[ChangedField, ...]:
        found = []
        for each in recorded_changes(before, now):
            names: Sequence[str] = each.names
            if each.field == CODE and before.fingerprint and now.fingerprint:
                codes = code_of(before.fingerprint) or "", code_of(now.fingerprint) or ""
                names = await self.changed_files(*codes)
            found.append(changed_field(each.field, names))
        return tuple(found)

    async def _fixed(self, summary: PipelineSummary, baseline: _Baseline) -> int | None:
        """Return the number of nodes that failed in the previous pipeline and are done now."""
        previous = next(iter(baseline.summaries), None)
        if previous is None or previous.counts.total > MAX_COMPARED:
            return None
        if not previous.counts.error and not previous.counts.killed:
            return 0
        query = p.TreeParams(
            id=previous.pipeline.id, failed=True, attempts="none", limit=p.MAX_TREE_PAGE
        )
        failed = [node.path for node in (await self.get_tree(query)).nodes]
        done = 0
        for path in failed[:_PAGE]:
            attempts = await asyncio.to_thread(self._attempts_started, summary.pipeline.id, path)
            done += bool(attempts) and attempts[-1].state is State.DONE
        return done

    async def _commits(self, summary: PipelineSummary) -> tuple[CommitSubject, ...]:
        """Return the commits that were stored at the launch; a large tree is not read."""
        if summary.pipeline.commit is None or summary.counts.total > MAX_COMPARED:
            return ()
        launch = await self.stored_launch(summary.pipeline.id)
        written = launch.tree.get("commits")
        listed = written.get("commits", ()) if isinstance(written, Mapping) else ()
        found = []
        for each in listed[:MAX_COMMITS] if isinstance(listed, Sequence) else ():
            with suppress(ValidationError):
                found.append(CommitSubject.model_validate(each))
        return tuple(found)

    async def _blocked(self, summary: PipelineSummary) -> tuple[str, ...]:
        if not summary.counts.pending:
            return ()
        query = p.TreeParams(
            id=summary.pipeline.id, state=State.PENDING, attempts="none", limit=_MAX_LINES
        )
        nodes = (await self.get_tree(query)).nodes
        return tuple(node.path for node in nodes if not node.skipped)[:MAX_PATHS]


def _bytes_of(chunk: LogChunk) -> bytes:
    return base64.b64decode(chunk.data)


def _excerpt_in(data: bytes, error: FirstError, start: int) -> ErrorExcerpt:
    """Return the lines of a part of a stream that starts at the byte ``start``."""
    if error.offset is None:
        lines = clean(data.decode(errors="replace")).rstrip("\n").split("\n")[-_MAX_LINES:]
        return ErrorExcerpt(stream=error.stream, lines=tuple(lines))
    place = error.offset - start
    before = data[:place].decode(errors="replace").split("\n")[:-1]
    if start > 0:
        before = before[1:]  # it may begin within a line
    before = before[-_MAX_LINES // 2 :]
    after = data[place:].decode(errors="replace").rstrip("\n").split("\n")
    lines = [clean(line) for line in (*before, *after[: _MAX_LINES // 2])]
    first = None if error.line is None else error.line - len(before)
    return ErrorExcerpt(stream=error.stream, first=first, lines=tuple(lines), error=len(before))


def _letter(attempts: Sequence[AttemptRecord]) -> str:
    if not attempts or attempts[-1].state not in {*FAILED, State.DONE}:
        return "-"
    if attempts[-1].state in FAILED:
        return "f"
    return "r" if any(each.state in FAILED for each in attempts[:-1]) else "p"


def _earlier(summary: PipelineSummary) -> EarlierPipeline:
    return EarlierPipeline(id=summary.pipeline.id, state=summary.state, started=summary.started)


def _images(
    good: PipelineSummary | None, now: PipelineSummary
) -> Mapping[str, tuple[str | None, str | None]]:
    if good is None:
        return {}
    before = {each.name: each.reference for each in good.images}
    after = {each.name: each.reference for each in now.images}
    # Images that are built have tags of digests: the fields "base image" and "code" name these.
    return {
        name: (before[name], after[name])
        for name in after
        if name in before and before[name] != after[name] and not _is_built(after[name])
    }


def _is_built(reference: str | None) -> bool:
    return reference is None or reference.startswith("conducto_") or "/images:" in reference


def _parameters(
    good: PipelineSummary | None, now: PipelineSummary
) -> Mapping[str, tuple[str | None, str | None]]:
    if good is None:
        return {}
    before, after = good.pipeline.arguments, now.pipeline.arguments
    names = dict.fromkeys((*before, *after))
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }
