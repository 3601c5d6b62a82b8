"""The worker API over HTTP."""

import http.client
import json
import logging
import ssl
import threading
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from random import SystemRandom
from typing import Any, Protocol, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import ValidationError

from conducto_core.api.operation import API_ROOT, Operation
from conducto_core.record import Record
from conducto_core.workers.model import (
    Claim,
    ClaimResponse,
    EndResponse,
    Heartbeat,
    HeartbeatResponse,
    LogResponse,
    LogUpload,
    Report,
    ReportResponse,
    WorkerEnd,
    WorkerInstructions,
    WorkerLogChunk,
    WorkerStart,
)
from conducto_core.workers.operations import (
    CLAIM,
    END,
    HEARTBEAT,
    LOG,
    LOG_UPLOAD,
    REPORT,
    START,
    UPLOAD,
)
from conducto_worker.agent.port import Clock, RefusedError, WorkerApiError, WorkerGoneError

logger = logging.getLogger(__name__)

#: Seconds for which a call is retried while the API is unreachable.
TIMEOUT = 900.0
#: The same once the worker is stopping.
LAST_TIMEOUT = 20.0
_TIMEOUT = 35.0  # API Gateway gives up after 29 s
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0
_DETAIL = 500
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})

B = TypeVar("B")
R = TypeVar("R", bound=Record)


class Transport(Protocol):
    """Sends a request; raises OSError or `http.client.HTTPException`."""

    def __call__(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of the response."""


class HttpTransport:
    """HTTP requests to one server; each thread has its own connection.

    Args:
        url: URL of the API, with or without a path.
        token: The worker's token.
    """

    def __init__(self, url: str, token: str) -> None:
        self._parts = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._own = threading.local()

    def authenticate(self, token: str) -> None:
        """Send further requests with another token."""
        self._headers = {**self._headers, "Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a request; reconnect if the server closed the connection meanwhile."""
        kept: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if kept is not None:
            with suppress(OSError, http.client.HTTPException):
                return self._exchange(kept, method, path, body)
            kept.close()
        self._own.connection = None
        connection = self._connect()
        answer = self._exchange(connection, method, path, body)
        self._own.connection = connection
        return answer

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes
    ) -> tuple[int, bytes]:
        target = self._parts.path.rstrip("/") + path
        connection.request(method, target, body, self._headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=context)
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT)


class HttpApi:
    """The worker API over HTTP; implements `conducto_worker.agent.port.Api`.

    A call may be sent twice; every operation of the API is idempotent.
    """

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._jitter = SystemRandom()

    def start(self, start: WorkerStart) -> WorkerInstructions:
        return self._try(START, start, self._timeout)

    def claim(self, claim: Claim) -> ClaimResponse:
        return self._try(CLAIM, claim, self._timeout)

    def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatResponse:
        """Report that a command is still running."""
        return self._once(HEARTBEAT, heartbeat)

    def log(self, chunk: WorkerLogChunk) -> LogResponse:
        return self._once(LOG, chunk)

    def log_upload(self, wanted: LogUpload, data: bytes) -> str:
        """Upload the gzip of a large chunk of output; return its key."""
        answer = self._once(LOG_UPLOAD, wanted)
        try:
            self._put(answer.url, data)
        except OSError as error:  # the URL may have expired: the next attempt gets another one
            raise WorkerApiError(f"{type(error).__name__} during the upload of output") from error
        return answer.key

    def report(self, report: Report) -> ReportResponse:
        return self._try(REPORT, report, lambda: TIMEOUT)

    def upload(self, data: bytes) -> str:
        answer = self._try(UPLOAD, None, self._timeout)
        try:
            self._put(answer.url, data)
        except OSError as error:
            raise RefusedError(f"{type(error).__name__} during the upload") from error
        return answer.key

    @staticmethod
    def _put(url: str, data: bytes) -> None:
        # Without a content type, urllib sends that of a form.
        how = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(url, data, how, method="PUT")  # noqa: S310 (the API's)
        with urllib.request.urlopen(request, timeout=300):  # noqa: S310 (the same)
            return

    def end(self, end: WorkerEnd) -> EndResponse:
        return self._try(END, end, lambda: LAST_TIMEOUT)

    def _timeout(self) -> float:
        return TIMEOUT if self._clock.stopped_at is None else LAST_TIMEOUT

    def _try(
        self, call: Operation[Any, B, R], body: Record | None, timeout: Callable[[], float]
    ) -> R:
        began = self._clock.now()
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._once(call, body)
            except RefusedError:
                raise
            except WorkerApiError as error:
                if self._clock.now() - began >= timeout():
                    raise
                logger.warning("%s: %s; retrying", call.name, error)
            # Jitter, so that workers do not all retry at the same moment.
            self._clock.wait(pause * self._jitter.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _once(self, call: Operation[Any, B, R], body: Record | None) -> R:
        data = b"" if body is None else body.model_dump_json().encode()
        try:
            status, answer = self._transport(call.method, API_ROOT + call.path, data)
        except (OSError, http.client.HTTPException) as error:
            raise WorkerApiError(f"the API is unreachable: {error}") from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise _error(status, answer)
        try:
            return call.response.model_validate(_known_fields(call.response, json.loads(answer)))
        except (ValueError, ValidationError):
            # The text of the error would contain the response, secrets included.
            raise WorkerApiError(f"invalid response to {call.name}") from None


def _known_fields(response: type[Record], document: Any) -> Any:
    """Leave out fields that a newer API may have added (docs/decisions/0013)."""
    if not isinstance(document, dict):
        return document
    fields = response.model_fields
    return {
        name: value
        if (part := _part(fields[name].annotation)) is None
        else _known_fields(part, value)
        for name, value in document.items()
        if name in fields
    }


def _part(annotation: Any) -> type[Record] | None:
    """Return the record type of a field that holds a record, or a record or None."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, Record):
            return each
    return None


def _error(status: int, answer: bytes) -> WorkerApiError:
    said = f"{status}: {_detail(answer)}"
    if status == HTTPStatus.GONE:
        return WorkerGoneError(said)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _AGAIN:
        return WorkerApiError(said)
    return RefusedError(said)


def _detail(answer: bytes) -> str:
    try:
        problem = json.loads(answer)
        return str(problem["detail"])[:_DETAIL]
    except (ValueError, KeyError, TypeError):
        return "no reason was given"
