"""Responses to queries for lines of output."""

import asyncio
import codecs
import json
import sys

from conducto_core.errors import RefusedError
from conducto_core.logs import search as log_search
from conducto_core.logs.lines import Lines
from conducto_core.logs.search import SearchHit, SearchQuery, SearchResult
from conducto_core.run.model.responses import ImageLog, ImageStep, LogLines, LogMatch, LogMatches

#: Maximum seconds of a search for a pattern.
SEARCH_SECONDS = 10.0


def image_log(
    data: bytes, offset: int, size: int, *, complete: bool, steps: tuple[ImageStep, ...]
) -> ImageLog:
    """Return a chunk of a build's log; an incomplete character is left for the next chunk.

    Args:
        data: The bytes of the chunk.
        offset: Its position in the log.
        size: Bytes of the log so far.
        complete: The build has ended.
        steps: The steps of the build.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=complete and offset + len(data) == size)
    left = len(decoder.getstate()[0])
    if not text:  # the client would request the same chunk forever
        text, left = data.decode(errors="replace"), 0
    end = offset + len(data) - left
    return ImageLog(text=text, offset=offset, next=end, size=size, complete=complete, steps=steps)


def lines_response(found: Lines, *, complete: bool) -> LogLines:
    return LogLines(
        first=found.first,
        lines=tuple(line.removesuffix(b"\n").decode(errors="replace") for line in found.lines),
        offset=found.offset,
        total=found.total,
        cut=found.cut,
        size=found.size,
        complete=complete,
    )


def matches_response(found: SearchResult, before: int | None, *, complete: bool) -> LogMatches:
    """Return matches; ``before`` is the number of lines that end before the start of the search."""
    return LogMatches(
        matches=tuple(_match(hit, before) for hit in found.hits),
        next=found.next,
        size=found.size,
        complete=complete,
    )


def _match(hit: SearchHit, before: int | None) -> LogMatch:
    return LogMatch(
        line=None if before is None else before + hit.line,
        offset=hit.offset,
        text=hit.text,
        start=hit.start,
        end=hit.end,
    )


async def search(query: SearchQuery) -> SearchResult:
    """Execute a search; a search for a pattern runs in a process of its own.

    Raises:
        RefusedError: the pattern is invalid, or takes too long.
    """
    if query.regex:
        return await _search_apart(query)
    return await asyncio.to_thread(log_search.search, query)


async def _search_apart(query: SearchQuery) -> SearchResult:
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
            response, _ = await process.communicate(json.dumps(query._asdict()).encode())
    except TimeoutError:
        response = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not response:
        raise RefusedError("the pattern takes too long; use a simpler one")
    found = json.loads(response)
    if "error" in found:
        raise RefusedError(f"text={query.text!r} is not a regular expression: {found['error']}")
    hits = tuple(SearchHit(*hit) for hit in found["hits"])
    return SearchResult(hits, found["next"], found["size"])
