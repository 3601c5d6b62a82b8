"""Operations on the output of commands and builds."""

import asyncio
import base64
import contextlib
import time
from typing import NamedTuple

from conducto_core.api.downloads import ByteRange, Download
from conducto_core.api.serve import serves
from conducto_core.command.model import Resources, ResourcesParams
from conducto_core.command.output import LineTime
from conducto_core.command.usage import MAX_BYTES, resources_in
from conducto_core.errors import NotFoundError, no_image, no_node
from conducto_core.logs import operations as logs_operations
from conducto_core.logs.handlers import (
    CommandLists,
    image_log,
    lines_response,
    matches_response,
    merged_page,
    search,
)
from conducto_core.logs.lines import outline
from conducto_core.logs.model import MergedPage, MergedPageParams, MergedStream
from conducto_core.logs.rules import OutputCommand
from conducto_core.logs.search import SearchQuery
from conducto_core.results.model import OutputParams, OutputStream
from conducto_core.results.outputs import MAX_STREAM
from conducto_core.results.rules import form_result
from conducto_core.run import operations as run_operations
from conducto_core.run.handlers import attempts_of, chosen_attempt
from conducto_core.run.model.params import (
    MAX_LOG_SCAN,
    OTHER,
    ImageLogParams,
    LogFileParams,
    LogLinesParams,
    LogOutlineParams,
    LogParams,
    LogSearchParams,
)
from conducto_core.run.model.records import AttemptRecord, ImageState
from conducto_core.run.model.requests import LogChunk
from conducto_core.run.model.responses import ImageLog, LogLines, LogMatches, LogOutline
from conducto_core.run.model.states import FINISHED
from conducto_local.data.downloads import download
from conducto_local.images import waiters as image_build
from conducto_local.images.progress import steps_in
from conducto_local.logs.store import LogDirectory, LogReader, StoredChunk
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.reading import LocalQueries

#: Seconds between two checks of an output that a client follows.
LOOK_EVERY = 0.1

#: Number of bytes read for the steps of a build.
MAX_STEP_BYTES = 1 << 20


class _Output(NamedTuple):
    """The output of one attempt.

    Attributes:
        attempt: Read before the bytes: none can follow the bytes of one that had ended.
    """

    attempt: AttemptRecord
    reader: LogReader

    @property
    def complete(self) -> bool:
        return self.attempt.state in FINISHED


class _Reader:
    """A `conducto_core.logs.rules.OutputReader` of the files of a pipeline."""

    map = staticmethod(map)

    def __init__(self, logs: LogDirectory) -> None:
        self._logs = logs

    def size(self, command: OutputCommand, stream: MergedStream) -> int:
        return self._logs.own_reader(command.path, command.attempt).size(stream)

    def read(self, command: OutputCommand, stream: MergedStream, offset: int, count: int) -> bytes:
        reader = self._logs.own_reader(command.path, command.attempt)
        return reader.read(stream, offset, count).data

    def times(
        self, command: OutputCommand, stream: MergedStream, start: int, end: int
    ) -> tuple[LineTime, ...]:
        reader = self._logs.own_reader(command.path, command.attempt)
        return reader.times(stream, start, end)


_LISTS = CommandLists()


