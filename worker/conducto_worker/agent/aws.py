"""The queue of the worker's pool: a Step Functions activity."""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from conducto_core.workers.model import Credentials, TaskProof, WorkerInstructions
from conducto_core.workers.rules import task_proof
from conducto_worker.agent.port import Clock, PolledTask, WorkerApiError

logger = logging.getLogger(__name__)

#: Credentials are renewed this many seconds before they expire.
_EARLY = 300.0
#: Seconds between two checks during a poll whether the worker is asked to stop.
_CHECK_EVERY = 0.5
#: Seconds to wait after a failed poll.
_PAUSE = 2.0
_ARN_COLONS = 5
_GONE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
#: A poll stays open for 60 s, so the socket needs a longer timeout.
_READ_TIMEOUT = 75


_Polled = SimpleQueue[PolledTask | Exception | None]


class ActivityClient(Protocol):
    """The methods of botocore's Step Functions client that the poller uses."""

    def get_activity_task(self, **fields: str) -> dict[str, Any]:
        """Return a task."""

    def send_task_heartbeat(self, **fields: str) -> dict[str, Any]:
        """Keep a task alive."""


class ActivityPoller:
    """Polls the activity; implements `conducto_worker.agent.port.Tasks`."""

    def __init__(
        self,
        instructions: WorkerInstructions,
        renew: Callable[[], WorkerInstructions],
        *,
        connect: Callable[[WorkerInstructions], ActivityClient],
        clock: Clock,
        wall: Callable[[], float],
    ) -> None:
        self._instructions = instructions
        self._renew = renew
        self._connect = connect
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._client = connect(instructions)
        self._polled: _Polled | None = None

    @property
    def open(self) -> bool:
        return self._polled is not None

    def poll_briefly(self, seconds: float) -> PolledTask | None:
        try:
            found = self._open_poll().get(timeout=seconds)
        except Empty:
            return None
        self._polled = None
        return self._task(found)

    def poll(self, may_abort: Callable[[], bool], *, leaving: bool = False) -> PolledTask | None:
        """Return the next task, or None after a minute without one, or if the poll is aborted.

        Args:
            may_abort: Called once if the worker is asked to stop during the poll; returns whether
                to abort it.
            leaving: The worker stops already.
        """
        found = self._result(self._open_poll(), may_abort, leaving=leaving)
        self._polled = None
        if isinstance(found, Exception):
            self._clock.wait(_PAUSE)
        return self._task(found)

    def _open_poll(self) -> "_Polled":
        """Return the open poll, or start one."""
        if self._polled is None:
            self._polled = SimpleQueue()
            # A blocked call cannot be interrupted; the thread of an aborted poll ends with the
            # process.
            threading.Thread(target=self._poll, args=(self._polled,), daemon=True).start()
        return self._polled

    @staticmethod
    def _task(found: PolledTask | Exception | None) -> PolledTask | None:
        if isinstance(found, Exception):
            logger.warning("poll failed: %s", _name(found))
            return None
        return found

    def _poll(self, polled: "_Polled") -> None:
        try:
            found = self._current().get_activity_task(activityArn=self._instructions.activity)
            polled.put(_offer(found))
        except Exception as error:  # noqa: BLE001  (botocore's; any error means: poll again later)
            polled.put(error)

    def _result(
        self, polled: "_Polled", may_abort: Callable[[], bool], *, leaving: bool
    ) -> PolledTask | Exception | None:
        while True:
            with suppress(Empty):
                return polled.get(timeout=0.0 if leaving else _CHECK_EVERY)
            if leaving or self._clock.stopped_at is not None:
                return None if may_abort() and polled.empty() else polled.get()

    def heartbeat(self, token: str) -> bool:
        """Keep a task alive; return False if it is no longer open."""
        try:
            self._current().send_task_heartbeat(taskToken=token)
        except Exception as error:
            if _name(error) in _GONE:
                return False
            raise WorkerApiError(f"Step Functions: {_name(error)}") from error
        return True

    def _current(self) -> ActivityClient:
        with self._lock:
            credentials = self._instructions.credentials
            if credentials is not None and _is_old(credentials, self._wall()):
                self._instructions = self._renew()
                self._client = self._connect(self._instructions)
            return self._client


def connect(instructions: WorkerInstructions) -> ActivityClient:
    # Slow to import. boto3 would add nothing but size to the image.
    import botocore.session  # type: ignore[import-untyped]  # noqa: PLC0415
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

    given = instructions.credentials
    keys = (
        {}
        if given is None
        else {
            "aws_access_key_id": given.access_key,
            "aws_secret_access_key": given.secret_key,
            "aws_session_token": given.session_token,
        }
    )
    # No retries: a poll that is repeated after its response was lost would lose the task.
    config = Config(read_timeout=_READ_TIMEOUT, retries={"total_max_attempts": 1})
    client: ActivityClient = botocore.session.get_session().create_client(
        "stepfunctions", region_name=instructions.region, config=config, **keys
    )
    return client


def task_credentials() -> Any:
    """Return botocore's credentials of the task's role, or None."""
    import botocore.session  # noqa: PLC0415  slow, as in `connect`

    return botocore.session.get_session().get_credentials()


def prove(task: str, key: str, env: Mapping[str, str], credentials: Any) -> TaskProof:
    """Return the proof that this process runs in a task (`conducto_core.workers.rules.task_proof`).

    Raises:
        WorkerApiError: The task has no role.
    """
    # Slow to import, as in `connect`.
    from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # noqa: PLC0415

    if credentials is None or task.count(":") < _ARN_COLONS:
        raise WorkerApiError("ECS gives this task no ARN or no role, so it cannot prove who it is")
    _, partition, _, region, _ = task.split(":", 4)
    headers = {
        "Content-Type": task_proof.CONTENT_TYPE,
        task_proof.KEY_HEADER: task_proof.digest_of(key),
    }
    url = task_proof.sts_endpoint(region, partition, env) + "/"
    request = AWSRequest("POST", url, headers, task_proof.BODY)
    SigV4Auth(credentials.get_frozen_credentials(), "sts", region).add_auth(request)
    return TaskProof(
        authorization=request.headers["Authorization"],
        date=request.headers["X-Amz-Date"],
        security_token=request.headers.get("X-Amz-Security-Token") or "",
    )


def _is_old(credentials: Credentials, now: float) -> bool:
    return credentials.expires is not None and now > credentials.expires - _EARLY


def _offer(found: dict[str, Any]) -> PolledTask | None:
    token = found.get("taskToken")
    if not token:
        return None
    given = json.loads(found["input"])
    return PolledTask(token, str(given["r"]), str(given["n"]), bool(given.get("w")))


def _name(error: Exception) -> str:
    """Return the AWS error code of an exception; the whole message might contain a token."""
    response = getattr(error, "response", {})
    code: str = response.get("Error", {}).get("Code") or type(error).__name__
    return code
