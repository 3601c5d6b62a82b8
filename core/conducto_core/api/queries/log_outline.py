"""The outline of an output stream: when its lines were printed, and the groups that they form.

Groups are the markers of GitHub (``::group::``, ``##[group]``) and of Buildkite (``---``, ``+++``,
``~~~`` and ``^^^ +++``). The header of a unified diff looks like two of the latter and is none.
"""

import re
from collections.abc import Callable, Sequence
from typing import get_args

from conducto_core.model.responses import GroupKind, LogGroup, LogOutline
from conducto_core.runtime.line_times import MAX_TIMES, LineTime

#: Maximum bytes, groups and characters of a title in one response.
MAX_PART = 4 << 20
MAX_GROUPS = 2000
MAX_TITLE = 200
_BLOCK = 1 << 20

_COLOURS = rb"(?:\x1b\[[0-9;]*m)*"
# The pattern starts with a literal newline, so that other bytes are skipped quickly.
_MARKER = re.compile(
    rb"\n"
    + _COLOURS
    + rb"(?:(?P<closed>::group(?: [^:\n]*)?::|##\[group\]"
    + rb"|(?:--- |~~~ )(?![^\n]*\n\+\+\+ [^\n]*\n@@))"
    + rb"|(?P<end>::endgroup::|##\[endgroup\])"
    + rb"|(?P<open>\+\+\+ )"
    + rb"|(?P<expand>\^\^\^ \+\+\+))"
    + rb"(?P<title>[^\n]*)"
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r$")


def outline(
    read: Callable[[int, int], bytes],
    times: Callable[[int, int], Sequence[LineTime]],
    size: int,
    offset: int,
    *,
    complete: bool,
) -> LogOutline:
    """Return the outline of the part of a stream that starts at ``offset``.

    Args:
        read: Returns up to that many bytes from a position: ``(count, position)``.
        times: Returns the records of the times of a part: ``(first byte, byte after the last)``.
        size: Bytes of the stream.
        offset: Where the part starts.
        complete: The attempt has ended, so that the last line is whole.
    """
    start = min(offset, size)
    end = min(size, start + MAX_PART)
    records = times(start, end) if end > start else ()
    if len(records) == MAX_TIMES and records[-1][0] > start:
        end = records[-1][0]
    data = (read(1, start - 1) if start else b"\n") + _whole(read, start, end)
    if not (complete and end == size):
        data = data[: data.rfind(b"\n", 1) + 1] or data
    groups, stop = _groups(data)
    data = data[:stop]
    return LogOutline(
        lines=data.count(b"\n", 1),
        times=_line_times(data, records, start),
        groups=groups,
        next=start + len(data) - 1,
        size=size,
        complete=complete,
    )


def _whole(read: Callable[[int, int], bytes], start: int, end: int) -> bytes:
    """Return a part of a stream, read in blocks."""
    return b"".join(read(min(_BLOCK, end - at), at) for at in range(start, end, _BLOCK))


def _groups(data: bytes) -> tuple[tuple[LogGroup, ...], int]:
    """Return the markers in a part, which the byte before it precedes, and where they were cut."""
    found: list[LogGroup] = []
    line, counted = 0, 1
    for match in _MARKER.finditer(data):
        at = match.start() + 1
        if len(found) == MAX_GROUPS:
            return tuple(found), at
        if match["open"] is not None and _is_diff(data, match):
            continue
        line += data.count(b"\n", counted, at)
        counted = at
        title = _ESCAPES.sub("", match["title"].decode(errors="replace"))
        found.append(LogGroup(line=line, kind=_kind(match), title=title.strip()[:MAX_TITLE]))
    return tuple(found), len(data)


def _kind(match: re.Match[bytes]) -> GroupKind:
    return next(kind for kind in get_args(GroupKind) if match[kind] is not None)


def _is_diff(data: bytes, match: re.Match[bytes]) -> bool:
    """Return whether a line that starts with ``+++`` is the second of a diff's header."""
    previous = data.rfind(b"\n", 0, match.start()) + 1
    return data.startswith(b"--- ", previous) and data.startswith(b"\n@@", match.end())


def _line_times(
    data: bytes, records: Sequence[LineTime], start: int
) -> tuple[tuple[int, float], ...]:
    """Return ``(line, time)`` for records ``(byte, time)``; of several in a line the last one."""
    found: dict[int, float] = {}
    line, counted = 0, 1
    for byte, time in records:
        at = max(0, byte - start) + 1  # ``data`` starts with the byte before the part
        if at > len(data):
            break
        line += data.count(b"\n", counted, at)
        counted = at
        is_start = at == 1 or data[at - 1] == ord("\n")
        found[line if is_start else line + 1] = time
    return tuple(found.items())
