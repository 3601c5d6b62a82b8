"""Request dispatch: from an authorized API Gateway request to its response, without Chalice.

Operations are shared with the local server. In the cloud, the caller is an `Identity`, and
large request and response bodies pass through the bucket.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import urlencode

from chalicelib.api.callers import Callers, needed_permissions
from chalicelib.api.store import TableConnections
from chalicelib.api.transfers import StagedDownload, Upload, new_key, transfer_key, uploads
from chalicelib.billing.port import BillingUnavailableError
from chalicelib.data.copy_jobs import CopyRunningError
from chalicelib.errors import AccessDeniedError, PlanLimitError, ThrottledError, Timing
from chalicelib.people import audit
from chalicelib.people.audit import RequestAudit
from chalicelib.people.port import Identity
from chalicelib.records import Records
from chalicelib.remote.relay import Relay, RelayedContent, RelayedRequest
from chalicelib.run.deletion import DeletionRunningError
from chalicelib.run.group_commit import BusyError
from chalicelib.run.port import Blobs
from chalicelib.run.rules.snapshots import OtherVersionError
from chalicelib.workers.output_handlers import WorkerGoneError
from conducto.integrations.http import DeliveryError
from conducto_core.api import problems
from conducto_core.api.cloud_operations import BODY_KEY, MAX_DIRECT, PREPARING
from conducto_core.api.dispatch import Headers, Match, Response, Service, takes_bytes
from conducto_core.api.downloads import Download
from conducto_core.api.idempotency import IdempotentExecutor, ResponseStore
from conducto_core.api.operation import IDEMPOTENCY_KEY, AnyOperation, Permission
from conducto_core.api.problems import ProblemRule
from conducto_core.api.serve import handlers_of
from conducto_core.assistants import handlers as assistants
from conducto_core.command.json_logs import log_fields
from conducto_core.remote.operations import AGENT_PARAMETER

# ----------------------------------------------------------------------------------------
# The objects that execute the operations of one caller.

#: The permissions of workers.
WORKERS = frozenset({Permission.START_WORKER, Permission.WORKER})
#: Begins the audit entry of a caller whose organisation only the sign-in knows.
Begin = Callable[[Identity], None]
#: For each class of handlers, the function that builds its object for a caller.
Servers = Mapping[type, Callable[[Identity, Begin], object]]


def kinds_of(operation: AnyOperation, kinds: Iterable[type]) -> list[type]:
    """Return the classes that have a handler of an operation."""
    return [kind for kind in kinds if operation.name in handlers_of(kind)]


def check_complete(operations: Iterable[AnyOperation], kinds: Sequence[type]) -> None:
    """Check that one class has a handler of each operation, unless its row has a refusal.

    Raises:
        TypeError: An operation has none, or several.
    """
    for operation in operations:
        found = [kind.__name__ for kind in kinds_of(operation, kinds)]
        if len(found) > 1 or not (found or operation.elsewhere):
            raise TypeError(f"{operation.name}: handlers in {found}; it needs one")


RULES = (
    *problems.RULES,
    ProblemRule(WorkerGoneError, 410, "worker lost"),
    ProblemRule(PlanLimitError, 409, "plan limit"),
    ProblemRule(CopyRunningError, PREPARING, "being prepared"),
    ProblemRule(DeletionRunningError, PREPARING, "being deleted"),
    ProblemRule(BusyError, 503, "busy"),
    ProblemRule(DeliveryError, 503, "another service is unavailable"),
    ProblemRule(BillingUnavailableError, 503, "payment provider unavailable"),
    ProblemRule(ThrottledError, 503, "busy"),
    ProblemRule(AccessDeniedError, 503, "denied by AWS"),
    ProblemRule(OtherVersionError, 503, "records of another version"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        params: Path parameters.
        query: Every value of every query parameter.
        headers: Header values by lower-case name.
        id: The id of the request, as in the logs.
        agent: The linked agent that the request is for; None: the cloud itself.
    """

    params: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    id: str = ""
    agent: str | None = None


