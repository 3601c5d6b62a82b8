"""Lines and matches of an output that is in memory."""

import re

from conducto.model.answers import LogLines, LogMatch, LogMatches
from conducto.model.params import LogLinesParams, LogSearchParams
from conducto.service.port import RefusedError


def lines_of(data: bytes, query: LogLinesParams, *, complete: bool) -> LogLines:
    """Return the lines that are asked for."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    if not lines[-1]:
        lines.pop()
    first = max(0, len(lines) + query.first) if query.first < 0 else query.first
    taken = lines[first : first + query.count]
    is_there = first <= data.count(b"\n")
    return LogLines(
        first=first,
        lines=tuple(line.removesuffix(b"\n").decode(errors="replace") for line in taken),
        offset=sum(map(len, lines[:first])) if is_there else None,
        total=len(lines),
        size=len(data),
        complete=complete,
    )


def matches_in(data: bytes, query: LogSearchParams, *, complete: bool) -> LogMatches:
    """Return the lines that match.

    Raises:
        RefusedError: the pattern is none.
    """
    try:
        pattern = re.compile(
            query.text if query.regex else re.escape(query.text),
            re.IGNORECASE if query.ignore_case else 0,
        )
    except re.error as error:
        message = f"text={query.text!r} is no regular expression: {error}"
        raise RefusedError(message) from error
    found: list[LogMatch] = []
    offset, following = 0, None
    for number, line in enumerate(data.split(b"\n")):
        text = line.decode(errors="replace")
        match = pattern.search(text)
        if match is not None and offset >= query.offset:
            if len(found) == query.limit:
                following = offset
                break
            found.append(
                LogMatch(
                    line=number, offset=offset, text=text, start=match.start(), end=match.end()
                )
            )
        offset += len(line) + 1
    return LogMatches(matches=tuple(found), next=following, size=len(data), complete=complete)
