"""Data files of a pipeline or of the user, for readers outside of containers.

No access follows a link out of the directory: all go through `conducto.files.directory`.
"""

# ruff: noqa: PTH116, PTH118, PTH208
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from conducto.files import directory
from conducto.files.directory import TEMPORARY_PREFIX
from conducto.wire.data_names import clean
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import MAX_DATA_DEPTH, MAX_DATA_SCAN
from conducto_core.run.model.responses import ChangedData, DataEntry, DataList, Deleted

# pathlib has no functions for names relative to an open directory.

# ----------------------------------------------------------------------------------------
# Names of data in requests.


def cleaned(name: str) -> str:
    """Return a normalised name; the empty one is the directory's root.

    Raises:
        RefusedError: it could lead out of the directory.
    """
    try:
        return clean(name)
    except ValueError as error:
        raise RefusedError(str(error)) from error


def of_file(name: str) -> str:
    """Return a normalised name like `cleaned`, but not the root.

    Raises:
        RefusedError: it is the root, or could lead out of the directory.
    """
    found = cleaned(name)
    if not found:
        raise RefusedError(f"{name!r} is not the name of a file; give the name of one")
    return found


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MISSING = {errno.ENOENT}
_KINDS = {errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST}
_CLOSED = {errno.EACCES, errno.EPERM}
_LINKS = {errno.ELOOP, errno.ENOTDIR}