class LocalLogs(LocalQueries):
    """Operations that read output."""

    @serves(logs_operations.LOG)
    async def read_log(self, query: LogParams) -> LogChunk:
        """Return a chunk as soon as there is one, or after ``query.wait`` seconds."""
        live = self.live(query.id)
        deadline = time.monotonic() + query.wait
        while True:
            output = await self._output(query)
            chunk = StoredChunk(0, b"", 0)
            if output is not None:
                chunk = output.reader.read(query.stream, query.offset, query.limit)
            complete = output is not None and output.complete
            if chunk.data or complete or not await _wait(live, deadline):
                reader = None if output is None or not query.times else output.reader
                end = chunk.offset + len(chunk.data)
                return LogChunk(
                    data=base64.b64encode(chunk.data).decode(),
                    offset=chunk.offset,
                    size=chunk.size,
                    complete=complete,
                    times=() if reader is None else reader.times(query.stream, chunk.offset, end),
                    other_size=None if reader is None else reader.size(OTHER[query.stream]),
                )

    @serves(logs_operations.LOG_LINES)
    async def read_log_lines(self, query: LogLinesParams) -> LogLines:
        output = await self._output(query)
        if output is None:
            return LogLines(first=0, lines=(), total=0)
        found = await asyncio.to_thread(
            output.reader.lines, query.stream, query.first, query.count, query.limit
        )
        return lines_response(found, complete=output.complete)

    @serves(logs_operations.LOG_SEARCH)
    async def search_log(self, query: LogSearchParams) -> LogMatches:
        """Return the lines that match.

        Raises:
            RefusedError: The pattern is invalid or takes too long.
        """
        output = await self._output(query)
        if output is None:
            return LogMatches(matches=())
        order = SearchQuery(
            str(output.reader.file(query.stream)),
            query.text,
            query.regex,
            query.ignore_case,
            query.offset,
            query.limit,
            MAX_LOG_SCAN,
        )
        found = await search(order)
        before = await asyncio.to_thread(output.reader.line_at, query.stream, query.offset)
        return matches_response(found, before, complete=output.complete)

    @serves(logs_operations.LOG_OUTLINE)
    async def outline_log(self, query: LogOutlineParams) -> LogOutline:
        """Return the times and groups of the lines of a part of an output stream."""
        output = await self._output(query)
        if output is None:
            return LogOutline(lines=0)
        reader, stream = output.reader, query.stream
        return await asyncio.to_thread(
            outline,
            lambda count, at: reader.read(stream, at, count).data,
            lambda start, end: reader.times(stream, start, end),
            reader.size(stream),
            query.offset,
            complete=output.complete,
        )

    @serves(logs_operations.MERGED)
    async def read_output(self, query: MergedPageParams) -> MergedPage:
        """Return the output of all commands below a node by time, in pages.

        Raises:
            NotFoundError: The node does not exist.
            RefusedError: The cursor or the pattern is invalid, or the pattern takes too long.
        """
        live = await self._current(query.id)
        if query.root not in live.tree.nodes:
            raise no_node(live.id, query.root)
        listed = await asyncio.to_thread(
            _LISTS.get,
            (self._store, live.id),
            query,
            live.seq,
            lambda: self.stored_attempts(live.id),
            live.pipeline.nodes,
        )
        return await merged_page(query, listed, _Reader(self._scheduler.logs(live.id)))

    @serves(logs_operations.LOG_FILE)
    async def download_log(self, query: LogFileParams, span: ByteRange | None = None) -> Download:
        """Return a whole stream as it is now.

        Raises:
            NotFoundError: There is no attempt, or it printed nothing on this stream.
        """
        output = await self._output(query)
        name = query.path.rpartition("/")[2] or self.live(query.id).id
        try:
            if output is None:
                raise NotFoundError(f"{query.path}: never ran", query.path)
            file = output.reader.file(query.stream).open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(
                f"{query.path}: printed nothing on {query.stream}", query.path
            ) from error
        return download(file, f"{name}-{output.attempt.number}.{query.stream}.txt", span)

    @serves(run_operations.RESOURCES)
    async def get_resources(self, query: ResourcesParams) -> Resources:
        output = await self._output(query)
        if output is None:
            return Resources()
        kept = await asyncio.to_thread(output.reader.read, "resources", 0, MAX_BYTES)
        return resources_in(kept.data, output.attempt.cpu, output.attempt.mem)

    async def attempt_output(
        self, params: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        output = await self._output(params)
        if output is None:
            return None, b""
        decision = output.attempt.decision
        if decision is not None and stream == "result":
            return output.attempt.number, form_result(decision.values)
        found = await asyncio.to_thread(output.reader.read, stream, 0, MAX_STREAM)
        return output.attempt.number, found.data

    @serves(run_operations.IMAGE_LOG)
    async def read_image_log(self, query: ImageLogParams) -> ImageLog:
        """Return a chunk of the log of an image build.

        Raises:
            NotFoundError: The pipeline has no such image.
        """
        live, image = self.live(query.id), query.image
        if image not in live.images:
            raise no_image(live.id, image, live.images)
        deadline = time.monotonic() + query.wait
        logs = self._scheduler.logs(live.id)
        reader = logs.reader(image_build.log_name(image), image_build.BUILD_ATTEMPT)
        while True:
            complete = live.images[image].record.state in (ImageState.DONE, ImageState.ERROR)
            chunk = reader.read("stdout", query.offset, query.limit)
            if chunk.data or complete or not await _wait(live, deadline):
                steps = steps_in(reader.read("stderr", -MAX_STEP_BYTES, MAX_STEP_BYTES).data)
                return image_log(
                    chunk.data, chunk.offset, chunk.size, complete=complete, steps=steps
                )

    async def _output(
        self, query: LogFileParams | ResourcesParams | OutputParams
    ) -> _Output | None:
        live = await self._current(query.id)
        attempts = attempts_of(self._read_model, live, query.path)
        attempt = chosen_attempt(query.path, attempts, query.attempt)
        if attempt is None:
            return None
        reader = self._scheduler.logs(live.id).reader(query.path, attempt.number)
        return _Output(attempt, reader)


async def _wait(live: LivePipeline, deadline: float) -> bool:
    """Wait for a change or a short time; return False after the deadline."""
    left = deadline - time.monotonic()
    if left <= 0:
        return False
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(live.news(live.version), min(LOOK_EVERY, left))
    return True
