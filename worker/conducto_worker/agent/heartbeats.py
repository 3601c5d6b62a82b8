"""Heartbeats for the tasks that the worker holds and for the running command."""

import logging
import threading

from conducto_core.workers.model import Heartbeat, HeartbeatResponse, WorkerLogChunk
from conducto_worker.agent.log_shipper import LogShipper
from conducto_worker.agent.port import Api, OpenTasks, WorkerApiError, WorkerGoneError

logger = logging.getLogger(__name__)


class HeartbeatSender:
    """Sends heartbeats; safe to use from two threads.

    Args:
        shipper: Has output that heartbeats of the command carry.

    Attributes:
        stop: The API wants the running command stopped.
        gone: The API no longer needs this worker.
    """

    def __init__(self, api: Api, tasks: OpenTasks, shipper: LogShipper | None = None) -> None:
        self._shipper = shipper
        self._api = api
        self._tasks = tasks
        self._lock = threading.Lock()
        self._tokens: set[str] = set()
        self._running: Heartbeat | None = None
        self.stop = False
        self.gone = False

    def add_task(self, token: str) -> None:
        """Send heartbeats for a task until it is dropped or expires."""
        with self._lock:
            self._tokens.add(token)

    def drop(self, token: str) -> None:
        with self._lock:
            self._tokens.discard(token)

    def holds(self, token: str) -> bool:
        """Return whether a held task is still open."""
        with self._lock:
            return token in self._tokens

    def running(self, path: str, attempt: int) -> None:
        with self._lock:
            self._running = Heartbeat(path=path, attempt=attempt)
            self.stop = False

    def ended(self) -> None:
        with self._lock:
            self._running = None
            self.stop = False

    def beat(self) -> None:
        """Send one heartbeat for each task and for the running command."""
        with self._lock:
            tokens, running = tuple(self._tokens), self._running
        if running is not None:
            self._heartbeat(running)
        for token in tokens:
            try:
                if not self._tasks.heartbeat(token):
                    self.drop(token)
            except WorkerApiError as error:
                logger.warning("task heartbeat failed: %s", error)

    def run(self, leaving: threading.Event, seconds: float) -> None:
        """Send heartbeats every ``seconds`` until ``leaving`` is set."""
        while not leaving.wait(seconds):
            self.beat()

    def _heartbeat(self, heartbeat: Heartbeat) -> None:
        try:
            response = self._sent(heartbeat)
        except WorkerGoneError:
            self.gone = True
            return
        except WorkerApiError as error:
            about = {"path": heartbeat.path, "attempt": heartbeat.attempt}
            logger.warning("command heartbeat failed: %s", error, extra=about)
            return
        with self._lock:
            if response.stop and self._running == heartbeat:
                self.stop = True

    def _sent(self, heartbeat: Heartbeat) -> HeartbeatResponse:
        def send(chunks: tuple[WorkerLogChunk, ...]) -> HeartbeatResponse:
            return self._api.heartbeat(heartbeat.model_copy(update={"chunks": chunks}))

        if self._shipper is None:
            return send(())
        return self._shipper.with_heartbeat(heartbeat.path, heartbeat.attempt, send)
