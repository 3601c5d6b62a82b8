"""The files that cached commands see, write and get back.

A command with ``reads`` or ``writes`` has a container of its own. A *view* is mounted in it as the
pipeline's data: the files that it reads are links to read-only files, or copies. After a success,
the files that it wrote are moved to the pipeline's data. Contents are kept by their SHA-256.

Commands write into these directories, so no link in them is followed (`conducto.files.directory`).
"""

import errno
import hashlib
import os
import posixpath
import shutil
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import BinaryIO, NamedTuple

from conducto.files import directory
from conducto.wire.data_names import INPUTS
from conducto_core.cache.files import (
    DIRECTORY,
    MAX_ENTRIES,
    UNKNOWN,
    FileUse,
    files_not_stored,
    fixed_parts,
    is_directory,
    is_inner,
    names_file,
    overlap,
)
from conducto_core.command.environment import NODES
from conducto_core.tree.model import Caching
from conducto_local.agent.state_dir import OPEN, StateDir

#: Where the data is mounted, read-only, for the links of a view.
INPUTS_OF_PIPELINE = f"{INPUTS}/pipeline"
#: Digests that are remembered.
_REMEMBERED = 200_000
#: Seconds after a change for which a file may change again without a new time.
_UNSURE_SECONDS = 2.0
_CHUNK = 1 << 20
#: Objects that were stored a moment ago may belong to an entry that is not written yet.
_NEW_SECONDS = 3600.0
_NOT_THERE = (FileNotFoundError, NotADirectoryError)
#: A file of another user cannot be moved or linked, but be copied.
_COPIED = {errno.EXDEV, errno.EACCES, errno.EPERM, errno.EMLINK}


class DamagedObjectError(Exception):
    """The content of a file is not in the cache any more."""


class _Entry(NamedTuple):
    """An entry of a directory; ``above`` is the open directory that it is in."""

    name: str
    above: int
    base: str
    status: os.stat_result


@dataclass(slots=True)
class View:
    """The files of one attempt.

    Attributes:
        root: The directory that is mounted as the pipeline's data.
        data: The pipeline's data.
        read: Marks of the files that it sees.
        problem: A file that it sees and that cannot be an input of the cache; or None.
        wrote: Marks of the files that it wrote, once they are published.
        size: Their bytes.
        refusal: Why they are not stored, or None.
    """

    root: Path
    data: Path
    cache: Caching
    read: Mapping[str, str]
    problem: str | None = None
    wrote: dict[str, str] = field(default_factory=dict)
    size: int = 0
    refusal: str | None = None

    @property
    def inputs(self) -> Mapping[str, str] | str:
        """The marks of the files that it sees, or why they are not known."""
        return self.read if self.problem is None else self.problem

    @property
    def use(self) -> FileUse:
        """The files that it saw and wrote."""
        return FileUse(self.read, self.wrote)


