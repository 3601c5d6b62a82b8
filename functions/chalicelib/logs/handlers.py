"""The output and log operations of `CloudPipelines`."""

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from tempfile import NamedTemporaryFile

from chalicelib.logs.port import LogKey, LogStore, Tail
from chalicelib.run.reading import LOOK_EVERY, CloudQueries
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto_core.api.downloads import ByteRange, Download
from conducto_core.api.serve import serves
from conducto_core.command.model import Resources, ResourcesParams
from conducto_core.command.output import LineTime
from conducto_core.command.usage import MAX_BYTES, resources_in
from conducto_core.errors import NotFoundError, no_node
from conducto_core.logs import operations as logs_operations
from conducto_core.logs.handlers import (
    CommandList,
    CommandLists,
    lines_response,
    matches_response,
    merged_page,
    search,
)
from conducto_core.logs.lines import ChunkIndex, End, LineIndex, Lines, last_lines, outline
from conducto_core.logs.model import MergedPage, MergedPageParams, MergedStream
from conducto_core.logs.rules import OutputCommand
from conducto_core.logs.search import SearchQuery, chunk_to_search
from conducto_core.results.model import OutputParams, OutputStream
from conducto_core.results.outputs import MAX_STREAM
from conducto_core.results.rules import form_result
from conducto_core.run import operations as run_operations
from conducto_core.run.handlers import chosen_attempt
from conducto_core.run.model.params import (
    MAX_LOG_CHUNK,
    MAX_LOG_LINES,
    MAX_LOG_SCAN,
    OTHER,
    LogFileParams,
    LogLinesParams,
    LogOutlineParams,
    LogParams,
    LogSearchParams,
)
from conducto_core.run.model.requests import LogChunk
from conducto_core.run.model.responses import LogLines, LogMatches, LogOutline
from conducto_core.run.model.states import FINISHED

#: Seconds for which workers send output every second after a client has read some.
FOLLOWED_SECONDS = 30.0
#: Bytes per read.
_BLOCK = 1 << 20
#: Number of streams whose line indexes a process caches; each takes up to 32 kB.
_INDEXES = 64
#: Number of streams that are read at the same time.
_READERS = 16


