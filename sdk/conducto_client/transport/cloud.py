"""The transport to a cloud installation.

It differs from a server on this machine: TLS and a path in the address, bodies and responses that
are too large for Lambda go through the bucket, one WebSocket serves all pipelines, and API Gateway
itself responds to some requests, with texts of its own.
"""

import contextlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from tempfile import SpooledTemporaryFile
from typing import IO, TypeVar, cast
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from conducto_client.agents import AgentTransport, referenced, routed, split
from conducto_client.calls import problem_in
from conducto_client.client import Client
from conducto_client.errors import AgentUnreachableError, ApiError
from conducto_client.transport.http import TIMEOUT, HttpTransport, tls_context
from conducto_client.transport.port import Body, Endpoint, Reply, StreamLostError
from conducto_core.api import cloud_operations as cloud
from conducto_core.api.operation import API_ROOT, AnyOperation, Operation
from conducto_core.people.model import (
    AcceptInvitation,
    CiExchange,
    CliExchange,
    IssuedToken,
    MemberLogin,
)
from conducto_core.people.operations import ACCEPT_INVITATION, EXCHANGE_CI_TOKEN, EXCHANGE_CLI_CODE
from conducto_core.record import Record
from conducto_core.remote.operations import AGENT_PARAMETER
from conducto_core.results.model import CompareParams, MetricComparison
from conducto_core.run import operations as pipelines
from conducto_core.run.model.params import NoParams
from conducto_core.run.model.requests import (
    AgentStatus,
    EventBatch,
    LaunchRequest,
    LogChunk,
    Problem,
)
from conducto_core.run.model.responses import ImageLog
from conducto_core.workers.model import UploadResponse

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)

_OK = 200
_SEE_OTHER = 303
_BAD_REQUEST = 400
_RANGE_NOT_SATISFIABLE = 416
_PROBLEM = "application/problem+json"
#: Timeout of one large upload or download, in seconds.
_TRANSFER_SECONDS = 3600.0
#: Seconds between two requests for further output.
_FOLLOW_SECONDS = 1.0


class CloudTransport(HttpTransport):
    """A `conducto_client.Transport`.

    Args:
        endpoint: URL of the API, as ``conducto deploy`` prints it, and a token.
        timeout: Seconds to wait for a response.
        waiting: Called with the current step whenever a response is not ready.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout: float = TIMEOUT,
        waiting: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(endpoint, timeout=timeout)
        self._waiting = waiting
        self._sleep = sleep
        self._url = endpoint.url
        self._token = endpoint.token
        self._socket: str | None = None

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and return the response, with its body from wherever it is."""
        given = dict(headers or {})
        path, query = routed(path, query)
        if body is not None:
            body = self._small(body, given)
        reply = super().request(method, path, query, body, given)
        left = _TRANSFER_SECONDS
        # The request body is in the bucket or small, so it can be sent again.
        while reply.status == cloud.PREPARING and left > 0:
            self._waiting(problem_in(reply).detail)
            self._sleep(cloud.ASK_AGAIN_SECONDS)
            left -= cloud.ASK_AGAIN_SECONDS
            reply = super().request(method, path, query, body, given)
        if reply.status == _SEE_OTHER:
            return _fetched(reply.headers["location"], given.get("Range"))
        return self._in_our_words(reply)

    def pause(self, seconds: float) -> None:
        """Wait before a request is repeated."""
        self._sleep(seconds)

    def stream(
        self, path: str, query: Mapping[str, str], *, heartbeat: float | None = None
    ) -> Iterator[bytes]:
        """Yield the frames of changes of the pipeline in ``path``."""
        # A third of the import time of the client; most commands have no stream.
        from conducto_client.transport.http import followed  # noqa: PLC0415

        agent, pipeline_id = split(unquote(path.removesuffix("/events").rpartition("/")[2]))
        wanted: dict[str, str | int] = {
            "subscribe": pipeline_id,
            "cursor": int(query.get("cursor", 0)),
        }
        if agent is not None:
            wanted[AGENT_PARAMETER] = agent
        for frame in followed(self._socket_url(), self._token, wanted, heartbeat):
            problem = _problem_of(frame) if frame else None
            if problem is not None:
                raise ApiError(problem)
            yield frame

    def _socket_url(self) -> str:
        if self._socket is None:
            status = self._ask(pipelines.AGENT_STATUS, AgentStatus)
            if not status.socket:
                raise StreamLostError(f"{self._url} names no WebSocket")
            self._socket = status.socket
        return self._socket

    def socket(self) -> Endpoint:
        """Return the address of the installation's WebSocket, and the token."""
        return Endpoint(self._socket_url(), self._token)

    def _small(self, body: Body, headers: dict[str, str]) -> bytes:
        """Return a body that goes through the API; upload a large one to the bucket instead."""
        chunks = (body,) if isinstance(body, bytes) else body
        with SpooledTemporaryFile(max_size=cloud.MAX_DIRECT) as file:
            size = sum(file.write(chunk) for chunk in chunks)
            file.seek(0)
            if size <= cloud.MAX_DIRECT:
                return file.read()
            response = self._ask(cloud.UPLOAD_BODY, UploadResponse)
            put(response.url, file, size)
        headers[cloud.BODY_KEY] = response.key
        return b""

    def _ask(self, operation: AnyOperation, response: type[R]) -> R:
        path = f"{API_ROOT}{operation.path}"
        reply = self._in_our_words(super().request(operation.method, path, {}, None))
        if reply.status != _OK:
            raise ApiError(problem_in(reply))
        return response.model_validate_json(reply.body)

    def _in_our_words(self, reply: Reply) -> Reply:
        """Return a rejection by API Gateway as a problem of Conducto."""
        is_ours = reply.headers.get("content-type", "").startswith(_PROBLEM)
        said = _GATEWAY.get(reply.status)
        if reply.status < _BAD_REQUEST or is_ours or said is None:
            return reply
        detail, remedy = (text.replace("URL", self._url) for text in said)
        problem = Problem(title="refused", status=reply.status, detail=detail, remedy=remedy)
        headers = {**reply.headers, "content-type": _PROBLEM}
        return Reply(reply.status, problem.model_dump_json().encode(), headers)

    def _unreachable(self, error: Exception) -> AgentUnreachableError:
        reason = str(error) or type(error).__name__
        return AgentUnreachableError(
            f"the cloud installation at {self._url} does not answer ({reason}); check the "
            "connection, or log in where it is now: conducto login --url URL (an emulator: "
            "conducto cloud-emulator up); --local keeps to this machine"
        )


