"""What attempts and builds printed, for readers of the API."""

import asyncio
import base64
import codecs
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from conducto.model.answers import ImageLog, LogLines, LogMatch, LogMatches
from conducto.model.api import LogChunk
from conducto.model.params import (
    MAX_LOG_SCAN,
    LogFileParams,
    LogLinesParams,
    LogParams,
    LogSearchParams,
)
from conducto.model.records import AttemptRecord, ImageState
from conducto.model.states import FINISHED
from conducto.service.downloads import Download, Span
from conducto.service.port import NotFoundError, RefusedError
from conducto_local import log_search
from conducto_local.file_downloads import download
from conducto_local.log_search import Found, Hit, Order
from conducto_local.logs import LogDirectory, LogReader, Piece
from conducto_local.runner import builds
from conducto_local.runner.live import LivePipeline

#: Seconds between two looks at an output that somebody follows.
LOOK_EVERY = 0.1
#: Seconds that a search for a pattern may take.
SEARCH_SECONDS = 10.0

Attempts = Callable[[], Awaitable[Sequence[AttemptRecord]]]


class _Output(NamedTuple):
    """One attempt's output.

    Attributes:
        complete: The attempt has ended; asked before the bytes: none can come after it.
    """

    number: int
    reader: LogReader
    complete: bool


class Outputs:
    """Reads the logs of pipelines.

    Args:
        logs: Returns the logs of a pipeline.
    """

    def __init__(self, logs: Callable[[str], LogDirectory]) -> None:
        self._logs = logs

    async def chunk(self, live: LivePipeline, query: LogParams, attempts: Attempts) -> LogChunk:
        """Return a piece, once there is one or ``query.wait`` seconds are over."""
        deadline = time.monotonic() + query.wait
        while True:
            output = self._output(live, query, await attempts())
            piece = Piece(0, b"", 0)
            if output is not None:
                piece = output.reader.read(query.stream, query.offset, query.limit)
            complete = output is not None and output.complete
            if piece.data or complete or not await _wait(live, deadline):
                data = base64.b64encode(piece.data).decode()
                return LogChunk(data=data, offset=piece.offset, size=piece.size, complete=complete)

    async def lines(
        self, live: LivePipeline, query: LogLinesParams, attempts: Sequence[AttemptRecord]
    ) -> LogLines:
        """Return some lines."""
        output = self._output(live, query, attempts)
        if output is None:
            return LogLines(first=0, lines=(), total=0)
        found = await asyncio.to_thread(
            output.reader.lines, query.stream, query.first, query.count, query.limit
        )
        return LogLines(
            first=found.first,
            lines=tuple(line.removesuffix(b"\n").decode(errors="replace") for line in found.lines),
            offset=found.offset,
            total=found.total,
            cut=found.cut,
            size=found.size,
            complete=output.complete,
        )

    async def search(
        self, live: LivePipeline, query: LogSearchParams, attempts: Sequence[AttemptRecord]
    ) -> LogMatches:
        """Return the lines that match.

        Raises:
            RefusedError: the pattern is none, or takes too long.
        """
        output = self._output(live, query, attempts)
        if output is None:
            return LogMatches(matches=())
        order = Order(
            str(output.reader.file(query.stream)),
            query.text,
            query.regex,
            query.ignore_case,
            query.offset,
            query.limit,
            MAX_LOG_SCAN,
        )
        found = await (_search_apart(order) if query.regex else _search_here(order))
        before = await asyncio.to_thread(output.reader.line_at, query.stream, query.offset)
        return LogMatches(
            matches=tuple(_match(hit, before) for hit in found.hits),
            next=found.next,
            size=found.size,
            complete=output.complete,
        )

    def file(
        self,
        live: LivePipeline,
        query: LogFileParams,
        attempts: Sequence[AttemptRecord],
        span: Span | None,
    ) -> Download:
        """Return a whole stream, as it is now.

        Raises:
            NotFoundError: there is no attempt, or it printed nothing on this stream.
        """
        output = self._output(live, query, attempts)
        name = query.path.rpartition("/")[2] or live.id
        try:
            if output is None:
                raise NotFoundError(f"{query.path}: never ran")
            file = output.reader.file(query.stream).open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"{query.path}: printed nothing on {query.stream}") from error
        return download(file, f"{name}-{output.number}.{query.stream}.txt", span)

    async def build(
        self, live: LivePipeline, image: str, *, offset: int, limit: int, wait: float
    ) -> ImageLog:
        """Return a piece of the log of an image's build.

        Raises:
            NotFoundError: the pipeline has no such image.
        """
        if image not in live.images:
            known = ", ".join(sorted(live.images)) or "none"
            raise NotFoundError(f"{live.id}: no image {image!r} (there are: {known})")
        deadline = time.monotonic() + wait
        reader = self._logs(live.id).reader(builds.log_name(image), builds.BUILD_ATTEMPT)
        while True:
            complete = live.images[image].record.state in (ImageState.DONE, ImageState.ERROR)
            piece = reader.read("stdout", offset, limit)
            if piece.data or complete or not await _wait(live, deadline):
                return _image_log(piece, complete=complete)

    def _output(
        self, live: LivePipeline, query: LogFileParams, attempts: Sequence[AttemptRecord]
    ) -> _Output | None:
        """Return the attempt's output; None where there was no attempt yet."""
        by_number = {attempt.number: attempt for attempt in attempts}
        number = query.attempt if query.attempt is not None else max(by_number, default=None)
        if number is None:
            return None
        if number not in by_number:
            known = ", ".join(map(str, by_number)) or "none"
            raise NotFoundError(f"{query.path}: no attempt {number} (there are: {known})")
        complete = by_number[number].state in FINISHED
        return _Output(number, self._logs(live.id).reader(query.path, number), complete)


async def _wait(live: LivePipeline, deadline: float) -> bool:
    """Wait for a change or a while; return False when the time is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        return False
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(live.news(live.version), min(LOOK_EVERY, left))
    return True


def _image_log(piece: Piece, *, complete: bool) -> ImageLog:
    """Return a piece of text; a character that is not whole is left for the next one."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    is_last = complete and piece.offset + len(piece.data) == piece.size
    text = decoder.decode(piece.data, final=is_last)
    left = len(decoder.getstate()[0])
    if not text:  # so small a piece must not be asked for again and again
        text, left = piece.data.decode(errors="replace"), 0
    return ImageLog(
        text=text,
        offset=piece.offset,
        next=piece.offset + len(piece.data) - left,
        size=piece.size,
        complete=complete,
    )


def _match(hit: Hit, before: int | None) -> LogMatch:
    return LogMatch(
        line=None if before is None else before + hit.line,
        offset=hit.offset,
        text=hit.text,
        start=hit.start,
        end=hit.end,
    )


async def _search_here(order: Order) -> Found:
    return await asyncio.to_thread(log_search.search, order)


async def _search_apart(order: Order) -> Found:
    """Look for a pattern in a process that can be ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        log_search.__file__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SEARCH_SECONDS):
            answer, _ = await process.communicate(json.dumps(order._asdict()).encode())
    except TimeoutError:
        answer = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not answer:
        raise RefusedError("the pattern takes too long; look for a simpler one")
    found = json.loads(answer)
    if "error" in found:
        raise RefusedError(f"text={order.text!r} is no regular expression: {found['error']}")
    hits = tuple(Hit(*hit) for hit in found["hits"])
    return Found(hits, found["next"], found["size"])