class Api:
    """Handles requests of clients and workers."""

    def __init__(
        self,
        servers: Servers,
        responses: Callable[[tuple[str, str]], ResponseStore],
        *,
        records: Records,
        blobs: Blobs,
        connections: TableConnections,
        timing: Timing,
    ) -> None:
        self._servers, self._responses = servers, responses
        self._records, self._blobs, self._clock = records, blobs, timing.clock
        self._callers = Callers(records.tokens, timing.clock)
        self._relay = Relay(records, timing, blobs, connections)

    def current(self, identity: Identity | None) -> Identity | None:
        """Return a caller with the current rights, or None if the token is not valid now."""
        return self._callers.current(identity)

    def call(
        self, operation: AnyOperation, identity: Identity | None, request: Request
    ) -> Response:
        """Handle a request of a client or a worker."""
        request = _addressed(request)
        with log_fields(**_fields(operation, identity, request)):
            known = self._callers.current(identity)
            if known is None:
                return Service(rules=RULES).refusal(problems.wrong_token())
            if known.kind == "assistant":
                known = replace(known, client=assistants.client_in(request.headers))
            entry = self._entry(operation, request)
            response = self._respond(operation, known, request, entry)
            entry.end(known, response.status, response.body)
            if audit.is_audited(operation):
                self._callers.forget()  # the request may have changed any token
            return response

    def _entry(self, operation: AnyOperation, request: Request) -> RequestAudit:
        query = {name: value for name, value in request.query if name == "path"}
        return RequestAudit(
            self._records.audit,
            self._clock,
            operation,
            {**query, **request.params},
            request.id,
            request.agent,
        )

    def _respond(
        self, operation: AnyOperation, caller: Identity, request: Request, entry: RequestAudit
    ) -> Response:
        try:
            body = self._body(operation, caller, request)
            entry.begin(caller, body)
            if caller.kind == "assistant":
                self._check_assistant(caller, operation, body)
            _check_admitted(caller, operation.permission)
            service = self._service(operation, caller, entry)
            if request.agent is not None:
                return self._relayed(operation, caller, request, body)
        except Exception as error:  # noqa: BLE001  every error becomes a response
            return Service(rules=RULES).refusal(error)
        response = asyncio.run(self._execute(service, caller, operation, request, body))
        if len(response.body) <= MAX_DIRECT:
            return response
        key = new_key(caller)
        self._blobs.put(key, response.body)
        return self._redirect(key, "answer.json")

    def _check_assistant(
        self, caller: Identity, operation: AnyOperation, body: bytes | Upload
    ) -> None:
        """Check scopes and pace of an assistant; raises `ProblemError` (403, 429)."""
        content = body if isinstance(body, bytes) else b""
        assistants.check_scopes(caller.scopes, operation, content)
        assistants.check_pace(self._records.tokens.count_in_minute("requests", caller.token))

    def _relayed(
        self, operation: AnyOperation, caller: Identity, request: Request, body: bytes | Upload
    ) -> Response:
        asked = RelayedRequest(
            request.agent or "", operation, request.params, request.query, _headers(request), body
        )
        found = self._relay.respond(caller, asked)
        return self._redirect(*found) if isinstance(found, RelayedContent) else found

    async def _execute(
        self,
        service: Service,
        caller: Identity,
        operation: AnyOperation,
        request: Request,
        body: bytes | Upload,
    ) -> Response:
        match = Match(operation, dict(request.params))
        content: bytes | AsyncIterator[bytes]
        if isinstance(body, Upload):
            content = cast("AsyncIterator[bytes]", body)
        else:
            content = _whole(body) if takes_bytes(match) else body
        query = urlencode(request.query)
        response = await service.respond(match, query, content, _headers(request))
        if isinstance(response, Response):
            return response
        if response.size == 0:  # S3 rejects any range of an empty object
            return Response(200, "text/plain", b"")
        try:
            return self._redirect(await self._placed(caller, request, response), response.name)
        except Exception as error:  # noqa: BLE001  every error becomes a response
            return service.refusal(error)

    async def _placed(self, caller: Identity, request: Request, download: Download) -> str:
        """Return the bucket key of a download's content; equal content is stored once."""
        if isinstance(download, StagedDownload):
            return download.key
        what = (sorted(request.params.items()), sorted(request.query))
        key = transfer_key(caller, what, download.version, download.size)
        if not self._blobs.exists(key):
            writer = self._blobs.writer(key)
            try:
                async for chunk in download.chunks:
                    await asyncio.to_thread(writer.write, chunk)
                await asyncio.to_thread(writer.close)
            except BaseException:
                writer.abort()
                raise
        return key

    def _service(self, operation: AnyOperation, caller: Identity, entry: RequestAudit) -> Service:
        once = IdempotentExecutor(self._responses((caller.org, caller.user)), self._clock)
        if operation.permission is Permission.CHILDREN:
            once = IdempotentExecutor(
                self._responses((caller.org, f"token {caller.token}")), self._clock
            )
        servers = (
            self._servers[kind](caller, entry.begin) for kind in kinds_of(operation, self._servers)
        )
        return Service(*servers, operations=(operation,), rules=RULES, once=once)

    def _body(self, operation: AnyOperation, caller: Identity, request: Request) -> bytes | Upload:
        key = request.headers.get(BODY_KEY.lower())
        body = request.body
        if key is not None:
            if not key.startswith(uploads(caller)):
                raise problems.wrong_header(
                    BODY_KEY, "the key was not issued to this caller; request an upload URL first"
                )
            size = self._blobs.size(key)
            if size is None:
                raise problems.wrong_header(
                    BODY_KEY,
                    "no uploaded object has this key, or it has expired; upload the body again",
                )
            if takes_bytes(Match(operation, {})):  # stream files instead of loading them
                return Upload(key, lambda: self._blobs.chunks(key) or iter(()))
            if size > operation.max_body:  # before it is loaded
                raise problems.too_large(operation.max_body)
            body = self._blobs.get(key) or b""
        if len(body) > operation.max_body:
            raise problems.too_large(operation.max_body)
        return body

    def _redirect(self, key: str, name: str) -> Response:
        url = self._blobs.download_url(key, filename=name)
        return Response(303, "text/plain", b"", (("location", url), ("cache-control", "no-store")))


