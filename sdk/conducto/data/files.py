"""Files outside of the data directories that are written atomically."""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH105, PTH108, PTH118, PTH120, PTH123

from __future__ import annotations

import os

from conducto.files.directory import TEMPORARY_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

_CHUNK = 1 << 20


def write_atomically(path: str, write: Callable[[IO[bytes]], object]) -> None:
    """Write a new file with ``write``, and move it to ``path`` when it is complete.

    A reader sees the old content or the new one; if ``write`` raises, the old one stays.
    """
    temporary = os.path.join(os.path.dirname(path), TEMPORARY_PREFIX + os.urandom(8).hex())
    try:
        with open(temporary, "xb") as stream:
            write(stream)
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