_REFUSED = (
    "the token is not valid for URL any more: it has expired or was revoked",
    "log in again: conducto login --url URL",
)
_GATEWAY: Mapping[int, tuple[str, str]] = {
    401: _REFUSED,
    403: _REFUSED,
    404: ("URL has no such operation", "check the address: conducto login --url URL"),
    413: ("the request is too large for URL", "this is a bug in Conducto; report it"),
    429: ("URL has too many requests now", "try again in a minute"),
    500: ("URL failed to respond", "try again; its administrator finds the reason in the logs"),
    502: ("URL failed to respond", "try again; its administrator finds the reason in the logs"),
    503: ("URL is busy or being deployed", "try again in a minute"),
    504: ("URL took too long to respond", "try again"),
}


def _is_end(found: Record) -> bool:
    """Return whether a part of output has some, or no more will come."""
    match found:
        case LogChunk():
            return bool(found.data) or found.complete
        case ImageLog():
            return bool(found.text) or found.complete
        case _:
            return True


class CloudClient(Client):
    """A client of a cloud installation, with the operations that only the cloud has.

    It takes and returns ``a/AGENT/ID`` as the id of a pipeline of a linked agent.
    """

    def call(
        self,
        operation: Operation[P, B, R],
        query: P,
        body: Record | None = None,
        key: str | None = None,
    ) -> R:
        """Call any operation of `conducto_core`, once for each ``key``.

        A request for output does not wait in the cloud, where each waiting request occupies a
        function: it is repeated.
        """
        agent, _ = split(str(getattr(query, "id", "")))
        left: float = getattr(query, "wait", 0.0)
        if left:
            query = query.model_copy(update={"wait": 0.0})
        found = super().call(operation, query, body, key)
        while left > 0 and not _is_end(found):
            pause = min(left, _FOLLOW_SECONDS)
            cast("CloudTransport", self._transport).pause(pause)
            left -= pause
            if left > 0:
                found = super().call(operation, query, body, key)
        return referenced(found, agent)

    def _event_stream(
        self, pipeline_id: str, cursor: int, heartbeat: float | None
    ) -> Iterator[EventBatch | None]:
        agent, _ = split(pipeline_id)
        for batch in super()._event_stream(pipeline_id, cursor, heartbeat):
            yield referenced(batch, agent)

    def socket(self) -> Endpoint:
        """Return the address of the installation's WebSocket, and the token."""
        return cast("CloudTransport", self._transport).socket()

    def compare_metrics(
        self, query: CompareParams, *, beside: str | None = None
    ) -> MetricComparison:
        """Return the metrics of the newest pipelines of a program, in the cloud or of an agent."""
        agent, _ = split(beside or "")
        if agent is None:
            return super().compare_metrics(query)
        client = Client(AgentTransport(self._transport, agent))
        return referenced(client.compare_metrics(query), agent)

    def who_am_i(self) -> cloud.WhoAmI:
        """Return the owner of the token."""
        return self.call(cloud.WHO_AM_I, NoParams())

    def exchange_cli_code(self, verifier: str) -> IssuedToken:
        """Exchange the code of a log-in, which is the client's token, for a token."""
        return self.call(EXCHANGE_CLI_CODE, NoParams(), CliExchange(verifier=verifier))

    def exchange_ci_token(self, org: str) -> IssuedToken:
        """Exchange the ID token of a CI run, which is the client's token, for a token."""
        return self.call(EXCHANGE_CI_TOKEN, NoParams(), CiExchange(org=org))

    def accept_invitation(self) -> MemberLogin:
        """Accept the invitation whose code is the client's token."""
        return self.call(ACCEPT_INVITATION, NoParams(), AcceptInvitation())

    def own_builds(self, request: LaunchRequest) -> cloud.OwnBuilds:
        """Return the images of a launch that this machine still has to build."""
        return self.call(cloud.OWN_BUILDS, NoParams(), request)

    def missing_contexts(self, hashes: tuple[str, ...]) -> dict[str, str]:
        """Return ``{content hash: URL for a PUT}`` of directories that are not uploaded yet."""
        found: dict[str, str] = {}
        for first in range(0, len(hashes), cloud.MAX_CONTEXTS):
            some = hashes[first : first + cloud.MAX_CONTEXTS]
            wanted = cloud.ContextsWanted(contexts=some)
            found.update(self.call(cloud.CONTEXTS, NoParams(), wanted).missing)
        return found