class DataDirectory:
    """One data directory.

    Every method raises `NotFoundError` for a missing entry, and `RefusedError` for a name that
    leads out of the directory or is of the wrong kind.

    Args:
        root: The directory.
        full: Creates the error to raise when the disk is full.
    """

    def __init__(self, root: Path, full: Callable[[str], Exception] = RefusedError) -> None:
        self._root = root
        self._full = full

    def entries(self, name: str, after: str | None, limit: int) -> DataList:
        parts = self._way(cleaned(name), last_too=True)
        with self._directory(parts, name) as fd:
            names = sorted(one for one in os.listdir(fd) if not one.startswith(TEMPORARY_PREFIX))
            start = "/".join(parts) + "/" if parts else ""
            wanted = [one for one in names if after is None or start + one > after]
            page = [found for one in wanted[:limit] if (found := self._entry(fd, start, one))]
        more = len(wanted) > limit
        following = _shown(start + wanted[limit - 1]) if more else None
        return DataList(entries=tuple(page), next=following)

    def changed(self, since: float, until: float | None, limit: int) -> ChangedData:
        """Return the files at any depth last written within a time range, the newest first.

        The writer of a file is unknown. No link is followed, at most `MAX_DATA_SCAN` entries are
        checked, and none more than `MAX_DATA_DEPTH` directories down.
        """
        found: list[DataEntry] = []
        complete = True
        left = MAX_DATA_SCAN
        with self._directory([], "") as fd:
            for folder, below, names, above in os.fwalk(".", dir_fd=fd):
                start = "" if folder == "." else folder.removeprefix("./") + "/"
                found += self._written(above, start, names[:left], since, until)
                complete = complete and len(names) <= left
                left = max(0, left - len(names) - len(below))
                if below and (left == 0 or folder.count("/") >= MAX_DATA_DEPTH):
                    complete = False
                    below.clear()
        found.sort(key=lambda entry: (-entry.modified, entry.name))
        entries = tuple(found[:limit])
        return ChangedData(entries=entries, complete=complete and len(found) <= limit)

    def _written(
        self, fd: int, start: str, names: list[str], since: float, until: float | None
    ) -> Iterator[DataEntry]:
        """Yield the files of a directory last written within a time range."""
        for name in names:
            modified = None if name.startswith(TEMPORARY_PREFIX) else _modified(fd, name)
            if modified is None or modified < since or (until is not None and modified > until):
                continue
            entry = self._entry(fd, start, name)
            if entry is not None and entry.kind == "file":
                yield entry

    def open(self, name: str) -> BinaryIO:
        """Return a regular file, open for reading."""
        parts = self._way(of_file(name), last_too=True)
        with self._explained(name):
            try:
                return directory.open_below(str(self._root), parts)
            except (directory.NotAFileError, IsADirectoryError) as error:
                raise RefusedError(f"{name}: not a file; list it to see its entries") from error

    async def write(self, name: str, content: AsyncIterator[bytes]) -> DataEntry:
        """Write a file once ``content`` is complete; create missing directories.

        Raises:
            Exception: the error from ``full``, when the disk is full.
        """
        parts = self._way(of_file(name), last_too=False)
        with self._directory(parts[:-1], name, make=True) as above:
            await self._replace(parts[-1], above, name, content)
            start = "/".join((*parts[:-1], "")) if parts[:-1] else ""
            entry = self._entry(above, start, parts[-1])
        if entry is None:
            raise NotFoundError(f"{name}: was deleted while it was being written; write it again")
        return entry

    async def _replace(
        self, last: str, above: int, name: str, content: AsyncIterator[bytes]
    ) -> None:
        with self._explained(name):
            replacement = directory.Replacement(last, above)
        with replacement as new:
            async for chunk in content:
                rest = memoryview(chunk)
                with self._explained(name):
                    while rest:
                        rest = rest[os.write(new.fd, rest) :]
            with self._explained(name):
                new.commit()

    def delete(self, name: str) -> Deleted:
        """Delete a file or a link, or a directory with its contents."""
        parts = self._way(of_file(name), last_too=False)
        with self._directory(parts[:-1], name) as above, self._explained(name):
            directory.remove(parts[-1], above, recursive=True)
        return Deleted(name="/".join(parts))

    def _way(self, cleaned: str, *, last_too: bool) -> list[str]:
        """Return the parts of a name, links resolved; in the last part only if ``last_too``."""
        with self._explained(cleaned):  # a link may be deleted while it is read
            return directory.resolve(str(self._root), cleaned.split("/"), last_too=last_too)

    @contextmanager
    def _directory(self, parts: list[str], name: str, *, make: bool = False) -> Iterator[int]:
        with self._explained(name):
            opened = directory.Opened(str(self._root), parts, make=make)
        with opened as fd:
            yield fd

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Convert an error of the system into one with a remedy."""
        try:
            yield
        except directory.OutsideError as error:
            raise RefusedError(f"{name}: leads out of the data directory through a link") from error
        except OSError as error:
            if error.errno in _FULL:
                raise self._full(f"{name}: the disk is full; free some space") from error
            raise _explanation(name, error) from error

    def _entry(self, fd: int, start: str, name: str) -> DataEntry | None:
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                found = self._behind(start + name) or found
        except OSError:
            return None
        shown = _shown(start + name)
        is_file = stat.S_ISREG(found.st_mode) and shown == start + name
        is_directory = stat.S_ISDIR(found.st_mode) and shown == start + name
        return DataEntry(
            name=shown,
            kind="file" if is_file else "directory" if is_directory else "other",
            size=found.st_size if is_file else 0,
            modified=found.st_mtime,
        )

    def _behind(self, name: str) -> os.stat_result | None:
        """Return the status of a link's target, or None if it is outside or missing."""
        try:
            root = os.path.realpath(self._root)
            real = os.path.realpath(os.path.join(root, name))
            is_inside = real.startswith(root + "/")
            return os.stat(real, follow_symlinks=False) if is_inside else None
        except OSError:
            return None


def _modified(fd: int, name: str) -> float | None:
    """Return the last-modified time of a file; None if it is missing or not a file."""
    try:
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return None
    return found.st_mtime if stat.S_ISREG(found.st_mode) else None


def _shown(name: str) -> str:
    """Return a name that JSON can contain; a name that is not UTF-8 can only be displayed."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _explanation(name: str, error: OSError) -> Exception:
    known: dict[int, Callable[[], Exception]] = {
        **dict.fromkeys(_MISSING, lambda: NotFoundError(f"{name or '/'}: no such data")),
        **dict.fromkeys(
            _LINKS, lambda: RefusedError(f"{name}: a part of it is not a directory, or is a link")
        ),
        **dict.fromkeys(
            _KINDS, lambda: RefusedError(f"{name}: is a directory; delete it, or use another name")
        ),
        **dict.fromkeys(
            _CLOSED,
            lambda: RefusedError(f"{name}: {error.strerror}; a command of the pipeline set this"),
        ),
    }
    if error.errno in known:
        return known[error.errno]()
    return RefusedError(f"{name}: {error.strerror}")
