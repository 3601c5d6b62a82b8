"""The output of several commands in one sequence by time, read in pages. No I/O of its own.

A page is read from a cursor. The cursor has the position in each stream that is read in part, and a
time that decides about all other streams: those of commands that had ended before are unread on the
way back, and are read on the way on. So a cursor is small, whatever the number of commands, and
each line is in exactly one page, even one that arrives late.
"""

import struct
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heappop, heappush
from math import inf
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from conducto_core.logs.model import MergedPageParams, MergedStream, UnreadOutput
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import FAILED
from conducto_core.tree.model import NodeSpec, is_within

#: Maximum commands in a sequence and in one with a filter: the newest; and of running ones.
MAX_COMMANDS = 1000
MAX_SEARCHED = 20_000
MAX_RUNNING = 250
#: Maximum lines, bytes and commands that one request reads for a filter.
MAX_SCANNED_LINES = 20_000
MAX_SCANNED_BYTES = 8 << 20
MAX_OPENED = 1000
#: Commands that are opened at once, and bytes of a stream that are read at once.
_BATCH = 32
_BLOCK = 1 << 16
#: Maximum streams in a cursor. A command that ended this many seconds before a cursor was made can
#: be told from a later one by its end, although clocks differ.
_MAX_ENTRIES = 500
_RECENT = 20.0
_MAX_RECENT = 200
#: The position of a stream that has been read to its end, whatever its size.
_WHOLE = 2**63
_KINDS: Mapping[bytes, Literal["back", "next"]] = {b"b": "back", b"n": "next"}
_HEAD = struct.Struct("<cdI")
_ENTRY = struct.Struct("<5sQ")
STREAMS: tuple[MergedStream, ...] = ("stdout", "stderr", "services")

T = TypeVar("T")
R = TypeVar("R")


class OutputCommand(NamedTuple):
    """The newest attempt of a command that has started.

    Attributes:
        size: Bytes of its output, once it has ended.
        services: There are services beside it, which print too.
    """

    path: str
    attempt: int
    started: float
    ended: float | None
    size: int | None
    services: bool = False

    @property
    def until(self) -> float:
        """The time after which it prints nothing."""
        return inf if self.ended is None else self.ended


class OutputReader(Protocol):
    """Reads streams of output; `LookupError` and `OSError` are failures of one stream."""

    def size(self, command: OutputCommand, stream: MergedStream) -> int:
        """Return the current number of bytes."""

    def read(self, command: OutputCommand, stream: MergedStream, offset: int, count: int) -> bytes:
        """Return at most ``count`` bytes from ``offset``."""

    def times(
        self, command: OutputCommand, stream: MergedStream, start: int, end: int
    ) -> Sequence[tuple[int, float]]:
        """Return ``(position, time)`` of lines of a part, with the last one in front of it."""

    def map(self, function: Callable[[T], R], values: Sequence[T]) -> Iterable[R]:
        """Apply a function that reads, at the same time if that is faster."""


class ReadLine(NamedTuple):
    """A line of a stream, with its positions; of a very long line a part.

    Attributes:
        service: The service that printed it.
    """

    opened: "_Opened"
    start: int
    end: int
    time: float
    text: str
    service: str | None = None


class CursorError(ValueError):
    """A cursor is invalid."""


