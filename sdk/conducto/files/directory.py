"""Access to the files below a directory that other users write to at the same time.

Commands can write anything into a data directory, even symbolic links, and exchange entries at any
moment; the reader may have more permissions than they have. So a name is first resolved to parts
without links, and then every part is opened relative to the descriptor of its parent without
following a link. A link that appears in between ends the operation with an error; it is never
followed. `conducto.data` and the API of the agent both use this module. It runs in images: Python
3.8 and the standard library.
"""

# ruff: noqa: PTH116, PTH118
# ruff: noqa: PTH100, PTH111, PTH118
from __future__ import annotations

import errno
import os
import stat

from conducto.files.trees import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO, List
# pathlib cannot express a name relative to an open directory.
# pathlib is slow to import, and this runs at every call in a container.

# Short and independent of the final name, which may be as long as the file system allows.
TEMPORARY_PREFIX = ".conducto-tmp-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a pipe would wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class OutsideError(ValueError):
    """A name leads out of its directory through a symbolic link."""


class NotAFileError(OSError):
    """A name is that of a directory, pipe, socket or device where a file is required."""


def resolve(root: str, parts: Sequence[str], *, last_too: bool) -> List[str]:
    """Return the parts of a name below ``root``, links resolved, in the last if ``last_too``.

    Raises:
        OutsideError: A link leads out of the directory.
    """
    cut = len(parts) if last_too else len(parts) - 1
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(real_root, *parts[:cut]))
    if real != real_root and not real.startswith(real_root.rstrip("/") + "/"):
        name = "/".join(parts)
        raise OutsideError(f"{name!r}: a symbolic link in the name leads out of {root}")
    return [part for part in real[len(real_root) :].split("/") if part] + list(parts[cut:])


class Opened:
    """A context with the descriptor of the directory that resolved parts name below a root.

    Args:
        root: The directory; the path to it is trusted.
        parts: From ``resolve``.
        make: Create missing directories, with the permissions of their parents.
    """

    def __init__(self, root: str, parts: Sequence[str], *, make: bool = False) -> None:
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts:
                below = _step(self._fd, part, make=make)
                os.close(self._fd)
                self._fd = below
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _step(fd: int, part: str, *, make: bool) -> int:
    try:
        return os.open(part, _DIRECTORY, dir_fd=fd)
    except FileNotFoundError:
        if not make:
            raise
    try:
        os.mkdir(part, dir_fd=fd)
    except FileExistsError:
        return os.open(part, _DIRECTORY, dir_fd=fd)
    below = os.open(part, _DIRECTORY, dir_fd=fd)
    share(below, fd, 0o777)
    return below


def share(fd: int, above: int, mask: int) -> None:
    """Add the permissions of the directory above, limited to ``mask``.

    Containers of one pipeline share a directory under different user ids. Permissions are only
    added: a umask that allows more than the directory was set on purpose.
    """
    own = stat.S_IMODE(os.fstat(fd).st_mode) & 0o777
    wanted = own | (os.fstat(above).st_mode & mask)
    if wanted != own:
        os.fchmod(fd, wanted)


def stat_below(root: str, parts: Sequence[str]) -> os.stat_result:
    """Return the status of the file or directory that resolved ``parts`` name below ``root``.

    Raises:
        OSError: Also for a symbolic link, which resolved parts never name.
    """
    if not parts:
        return os.stat(root)
    with Opened(root, parts[:-1]) as above:
        found = os.stat(parts[-1], dir_fd=above, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        raise _link_error(parts[-1])
    return found


def is_directory(found: os.stat_result) -> bool:
    """Return whether a status is that of a directory."""
    return stat.S_ISDIR(found.st_mode)


def open_below(root: str, parts: Sequence[str]) -> BinaryIO:
    """Open the regular file that resolved ``parts`` name below ``root``, as ``open_file``."""
    if not parts:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), root)
    with Opened(root, parts[:-1]) as above:
        return open_file(parts[-1], above)


def open_file(name: str, above: int) -> BinaryIO:
    """Open a regular file in a directory for reading.

    The kind is checked before the file is opened, because opening a device can have effects.

    Raises:
        IsADirectoryError: It is a directory.
        NotAFileError: It is not a regular file.
    """
    _check_kind(name, os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    fd = os.open(name, _FILE, dir_fd=above)
    try:
        _check_kind(name, os.fstat(fd).st_mode)  # it may have been exchanged
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def _check_kind(name: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if stat.S_ISLNK(mode):
        raise _link_error(name)
    if not stat.S_ISREG(mode):
        raise NotAFileError(errno.EINVAL, "not a regular file", name)


def _link_error(name: str) -> OSError:
    return OSError(errno.ELOOP, "is a symbolic link that leads to no file of the data", name)


class Replacement:
    """A context with a new file, written to ``fd``, which replaces ``name`` on commit.

    Readers see the old content or the new one. Without ``commit`` the old one stays.
    """

    def __init__(self, name: str, above: int) -> None:
        self._name, self._above = name, above
        self._temporary = TEMPORARY_PREFIX + os.urandom(8).hex()
        self._committed = False
        self.fd = os.open(self._temporary, _NEW, 0o666, dir_fd=above)

    def __enter__(self) -> Replacement:  # noqa: PYI034 - Python 3.8 has no Self
        return self

    def commit(self) -> None:
        """Replace the file."""
        share(self.fd, self._above, 0o666)
        os.rename(self._temporary, self._name, src_dir_fd=self._above, dst_dir_fd=self._above)
        self._committed = True

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        if not self._committed:
            _unlink_quietly(self._temporary, self._above)


def _unlink_quietly(name: str, above: int) -> None:
    try:
        os.unlink(name, dir_fd=above)
    except OSError:
        return


def remove(name: str, above: int, *, recursive: bool) -> None:
    """Remove a file or link, or with ``recursive`` a directory and everything below it.

    Raises:
        IsADirectoryError: It is a directory and ``recursive`` is false.
    """
    if not stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=above)
    elif recursive:
        remove_tree(name, dir_fd=above)
    else:
        raise IsADirectoryError(errno.EISDIR, "Is a directory (give recursive)", name)


# ----------------------------------------------------------------------------------------
# The directory of all profiles.


def base_dir() -> str:
    """Return its absolute path: ``CONDUCTO_BASE_DIR``, or ``~/.conducto``."""
    chosen = os.environ.get("CONDUCTO_BASE_DIR")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    return os.path.join(os.path.expanduser("~"), ".conducto")
