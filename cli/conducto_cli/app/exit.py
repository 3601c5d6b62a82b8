"""What the exit codes of the commands mean; docs and ``--help`` read them here."""

import threading
from types import TracebackType

DONE, FAILED, USAGE, NO_ENGINE, LEFT = 0, 1, 2, 3, 130

MEANINGS = {
    DONE: "done, or the action was performed",
    FAILED: "the pipeline ended in error or was killed, or the agent cannot be reached",
    USAGE: "wrong usage, an unknown pipeline or node, or a wrong definition",
    NO_ENGINE: "no container engine, not started, or no permission",
    LEFT: "left before the end, with Ctrl-C or q, or it was paused; the pipeline can continue",
}
#: The same in one line.
BRIEF = "0 done, 1 error or killed, 2 wrong usage or definition, 3 no container engine, 130 left"


# ----------------------------------------------------------------------------------------
# Daemon threads at the end of the process.
#
# When Python ends, a daemon thread that takes the interpreter's lock again is ended on the spot. In
# compiled code that is written in Rust, as pydantic's, or while it holds the lock of standard
# output, the whole process aborts (SIGABRT). So such a thread does these things inside a gate,
# which the main thread closes before it leaves.


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