class Cursor(NamedTuple):
    """A place in the sequence.

    Attributes:
        kind: ``back``: the place up to which output is left; ``next``: from which it is new.
        moment: Decides about the streams that are not in ``at``; see the module.
        at: Positions in streams, by `_key`.
        dropped: Streams that are not in the sequence any more, because too many print at once.
    """

    kind: Literal["back", "next"]
    moment: float
    at: Mapping[bytes, int]
    dropped: int = 0

    def packed(self) -> str:
        """Return it as a text for URLs."""
        parts = [_HEAD.pack(self.kind[:1].encode(), self.moment, self.dropped)]
        parts += [_ENTRY.pack(*entry) for entry in sorted(self.at.items())]
        return urlsafe_b64encode(zlib.compress(b"".join(parts), 9)).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Return the cursor of a text.

        Raises:
            CursorError: it is none.
        """
        try:
            packed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            maximum = _HEAD.size + 4 * _MAX_ENTRIES * _ENTRY.size
            data = zlib.decompressobj().decompress(packed, maximum)
            kind, moment, dropped = _HEAD.unpack_from(data)
            at = dict(_ENTRY.iter_unpack(data[_HEAD.size :]))
            return cls(_KINDS[kind], moment, at, dropped)
        except (ValueError, zlib.error, struct.error, KeyError) as error:
            raise CursorError(
                f"at={text[:40]!r} is not a cursor; use `back` or `next` of a page, or omit it"
            ) from error


def streams_of(params: MergedPageParams) -> tuple[MergedStream, ...]:
    """Return the streams that a page is read from."""
    if params.stream is not None:
        return (params.stream,)
    return STREAMS if params.services else STREAMS[:2]


def commands_of(
    attempts: Iterable[AttemptRecord],
    params: MergedPageParams,
    specs: Mapping[str, NodeSpec] = MappingProxyType({}),
) -> list[OutputCommand]:
    """Return the commands at and below a node that have started, with their newest attempts.

    Args:
        attempts: Those of the pipeline.
        params: The page.
        specs: Nodes of the pipeline.
    """
    nodes, hidden = (
        {each for each in (text or "").split("\n") if each}
        for text in (params.nodes, params.hidden)
    )

    def is_shown(path: str) -> bool:
        above = (each for each in (*nodes, *hidden) if is_within(path, each))
        deepest = max(above, key=len, default=None)
        return not nodes if deepest is None else deepest in nodes

    newest: dict[str, AttemptRecord] = {}
    for attempt in attempts:
        path = attempt.path
        if is_within(path, params.root) and is_shown(path):
            known = newest.get(path)
            if known is None or known.number < attempt.number:
                newest[path] = attempt
    return [
        OutputCommand(
            path,
            each.number,
            each.started,
            each.ended,
            each.output_bytes,
            services=path in specs and bool(specs[path].placement.services),
        )
        for path, each in newest.items()
        if each.started is not None and (each.state in FAILED or not params.failed)
    ]


# ----------------------------------------------------------------------------------------
# One scan: the lines from a cursor, in the order in which they are read.


@dataclass(slots=True, eq=False)
class _Opened:
    """A stream that is being read.

    Attributes:
        rank: Its order among lines of the same time.
        begin: The position from which it is read.
        at: The position up to which it has been read.
        size: Its end; of a growing stream, that of the last complete line.
        growing: Its last line may be incomplete.
        bound: The time of the last line that was read; times of a stream never change direction.
    """

    command: OutputCommand
    stream: MergedStream
    rank: tuple[str, int, str]
    begin: int
    at: int
    size: int
    growing: bool
    bound: float | None = None
    buffer: list[ReadLine] = field(default_factory=list)
    failure: str | None = None

    @property
    def key(self) -> bytes:
        return _key(self.command, self.stream)


class Scan:
    """The lines that one request reads, the nearest to the cursor first."""

    def __init__(
        self,
        commands: Sequence[OutputCommand],
        reader: OutputReader,
        cursor: Cursor | None,
        now: float,
        streams: Sequence[MergedStream] = STREAMS,
        *,
        maximum: int = MAX_COMMANDS,
    ) -> None:
        """Choose the commands to read.

        Args:
            commands: From `commands_of`.
            reader: Reads their output.
            cursor: Where to read from; None is the end.
            now: When the commands were listed.
            streams: Streams to read.
            maximum: Maximum number of commands.
        """
        self._maximum = maximum
        self.read_lines: list[ReadLine] = []
        self._reader = reader
        self._cursor = cursor
        self._now = now
        self._streams = streams
        self._on = cursor is not None and cursor.kind == "next"
        self._all = commands
        self._opened: list[_Opened] = []
        self._heap: list[tuple[float, tuple[Any, ...], int, _Opened]] = []
        self._bytes = 0
        printing = [each for each in commands if each.size != 0 or each.services]
        self._chosen, self._busy = self._running_and_newest(printing)
        self._old = len(printing) - len(self._chosen) - self._busy
        # The last one is opened first.
        self._waiting = sorted(filter(self._is_unread, self._chosen), key=lambda one: one.until)
        if self._on:
            self._waiting.reverse()

    def _running_and_newest(
        self, printing: Sequence[OutputCommand]
    ) -> tuple[list[OutputCommand], int]:
        known = {} if self._cursor is None else self._cursor.at

        def is_known(command: OutputCommand) -> bool:
            return any(key in known for key in self._keys(command))

        running = [each for each in printing if each.ended is None]
        if len(running) > MAX_RUNNING:
            running.sort(key=lambda each: (not is_known(each), -each.started))
        ended = sorted((e for e in printing if e.ended is not None), key=lambda one: -one.until)
        chosen = [*running[:MAX_RUNNING], *ended][: self._maximum]
        return chosen, max(0, len(running) - MAX_RUNNING)

    def _is_unread(self, command: OutputCommand) -> bool:
        cursor = self._cursor
        if cursor is None or any(key in cursor.at for key in self._keys(command)):
            return True
        return command.until > cursor.moment if self._on else command.until < cursor.moment

    def _streams_read(self, command: OutputCommand) -> Iterator[MergedStream]:
        """Yield the streams of a command that are read."""
        return (each for each in self._streams if each != "services" or command.services)

    def _keys(self, command: OutputCommand) -> Iterator[bytes]:
        return (_key(command, stream) for stream in self._streams_read(command))

    # ---- reading --------------------------------------------------------------------------------

    def read(self, lines: int) -> None:
        """Read at most this number of lines."""
        last: float | None = None
        opened = 0
        while len(self.read_lines) < lines and self._bytes < MAX_SCANNED_BYTES:
            while self._waiting and (self._on or not self._heap or self._is_next()):
                if opened >= MAX_OPENED and not self._on:
                    return
                batch = self._batch()
                opened += len(batch)
                self._open(batch)
            if not self._heap:
                return
            _, _, _, one = heappop(self._heap)
            read_line = one.buffer.pop()
            if last is not None:  # a clock that was set back does not change the order of pages
                last = max(last, read_line.time) if self._on else min(last, read_line.time)
                read_line = read_line._replace(time=last)
            last = read_line.time
            self.read_lines.append(read_line)
            self._bytes += read_line.end - read_line.start
            self._push(one)

    def _is_next(self) -> bool:
        """Return whether the next command to open may have a line in front of those known."""
        return self._waiting[-1].until >= -self._heap[0][0]

    def _batch(self) -> list[OutputCommand]:
        """Return the next commands to open; those that ended at the same time together."""
        batch: list[OutputCommand] = []
        while self._waiting and (
            len(batch) < _BATCH or self._waiting[-1].until == batch[-1].until or self._on
        ):
            batch.append(self._waiting.pop())
        return batch

    def _open(self, commands: Sequence[OutputCommand]) -> None:
        for found in self._reader.map(self._streams_of, commands):
            for one in found:
                self._opened.append(one)
                self._push(one)

    def _streams_of(self, command: OutputCommand) -> list[_Opened]:
        """Open the streams of a command that have output to read, and read their first lines."""
        found: list[_Opened] = []
        known = {} if self._cursor is None else self._cursor.at
        is_partial = any(key in known for key in self._keys(command))
        size = 0
        for stream in self._streams_read(command):
            at = known.get(_key(command, stream))
            if at is None and is_partial and not self._on:
                continue  # only the other stream of the command is left
            if at == _WHOLE and self._on:
                continue
            if stream == "stderr" and "stdout" in self._streams and size == command.size:
                continue  # all is on the other one
            begin = at or 0
            rank = (command.path, command.attempt, stream)
            growing = command.ended is None and (self._on or at is None)
            one = _Opened(command, stream, rank, begin, 0, 0, growing)
            try:
                one.size = self._reader.size(command, stream)
                if not self._on:
                    one.begin = one.size if at is None else min(at, one.size)
                    one.size = one.begin
                one.at = one.begin
            except (OSError, LookupError) as error:
                one.failure = str(error) or type(error).__name__
            self._fill(one)
            found.append(one)
            size += one.size
        return found

    def _push(self, one: _Opened) -> None:
        self._fill(one)
        if one.buffer:
            time = one.buffer[-1].time
            order = time if self._on else -time
            rank = one.rank if self._on else _Reversed(one.rank)
            heappush(self._heap, (order, (rank,), id(one), one))

    def _fill(self, one: _Opened) -> None:
        """Read the next lines of a stream, unless some have been read already."""
        try:
            while not one.buffer and one.failure is None:
                if self._on and one.at < one.size:
                    self._parse(one, one.at, min(one.size, one.at + _BLOCK))
                elif not self._on and one.at > 0:
                    self._parse(one, max(0, one.at - _BLOCK), one.at)
                else:
                    return
        except (OSError, LookupError) as error:
            one.failure = str(error) or type(error).__name__

    def _parse(self, one: _Opened, start: int, end: int) -> None:
        command, stream = one.command, one.stream
        before = 0 if self._on or start == 0 else 1
        data = self._reader.read(command, stream, start - before, end - start + before)
        if before:
            skipped = data.find(b"\n") + 1
            # A line that is longer than a block is read in parts.
            skipped = skipped if 0 < skipped < len(data) else before
            data, start = data[skipped:], start - before + skipped
        is_last = end == one.size
        if one.growing if is_last else self._on:
            whole = data.rfind(b"\n") + 1
            if whole or len(data) < _BLOCK:
                data = data[:whole]
        end = start + len(data)
        if is_last and one.growing:
            one.size = end
            one.begin = one.begin if self._on else end
        if self._on and not data:  # nothing more, or less than its size
            one.size = end
        one.at = end if self._on else start
        read_lines = list(self._lines_in(one, data, start))
        self._bound(one, read_lines)
        one.buffer = read_lines[::-1] if self._on else read_lines

    def _lines_in(self, one: _Opened, data: bytes, start: int) -> Iterator[ReadLine]:
        command = one.command
        records = list(self._reader.times(command, one.stream, start, start + len(data)))
        latest = command.started
        at = number = 0
        while at < len(data):
            end = data.find(b"\n", at) + 1 or len(data)
            while number < len(records) and records[number][0] <= start + at:
                latest = max(latest, records[number][1])
                number += 1
            service, mark, text = None, "", _text(data, at, end)
            if one.stream == "services":
                service, mark, rest = text.partition(" | ")
                text = rest if mark else text
            time = min(latest, command.until)
            yield ReadLine(one, start + at, start + end, time, text, service if mark else None)
            at = end

    def _bound(self, one: _Opened, read_lines: list[ReadLine]) -> None:
        """Keep the times of a stream in order across its blocks."""
        bound = one.bound
        if bound is not None:
            pick = max if self._on else min
            read_lines[:] = [each._replace(time=pick(each.time, bound)) for each in read_lines]
        if read_lines:
            one.bound = read_lines[-1 if self._on else 0].time

    # ---- the end of a page ----------------------------------------------------------------------

    @property
    def commands(self) -> int:
        """Number of commands that have started."""
        return len(self._all)

    def back(self, count: int) -> Cursor | None:
        """Return the cursor behind the first lines; None if nothing is left, or on the way on."""
        if self._on:
            return None
        moment, entries = self._left(count)
        unopened = any(self._is_unread_at(each, moment, entries) for each in self._chosen)
        if not entries and not unopened:
            return None
        dropped = 0 if self._cursor is None else self._cursor.dropped
        kept = sorted(entries.items(), key=lambda entry: -entry[1])[:_MAX_ENTRIES]
        return Cursor("back", moment, dict(kept), dropped + len(entries) - len(kept))

    def left(self, count: int) -> int:
        """Return the number of commands with output that the first lines do not have."""
        if self._on:
            return 0
        moment, entries = self._left(count)
        unread = sum(self._is_unread_at(each, moment, entries) for each in self._chosen)
        return unread + self._old + self._busy

    def _is_unread_at(
        self, command: OutputCommand, moment: float, entries: Mapping[bytes, int]
    ) -> bool:
        mapped = any(key in entries for key in self._keys(command))
        return mapped or (command.until < moment and self._is_unread(command))

    def _left(self, count: int) -> tuple[float, dict[bytes, int]]:
        """Return the moment and the positions of the way back from the first lines."""
        reached = {read_line.opened: read_line.start for read_line in self.read_lines[:count]}
        passed = reached if count < len(self.read_lines) else self._opened
        before = self._now if self._cursor is None else self._cursor.moment
        moment = min((before, *(each.command.until for each in passed)))
        entries: dict[bytes, int] = {}
        for each in self._opened:
            position = reached.get(each, each.begin)
            if each.failure is not None and each not in reached and each.begin == 0:
                position = _WHOLE
            if position > 0 and each.command.until >= moment:
                entries[each.key] = position
        return moment, entries

    def next(self, count: int) -> Cursor | None:
        """Return the cursor for later output; None if it would be too long: start at the end."""
        if self._cursor is not None and not self._on:
            return None
        recent = sorted(each.until for each in self._chosen if each.ended is not None)
        before = 0.0 if self._cursor is None else self._cursor.moment
        moment = max(self._now - _RECENT, before, *recent[-_MAX_RECENT - 1 : -_MAX_RECENT])
        reached = {read_line.opened: read_line.end for read_line in self.read_lines[:count]}
        opened = {each.key: each for each in self._opened}
        at: dict[bytes, int] = {}
        for command in self._chosen:
            left: dict[bytes, int] = {}
            for key in self._keys(command):
                one = opened.get(key)
                if one is None:
                    continue
                position = reached.get(one, one.begin) if self._on else one.size
                is_left = position < one.size or one.failure is not None
                if is_left if command.ended is not None else position > 0:
                    left[key] = position
            if command.ended is not None and (left or moment < command.until):
                # A stream without an entry would be read again with a stream that is left.
                at.update(dict.fromkeys(self._keys(command), _WHOLE))
            at.update(left)
        return None if len(at) > _MAX_ENTRIES else Cursor("next", moment, at)

    def unread(self) -> list[UnreadOutput]:
        """Return the commands that are not read, by reason."""
        found: list[UnreadOutput] = []
        failures: dict[str, set[str]] = {}
        for each in self._opened:
            if each.failure is not None:
                failures.setdefault(each.failure, set()).add(each.command.path)
        for reason, paths in failures.items():
            found.append(UnreadOutput(count=len(paths), reason=reason, again=True))
        dropped = 0 if self._cursor is None else self._cursor.dropped
        if self._busy or dropped:
            reason = f"more than {MAX_RUNNING} print at the same time; open a smaller group"
            found.append(UnreadOutput(count=self._busy + dropped, reason=reason))
        if self._old > 0:
            reason = f"only the newest {self._maximum:,} are merged; open a smaller group"
            found.append(UnreadOutput(count=self._old, reason=reason))
        return found


class _Reversed(NamedTuple):
    """Sorts the other way round."""

    value: tuple[str, int, str]

    def __lt__(self, other: "_Reversed") -> bool:  # type: ignore[override]
        return other.value < self.value


def _key(command: OutputCommand, stream: MergedStream) -> bytes:
    text = f"{command.path}\n{command.attempt}\n{stream}"
    return blake2b(text.encode(errors="surrogatepass"), digest_size=5).digest()


def _text(data: bytes, start: int, end: int) -> str:
    """Return a line as text: of a progress bar, the last version."""
    line = data[start:end].rstrip(b"\r\n")
    return line.rpartition(b"\r")[2].decode(errors="replace")
