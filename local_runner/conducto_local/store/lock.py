"""A file lock that allows one process at a time to open the store."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from conducto_local.store.errors import StoreLockedError

#: Enough for a process id.
_PID_BYTES = 32


class StoreLock:
    """Holds the lock from construction to `release`; the kernel frees it when the process ends.

    Raises:
        StoreLockedError: Another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = _pid_in(self._fd)
            self.release()
            who = f"process {pid}" if pid is not None else "another process"
            raise StoreLockedError(
                f"{path}: the store is in use by {who}. Stop that agent first "
                "(conducto agent stop), or use another profile (CONDUCTO_PROFILE).",
                pid,
            ) from error
        with suppress(OSError):  # disk full: the lock works, but has no pid
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Release the lock; safe to call twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _pid_in(fd: int) -> int | None:
    text = os.pread(fd, _PID_BYTES, 0)
    return int(text) if text.isdigit() else None
