"""Lambda's asynchronous invocations, in separate threads and with retries."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

logger = logging.getLogger(__name__)

#: Seconds before the two retries of a failed invocation: none.
AT_ONCE = (0.0, 0.0)


class AsyncCalls:
    """Executes calls until they succeed or have no retries left.

    Args:
        pauses: Seconds before each retry.
    """

    def __init__(self, pauses: Sequence[float] = AT_ONCE) -> None:
        self._pauses = tuple(pauses)
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="events")
        self._closed = threading.Event()
        self._timers: set[threading.Timer] = set()
        self._lock = threading.Lock()

    def submit(self, what: str, call: Callable[[], object], delay: float = 0.0) -> None:
        """Execute a call after some seconds; ``what`` names it in the log."""
        self._later(delay, lambda: self._try(what, call, 0))

    def execute(self, what: str, call: Callable[[], object]) -> None:
        """Execute a call in this thread, and its retries later."""
        self._try(what, call, 0)

    def close(self) -> None:
        """Stop starting calls and wait for the running ones."""
        self._closed.set()
        with self._lock:
            timers = list(self._timers)
        for timer in timers:
            timer.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        if self._closed.is_set():
            return
        if delay <= 0:
            self._begin(call)
            return
        timer = threading.Timer(delay, lambda: self._due(timer, call))
        timer.daemon = True
        with self._lock:
            self._timers.add(timer)
        timer.start()

    def _due(self, timer: threading.Timer, call: Callable[[], None]) -> None:
        with self._lock:
            self._timers.discard(timer)
        self._begin(call)

    def _begin(self, call: Callable[[], None]) -> None:
        try:
            self._pool.submit(call)
        except RuntimeError:  # it was closed meanwhile
            logger.info("dropped a call: the emulator is stopping")

    def _try(self, what: str, call: Callable[[], object], tried: int) -> None:
        try:
            call()
        except Exception:
            logger.exception("%s failed (attempt %s)", what, tried + 1)
            if tried < len(self._pauses):
                self._later(self._pauses[tried], lambda: self._try(what, call, tried + 1))
