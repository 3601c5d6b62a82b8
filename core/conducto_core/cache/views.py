"""The files that cached commands see, write and get back.

A command with ``reads`` or ``writes`` has a container of its own. A *view* is mounted in it as the
pipeline's data: the files that it reads are links to read-only files, or copies. After a success,
the files that it wrote are moved to the pipeline's data. Contents are kept by their SHA-256.

Commands write into these directories, so no link in them is followed (`conducto.files.directory`).
"""

import errno
import os
import posixpath
import shutil
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from secrets import token_hex

from conducto.files import directory
from conducto.wire.data_names import INPUTS
from conducto_core.cache.files import (
    DIRECTORY,
    MAX_ENTRIES,
    UNKNOWN,
    FileUse,
    files_not_stored,
    is_directory,
    is_inner,
    names_file,
    overlap,
)
from conducto_core.cache.ledger import LEDGER, Ledger
from conducto_core.cache.marks import (
    CHUNK,
    Digests,
    Entry,
    Marks,
    above_of,
    check_time,
    clear,
    link,
    make,
    opened,
    walk,
    write,
)
from conducto_core.tree.model import Caching

#: Where the data is mounted, read-only, for the links of a view.
INPUTS_OF_PIPELINE = f"{INPUTS}/pipeline"
#: Objects that were stored a moment ago may belong to an entry that is not written yet.
_NEW_SECONDS = 3600.0
#: The suffix of a file whose time is that of the last use of a content.
_USED = ".used"
#: A file of another user cannot be moved or linked, but be copied.
_COPIED = {
    *(errno.EXDEV, errno.EACCES, errno.EPERM, errno.EMLINK),
    # A file system without hard links, such as S3 Files; the last is NFS's own number.
    *(errno.EOPNOTSUPP, errno.ENOSYS, 524),
}