class LineIndexes:
    """A cache of the line indexes of recently read streams.

    A stream only grows, so an index never becomes invalid. A process without the index of a stream
    builds it again.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[LogStore, LogKey], LineIndex] = {}
        self._lock = threading.Lock()

    @contextmanager
    def using(self, logs: LogStore, key: LogKey) -> Iterator[LineIndex]:
        """Yield the index of a stream, exclusively."""
        with self._lock:
            index = self._kept.pop((logs, key), None) or ChunkIndex(partial(logs.line_ends, key))
            self._kept[logs, key] = index  # most recently used last
            if len(self._kept) > _INDEXES:
                del self._kept[next(iter(self._kept))]
            yield index


_LINE_INDEXES = LineIndexes()


class BlockStream:
    """A `log_lines.Stream` over a log store, with the size fixed when it is opened."""

    def __init__(self, logs: LogStore, key: LogKey, tail: Tail | None = None) -> None:
        self._logs = logs
        self._key = key
        self._size = logs.size(key) if tail is None else tail.size
        self._block = b"" if tail is None else tail.data
        self._start = 0 if tail is None else tail.start

    def pread(self, count: int, offset: int) -> bytes:
        """Return up to ``count`` bytes starting at ``offset``."""
        if not self._start <= offset < self._start + len(self._block):
            maximum = min(max(count, _BLOCK), self._size - offset)
            self._block = self._logs.read(self._key, offset, maximum) if maximum > 0 else b""
            self._start = offset
        first = offset - self._start
        return self._block[first : first + count]

    def size(self) -> int:
        return self._size


def lines_of(logs: LogStore, key: LogKey, first: int, count: int, limit: int) -> Lines:
    """Return lines of a stream; the arguments are those of `LineIndex.lines`."""
    tail = logs.tail(key, -first) if -MAX_LOG_LINES <= first < 0 else None
    if tail is not None:
        end = End(tail.start, tail.ended, tail.total)
        return last_lines(BlockStream(logs, key, tail), end, -first, count, limit)
    stream = BlockStream(logs, key)
    with _LINE_INDEXES.using(logs, key) as index:
        return index.lines(stream, first, count, limit)


class _Reader:
    """A `conducto_core.logs.rules.OutputReader` over a `LogStore`."""

    def __init__(self, logs: LogStore, pipeline_id: str, readers: ThreadPoolExecutor) -> None:
        self._logs = logs
        self._id = pipeline_id
        self.map = readers.map

    def _key(self, command: OutputCommand, stream: MergedStream) -> LogKey:
        return LogKey(self._id, command.path, command.attempt, stream)

    def size(self, command: OutputCommand, stream: MergedStream) -> int:
        return self._logs.size(self._key(command, stream))

    def read(self, command: OutputCommand, stream: MergedStream, offset: int, count: int) -> bytes:
        return self._logs.read(self._key(command, stream), offset, count)

    def times(
        self, command: OutputCommand, stream: MergedStream, start: int, end: int
    ) -> tuple[LineTime, ...]:
        return self._logs.times(self._key(command, stream), start, end)


_COMMAND_LISTS = CommandLists()


class CloudLogs(CloudQueries):
    """Queries on command output, over a `LogStore`."""

    @serves(logs_operations.LOG)
    async def read_log(self, query: LogParams) -> LogChunk:
        """Return a chunk of an output stream; wait up to ``query.wait`` seconds for output."""
        end = self._timing.clock() + query.wait
        while True:
            key, complete = await self._output(query)
            if key is None:
                chunk = LogChunk(data="", offset=0, size=0, complete=False)
            else:
                chunk = await asyncio.to_thread(self._chunk, key, query, complete)
            if key is not None and not complete:
                await self._note_reader(key)
            if chunk.data or chunk.complete or self._timing.clock() >= end:
                return chunk
            await asyncio.sleep(LOOK_EVERY)

    async def _output(self, query: LogFileParams) -> tuple[LogKey | None, bool]:
        """Return the key of the requested output (None: no attempt) and whether it is complete.

        Completeness is read before the bytes, so that no output can follow a complete chunk.
        """
        id_ = await asyncio.to_thread(self._owned, query.id)
        chosen = chosen_attempt(query.path, await self._attempts_at(id_, query.path), query.attempt)
        if chosen is None:
            return None, False
        key = LogKey(id_, query.path, chosen.number, query.stream)
        return key, chosen.state in FINISHED

    def _chunk(self, key: LogKey, query: LogParams, complete: bool) -> LogChunk:
        logs, offset = self._storage.logs, query.offset
        size = logs.size(key)
        first = max(0, size + offset) if offset < 0 else min(offset, size)
        data = logs.read(key, first, min(query.limit, MAX_LOG_CHUNK, size - first))
        timed = query.times and bool(data)
        return LogChunk(
            data=base64.b64encode(data).decode(),
            offset=first,
            size=size,
            complete=complete,
            times=logs.times(key, first, first + len(data)) if timed else (),
            other_size=logs.size(key._replace(stream=OTHER[query.stream])) if query.times else None,
        )

    @serves(logs_operations.LOG_LINES)
    async def read_log_lines(self, query: LogLinesParams) -> LogLines:
        key, complete = await self._output(query)
        if key is None:
            return LogLines(first=0, lines=(), total=0)
        if not complete:
            await self._note_reader(key)

        found = await asyncio.to_thread(
            lines_of, self._storage.logs, key, query.first, query.count, query.limit
        )
        return lines_response(found, complete=complete)

    @serves(logs_operations.LOG_SEARCH)
    async def search_log(self, query: LogSearchParams) -> LogMatches:
        """Return the matching lines of an output stream, within limits on time and size."""
        key, complete = await self._output(query)
        if key is None:
            return LogMatches(matches=())
        size = await asyncio.to_thread(self._storage.logs.size, key)
        with NamedTemporaryFile(prefix="conducto-log-") as file:
            count = chunk_to_search(query.offset, MAX_LOG_SCAN, size)
            async for chunk in self._chunks(key, query.offset, count):
                file.write(chunk)
            file.flush()
            order = SearchQuery(
                file.name,
                query.text,
                query.regex,
                query.ignore_case,
                query.offset,
                query.limit,
                MAX_LOG_SCAN,
                start=query.offset,
                size=size,
            )
            found = await search(order)
        before = await asyncio.to_thread(self._line_at, key, query.offset)
        return matches_response(found, before, complete=complete)

    @serves(logs_operations.LOG_OUTLINE)
    async def outline_log(self, query: LogOutlineParams) -> LogOutline:
        """Return the times and groups of the lines of a part of an output stream."""
        key, complete = await self._output(query)
        if key is None:
            return LogOutline(lines=0)
        logs = self._storage.logs
        return await asyncio.to_thread(
            lambda: outline(
                lambda count, at: logs.read(key, at, count),
                lambda start, end: logs.times(key, start, end),
                logs.size(key),
                query.offset,
                complete=complete,
            )
        )

    def _line_at(self, key: LogKey, offset: int) -> int | None:
        """Return the number of lines that end before a byte, or None if it is not known yet."""
        stream = BlockStream(self._storage.logs, key)
        with _LINE_INDEXES.using(self._storage.logs, key) as index:
            return index.ended(stream, min(offset, stream.size()))

    @serves(logs_operations.MERGED)
    async def read_output(self, query: MergedPageParams) -> MergedPage:
        """Return the output of all commands below a node by time, in pages."""
        id_ = await asyncio.to_thread(self._owned, query.id)

        def commands(live: CloudPipeline) -> CommandList:
            if query.root not in live.tree.nodes:
                raise no_node(live.id, query.root)
            key = (self._storage.logs, live.id)
            attempts = partial(self.stored_attempts, live.id)
            return _COMMAND_LISTS.get(key, query, live.seq, attempts, live.pipeline.nodes)

        listed = await self._read(id_, commands)
        with ThreadPoolExecutor(_READERS) as readers:
            page = await merged_page(query, listed, _Reader(self._storage.logs, id_, readers))
        if any(command.ended is None for command in listed.commands):
            await self._note_reader(LogKey(id_, query.root, 1, "stdout"))
        return page

    @serves(logs_operations.LOG_FILE)
    async def download_log(self, query: LogFileParams, span: ByteRange | None = None) -> Download:
        """Return a download of an output stream as it is now, or of a range of it."""
        key, _ = await self._output(query)
        if key is None:
            raise NotFoundError(f"{query.path}: never ran", query.path)
        size = await asyncio.to_thread(self._storage.logs.size, key)
        if not size:
            raise NotFoundError(f"{query.path}: printed nothing on {query.stream}", query.path)
        first, count = (0, size) if span is None else span.within(size)
        name = query.path.rpartition("/")[2] or key.pipeline_id
        return Download(
            name=f"{name}-{key.attempt}.{query.stream}.txt",
            size=size,
            offset=first,
            count=count,
            version=f"{key.pipeline_id}-{key.attempt}",  # a growing log keeps its version
            chunks=self._chunks(key, first, count),
        )

    @serves(run_operations.RESOURCES)
    async def get_resources(self, query: ResourcesParams) -> Resources:
        """Return the resource usage of an attempt."""
        id_ = await asyncio.to_thread(self._owned, query.id)
        chosen = chosen_attempt(query.path, await self._attempts_at(id_, query.path), query.attempt)
        if chosen is None:
            return Resources()
        key = LogKey(id_, query.path, chosen.number, "resources")
        lines = await asyncio.to_thread(self._storage.logs.read, key, 0, MAX_BYTES)
        return resources_in(lines, chosen.cpu, chosen.mem)

    async def attempt_output(
        self, query: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        """Return an output stream of an attempt, besides stdout and stderr."""
        id_ = await asyncio.to_thread(self._owned, query.id)
        chosen = chosen_attempt(query.path, await self._attempts_at(id_, query.path), query.attempt)
        if chosen is None:
            return None, b""
        if chosen.decision is not None and stream == "result":
            return chosen.number, form_result(chosen.decision.values)
        key = LogKey(id_, query.path, chosen.number, stream)
        return chosen.number, await asyncio.to_thread(self._storage.logs.read, key, 0, MAX_STREAM)

    async def _chunks(self, key: LogKey, first: int, count: int) -> AsyncIterator[bytes]:
        parts = self._storage.logs.stream(key, first, count)
        while (chunk := await asyncio.to_thread(next, parts, None)) is not None:
            yield chunk

    async def _note_reader(self, key: LogKey) -> None:
        until = self._timing.clock() + FOLLOWED_SECONDS
        await asyncio.to_thread(self._storage.logs.note_reader, key.pipeline_id, until)
