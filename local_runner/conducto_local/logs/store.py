"""Output of commands: one file of raw bytes for each attempt and stream.

A written byte is in the kernel at once, so it survives a crash of the agent. A file is created with
its first byte, so that a silent command has none. File names are digests, because node names may
contain any character.
"""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

from conducto_core.command.output import RECORD, LineClock, LineTime, packed, times_within
from conducto_core.logs.lines import FileStream, LineIndex, Lines
from conducto_local.agent import process as descriptors

#: The streams of an attempt: output, resource usage, result, metrics, artifacts, annotations,
#: tests, coverage, the files of a cached command, and the output of services; and the times of
#: output (`conducto_core.command.output`).
Kept = Literal[
    "stdout",
    "stderr",
    "resources",
    "result",
    "metrics",
    "artifacts",
    "annotations",
    "tests",
    "coverage",
    "files",
    "services",
    "stdout_times",
    "stderr_times",
    "services_times",
]
_OUTPUT: tuple[Kept, Kept] = ("stdout", "stderr")
_TIMES: dict[str, Kept] = {
    "stdout": "stdout_times",
    "stderr": "stderr_times",
    "services": "services_times",
}

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: Directory of output whose node is unknown.
UNATTRIBUTED = "unattributed"
#: Characters of a digest that are the name of a directory.
_DIGEST_DIRECTORY = 2
#: Number of readers whose line indexes are kept for the next page.
_READERS_KEPT = 16


class StoredChunk(NamedTuple):
    """A chunk of a stream.

    Attributes:
        offset: Position of the first byte, counted from 0.
        size: Size of the stream in bytes when it was read.
    """

    offset: int
    data: bytes
    size: int


class LogWriter:
    """Appends to the streams of one attempt, also after a restart.

    If the disk is full, it records the failure once, keeps the output so far and drops the rest:
    the command continues, and the stored output has no gap.

    Attributes:
        failure: Explanation for users why the rest is lost, or None.
        dropped: Number of bytes that could not be stored.
    """

    def __init__(self, base: str | Path, clock: Callable[[], float] = time.time) -> None:
        """Write to the files that `LogDirectory` names with ``base``."""
        # Every command has a writer, so names are plain texts: a path costs ten times as much.
        self.failure: str | None = None
        self.dropped = 0
        self._base = str(base)
        self._clock = clock
        self._clocks: dict[Kept, LineClock] = {}
        self._sizes: dict[Kept, int] = {}
        self._fds: dict[Kept, int] = {}
        self._closed = False

    def write(self, stream: Kept, data: bytes) -> None:
        """Append ``data``; disk errors are recorded, never raised.

        Raises:
            ValueError: The writer is closed.
        """
        if self._closed:
            raise ValueError(f"{Path(self._base).name}: write to a closed log")
        if self.failure is not None:
            self.dropped += len(data)
            return
        rest = memoryview(data)
        try:
            if rest and stream in _TIMES:
                self._note_time(stream, len(data))
            while rest:
                rest = rest[os.write(self._fd(stream), rest) :]
        except OSError as error:
            self._give_up(error, len(rest))

    def output_bytes(self) -> int:
        return sum(_size(self._base, stream) for stream in _OUTPUT)

    def close(self) -> None:
        """Close the files; safe to call twice."""
        self._closed = True
        self._close_files()
        descriptors.OUTPUT.refill()

    def _note_time(self, stream: Kept, size: int) -> None:
        """Add a record to the index of times; one for output that is not stored does no harm.

        The file is opened for each record: descriptors are for output, which may not be lost.
        """
        clock = self._clocks.get(stream)
        if clock is None:
            clock = self._clocks[stream] = LineClock(self._clock)
            self._sizes[stream] = os.fstat(self._fd(stream)).st_size
        record = clock.record(self._sizes[stream])
        self._sizes[stream] += size
        if record is not None:
            with suppress(OSError):
                fd = _open_to_append(_name(self._base, _TIMES[stream]))
                try:
                    os.write(fd, packed([record]))
                finally:
                    os.close(fd)

    def _fd(self, stream: Kept) -> int:
        fd = self._fds.get(stream)
        if fd is None:
            file = _name(self._base, stream)
            fd = self._fds[stream] = descriptors.OUTPUT.open(lambda: _open_to_append(file))
        return fd

    def _give_up(self, error: OSError, lost: int) -> None:
        self.dropped += lost
        self._close_files()
        root = Path(self._base).parent.parent
        if error.errno in _FULL:
            why = f"the disk of {root} is full or over its quota; free some space"
        else:
            why = f"{root} cannot be written to ({error.strerror})"
        self.failure = f"the rest of the output was not stored: {why}"

    def _close_files(self) -> None:
        while self._fds:
            os.close(self._fds.popitem()[1])


