"""The entries of directories of data: their marks, and safe writes.

Commands write into these directories, so no link in them is followed (`conducto.files.directory`).
"""

import errno
import hashlib
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from threading import Lock
from typing import BinaryIO, NamedTuple

from conducto.files import directory
from conducto_core.cache.files import DIRECTORY, UNKNOWN, fixed_parts, names_file
from conducto_core.cache.ledger import Ledger, Line
from conducto_core.command.environment import NODES

#: Digests that are remembered.
_REMEMBERED = 200_000
#: Seconds after a change for which a file may change again without a new time.
_UNSURE_SECONDS = 2.0
CHUNK = 1 << 20
_NOT_THERE = (FileNotFoundError, NotADirectoryError)
#: The size and the times of a file.
_Version = tuple[int, int, int]


class Marks(NamedTuple):
    """The marks of files.

    Attributes:
        found: ``{name: mark}``.
        problem: Why they cannot be inputs, or None.
    """

    found: Mapping[str, str]
    problem: str | None = None

    @property
    def inputs(self) -> Mapping[str, str] | str:
        """The marks, or why they cannot be inputs."""
        return self.found if self.problem is None else self.problem


class Entry(NamedTuple):
    """An entry of a directory; ``above`` is the open directory that it is in."""

    name: str
    above: int
    base: str
    status: os.stat_result


class Digests:
    """The marks of files, by inode; a file that has changed is read again.

    Args:
        shared: Other machines change the files of this file system (NFS). Its client knows the size
            and times of a file for certain only when it opens the file.
        ledger: Keeps them for later processes.
    """

    def __init__(self, *, shared: bool = False, ledger: Ledger | None = None) -> None:
        self._shared = shared
        self._ledger = ledger
        self._known: OrderedDict[tuple[int, int], tuple[_Version, str]] = OrderedDict()
        self._new: list[Line] = []
        self._lock = Lock()

    @contextmanager
    def with_ledger(self) -> Iterator[None]:
        """Return a context that begins with what the ledger has, and adds to it what is new."""
        if self._ledger is None:
            yield
            return
        with self._lock:
            for line in self._ledger.news():
                self._put((line.device, line.inode), line[2:5], line.digest)
        try:
            yield
        finally:
            with self._lock:
                new, self._new = self._new, []
                self._ledger.add(new)

    def mark(self, entry: Entry, until: float = inf) -> str:
        """Return the mark of an entry.

        Args:
            entry: An entry of a directory that is open.
            until: Time of `monotonic` after which no file is read to its end.

        Raises:
            TimeoutError: The time is over.
            OSError: It cannot be read.
        """
        found = entry.status
        if stat.S_ISDIR(found.st_mode):
            return DIRECTORY
        if stat.S_ISLNK(found.st_mode):
            return f"l{os.readlink(entry.base, dir_fd=entry.above)}"
        if not stat.S_ISREG(found.st_mode):
            return UNKNOWN
        digest = None if self._shared else self.find(found)
        if digest is None:
            with directory.open_file(entry.base, entry.above) as file:
                found = os.fstat(file.fileno())
                digest = self.find(found) or self._read(file, found, until)
        return f"{'x' if found.st_mode & 0o111 else '-'}{digest}"

    def record(self, base: str, above: int, digest: str) -> None:
        """Remember the digest of a file that this process has just written."""
        with suppress(OSError), directory.open_file(base, above) as file:
            self._remember(os.fstat(file.fileno()), digest)

    def moved(self, base: str, above: int, before: os.stat_result, digest: str) -> None:
        """Remember the digest of a file that this process has read, and then moved or linked.

        Args:
            base: Its name.
            above: The directory that it is in.
            before: Its status before it was read; a move or a link changes only one time of it.
            digest: The SHA-256 that was read.
        """
        with suppress(OSError), directory.open_file(base, above) as file:
            found = os.fstat(file.fileno())
            if _version(found)[:2] == _version(before)[:2]:
                self._remember(found, digest)

    def find(self, found: os.stat_result) -> str | None:
        """Return the SHA-256 of a file with this status, if it is known."""
        with self._lock:
            known = self._known.get(self._key(found))
        return None if known is None or known[0] != _version(found) else known[1]

    def _read(self, file: BinaryIO, found: os.stat_result, until: float) -> str:
        begun = time.time()
        summed = hashlib.sha256()
        while chunk := file.read(CHUNK):
            check_time(until)
            summed.update(chunk)
        after = os.fstat(file.fileno())
        digest = summed.hexdigest()
        is_sure = begun - found.st_ctime > _UNSURE_SECONDS
        if is_sure and _version(after) == _version(found):
            self._remember(found, digest)
        return digest

    def _key(self, found: os.stat_result) -> tuple[int, int]:
        is_of_network = self._shared and self._ledger is not None
        return (0 if is_of_network else found.st_dev, found.st_ino)

    def _remember(self, found: os.stat_result, digest: str) -> None:
        key, version = self._key(found), _version(found)
        with self._lock:
            self._put(key, version, digest)
            if self._ledger is not None:
                self._new.append(Line(*key, *version, digest))

    def _put(self, key: tuple[int, int], version: _Version, digest: str) -> None:
        self._known[key] = version, digest
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _version(found: os.stat_result) -> _Version:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def check_time(until: float) -> None:
    """Raise `TimeoutError` if a time of `monotonic` is over."""
    if time.monotonic() > until:
        raise TimeoutError("its files take too long to read")


