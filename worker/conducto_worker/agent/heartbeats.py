"""Keeps alive what the worker has in hand: tokens by heartbeats, the running command by pulses."""

import logging
import threading

from conducto_core.model.worker import Heartbeat
from conducto_worker.agent.ports import Api, ApiError, Tasks, WorkerGoneError

logger = logging.getLogger(__name__)


class HeartbeatSender:
    """Safe to use from two threads.

    Attributes:
        stop: The API wants the running command ended.
        gone: The API has no use for this worker any more.
    """

    def __init__(self, api: Api, tasks: Tasks) -> None:
        self._api = api
        self._tasks = tasks
        self._lock = threading.Lock()
        self._tokens: set[str] = set()
        self._running: Heartbeat | None = None
        self.stop = False
        self.gone = False

    def hold(self, token: str) -> None:
        """Keep a task alive until it is dropped, or nobody waits for it."""
        with self._lock:
            self._tokens.add(token)

    def drop(self, token: str) -> None:
        """Keep a task alive no more."""
        with self._lock:
            self._tokens.discard(token)

    def holds(self, token: str) -> bool:
        """Return whether somebody waits still for a task that is held."""
        with self._lock:
            return token in self._tokens

    def running(self, path: str, attempt: int) -> None:
        """Say from now on that a command runs."""
        with self._lock:
            self._running = Heartbeat(path=path, attempt=attempt)
            self.stop = False

    def ended(self) -> None:
        """Say it no more."""
        with self._lock:
            self._running = None
            self.stop = False

    def beat(self) -> None:
        """Say once for everything that it lives."""
        with self._lock:
            tokens, running = tuple(self._tokens), self._running
        if running is not None:
            self._pulse(running)
        for token in tokens:
            try:
                if not self._tasks.heartbeat(token):
                    self.drop(token)
            except ApiError as error:
                logger.warning("no heartbeat: %s", error)

    def run(self, leaving: threading.Event, seconds: float) -> None:
        """Beat until told to leave."""
        while not leaving.wait(seconds):
            self.beat()

    def _pulse(self, pulse: Heartbeat) -> None:
        try:
            answer = self._api.pulse(pulse)
        except WorkerGoneError:
            self.gone = True
            return
        except ApiError as error:
            about = {"path": pulse.path, "attempt": pulse.attempt}
            logger.warning("no pulse: %s", error, extra=about)
            return
        with self._lock:
            if answer.stop and self._running == pulse:
                self.stop = True