def put(url: str, content: bytes | IO[bytes], size: int) -> None:
    """Upload content to a URL from the cloud.

    Raises:
        AgentUnreachableError: the upload failed.
    """
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    data = cast("bytes", content)
    # The URL comes from the cloud's own response.
    request = urllib.request.Request(url, data, headers, method="PUT")  # noqa: S310
    try:
        with _open(request) as response:
            response.read()
    except OSError as error:
        raise _lost(error, url, "upload") from error


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    """Send a request to the storage."""
    tls = urllib.request.HTTPSHandler(context=tls_context())
    opened = urllib.request.build_opener(tls).open(request, timeout=_TRANSFER_SECONDS)
    return cast("http.client.HTTPResponse", opened)


def fetch(url: str) -> bytes:
    """Return the content at a URL from the cloud.

    Raises:
        AgentUnreachableError: the download failed.
    """
    return _fetched(url, None).body


def _fetched(url: str, part: str | None) -> Reply:
    request = urllib.request.Request(url, headers={} if part is None else {"Range": part})  # noqa: S310
    try:
        with _open(request) as response:
            received = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, response.read(), received)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != _RANGE_NOT_SATISFIABLE:
                raise _lost(error, url, "download") from error
            received = {name.lower(): value for name, value in error.headers.items()}
            return Reply(error.code, error.read(), received)
    except OSError as error:
        raise _lost(error, url, "download") from error


def _lost(error: OSError, url: str, what: str) -> AgentUnreachableError:
    # Never the URL itself: it is signed, so anyone who has it can use it.
    said = str(error)
    if isinstance(error, urllib.error.HTTPError):
        said = str(error.code)
        error.close()
    return AgentUnreachableError(f"{what} at {urlsplit(url).netloc} failed ({said}); try again")


def _problem_of(frame: bytes) -> Problem | None:
    """Return the problem in a frame; None for changes.

    Raises:
        StreamLostError: the frame is API Gateway's own; the changes must be requested again.
    """
    with contextlib.suppress(ValueError, ValidationError):
        said = json.loads(frame)
        if not isinstance(said, dict):
            return None
        if "connectionId" in said:
            # API Gateway sends this if the function failed, was throttled or took too long.
            raise StreamLostError(f"API Gateway: {said.get('message')}")
        if "status" in said and "detail" in said:
            return Problem.model_validate(said)
    return None