class CachedFiles:
    """The files of cached commands, and their contents.

    Args:
        home: The agent's directories.
    """

    def __init__(self, home: StateDir) -> None:
        self._home = home
        self._objects = home.cache / "objects"
        self._digests = _Digests()

    def marks(self, data: Path, patterns: Collection[str]) -> tuple[dict[str, str], str | None]:
        """Return the marks of the entries that patterns name, and why one cannot be an input."""
        found: dict[str, str] = {}
        problem = None
        for entry in _walk(data, patterns):
            try:
                found[entry.name] = mark = self._digests.mark(entry)
            except OSError as error:
                problem = f"{entry.name} cannot be read: {error.strerror}"
                mark = found[entry.name] = UNKNOWN
            if mark[0] == "l" and not is_inner(entry.name, mark[1:]):
                problem = f"{entry.name} is a link that leads out of the data"
            elif mark == UNKNOWN and problem is None:
                problem = f"{entry.name} is not a file"
            if len(found) > MAX_ENTRIES:
                problem = f"it reads more than {MAX_ENTRIES:,} files"
                break
        return found, problem

    def inputs(self, pipeline_id: str, cache: Caching) -> Mapping[str, str] | str:
        """Return the marks of the files that a command would see, or why it has no key."""
        marks, problem = self.marks(self._home.pipeline(pipeline_id).data, cache.reads)
        return marks if problem is None else problem

    # ---- views --------------------------------------------------------------------------------

    def view(self, pipeline_id: str, cache: Caching) -> View:
        """Make the view of an attempt that is about to start."""
        pipeline = self._home.pipeline(pipeline_id)
        root = pipeline.root / "views" / token_hex(8)
        root.mkdir(parents=True)
        root.chmod(OPEN)
        marks, problem = self.marks(pipeline.data, cache.reads)
        view = View(root, pipeline.data, cache, marks, problem)
        linked = _linked_directories(view)
        for name in sorted(marks):
            if not any(name.startswith(above) for above in linked):
                self._show(view, name)
        for name in linked:
            place = root / name.rstrip("/")
            _make(root, posixpath.dirname(name.rstrip("/")))
            place.symlink_to(f"{INPUTS_OF_PIPELINE}/{name.rstrip('/')}")
        return view

    def _show(self, view: View, name: str) -> None:
        mark, place = view.read[name], view.root / name
        if mark == DIRECTORY:
            _make(view.root, name)
            return
        _make(view.root, posixpath.dirname(name))
        if mark[0] == "l":
            place.symlink_to(mark[1:])
        elif mark != UNKNOWN and (view.cache.copies or names_file(view.cache.writes, name)):
            with _opened(view.data, name) as source, place.open("xb") as copy:
                shutil.copyfileobj(source, copy, _CHUNK)
            place.chmod(0o777 if mark[0] == "x" else 0o666)
        else:
            place.symlink_to(f"{INPUTS_OF_PIPELINE}/{name}")

    def discard(self, view: View) -> None:
        """Remove a view; files that only root may remove go with the pipeline."""
        self._home.erase(view.root)

    # ---- the end of an attempt ----------------------------------------------------------------

    def publish(self, view: View) -> None:
        """Move the files that a successful command wrote to the pipeline's data, and keep them.

        Raises:
            OSError: The disk is full, or a file cannot be moved.
        """
        cache, problem = view.cache, view.problem
        for entry in _walk(view.root, ("**",)):
            mark = self._published(view, entry)
            if mark is None:
                continue
            view.wrote[entry.name] = mark
            if mark == UNKNOWN or (mark[0] == "l" and not is_inner(entry.name, mark[1:])):
                problem = f"{entry.name} is neither a file nor a link within the data"
        self._remove_others(view.data, cache, view.wrote)
        changed = self.marks(view.data, cache.reads)[0] != view.read and not _rewrites(cache)
        view.refusal = files_not_stored(cache, view.wrote, problem, changed=changed)
        if view.refusal is None:
            for name, mark in view.wrote.items():
                if mark[0] in "-x":
                    self._keep(view.data, name, mark[1:])

    def _published(self, view: View, entry: _Entry) -> str | None:
        """Move an entry of a view to the data; return its mark, or None for an input."""
        mode = entry.status.st_mode
        if stat.S_ISLNK(mode):
            return self._published_link(view, entry)
        if stat.S_ISREG(mode):
            return self._published_file(view, entry)
        if not stat.S_ISDIR(mode):
            return UNKNOWN
        if not names_file(view.cache.writes, entry.name):
            return None
        _make(view.data, entry.name)
        return DIRECTORY

    def _published_link(self, view: View, entry: _Entry) -> str | None:
        target = os.readlink(entry.base, dir_fd=entry.above)
        if target.startswith(INPUTS_OF_PIPELINE + "/"):
            return self._moved_input(view, entry.name, target[len(INPUTS_OF_PIPELINE) + 1 :])
        if view.read.get(entry.name) == f"l{target}":
            return None
        with _above(view.data, entry.name) as (above, base):
            _link(target, base, above)
        return f"l{target}"

    def _published_file(self, view: View, entry: _Entry) -> str | None:
        mark = self._digests.mark(entry)
        if view.read.get(entry.name) == mark and not names_file(view.cache.writes, entry.name):
            return None
        view.size += entry.status.st_size
        with _above(view.data, entry.name) as (above, base):
            _clear(base, above)
            try:
                os.rename(entry.base, base, src_dir_fd=entry.above, dst_dir_fd=above)
            except OSError as error:
                if error.errno not in _COPIED:
                    raise
                with directory.open_file(entry.base, entry.above) as source:
                    _write(source, base, above, executable=mark[0] == "x")
        return mark

    def _moved_input(self, view: View, name: str, source: str) -> str | None:
        """Copy an input whose link the command moved or copied to another name.

        Raises:
            OSError: It is a directory.
        """
        mark = view.read.get(source)
        if name == source:
            return None
        if mark is None or mark[0] not in "-x":
            raise OSError(errno.EISDIR, "is a link to a directory of inputs; copy the files", name)
        with _opened(view.data, source) as content, _above(view.data, name) as (above, base):
            _clear(base, above)
            _write(content, base, above, executable=mark[0] == "x")
            view.size += os.fstat(content.fileno()).st_size
        return mark

    # ---- contents -----------------------------------------------------------------------------

    def restore(self, pipeline_id: str, cache: Caching, wrote: Mapping[str, str]) -> None:
        """Write the files of an entry to a pipeline's data.

        Raises:
            DamagedObjectError: A content is missing or was changed.
            OSError: The disk is full, or a file cannot be written.
        """
        data = self._home.pipeline(pipeline_id).data
        present = {}
        for entry in _walk(data, cache.writes):
            if wrote.get(entry.name, UNKNOWN)[0] in "-x":
                with suppress(OSError):
                    present[entry.name] = self._digests.mark(entry)
        for name, mark in sorted(wrote.items()):
            if present.get(name) == mark:
                continue
            if mark == DIRECTORY:
                _make(data, name)
                continue
            with _above(data, name) as (above, base):
                if mark[0] == "l":
                    _link(mark[1:], base, above)
                else:
                    _clear(base, above)
                    self._restore_file(mark, base, above)
        self._remove_others(data, cache, wrote)

    def _restore_file(self, mark: str, base: str, above: int) -> None:
        path = self._object(mark[1:])
        try:
            source = path.open("rb")
        except FileNotFoundError as error:
            raise DamagedObjectError(f"the content of {base} is not in the cache") from error
        with source:
            digest = _write(
                source,
                base,
                above,
                executable=mark[0] == "x",
                accept=lambda digest: digest == mark[1:],
            )
        if digest != mark[1:]:
            path.unlink(missing_ok=True)
            raise DamagedObjectError(f"the content of {base} was changed in the cache")

    def _keep(self, data: Path, name: str, digest: str) -> None:
        path = self._object(digest)
        if path.exists():
            os.utime(path)  # so that it counts as new (`trim`)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{digest}.{token_hex(4)}")
        with _above(data, name) as (above, base):
            try:
                os.link(base, new, src_dir_fd=above, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _COPIED:
                    raise
                with directory.open_file(base, above) as source, new.open("xb") as copy:
                    shutil.copyfileobj(source, copy, _CHUNK)
        new.replace(path)

    def trim(self, used: Collection[str], now: float) -> None:
        """Delete the contents that no entry has.

        Args:
            used: The SHA-256 of the others.
            now: Seconds since the epoch.
        """
        for path in self._objects.glob("??/*"):
            with suppress(FileNotFoundError):
                found = path.stat()
                newest = max(found.st_mtime, found.st_ctime)
                if path.name not in used and now - newest > _NEW_SECONDS:
                    path.unlink()

    def _object(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest

    def _remove_others(self, data: Path, cache: Caching, wrote: Mapping[str, str]) -> None:
        """Remove the files that ``writes`` names and that this attempt did not write."""
        others = [each.name for each in _walk(data, cache.writes) if each.name not in wrote]
        for name in reversed(others):
            with suppress(OSError), _above(data, name.rstrip("/")) as (above, base):
                if name.endswith("/"):
                    os.rmdir(base, dir_fd=above)
                else:
                    os.unlink(base, dir_fd=above)


class _Digests:
    """The marks of files, by device and inode; a file that has changed is read again."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], tuple[tuple[int, int, int], str]] = OrderedDict()
        self._lock = Lock()

    def mark(self, entry: _Entry) -> str:
        """Return the mark of an entry; raises `OSError` if it cannot be read."""
        found = entry.status
        if stat.S_ISDIR(found.st_mode):
            return DIRECTORY
        if stat.S_ISLNK(found.st_mode):
            return f"l{os.readlink(entry.base, dir_fd=entry.above)}"
        if not stat.S_ISREG(found.st_mode):
            return UNKNOWN
        key, version = (found.st_dev, found.st_ino), _version(found)
        with self._lock:
            known = self._known.get(key)
        if known is None or known[0] != version:
            with directory.open_file(entry.base, entry.above) as file:
                digest = _digest_of(file)
                after = os.fstat(file.fileno())
            known = version, digest
            if _version(after) == version and time.time() - found.st_ctime > _UNSURE_SECONDS:
                self._remember(key, known)
        return f"{'x' if found.st_mode & 0o111 else '-'}{known[1]}"

    def _remember(self, key: tuple[int, int], known: tuple[tuple[int, int, int], str]) -> None:
        with self._lock:
            self._known[key] = known
            self._known.move_to_end(key)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def _version(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest_of(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _rewrites(cache: Caching) -> bool:
    """Return whether a command may write the files that it reads."""
    return any(overlap(one, other) for one in cache.reads for other in cache.writes)


def _linked_directories(view: View) -> list[str]:
    """Return the directories that are one link, because the command cannot write in them."""
    if view.cache.copies:
        return []
    found = [
        pattern
        for pattern in view.cache.reads
        if is_directory(pattern)
        and pattern in view.read
        and not any(overlap(pattern, other) for other in view.cache.writes)
    ]
    return [each for each in found if not any(each != a and each.startswith(a) for a in found)]


# ---- files below a directory --------------------------------------------------------------------


def _walk(root: Path, patterns: Collection[str]) -> Iterator[_Entry]:
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


def _below(root: Path, parts: Sequence[str]) -> Iterator[_Entry]:
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
                yield _Entry(name, above, parts[-1], status)
                return
            yield _Entry(f"{name}/", above, parts[-1], status)
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
                yield _Entry(f"{prefix}{base}{slash}", fd, base, status)


def _split(name: str) -> list[str]:
    return [part for part in name.split("/") if part]


class _above:  # noqa: N801  a function with a context
    """A context with the directory of an entry, which is created if necessary, and its base."""

    def __init__(self, root: Path, name: str) -> None:
        *parts, self._base = _split(name)
        self._opened = directory.Opened(str(root), parts, make=True)

    def __enter__(self) -> tuple[int, str]:
        return self._opened.__enter__(), self._base

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(*error)


def _opened(root: Path, name: str) -> BinaryIO:
    return directory.open_below(str(root), _split(name))


def _make(root: Path, name: str) -> None:
    """Create a directory."""
    with directory.Opened(str(root), _split(name), make=True):
        pass


def _clear(base: str, above: int) -> None:
    """Remove a directory that is in the way of a file."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(base, dir_fd=above, follow_symlinks=False).st_mode):
            directory.remove(base, above, recursive=True)


def _link(target: str, base: str, above: int) -> None:
    """Make a symbolic link; it replaces a file or directory."""
    with suppress(FileNotFoundError):
        directory.remove(base, above, recursive=True)
    os.symlink(target, base, dir_fd=above)


def _write(
    source: BinaryIO,
    base: str,
    above: int,
    *,
    executable: bool,
    accept: Callable[[str], bool] = lambda _digest: True,
) -> str:
    """Write a file; return the SHA-256 of its content, which must be accepted to replace a file."""
    digest = hashlib.sha256()
    with directory.Replacement(base, above) as new:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(new.fd, rest) :]
        found = digest.hexdigest()
        if accept(found):
            if executable:
                os.fchmod(new.fd, 0o777)
            new.commit()
    return found