def _addressed(request: Request) -> Request:
    """Return the request with the agent that its query names, if any."""
    agents = [value for name, value in request.query if name == AGENT_PARAMETER]
    if not agents:
        return request
    rest = tuple(pair for pair in request.query if pair[0] != AGENT_PARAMETER)
    return replace(request, query=rest, agent=agents[0])


def _headers(request: Request) -> Headers:
    """Return the headers without a range: the bucket has the whole content and serves parts."""
    return Headers(
        media_type=request.headers.get("content-type"),
        idempotency_key=request.headers.get(IDEMPOTENCY_KEY.lower()),
    )


def _fields(
    operation: AnyOperation, identity: Identity | None, request: Request
) -> dict[str, object]:
    known: dict[str, object] = {
        "operation": operation.name,
        "pipeline": request.params.get("id"),
    }
    if request.agent is not None:
        known["agent"] = request.agent
    if identity is not None:
        known |= {"org": identity.org, "user": identity.user}
        if identity.worker is not None:
            known["pipeline"], _, known["worker"] = identity.worker
    return known


def _check_admitted(caller: Identity, permission: Permission) -> None:
    """Check that a caller has a permission; raises `ProblemError` (403)."""
    is_worker = bool(WORKERS & caller.permissions)
    # A started worker may start again: it requests new credentials so.
    held = caller.permissions | (WORKERS if Permission.WORKER in caller.permissions else set())
    lacking = sorted(needed_permissions(permission) - held)
    if lacking or (is_worker and permission not in WORKERS):
        raise problems.not_allowed(lacking or ["clients only"])


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body
