"""The worker's clock, and SIGTERM."""

import signal
import threading
import time


class SignalClock:
    """Satisfies `conducto_worker.agent.ports.Clock`: SIGTERM tells the worker to stop."""

    def __init__(self) -> None:
        self._stopped_at: float | None = None
        self._told = threading.Event()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on; from the main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.stop())

    def stop(self) -> None:
        """Have the worker stop."""
        if self._stopped_at is None:
            self._stopped_at = self.now()
        self._told.set()

    def now(self) -> float:
        """Return seconds since some fixed moment."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or sooner when the worker is told to stop."""
        if self._told.is_set():
            time.sleep(min(seconds, 1.0))  # told already: what waits must not spin
        else:
            self._told.wait(seconds)

    @property
    def stopped_at(self) -> float | None:
        """When the worker was told to stop."""
        return self._stopped_at
