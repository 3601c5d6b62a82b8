"""Responses to queries for lines of output."""

import asyncio
import codecs
import json
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from tempfile import NamedTemporaryFile
from typing import NamedTuple

from conducto_core.errors import RefusedError
from conducto_core.logs import search as log_search
from conducto_core.logs.levels import has_level, level_of
from conducto_core.logs.lines import Lines, groups_of
from conducto_core.logs.model import (
    MAX_MERGED_TEXT,
    Level,
    MergedLine,
    MergedNode,
    MergedPage,
    MergedPageParams,
)
from conducto_core.logs.rules import (
    MAX_COMMANDS,
    MAX_SCANNED_BYTES,
    MAX_SCANNED_LINES,
    MAX_SEARCHED,
    Cursor,
    CursorError,
    OutputCommand,
    OutputReader,
    ReadLine,
    Scan,
    commands_of,
    streams_of,
)
from conducto_core.logs.search import SearchHit, SearchQuery, SearchResult
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.responses import ImageLog, ImageStep, LogLines, LogMatch, LogMatches
from conducto_core.tree.model import NodeSpec

#: Maximum seconds of a search for a pattern.
SEARCH_SECONDS = 10.0
#: Number of lists of commands that are kept, and for how many times their cost.
_LISTS = 8
_TIMES_FRESH = 10


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


class CommandLists:
    """The commands of recent requests: to list those of a large pipeline takes seconds.

    A list is used again while nothing has changed, and for a time in proportion to its cost.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, CommandList] = {}

    def get(
        self,
        pipeline: Hashable,
        params: MergedPageParams,
        seq: int,
        listed: Callable[[], Iterable[AttemptRecord]],
        specs: Mapping[str, NodeSpec],
    ) -> "CommandList":
        """Return the commands of a page, and when they were listed.

        Args:
            pipeline: Identifies the pipeline in this process.
            params: The page.
            seq: Number of the last change of the pipeline.
            listed: Returns the attempts of the pipeline.
            specs: Nodes of the pipeline.
        """
        key = (pipeline, params.root, params.nodes, params.hidden, params.failed)
        began = time.time()
        known = self._kept.pop(key, None)
        if known is None or (known.seq != seq and began > known.fresh_until):
            commands = commands_of(listed(), params, specs)
            fresh = time.time() + _TIMES_FRESH * (time.time() - began)
            known = CommandList(seq, began, commands, fresh)
        self._kept[key] = known
        while len(self._kept) > _LISTS:
            self._kept.pop(next(iter(self._kept)), None)
        return known


class CommandList(NamedTuple):
    """The commands of a pipeline as of a time."""

    seq: int
    at: float
    commands: Sequence[OutputCommand]
    fresh_until: float


async def merged_page(
    params: MergedPageParams, listed: CommandList, reader: OutputReader
) -> MergedPage:
    """Return the output of several commands by time, from a cursor.

    Args:
        params: The cursor and the filter.
        listed: The commands.
        reader: Reads their output.

    Raises:
        RefusedError: the cursor or the pattern is invalid, or the pattern takes too long.
    """
    try:
        cursor = None if params.at is None else Cursor.parse(params.at)
    except CursorError as error:
        raise RefusedError(str(error)) from error
    filters = params.text is not None or params.level is not None
    maximum = MAX_SEARCHED if filters else MAX_COMMANDS
    scan = Scan(listed.commands, reader, cursor, listed.at, streams_of(params), maximum=maximum)
    await asyncio.to_thread(scan.read, MAX_SCANNED_LINES if filters else params.limit)
    hits = await asyncio.to_thread(_levelled, scan.read_lines, params.level)
    matches = {} if params.text is None else await _matching(params, scan.read_lines, hits)
    if params.text is not None:
        hits = [place for place in hits if place in matches]
    shown = hits[: params.limit]
    count = shown[-1] + 1 if len(hits) > params.limit else len(scan.read_lines)
    back, following = scan.back(count), scan.next(count)
    nodes, lines = _lines_of(scan.read_lines, shown, matches)
    if not filters:
        lines = _with_markers(lines)
    return MergedPage(
        nodes=nodes,
        lines=lines,
        back=None if back is None else back.packed(),
        next=None if following is None else following.packed(),
        commands=len(listed.commands),
        left=scan.left(count),
        unread=tuple(scan.unread()),
    )


def _levelled(read_lines: Sequence[ReadLine], wanted: Level | None) -> list[int]:
    """Return the places of the lines with a level."""
    return [
        place
        for place, read_line in enumerate(read_lines)
        if wanted is None or has_level(level_of(read_line.text, read_line.opened.stream), wanted)
    ]


async def _matching(
    params: MergedPageParams, read_lines: Sequence[ReadLine], places: Sequence[int]
) -> dict[int, SearchHit]:
    """Return the lines that match, by place; patterns are searched in a process of their own."""
    with NamedTemporaryFile(prefix="conducto-output-") as file:
        for place in places:
            file.write(read_lines[place].text.replace("\n", " ").encode(errors="replace") + b"\n")
        file.flush()
        query = SearchQuery(
            file.name,
            params.text or "",
            params.regex,
            params.ignore_case,
            0,
            MAX_SCANNED_LINES,
            2 * MAX_SCANNED_BYTES,
        )
        found = await search(query)
    return {places[hit.line]: hit for hit in found.hits}


def _lines_of(
    read_lines: Sequence[ReadLine], shown: Iterable[int], matches: dict[int, SearchHit]
) -> tuple[tuple[MergedNode, ...], tuple[MergedLine, ...]]:
    """Return the lines of a page in the order of time, and their commands."""
    places: dict[tuple[str, int], int] = {}
    lines: list[MergedLine] = []
    chosen = sorted(((read_lines[at], matches.get(at)) for at in shown), key=_order)
    for read_line, hit in chosen:
        command, stream = read_line.opened.command, read_line.opened.stream
        lines.append(
            MergedLine(
                node=places.setdefault((command.path, command.attempt), len(places)),
                stream=stream,
                time=read_line.time,
                offset=read_line.start,
                level=level_of(read_line.text, stream),
                text=read_line.text[:MAX_MERGED_TEXT] if hit is None else hit.text,
                service=read_line.service,
                match=None if hit is None else (hit.start, hit.end),
            )
        )
    nodes = tuple(MergedNode(path=path, attempt=attempt) for path, attempt in places)
    return nodes, tuple(lines)


def _with_markers(lines: tuple[MergedLine, ...]) -> tuple[MergedLine, ...]:
    """Return the lines of a page with the groups that start or end at them."""
    streams: dict[tuple[int, str, str | None], list[int]] = {}
    for place, line in enumerate(lines):
        streams.setdefault((line.node, line.stream, line.service), []).append(place)
    found = list(lines)
    for places in streams.values():
        for group in groups_of(lines[place].text for place in places):
            place = places[group.line]
            marker = (group.kind, group.title)
            found[place] = found[place].model_copy(update={"marker": marker})
    return tuple(found)


def _order(found: tuple[ReadLine, SearchHit | None]) -> tuple[float, tuple[str, int, str], int]:
    read_line = found[0]
    return read_line.time, read_line.opened.rank, read_line.start
