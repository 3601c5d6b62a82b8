"""Python's cyclic garbage collector, during work that makes millions of objects that stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_pauses = 0


@contextmanager
def paused_collection() -> Iterator[None]:
    """Pause the collector, which would visit all nodes of a large tree again and again.

    That is a quarter of the CPU time of the launch of 100,000 Execs. The collector continues after
    the last pause of any thread; one that was disabled before stays disabled.
    """
    global _pauses  # noqa: PLW0603  the collector is one per process, too
    with _lock:
        paused = bool(_pauses) or gc.isenabled()
        if paused:
            _pauses += 1
            gc.disable()
    try:
        yield
    finally:
        with _lock:
            if paused:
                _pauses -= 1
                if not _pauses:
                    gc.enable()
