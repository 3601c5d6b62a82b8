"""A search for a text or a pattern in an output stream, line by line, with limits.

A regular expression may take exponential time and cannot be interrupted in its own process, so such
a search runs in a process of its own that can be killed: this file, run as a script. It therefore
needs the standard library only and reads its query from its standard input.
"""

import json
import os
import re
import resource
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

_CHUNK = 1 << 20
#: A longer line, in bytes, is searched in parts.
_LONGEST = 1 << 20
#: Characters of a line returned with a match, those before it, and CPU seconds of a process.
_SHOWN = 1000
_BEFORE = 200
CPU_SECONDS = 3


class SearchQuery(NamedTuple):
    """A search in a stream.

    Attributes:
        text: The text or pattern.
        offset: Start of the first line to search.
        seconds: Maximum CPU seconds of a process that searches for a pattern.
        start: Position in the stream of the file's first byte: the file may be only a part.
        size: Bytes of the stream; None: the size of the file.
    """

    file: str
    text: str
    regex: bool
    ignore_case: bool
    offset: int
    limit: int
    scan: int
    seconds: int = CPU_SECONDS
    start: int = 0
    size: int | None = None


class SearchHit(NamedTuple):
    """A line that matches.

    Attributes:
        line: Number of lines that end between the query's offset and it.
        offset: Position of its first byte.
        text: The line, or the part around the match.
        start: Start of the match in ``text``.
        end: End of the match in ``text``.
    """

    line: int
    offset: int
    text: str
    start: int
    end: int


class SearchResult(NamedTuple):
    """The result of a search.

    Attributes:
        next: Position to continue at, None at the end.
        size: Bytes of the stream.
    """

    hits: tuple[SearchHit, ...]
    next: int | None
    size: int


def chunk_to_search(offset: int, scan: int, size: int) -> int:
    """Return the number of bytes from ``offset`` that a search needs, in a stream of ``size``.

    A file with that many is enough: lines that start in the first ``scan`` bytes are complete in
    it, or as long as a line may be.
    """
    return max(0, min(size - offset, scan + _LONGEST + 2 * _CHUNK))


def search(query: SearchQuery) -> SearchResult:
    """Return the lines that match.

    Raises:
        re.error: the pattern is invalid.
    """
    flags = re.IGNORECASE if query.ignore_case else 0
    pattern = re.compile(query.text if query.regex else re.escape(query.text), flags)
    literal = None if query.regex or query.ignore_case else query.text.encode()
    try:
        fd = os.open(query.file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return SearchResult((), None, 0)
    try:
        return _search(fd, query, pattern, literal)
    finally:
        os.close(fd)


def _search(
    fd: int, query: SearchQuery, pattern: "re.Pattern[str]", literal: bytes | None
) -> SearchResult:
    end = query.start + os.fstat(fd).st_size
    size = end if query.size is None else query.size
    hits: list[SearchHit] = []
    number, position = 0, query.offset
    for line in _lines(fd, query.offset - query.start, end - query.start):
        if len(hits) == query.limit or position - query.offset >= query.scan:
            return SearchResult(tuple(hits), position, size)
        if literal is None or literal in line:
            hit = _hit(pattern, line, number, position)
            if hit is not None:
                hits.append(hit)
        number += line.endswith(b"\n")
        position += len(line)
    return SearchResult(tuple(hits), None, size)


def _lines(fd: int, start: int, end: int) -> Iterator[bytes]:
    """Yield the lines of a file, each with its end; very long ones in parts."""
    rest = b""
    while start < end and (chunk := os.pread(fd, min(_CHUNK, end - start), start)):
        start += len(chunk)
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            yield line + b"\n"
        if len(rest) >= _LONGEST:
            yield rest
            rest = b""
    if rest:
        yield rest


def _hit(pattern: "re.Pattern[str]", line: bytes, number: int, position: int) -> SearchHit | None:
    text = line.rstrip(b"\r\n").decode(errors="replace")
    match = pattern.search(text)
    if match is None:
        return None
    begin = max(0, match.start() - _BEFORE) if len(text) > _SHOWN else 0
    shown = text[begin : begin + _SHOWN]
    end = min(match.end() - begin, len(shown))
    return SearchHit(number, position, shown, match.start() - begin, end)


def main() -> None:
    """Execute the query on the standard input; print the result, or the error."""
    query = SearchQuery(**json.load(sys.stdin))
    resource.setrlimit(resource.RLIMIT_CPU, (query.seconds, query.seconds))
    response: dict[str, Any]
    try:
        response = search(query)._asdict()
    except (re.error, OverflowError, RecursionError) as error:
        response = {"error": str(error)}
    json.dump(response, sys.stdout)


if __name__ == "__main__":
    main()
