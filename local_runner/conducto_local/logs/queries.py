"""Output of attempts and builds, for readers of the API."""

import asyncio
import base64
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from conducto_core.api.downloads import ByteRange, Download
from conducto_core.command.model import Resources, ResourcesParams
from conducto_core.command.output import LineTime
from conducto_core.command.usage import MAX_BYTES, resources_in
from conducto_core.errors import NotFoundError, no_image
from conducto_core.logs.handlers import image_log, lines_response, matches_response, search
from conducto_core.logs.lines import outline, with_tail
from conducto_core.logs.search import SearchQuery
from conducto_core.results.model import OutputParams, OutputStream
from conducto_core.results.outputs import MAX_STREAM
from conducto_core.run.handlers import chosen_attempt
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
from conducto_core.run.model.requests import LogChunk, NodeView
from conducto_core.run.model.responses import ImageLog, LogLines, LogMatches, LogOutline
from conducto_core.run.model.states import FINISHED
from conducto_local.data.downloads import download
from conducto_local.engine.port import Stream
from conducto_local.images import waiters as image_build
from conducto_local.images.progress import steps_in
from conducto_local.logs.store import LogDirectory, LogReader, StoredChunk
from conducto_local.run.live_pipeline import LivePipeline

#: Seconds between two checks of an output that a client follows.
LOOK_EVERY = 0.1

#: Number of bytes read for the steps of a build.
MAX_STEP_BYTES = 1 << 20

Attempts = Callable[[], Awaitable[Sequence[AttemptRecord]]]


class _Output(NamedTuple):
    """The output of one attempt.

    Attributes:
        complete: The attempt has ended. Read it before the bytes, so that none can follow them.
    """

    number: int
    reader: LogReader
    complete: bool


class LogQueries:
    """Reads the logs of pipelines."""

    def __init__(self, logs: Callable[[str], LogDirectory]) -> None:
        self._logs = logs

    async def chunk(self, live: LivePipeline, query: LogParams, attempts: Attempts) -> LogChunk:
        """Return a chunk as soon as there is one, or after ``query.wait`` seconds."""
        deadline = time.monotonic() + query.wait
        while True:
            output = self._output(live, query, await attempts())
            chunk = StoredChunk(0, b"", 0)
            if output is not None:
                chunk = output.reader.read(query.stream, query.offset, query.limit)
            complete = output is not None and output.complete
            if chunk.data or complete or not await _wait(live, deadline):
                return LogChunk(
                    data=base64.b64encode(chunk.data).decode(),
                    offset=chunk.offset,
                    size=chunk.size,
                    complete=complete,
                    times=() if output is None or not query.times else _times(output, query, chunk),
                    other_size=output.reader.size(OTHER[query.stream])
                    if output is not None and query.times
                    else None,
                )

    async def with_tails(
        self, live: LivePipeline, nodes: Sequence[NodeView]
    ) -> tuple[NodeView, ...]:
        logs = self._logs(live.id)

        def end(path: str, number: int, stream: Stream, count: int) -> bytes:
            return logs.reader(path, number).read(stream, -count, count).data

        return await asyncio.to_thread(lambda: tuple(with_tail(node, end) for node in nodes))

    async def lines(
        self, live: LivePipeline, query: LogLinesParams, attempts: Sequence[AttemptRecord]
    ) -> LogLines:
        output = self._output(live, query, attempts)
        if output is None:
            return LogLines(first=0, lines=(), total=0)
        found = await asyncio.to_thread(
            output.reader.lines, query.stream, query.first, query.count, query.limit
        )
        return lines_response(found, complete=output.complete)

    async def search(
        self, live: LivePipeline, query: LogSearchParams, attempts: Sequence[AttemptRecord]
    ) -> LogMatches:
        """Return the lines that match.

        Raises:
            RefusedError: The pattern is invalid or takes too long.
        """
        output = self._output(live, query, attempts)
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

    async def outline(
        self, live: LivePipeline, query: LogOutlineParams, attempts: Sequence[AttemptRecord]
    ) -> LogOutline:
        """Return the times and groups of the lines of a part of an output stream."""
        output = self._output(live, query, attempts)
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

    def file(
        self,
        live: LivePipeline,
        query: LogFileParams,
        attempts: Sequence[AttemptRecord],
        span: ByteRange | None,
    ) -> Download:
        """Return a whole stream as it is now.

        Raises:
            NotFoundError: There is no attempt, or it printed nothing on this stream.
        """
        output = self._output(live, query, attempts)
        name = query.path.rpartition("/")[2] or live.id
        try:
            if output is None:
                raise NotFoundError(f"{query.path}: never ran", query.path)
            file = output.reader.file(query.stream).open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(
                f"{query.path}: printed nothing on {query.stream}", query.path
            ) from error
        return download(file, f"{name}-{output.number}.{query.stream}.txt", span)

    async def resources(
        self, live: LivePipeline, query: ResourcesParams, attempts: Sequence[AttemptRecord]
    ) -> Resources:
        attempt = chosen_attempt(query.path, attempts, query.attempt)
        if attempt is None:
            return Resources()
        reader = self._logs(live.id).reader(query.path, attempt.number)
        kept = await asyncio.to_thread(reader.read, "resources", 0, MAX_BYTES)
        return resources_in(kept.data, attempt.cpu, attempt.mem)

    async def stored_stream(
        self,
        live: LivePipeline,
        query: OutputParams,
        attempts: Sequence[AttemptRecord],
        stream: OutputStream,
    ) -> tuple[int | None, bytes]:
        attempt = chosen_attempt(query.path, attempts, query.attempt)
        if attempt is None:
            return None, b""
        reader = self._logs(live.id).reader(query.path, attempt.number)
        found = await asyncio.to_thread(reader.read, stream, 0, MAX_STREAM)
        return attempt.number, found.data

    async def build(self, live: LivePipeline, query: ImageLogParams) -> ImageLog:
        """Return a chunk of the log of an image build.

        Raises:
            NotFoundError: The pipeline has no such image.
        """
        image = query.image
        if image not in live.images:
            raise no_image(live.id, image, live.images)
        deadline = time.monotonic() + query.wait
        reader = self._logs(live.id).reader(image_build.log_name(image), image_build.BUILD_ATTEMPT)
        while True:
            complete = live.images[image].record.state in (ImageState.DONE, ImageState.ERROR)
            chunk = reader.read("stdout", query.offset, query.limit)
            if chunk.data or complete or not await _wait(live, deadline):
                steps = steps_in(reader.read("stderr", -MAX_STEP_BYTES, MAX_STEP_BYTES).data)
                return image_log(
                    chunk.data, chunk.offset, chunk.size, complete=complete, steps=steps
                )

    def _output(
        self, live: LivePipeline, query: LogFileParams, attempts: Sequence[AttemptRecord]
    ) -> _Output | None:
        attempt = chosen_attempt(query.path, attempts, query.attempt)
        if attempt is None:
            return None
        reader = self._logs(live.id).reader(query.path, attempt.number)
        return _Output(attempt.number, reader, attempt.state in FINISHED)


def _times(output: _Output, query: LogParams, chunk: StoredChunk) -> tuple[LineTime, ...]:
    return output.reader.times(query.stream, chunk.offset, chunk.offset + len(chunk.data))


async def _wait(live: LivePipeline, deadline: float) -> bool:
    """Wait for a change or a short time; return False after the deadline."""
    left = deadline - time.monotonic()
    if left <= 0:
        return False
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(live.news(live.version), min(LOOK_EVERY, left))
    return True
