"""Request dispatch: from an authorized API Gateway request to its response, without Chalice.

Routes and handlers are shared with the local server. In the cloud, the caller is an `Identity`, and
large request and response bodies pass through the bucket.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast
from urllib.parse import urlencode

from chalicelib.api.pipelines import CloudPipelines
from chalicelib.api.workers import WorkerApi, WorkerGoneError
from chalicelib.domain.schema_migrations import NewerRecordError
from chalicelib.ports.errors import AccessDeniedError, PlanLimitError, ThrottledError
from chalicelib.ports.identity import Identity
from chalicelib.services.copy_jobs import CopyRunningError
from chalicelib.services.deletion import DeletionRunningError
from chalicelib.services.processor import BusyError, CommandProcessor
from chalicelib.services.s3_transfer import StagedDownload, Upload, new_key, transfer_key, uploads
from conducto_core.api import problems
from conducto_core.api.dispatch import Headers, Response, Service, takes_bytes
from conducto_core.api.handlers import Call
from conducto_core.api.idempotency import IdempotentExecutor, ResponseStore
from conducto_core.api.problems import ProblemError, ProblemRule
from conducto_core.api.routes import ROUTES, AnyRoute, Match, Permission, Route, StreamRoute
from conducto_core.model.operations.cloud import (
    BODY_KEY,
    CONTEXTS,
    END_SESSION,
    MAX_DIRECT,
    OWN_BUILDS,
    PREPARING,
    START_SESSION,
    UPLOAD_BODY,
    WHO_AM_I,
    ContextsMissing,
    ContextsWanted,
    OwnBuilds,
    SessionEnd,
    SessionToken,
    WhoAmI,
)
from conducto_core.model.operations.pipelines import (
    END_REMOTE_SHELL,
    ENTER_REMOTE_SHELL,
    IDEMPOTENCY_KEY,
    LOGIN,
    OPEN_REMOTE_SHELL,
    Operation,
)
from conducto_core.model.operations.worker import WORKER_CALLS
from conducto_core.model.params import NoParams, PipelineParams
from conducto_core.model.remote_shells import (
    RemoteShell,
    RemoteShellEnd,
    RemoteShellEntry,
    RemoteShellParams,
    RemoteShellRequest,
)
from conducto_core.model.requests import LaunchRequest, Problem
from conducto_core.model.responses import Login
from conducto_core.model.worker import UploadResponse
from conducto_core.ports.downloads import Download
from conducto_core.ports.pipelines import Pipelines
from conducto_core.runtime.json_logs import log_fields

#: ``{log field: field of a worker call}`` with the same meaning.
_ABOUT = {"path": "path", "attempt": "attempt", "run_id": "run"}
#: The only permission of a worker token.
WORKER = "worker"
RULES = (
    *problems.RULES,
    ProblemRule(WorkerGoneError, 410, "worker lost"),
    ProblemRule(PlanLimitError, 409, "plan limit"),
    ProblemRule(CopyRunningError, PREPARING, "being prepared"),
    ProblemRule(DeletionRunningError, PREPARING, "being deleted"),
    ProblemRule(BusyError, 503, "busy"),
    ProblemRule(ThrottledError, 503, "busy"),
    ProblemRule(AccessDeniedError, 503, "denied by AWS"),
    ProblemRule(NewerRecordError, 503, "newer records"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        params: Path parameters.
        query: Every value of every query parameter.
        headers: Header values by lower-case name.
    """

    params: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes


def _cloud(pipelines: Pipelines) -> CloudPipelines:
    assert isinstance(pipelines, CloudPipelines)  # noqa: S101  `Api` passes no other kind
    return pipelines


async def _upload(pipelines: Pipelines, _call: Call[NoParams, None]) -> UploadResponse:
    return _cloud(pipelines).way_to_upload()


async def _contexts(pipelines: Pipelines, call: Call[NoParams, ContextsWanted]) -> ContextsMissing:
    return _cloud(pipelines).missing_contexts(call.body)


async def _own_builds(pipelines: Pipelines, call: Call[NoParams, LaunchRequest]) -> OwnBuilds:
    return await asyncio.to_thread(_cloud(pipelines).own_builds, call.body)


async def _who_am_i(pipelines: Pipelines, _call: Call[NoParams, None]) -> WhoAmI:
    return _cloud(pipelines).who_am_i()


async def _make_login(pipelines: Pipelines, _call: Call[NoParams, None]) -> Login:
    return _cloud(pipelines).make_login()


