"""Looking for a text or a pattern in a stream of output, line by line, with bounds.

A regular expression may take exponential time, which nothing in its process could end, so one is
looked for by a process of its own that can be killed: this file, run as a script. It therefore
needs the standard library only and reads its order from its standard input.
"""

import json
import os
import re
import resource
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

_CHUNK = 1 << 20
#: A line of more bytes is looked through in pieces.
_LONGEST = 1 << 20
#: Characters of a line that come with a match, those before it, and seconds of a process.
_SHOWN = 1000
_BEFORE = 200
CPU_SECONDS = 3


class SearchQuery(NamedTuple):
    """What to look for.

    Attributes:
        file: Path of the stream.
        text: The text or pattern.
        offset: Start of the line to look from.
        limit: Most matches.
        scan: Most bytes to look at.
        seconds: Of the processor, that a process which looks for a pattern may take.
        start: Position in the stream of the file's first byte: it may hold a piece only.
        size: Bytes of the stream; None: as many as the file has.
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
        line: Lines that end between the order's offset and it.
        offset: Position of its first byte.
        text: The line, or the part around the match.
        start: Where in ``text`` the match begins, and
        end: where it ends.
    """

    line: int
    offset: int
    text: str
    start: int
    end: int


class SearchResult(NamedTuple):
    """What was found.

    Attributes:
        next: Where to look further, None at the end.
        size: Bytes the stream has.
    """

    hits: tuple[SearchHit, ...]
    next: int | None
    size: int


def piece_to_search(offset: int, scan: int, size: int) -> int:
    """Return how many bytes from ``offset`` on a search may look at, in a stream of ``size``.

    A file with so many is enough: lines that begin in the first ``scan`` bytes are whole in it, or
    as long as a line may be.
    """
    return max(0, min(size - offset, scan + _LONGEST + 2 * _CHUNK))


def search(order: SearchQuery) -> SearchResult:
    """Return the lines that match.

    Raises:
        re.error: the pattern is none.
    """
    flags = re.IGNORECASE if order.ignore_case else 0
    pattern = re.compile(order.text if order.regex else re.escape(order.text), flags)
    literal = None if order.regex or order.ignore_case else order.text.encode()
    try:
        fd = os.open(order.file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return SearchResult((), None, 0)
    try:
        return _search(fd, order, pattern, literal)
    finally:
        os.close(fd)


def _search(
    fd: int, order: SearchQuery, pattern: "re.Pattern[str]", literal: bytes | None
) -> SearchResult:
    end = order.start + os.fstat(fd).st_size
    size = end if order.size is None else order.size
    hits: list[SearchHit] = []
    number, position = 0, order.offset
    for line in _lines(fd, order.offset - order.start, end - order.start):
        if len(hits) == order.limit or position - order.offset >= order.scan:
            return SearchResult(tuple(hits), position, size)
        if literal is None or literal in line:
            hit = _hit(pattern, line, number, position)
            if hit is not None:
                hits.append(hit)
        number += line.endswith(b"\n")
        position += len(line)
    return SearchResult(tuple(hits), None, size)


def _lines(fd: int, start: int, end: int) -> Iterator[bytes]:
    """Yield the lines of a file, each with its end; very long ones in pieces."""
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
    """Carry out the order on the standard input; print what was found, or why nothing could be."""
    order = SearchQuery(**json.load(sys.stdin))
    resource.setrlimit(resource.RLIMIT_CPU, (order.seconds, order.seconds))
    answer: dict[str, Any]
    try:
        answer = search(order)._asdict()
    except (re.error, OverflowError, RecursionError) as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