# ---- files below a directory --------------------------------------------------------------------


def walk(root: Path, patterns: Collection[str]) -> Iterator[Entry]:
    """Yield the entries below a directory that patterns name, a directory before its entries.

    Checkpoints of nodes and temporary files are left out.
    """
    seen: set[str] = set()
    for start in dict.fromkeys(map(fixed_parts, patterns)):
        for entry in _below(root, start):
            is_there = entry.name not in seen and names_file(patterns, entry.name)
            is_own = entry.base.startswith(directory.TEMPORARY_PREFIX)
            if is_there and not is_own and not entry.name.startswith(f"{NODES}/"):
                seen.add(entry.name)
                yield entry


def _below(root: Path, parts: Sequence[str]) -> Iterator[Entry]:
    """Yield an entry and everything below it; nothing if it does not exist."""
    try:
        opened = directory.Opened(str(root), parts[:-1])
    except OSError as error:
        if isinstance(error, _NOT_THERE) or error.errno == errno.ELOOP:
            return
        raise
    with opened as above:
        if parts:
            name = "/".join(parts)
            try:
                status = os.stat(parts[-1], dir_fd=above, follow_symlinks=False)
            except _NOT_THERE:
                return
            if not stat.S_ISDIR(status.st_mode):
                yield Entry(name, above, parts[-1], status)
                return
            yield Entry(f"{name}/", above, parts[-1], status)
        top = parts[-1] if parts else "."
        start = "/".join((*parts, "")) if parts else ""
        for folder, below, names, fd in os.fwalk(top, dir_fd=above, follow_symlinks=False):
            inner = folder[len(top) :].lstrip("/")
            prefix = f"{start}{inner}/" if inner else start
            for base in sorted((*below, *names)):
                try:
                    status = os.stat(base, dir_fd=fd, follow_symlinks=False)
                except FileNotFoundError:  # it was just removed
                    continue
                slash = "/" if stat.S_ISDIR(status.st_mode) else ""
                yield Entry(f"{prefix}{base}{slash}", fd, base, status)


def _split(name: str) -> list[str]:
    return [part for part in name.split("/") if part]


class above_of:  # noqa: N801  a function with a context
    """A context with the directory of an entry, which is created if necessary, and its base."""

    def __init__(self, root: Path, name: str) -> None:
        *parts, self._base = _split(name)
        self._opened = directory.Opened(str(root), parts, make=True)

    def __enter__(self) -> tuple[int, str]:
        return self._opened.__enter__(), self._base

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(*error)


def opened(root: Path, name: str) -> BinaryIO:
    return directory.open_below(str(root), _split(name))


def make(root: Path, name: str) -> None:
    """Create a directory."""
    with directory.Opened(str(root), _split(name), make=True):
        pass


def clear(base: str, above: int) -> None:
    """Remove a directory that is in the way of a file."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(base, dir_fd=above, follow_symlinks=False).st_mode):
            directory.remove(base, above, recursive=True)


def link(target: str, base: str, above: int) -> None:
    """Make a symbolic link; it replaces a file or directory."""
    with suppress(FileNotFoundError):
        directory.remove(base, above, recursive=True)
    os.symlink(target, base, dir_fd=above)


def write(
    source: BinaryIO,
    base: str,
    above: int,
    *,
    executable: bool,
    accept: Callable[[str], bool] = lambda _digest: True,
    until: float = inf,
) -> str:
    """Write a file; return the SHA-256 of its content, which must be accepted to replace a file.

    Raises:
        TimeoutError: The time ``until`` of `monotonic` is over.
        OSError: The disk is full, or the file cannot be written.
    """
    digest = hashlib.sha256()
    with directory.Replacement(base, above) as new:
        while chunk := source.read(CHUNK):
            check_time(until)
            digest.update(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(new.fd, rest) :]
        found = digest.hexdigest()
        if accept(found):
            if executable:
                os.fchmod(new.fd, 0o777)
            # Finer than the times of the file system, so that a change a moment later has another.
            now = time.time_ns()
            os.utime(new.fd, ns=(now, now))
            new.commit()
    return found