async def _start_session(pipelines: Pipelines, _call: Call[NoParams, None]) -> SessionToken:
    return _cloud(pipelines).start_session()


async def _end_session(pipelines: Pipelines, _call: Call[NoParams, None]) -> SessionEnd:
    return _cloud(pipelines).end_session()


async def _open_remote_shell(
    pipelines: Pipelines, call: Call[PipelineParams, RemoteShellRequest]
) -> RemoteShell:
    return _cloud(pipelines).open_remote_shell(call.params.id, call.body)


async def _enter_remote_shell(
    pipelines: Pipelines, call: Call[RemoteShellParams, None]
) -> RemoteShellEntry:
    return _cloud(pipelines).enter_remote_shell(call.params.id, call.params.shell)


async def _end_remote_shell(
    pipelines: Pipelines, call: Call[RemoteShellParams, None]
) -> RemoteShellEnd:
    return _cloud(pipelines).end_remote_shell(call.params.id, call.params.shell)


#: The local server refuses these operations.
_SHELL_ROUTES: tuple[AnyRoute, ...] = (
    Route(OPEN_REMOTE_SHELL, Permission.DEBUG, _open_remote_shell),
    Route(ENTER_REMOTE_SHELL, Permission.DEBUG, _enter_remote_shell),
    Route(END_REMOTE_SHELL, Permission.DEBUG, _end_remote_shell),
)
_OURS = frozenset(route.operation.name for route in _SHELL_ROUTES)

#: Operations that clients call over HTTP.
CLIENT_ROUTES: tuple[AnyRoute, ...] = (
    *(r for r in ROUTES if not isinstance(r, StreamRoute) and r.operation.name not in _OURS),
    *_SHELL_ROUTES,
    Route(UPLOAD_BODY, Permission.LAUNCH, _upload),
    Route(CONTEXTS, Permission.LAUNCH, _contexts),
    Route(OWN_BUILDS, Permission.LAUNCH, _own_builds),
    Route(WHO_AM_I, Permission.READ, _who_am_i),
    Route(LOGIN, Permission.READ, _make_login),
    Route(START_SESSION, Permission.SIGN_IN, _start_session),
    Route(END_SESSION, Permission.READ, _end_session),
)
WORKER_OPERATIONS: tuple[Operation[Any, Any, Any], ...] = WORKER_CALLS


