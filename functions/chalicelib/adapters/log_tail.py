"""Finds the last lines of a stream of output from its last chunks."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

#: Bytes from which on the contents of an end are not wanted.
LARGE = 1 << 20


class End(NamedTuple):
    """The end of a stream or of a part of it.

    Attributes:
        size: Number of bytes before it.
        ended: Number of line ends before it; None: unknown, because chunks of an older version
            do not have it.
    """

    size: int
    ended: int | None

    def after(self, size: int, lines: int) -> "End":
        """Return the end after a chunk of this size with this number of line ends."""
        return End(self.size + size, None if self.ended is None else self.ended + lines)


#: The end of an empty stream.
EMPTY = End(0, 0)


class LastChunks(NamedTuple):
    """The end of a stream.

    Attributes:
        start: Where it starts.
        end: Where it ends.
        items: Its chunks, or none if they are large.
    """

    start: End
    end: End
    items: tuple[Mapping[str, Any], ...]


def start_of(offset: int, item: Mapping[str, Any]) -> End:
    """Return the end of the part before a chunk, which starts at ``offset``."""
    ended = item.get("ended")
    return End(offset, None if ended is None else int(ended))


def end_of(offset: int, item: Mapping[str, Any]) -> End:
    """Return the end of the part up to and including a chunk."""
    return start_of(offset, item).after(int(item["size"]), int(item.get("lines", 0)))


def last_chunks(
    backwards: Iterable[tuple[str, Mapping[str, Any]]], lines: int
) -> LastChunks | None:
    """Return an end of a stream that has more than ``lines`` line ends, or all of it.

    None: the numbers of line ends are not known, or the stream is empty, joined, or being joined.

    Args:
        backwards: The sort keys and items of all chunks, from the last one.
        lines: Number of line ends.
    """
    end = start = None
    items: list[Mapping[str, Any]] = []
    for sort, item in backwards:
        if "ended" not in item:
            return None
        offset = int(sort)
        if start is not None and offset + int(item["size"]) != start.size:
            return None
        end = end or end_of(offset, item)
        start = start_of(offset, item)
        items.append(item)
        total, ended = end.ended or 0, start.ended or 0
        is_large = end.size - offset > LARGE
        if is_large:
            items.clear()
        if total - ended > lines:
            return LastChunks(start, end, tuple(reversed(items)))
        if is_large and total <= lines:
            return LastChunks(EMPTY, end, ())
    if start is None or end is None or start.size > 0:
        return None
    return LastChunks(start, end, tuple(reversed(items)))
