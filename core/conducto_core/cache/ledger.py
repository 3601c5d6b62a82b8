"""Digests of files that outlast the process that computed them.

The ledger is a file of lines beside the contents of the cache. A line has the device and inode of a
file, the size and times that it had, its SHA-256, and a checksum of the line: a process that is
killed while it writes, or several that write at once, leave lines that do not count. Nothing
depends on a ledger: without it, files are read again.

After a loss of power, a file may have older content than its times say. So the ledger of a disk
counts until the machine starts again; a file system of the network keeps what it has confirmed.
"""

import logging
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

logger = logging.getLogger(__name__)

#: The name of the ledger beside the contents.
LEDGER: Final = "digests"
#: A ledger that is larger starts again: about 250,000 files.
_MAX_BYTES = 32 << 20
_SHARED = "shared"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Line(NamedTuple):
    """The digest of one version of a file.

    Attributes:
        device: That of the file; 0 on a file system of the network, where it varies.
        inode: That of the file.
        size: Its bytes.
        changed: When its content changed last, in nanoseconds.
        touched: When its status changed last.
        digest: The SHA-256 of its content.
    """

    device: int
    inode: int
    size: int
    changed: int
    touched: int
    digest: str


class Ledger:
    """The digests of one cache.

    Args:
        path: The file, which is made with the first line.
        shared: The files are on a file system of the network.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self._path = path
        place = _SHARED if shared else _boot()
        #: None: nothing tells when the machine started, so nothing can be kept.
        self._head = None if place is None else f"digests 1 {place}\n".encode()
        self._read = 0

    def news(self) -> list[Line]:
        """Return the lines that this process has not read yet."""
        try:
            with self._path.open("rb") as file:
                if file.readline() != self._head:
                    return []
                if os.fstat(file.fileno()).st_size < self._read:  # it has started again
                    self._read = 0
                start = file.seek(max(self._read, file.tell()))
                text = file.read()
        except OSError:
            return []
        end = text.rfind(b"\n") + 1
        found = [_parsed(each) for each in text[:end].split(b"\n")]
        self._read = start + end
        return [line for line in found if line is not None]

    def add(self, lines: Iterable[Line]) -> None:
        """Append lines; a failure is logged."""
        text = b"".join(_text(line) for line in lines)
        if not text or self._head is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._start_again(self._head)
            with self._path.open("ab") as file:
                file.write(text if file.tell() else self._head + text)
        except OSError as error:  # for example, the disk is full
            logger.warning("digests of files were not kept: %s", error)

    def _start_again(self, head: bytes) -> None:
        """Delete a ledger that is too large, or was made before the machine started."""
        with suppress(FileNotFoundError):
            with self._path.open("rb") as file:
                is_other = file.readline() != head
                is_large = os.fstat(file.fileno()).st_size > _MAX_BYTES
            if is_other or is_large:
                self._path.unlink()


def _boot() -> str | None:
    """Return the name of the current start of this machine, if it has one."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return None


def _text(line: Line) -> bytes:
    text = " ".join(map(str, line)).encode()
    return b"%b %08x\n" % (text, zlib.crc32(text))


def _parsed(text: bytes) -> Line | None:
    body, _, checksum = text.rpartition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    device, inode, size, changed, touched, digest = body.decode().split(" ")
    return Line(int(device), int(inode), int(size), int(changed), int(touched), digest)
