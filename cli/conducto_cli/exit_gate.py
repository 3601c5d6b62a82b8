"""Daemon threads at the end of the process.

When Python ends, a daemon thread that takes the interpreter's lock again is ended on the spot. In
compiled code that is written in Rust, as pydantic's, or while it holds the lock of standard output,
the whole process aborts (SIGABRT). So such a thread does these things inside a gate, which the main
thread closes before it leaves.
"""

import threading
from types import TracebackType

#: Seconds that the main thread waits for a thread inside.
TIMEOUT = 1.0


class ExitGate:
    """A lock that the main thread takes and keeps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def close(self) -> bool:
        """Let no thread in any more; return whether none is inside."""
        return self._lock.acquire(timeout=TIMEOUT)
