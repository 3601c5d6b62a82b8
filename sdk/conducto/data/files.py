"""Files that appear at once and that every user of a data directory can use.

Containers of one pipeline share a directory under different user ids, so what is new
takes the permissions of the directory it is made in: open where the runner opened
the root to all, private below a person's home.
"""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH101, PTH102, PTH105, PTH107, PTH108, PTH112, PTH114, PTH116, PTH118, PTH120
# ruff: noqa: PTH103, PTH123

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

# Short and independent of the final name: a name may be as long as the file system allows.
TEMPORARY_PREFIX = ".conducto-tmp-"
_CHUNK = 1 << 20


def _make_directory(path: str) -> None:
    """Create a directory and those above it, each with the permissions of the one above."""
    if os.path.isdir(path):
        return
    _make_directory(os.path.dirname(path))
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    else:
        _take_mode(path, 0o777)


def write_atomically(
    path: str, write: Callable[[IO[bytes]], object], *, root: str | None = None
) -> None:
    """Let ``write`` fill a new file, and put it at ``path`` when it is complete.

    A reader sees the old content or the new one; when ``write`` raises, the old one stays.

    Args:
        path: Where the file appears.
        write: Called with the open file.
        root: The shared directory that the file belongs to: what is missing of the way
            is created, with permissions for all who share it. Without one the directory
            must exist and the umask decides.
    """
    if root is not None:
        # The umask's business: what is above, such as /tmp, is shared with strangers.
        os.makedirs(root, exist_ok=True)
        _make_directory(os.path.dirname(path))
    temporary = os.path.join(os.path.dirname(path), TEMPORARY_PREFIX + os.urandom(8).hex())
    try:
        with open(temporary, "xb") as stream:
            write(stream)
        if root is not None:
            _take_mode(temporary, 0o666)
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise


def copy_stream(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy to the end, a megabyte at a time."""
    while True:
        chunk = source.read(_CHUNK)
        if not chunk:
            return
        target.write(chunk)


def _take_mode(path: str, mask: int) -> None:
    """Add the permissions that the directory above gives, as far as ``mask`` goes.

    Add only: a umask that is more generous than the directory was somebody's choice.
    """
    above = os.stat(os.path.dirname(path) or ".").st_mode
    own = os.stat(path).st_mode & 0o777
    wanted = own | (above & mask)
    if wanted != own:
        os.chmod(path, wanted)


def remove(path: str, recursive: bool, missing: Callable[[], Any]) -> None:
    """Remove a file or link, or with ``recursive`` a directory and all below it.

    Raises:
        IsADirectoryError: It is a directory and ``recursive`` is false.
        Exception: What ``missing`` returns, if there is nothing.
    """
    if os.path.isdir(path) and not os.path.islink(path):
        if not recursive:
            raise IsADirectoryError(21, "Is a directory (give recursive)", path)
        import shutil  # noqa: PLC0415 - slow to import, rarely needed

        shutil.rmtree(path)
        return
    try:
        os.remove(path)
    except FileNotFoundError:
        raise missing() from None