class DamagedObjectError(Exception):
    """The content of a file is not in the cache any more."""


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
        objects: The directory of the contents, and of the ledger of digests; None: neither is kept.
        shared: Other machines change the files, too.
    """

    def __init__(self, objects: Path | None, *, shared: bool = False) -> None:
        self._objects = objects
        ledger = None if objects is None else Ledger(objects / LEDGER, shared=shared)
        self._digests = Digests(shared=shared, ledger=ledger)

    def marks(self, data: Path, patterns: Collection[str], until: float = inf) -> Marks:
        """Return the marks of the entries that patterns name.

        Raises:
            TimeoutError: The time ``until`` of `monotonic` is over.
        """
        with self._digests.with_ledger():
            return self._marks(data, patterns, until)

    def _marks(self, data: Path, patterns: Collection[str], until: float) -> Marks:
        found: dict[str, str] = {}
        problem = None
        for entry in walk(data, patterns):
            check_time(until)
            try:
                found[entry.name] = mark = self._digests.mark(entry, until)
            except TimeoutError:
                raise
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
        return Marks(found, problem)

    # ---- views --------------------------------------------------------------------------------

    def view(self, root: Path, data: Path, cache: Caching) -> View:
        """Make the view of an attempt that is about to start, in an empty directory."""
        marks = self.marks(data, cache.reads)
        view = View(root, data, cache, *marks)
        linked = _linked_directories(view)
        for name in sorted(marks.found):
            if not any(name.startswith(above) for above in linked):
                self._show(view, name)
        for name in linked:
            place = root / name.rstrip("/")
            make(root, posixpath.dirname(name.rstrip("/")))
            place.symlink_to(f"{INPUTS_OF_PIPELINE}/{name.rstrip('/')}")
        return view

    def _show(self, view: View, name: str) -> None:
        mark, place = view.read[name], view.root / name
        if mark == DIRECTORY:
            make(view.root, name)
            return
        make(view.root, posixpath.dirname(name))
        if mark[0] == "l":
            place.symlink_to(mark[1:])
        elif mark != UNKNOWN and (view.cache.copies or names_file(view.cache.writes, name)):
            with opened(view.data, name) as source, place.open("xb") as copy:
                shutil.copyfileobj(source, copy, CHUNK)
            place.chmod(0o777 if mark[0] == "x" else 0o666)
        else:
            place.symlink_to(f"{INPUTS_OF_PIPELINE}/{name}")

    # ---- the end of an attempt ----------------------------------------------------------------

    def publish(self, view: View) -> None:
        """Move the files that a successful command wrote to the pipeline's data.

        Raises:
            OSError: The disk is full, or a file cannot be moved.
        """
        cache, problem = view.cache, view.problem
        for entry in walk(view.root, ("**",)):
            mark = self._published(view, entry)
            if mark is None:
                continue
            view.wrote[entry.name] = mark
            if mark == UNKNOWN or (mark[0] == "l" and not is_inner(entry.name, mark[1:])):
                problem = f"{entry.name} is neither a file nor a link within the data"
        self._remove_others(view.data, cache.writes, view.wrote)
        changed = self.marks(view.data, cache.reads).found != view.read and not _rewrites(cache)
        view.refusal = files_not_stored(cache, view.wrote, problem, changed=changed)

    def _published(self, view: View, entry: Entry) -> str | None:
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
        make(view.data, entry.name)
        return DIRECTORY

    def _published_link(self, view: View, entry: Entry) -> str | None:
        target = os.readlink(entry.base, dir_fd=entry.above)
        if target.startswith(INPUTS_OF_PIPELINE + "/"):
            return self._moved_input(view, entry.name, target[len(INPUTS_OF_PIPELINE) + 1 :])
        if view.read.get(entry.name) == f"l{target}":
            return None
        with above_of(view.data, entry.name) as (above, base):
            link(target, base, above)
        return f"l{target}"

    def _published_file(self, view: View, entry: Entry) -> str | None:
        mark = self._digests.mark(entry)
        if view.read.get(entry.name) == mark and not names_file(view.cache.writes, entry.name):
            return None
        view.size += entry.status.st_size
        with above_of(view.data, entry.name) as (above, base):
            clear(base, above)
            try:
                os.rename(entry.base, base, src_dir_fd=entry.above, dst_dir_fd=above)
            except OSError as error:
                if error.errno not in _COPIED:
                    raise
                with directory.open_file(entry.base, entry.above) as source:
                    write(source, base, above, executable=mark[0] == "x")
                self._digests.record(base, above, mark[1:])
            else:
                self._digests.moved(base, above, entry.status, mark[1:])
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
        with opened(view.data, source) as content, above_of(view.data, name) as (above, base):
            clear(base, above)
            write(content, base, above, executable=mark[0] == "x")
            view.size += os.fstat(content.fileno()).st_size
        return mark

    # ---- contents -----------------------------------------------------------------------------

    def restore(
        self, data: Path, writes: Collection[str], wrote: Mapping[str, str], until: float = inf
    ) -> None:
        """Write the files of an entry to a pipeline's data; those that are there stay.

        Args:
            data: The pipeline's data.
            writes: The patterns of the files that the command writes; other files go.
            wrote: Marks of the files of the entry.
            until: Time of `monotonic` after which no file is written to its end.

        Raises:
            DamagedObjectError: A content is missing or was changed.
            TimeoutError: The time is over.
            OSError: The disk is full, or a file cannot be written.
        """
        with self._digests.with_ledger():
            self._restore(data, writes, wrote, until)

    def _restore(
        self, data: Path, writes: Collection[str], wrote: Mapping[str, str], until: float
    ) -> None:
        present = {}
        for entry in walk(data, writes):
            if wrote.get(entry.name, UNKNOWN)[0] in "-x":
                with suppress(OSError):
                    present[entry.name] = self._digests.mark(entry)
        for name, mark in sorted(wrote.items()):
            if present.get(name) == mark:
                self._note_use(mark[1:])
                continue
            if mark == DIRECTORY:
                make(data, name)
                continue
            with above_of(data, name) as (above, base):
                if mark[0] == "l":
                    link(mark[1:], base, above)
                else:
                    clear(base, above)
                    self._restore_file(mark, base, above, until)
        self._remove_others(data, writes, wrote)

    def _restore_file(self, mark: str, base: str, above: int, until: float) -> None:
        path = self._object(mark[1:])
        try:
            source = path.open("rb")
        except FileNotFoundError as error:
            raise DamagedObjectError(f"the content of {base} is not in the cache") from error
        with source:
            digest = write(
                source,
                base,
                above,
                executable=mark[0] == "x",
                accept=lambda digest: digest == mark[1:],
                until=until,
            )
        if digest != mark[1:]:
            path.unlink(missing_ok=True)
            raise DamagedObjectError(f"the content of {base} was changed in the cache")
        self._digests.record(base, above, digest)
        self._note_use(digest)

    def save_contents(self, data: Path, wrote: Mapping[str, str]) -> int:
        """Save the contents of the files that an attempt wrote to data; return their bytes."""
        kept = {name: mark[1:] for name, mark in wrote.items() if mark[0] in "-x"}
        with self._digests.with_ledger():
            for name, digest in kept.items():
                self._save_file(data, name, digest)
        return sum(self._object(digest).stat().st_size for digest in kept.values())

    def _save_file(self, data: Path, name: str, digest: str) -> None:
        path = self._object(digest)
        if path.exists():
            self._note_use(digest)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{digest}.{token_hex(4)}")
        with above_of(data, name) as (above, base):
            before = os.stat(base, dir_fd=above, follow_symlinks=False)
            is_known = self._digests.find(before) == digest
            try:
                os.link(base, new, src_dir_fd=above, follow_symlinks=False)
            except OSError as error:
                if error.errno not in _COPIED:
                    raise
                with directory.open_file(base, above) as source, new.open("xb") as copy:
                    shutil.copyfileobj(source, copy, CHUNK)
            new.replace(path)
            if is_known:
                self._digests.moved(base, above, before, digest)

    def _note_use(self, digest: str) -> None:
        """Count a content as new (`trim`); its own times are those of a file of the data."""
        with suppress(OSError):
            self._object(digest).with_suffix(_USED).touch()

    def trim(self, used: Collection[str], now: float, seconds: float = _NEW_SECONDS) -> None:
        """Delete the contents that are not used.

        Args:
            used: The SHA-256 of those that entries have.
            now: Seconds since the epoch.
            seconds: Contents that were used within this time are kept.
        """
        for path in self._kept_in().glob("??/*"):
            mark = path.with_suffix(_USED)
            if path == mark:
                continue
            newest = max(_changed(path), _changed(mark))
            if path.name not in used and now - newest > seconds:
                for each in (path, mark):
                    each.unlink(missing_ok=True)

    def _object(self, digest: str) -> Path:
        return self._kept_in() / digest[:2] / digest

    def _kept_in(self) -> Path:
        if self._objects is None:
            raise ValueError("no contents are kept here")
        return self._objects

    @staticmethod
    def _remove_others(data: Path, writes: Collection[str], wrote: Mapping[str, str]) -> None:
        """Remove the files that ``writes`` names and that this attempt did not write."""
        others = [each.name for each in walk(data, writes) if each.name not in wrote]
        for name in reversed(others):
            with suppress(OSError), above_of(data, name.rstrip("/")) as (above, base):
                if name.endswith("/"):
                    os.rmdir(base, dir_fd=above)
                else:
                    os.unlink(base, dir_fd=above)


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


def _changed(path: Path) -> float:
    """Return when a file or its status changed last, in seconds since the epoch; 0: missing."""
    with suppress(FileNotFoundError):
        found = path.stat()
        return max(found.st_mtime, found.st_ctime)
    return 0.0