class Api:
    """Handles requests of clients and workers."""

    def __init__(
        self, engine: CommandProcessor, answers: Callable[[tuple[str, str]], ResponseStore]
    ) -> None:
        self._engine = engine
        self._cloud = engine.cloud
        self._answers = answers

    def client_call(self, route: AnyRoute, identity: Identity | None, request: Request) -> Response:
        """Handle a request of a client."""
        return self._answer(route, identity, request, set(_needed(route.permission)))

    def worker_call(
        self, operation: Operation[Any, Any, Any], identity: Identity | None, request: Request
    ) -> Response:
        """Handle a request of a worker."""
        handler = _worker_handler(WorkerApi(self._engine), operation, identity)
        return self._answer(
            Route(operation, Permission.AGENT, handler), identity, request, {WORKER}
        )

    def _answer(
        self, route: AnyRoute, identity: Identity | None, request: Request, needed: set[str]
    ) -> Response:
        with log_fields(**_fields(route, identity, request)):
            return self._admitted_answer(route, identity, request, needed)

    def _admitted_answer(
        self, route: AnyRoute, identity: Identity | None, request: Request, needed: set[str]
    ) -> Response:
        try:
            caller = _admitted(identity, needed)
            service = self._service(caller)
            body = self._body(route, caller, request)
        except ProblemError as error:
            return Response(error.problem.status, problems.MEDIA_TYPE, _json(error.problem))
        answer = asyncio.run(self._carried_out(service, caller, route, request, body))
        if len(answer.body) <= MAX_DIRECT:
            return answer
        key = new_key(caller)
        self._cloud.blobs.put(key, answer.body)
        return self._redirect(key, "answer.json")

    async def _carried_out(
        self,
        service: Service,
        caller: Identity,
        route: AnyRoute,
        request: Request,
        body: bytes | Upload,
    ) -> Response:
        match = Match(route, dict(request.params))
        content: bytes | AsyncIterator[bytes]
        if isinstance(body, Upload):
            content = cast("AsyncIterator[bytes]", body)
        else:
            content = _whole(body) if takes_bytes(match) else body
        # No range: the bucket holds the whole content and serves ranges of it.
        headers = Headers(
            media_type=request.headers.get("content-type"),
            idempotency_key=request.headers.get(IDEMPOTENCY_KEY.lower()),
        )
        answer = await service.answer(match, urlencode(request.query), content, headers)
        if isinstance(answer, Response):
            return answer
        if answer.size == 0:  # S3 rejects any range of an empty object
            return Response(200, "text/plain", b"")
        try:
            return self._redirect(await self._placed(caller, request, answer), answer.name)
        except Exception as error:  # noqa: BLE001  every error becomes a response
            return service.refusal(error)

    async def _placed(self, caller: Identity, request: Request, download: Download) -> str:
        """Return the bucket key of a download's content; equal content is stored once."""
        if isinstance(download, StagedDownload):
            return download.key
        what = (sorted(request.params.items()), sorted(request.query))
        key = transfer_key(caller, what, download.version, download.size)
        if not self._cloud.blobs.exists(key):
            with SpooledTemporaryFile(max_size=MAX_DIRECT) as file:
                async for chunk in download.chunks:
                    file.write(chunk)
                file.seek(0)
                self._cloud.blobs.put_file(key, cast("BinaryIO", file))
        return key

    def _service(self, caller: Identity) -> Service:
        once = IdempotentExecutor(self._answers((caller.org, caller.user)), self._cloud.clock)
        return Service(CloudPipelines(self._engine, caller), rules=RULES, once=once)

    def _body(self, route: AnyRoute, caller: Identity, request: Request) -> bytes | Upload:
        key = request.headers.get(BODY_KEY.lower())
        body = request.body
        if key is not None:
            if not key.startswith(uploads(caller)):
                raise problems.wrong_header(
                    BODY_KEY, "the key was not issued to this caller; request an upload URL first"
                )
            if not self._cloud.blobs.exists(key):
                raise problems.wrong_header(
                    BODY_KEY,
                    "no uploaded object has this key, or it has expired; upload the body again",
                )
            if takes_bytes(Match(route, {})):  # stream files instead of loading them
                return Upload(key, lambda: self._cloud.blobs.chunks(key) or iter(()))
            body = self._cloud.blobs.get(key) or b""
        if len(body) > route.operation.max_body:
            raise problems.too_large(route.operation.max_body)
        return body

    def _redirect(self, key: str, name: str) -> Response:
        url = self._cloud.blobs.download_url(key, filename=name)
        return Response(303, "text/plain", b"", (("location", url), ("cache-control", "no-store")))


def _fields(route: AnyRoute, identity: Identity | None, request: Request) -> dict[str, object]:
    known: dict[str, object] = {
        "operation": route.operation.name,
        "pipeline": request.params.get("id"),
    }
    if identity is not None:
        known |= {"org": identity.org, "user": identity.user}
        if identity.worker is not None:
            known["pipeline"], _, known["worker"] = identity.worker
    return known


def _needed(permission: Permission) -> tuple[str, ...]:
    if permission is Permission.DEBUG:  # a shell can do all of this
        return (Permission.DEBUG, Permission.CHANGE_STATE, Permission.SECRETS)
    return (permission,)


def _admitted(identity: Identity | None, needed: set[str]) -> Identity:
    """Return the caller if it is known (else 401) and has the needed permissions (else 403)."""
    if identity is None:
        raise ProblemError(
            Problem(
                title="wrong token",
                status=401,
                detail="the request carries no valid token",
                remedy="log in with 'conducto login'",
            )
        )
    lacking = sorted(needed - identity.permissions)
    if lacking or (WORKER in identity.permissions and needed != {WORKER}):
        what = ", ".join(lacking) or "clients only"
        raise ProblemError(
            Problem(
                title="not allowed",
                status=403,
                detail=f"this token lacks the permission: {what}",
                remedy="ask an administrator for a token with it",
            )
        )
    return identity


def _worker_handler(
    desk: WorkerApi, operation: Operation[Any, Any, Any], identity: Identity | None
) -> Callable[..., Awaitable[Any]]:
    method = getattr(desk, operation.name.removeprefix("worker_"))

    async def handler(_pipelines: Pipelines, call: Call[NoParams, Any]) -> Any:
        given = () if operation.body is None else (call.body,)
        about = {name: getattr(call.body, field, None) for name, field in _ABOUT.items()}
        with log_fields(**about):
            return method(identity, *given)

    return handler


def _json(problem: Problem) -> bytes:
    return problem.model_dump_json().encode()


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body
