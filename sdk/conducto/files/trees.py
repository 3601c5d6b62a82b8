"""Removal and traversal of directory trees of any depth.

`shutil.rmtree` and `os.walk` recurse, and a path of more than 4,095 characters is invalid, so a
command can create a tree that they cannot handle. Nothing here follows a link: every step opens an
entry relative to an open directory.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_CLOEXEC", 0)
_WRITABLE = stat.S_IRWXU
#: Levels handled by recursion, each with a descriptor and three frames.
_MAX_DEPTH = 20


def remove_tree(path: str, dir_fd: int | None = None) -> None:
    """Remove a directory and everything in it.

    Entries that cannot be removed stay; everything else is removed.

    Args:
        path: The directory; a link is not followed.
        dir_fd: Open directory that ``path`` is relative to.

    Raises:
        OSError: an entry is left; it is the first error.
    """
    top = os.open(path, _DIRECTORY, dir_fd=dir_fd)
    try:
        _make_writable(top)
        stuck = _empty(top)
    finally:
        os.close(top)
    if stuck is not None:
        raise stuck
    os.rmdir(path, dir_fd=dir_fd)


def _empty(top: int) -> OSError | None:
    """Remove the entries of an open directory, including those that are moved up into it."""
    seen: set[str] = set()
    stuck = None
    while not seen.issuperset(names := os.listdir(top)):
        seen.update(names)
        stuck = _clear(top, top, 0)
    return stuck


def _clear(folder: int, top: int, depth: int) -> OSError | None:
    errors = [_remove(folder, name, top, depth) for name in os.listdir(folder)]
    return next((error for error in errors if error is not None), None)


def _remove(folder: int, name: str, top: int, depth: int) -> OSError | None:
    """Remove an entry of a directory; return the error, if any.

    A directory that is too deep is moved up to ``top``, where it is removed later.
    """
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
            return None
        below = os.open(name, _DIRECTORY, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    try:
        _make_writable(below)
        if depth == _MAX_DEPTH:
            os.rename(name, os.urandom(8).hex(), src_dir_fd=folder, dst_dir_fd=top)
            return None
        stuck = _clear(below, top, depth + 1)
    except OSError as error:
        return error
    finally:
        os.close(below)
    return stuck or _tried(lambda: os.rmdir(name, dir_fd=folder))


def _make_writable(folder: int) -> None:
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & _WRITABLE != _WRITABLE:
        _tried(lambda: os.fchmod(folder, mode | _WRITABLE))


def _tried(work: Callable[[], object]) -> OSError | None:
    """Return the error of a step, or None if it succeeded or there was nothing to do."""
    try:
        work()
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    return None


def walk_files(path: str) -> Iterator[os.DirEntry[str]]:
    """Yield a `os.DirEntry` for each entry of a tree that is not a directory.

    Iterative; entries that cannot be read are left out, and so is everything below a path that is
    too long.
    """
    folders = [path]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        yield entry
        except OSError:
            continue