class LogReader:
    """Reads the streams of one attempt, while or after they are written.

    Keeps no file open, and only a small index of the lines of each stream. A stream without a file
    reads as empty. Safe to use from several threads.
    """

    def __init__(self, base: str | Path) -> None:
        """Read the files that `LogDirectory` names with ``base``."""
        self._base = str(base)
        self._indexes: dict[Kept, LineIndex] = {}
        self._counting = threading.Lock()

    def size(self, stream: Kept) -> int:
        """Return the size of the stream in bytes."""
        return _size(self._base, stream)

    def read(self, stream: Kept, offset: int = 0, limit: int = 1 << 20) -> StoredChunk:
        """Return at most ``limit`` bytes starting at ``offset``.

        Args:
            offset: Counted from 0; a negative offset counts from the end. Offsets outside of the
                stream are moved into it.
            limit: Number of bytes; fewer are returned only at the end of the stream.
        """
        with self._open(stream) as fd:
            if fd is None:
                return StoredChunk(0, b"", 0)
            size = os.fstat(fd).st_size
            start = max(0, size + offset) if offset < 0 else min(offset, size)
            return StoredChunk(start, _pread(fd, start, min(limit, size - start)), size)

    def times(self, stream: Kept, start: int, end: int) -> tuple[LineTime, ...]:
        """Return the times of a part of a stream: of the record up to it, and of those in it."""
        with self._open(_TIMES[stream]) as fd:
            if fd is None:
                return ()
            size = RECORD.size
            count = os.fstat(fd).st_size // size

            def read(number: int, first: int) -> bytes:
                return _pread(fd, first * size, number * size)

            return times_within(read, count, start, end)

    def lines(self, stream: Kept, first: int, count: int, limit: int = 1 << 20) -> Lines:
        """Return at most ``count`` lines and ``limit`` bytes starting at line ``first``.

        Args:
            first: Counted from 0; a negative number counts from the end.
            count: Number of lines; fewer are returned only at the end of the stream or at
                ``limit``.
            limit: Number of bytes, because a line may have any length.
        """
        with self._counting, self._open(stream) as fd:
            if fd is None:
                return Lines(0, (), cut=False)
            return self._index(stream).lines(FileStream(fd), first, count, limit)

    def line_at(self, stream: Kept, offset: int) -> int | None:
        """Return the number of lines that end before a byte; None if they are not counted yet."""
        with self._counting, self._open(stream) as fd:
            if fd is None:
                return 0
            end = min(offset, os.fstat(fd).st_size)
            return self._index(stream).ended(FileStream(fd), end)

    def file(self, stream: Kept) -> Path:
        """Return the path of a stream, whether the file exists or not."""
        return Path(_name(self._base, stream))

    def _index(self, stream: Kept) -> LineIndex:
        return self._indexes.setdefault(stream, LineIndex())

    @contextmanager
    def _open(self, stream: Kept) -> Iterator[int | None]:
        try:
            fd = os.open(_name(self._base, stream), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        try:
            yield fd
        finally:
            os.close(fd)


class LogDirectory:
    """The logs of one pipeline. Image builds may use it too, under names without a "/"."""

    def __init__(self, root: Path) -> None:
        """Use the directory ``root``, which is created with the first byte."""
        self._root = root
        self._readers: dict[tuple[str, int], LogReader] = {}

    def writer(self, path: str, attempt: int) -> LogWriter:
        """Return a writer that appends to the log of an attempt, numbered from 1."""
        return LogWriter(self._base(path, attempt))

    def reader(self, path: str, attempt: int) -> LogReader:
        """Return a reader of an attempt's log, which need not exist yet."""
        key = (path, attempt)
        reader = self._readers.pop(key, None)
        if reader is None:
            reader = LogReader(self._base(path, attempt))
        self._readers[key] = reader  # the newest at the end
        if len(self._readers) > _READERS_KEPT:
            del self._readers[next(iter(self._readers))]
        return reader

    def own_reader(self, path: str, attempt: int) -> LogReader:
        """Return a reader that is not kept, for any thread."""
        return LogReader(self._base(path, attempt))

    def file(self, path: str, attempt: int, stream: Kept) -> Path:
        """Return the path of a stream, whether the file exists or not."""
        return Path(_name(self._base(path, attempt), stream))

    def attempts_of(self, paths: Iterable[str]) -> dict[str, dict[int, float]]:
        """Return ``{path: {attempt: modification time of its output}}`` of the existing files."""
        owners = {_digest(path): path for path in paths}
        found: dict[str, dict[int, float]] = {}
        for file, digest, attempt in self._files():
            if digest in owners:
                written = found.setdefault(owners[digest], {})
                written[attempt] = max(file.stat().st_mtime, written.get(attempt, 0.0))
        return found

    def set_apart(self, owners: Iterable[str]) -> None:
        """Move the output of unknown owners aside, so that nothing is appended to it."""
        known = set(map(_digest, owners))
        for file, digest, _ in list(self._files()):
            if digest not in known:
                target = self._root / UNATTRIBUTED / file.parent.name / file.name
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file.replace(target)

    def _files(self) -> Iterator[tuple[Path, str, int]]:
        with suppress(FileNotFoundError):  # glob() would suppress every error
            for group in self._root.iterdir():
                is_ours = len(group.name) == _DIGEST_DIRECTORY and group.is_dir()
                for file in group.iterdir() if is_ours else ():
                    rest, _, attempt = file.stem.rpartition("-")
                    if attempt.isascii() and attempt.isdigit():
                        yield file, group.name + rest, int(attempt)

    def _base(self, path: str, attempt: int) -> str:
        name = _digest(path)
        return f"{self._root}/{name[:2]}/{name[2:]}-{attempt}"


def _digest(path: str) -> str:
    return blake2b(path.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _name(base: str, stream: Kept) -> str:
    return f"{base}.{stream}"


def _size(base: str, stream: Kept) -> int:
    try:
        return os.stat(_name(base, stream)).st_size  # noqa: PTH116  called for each command
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _open_to_append(file: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(file, flags, 0o600)
    except FileNotFoundError:
        Path(file).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(file, flags, 0o600)


def _pread(fd: int, start: int, count: int) -> bytes:
    """Return ``count`` bytes; one system call may return fewer."""
    parts = []
    while count > 0 and (part := os.pread(fd, count, start)):
        parts.append(part)
        start += len(part)
        count -= len(part)
    return b"".join(parts)
