"""The API of the local runner as an ASGI application."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http import HTTPStatus
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from conducto_core.api import problems
from conducto_core.api.dispatch import JSON, Conversation, Headers, Service, encode, takes_bytes
from conducto_core.api.dispatch import Response as ApiResponse
from conducto_core.api.downloads import OCTETS, Download
from conducto_core.api.operation import IDEMPOTENCY_KEY, WEBSOCKET
from conducto_core.api.problems import ProblemError
from conducto_core.assistants.handlers import MCP_PATH, METADATA_PATH, client_in, metadata
from conducto_core.assistants.rules.protocol import MAX_MESSAGE
from conducto_core.record import Record
from conducto_core.telemetry.rules import metrics
from conducto_core.triggers.rules.providers import SignatureError
from conducto_local.assistants.endpoint import McpEndpoint
from conducto_local.assistants.tokens import LocalTokens
from conducto_local.events.handlers import HOOKS, LocalHooks
from conducto_local.server.auth import (
    ASSISTANT,
    SUBPROTOCOL,
    Authenticator,
    Owner,
    Sessions,
    denier,
    is_guarded,
)
from conducto_local.server.static_files import StrictHeaders, WebApp
from conducto_web import app_folder

#: Limits of reading and dropping the body of a rejected request, so that the client reads the
#: response: bytes, and seconds to wait for more.
DRAINED = 16 << 20
TIMEOUT = 0.2


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body.

    Raises:
        ProblemError: It has more than ``limit`` bytes.
        ClientDisconnect: It is incomplete.
    """
    return b"".join([chunk async for chunk in chunks(request, limit)])


async def chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it arrives. Raises the errors of `read_body`."""
    stream = request.stream()
    if _is_declared_too_large(request, limit):
        await _drain(request, stream)
        raise problems.too_large(limit)
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > limit:
            await _drain(request, stream)
            raise problems.too_large(limit)
        yield chunk


def _is_declared_too_large(request: Request, limit: int) -> bool:
    declared = request.headers.get("content-length", "0")
    return declared.isdecimal() and int(declared) > limit


async def _drain(request: Request, stream: AsyncIterator[bytes]) -> None:
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # nothing was sent, and nothing will be
    dropped = 0
    with contextlib.suppress(TimeoutError, StopAsyncIteration, ClientDisconnect):
        while dropped < DRAINED:
            dropped += len(await asyncio.wait_for(anext(stream), TIMEOUT))


logger = logging.getLogger(__name__)

#: Returns the current values of all instruments.
ReadMetrics = Callable[[], Awaitable[Sequence[metrics.Point]]]

NORMAL = 1000
GOING_AWAY = 1001
NONSENSE = 1008
INTERNAL_ERROR = 1011


def build_app(
    service: Service,
    *,
    token: str,
    port: int,
    sessions: Sessions | None = None,
    web_root: Path | None = None,
    assistants: LocalTokens | None = None,
    hooks: LocalHooks | None = None,
    read_metrics: ReadMetrics | None = None,
) -> ASGIApp:
    """Return the application that serves ``service`` to clients with ``token``."""
    sessions = Sessions(token, port) if sessions is None else sessions
    owner = Owner(token, sessions)
    assistants = LocalTokens() if assistants is None else assistants
    api, web = ApiEndpoint(service, assistants), WebApp(web_root or app_folder(), owner, sessions)
    site = Site(
        api, web, service, McpEndpoint(service, assistants), hooks, read_metrics=read_metrics
    )
    return StrictHeaders(Authenticator(site, owner, port, assistants.find))


class Site:
    """Everything behind authentication: the API, sessions, and the web app's files.

    Does not use Starlette's routes, in whose patterns a path must not contain a line end.
    """

    def __init__(
        self,
        api: ASGIApp,
        web: WebApp,
        service: Service,
        mcp: McpEndpoint,
        hooks: LocalHooks | None = None,
        *,
        read_metrics: ReadMetrics | None = None,
    ) -> None:
        self._metrics = read_metrics
        self._api = api
        self._web = web
        self._service = service
        self._mcp = mcp
        self._hooks = hooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == MCP_PATH:
            await (await self._assist(Request(scope, receive)))(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == metrics.PATH:
            await (await self._prometheus(Request(scope, receive)))(scope, receive, send)
        elif is_guarded(scope):
            await self._api(scope, receive, send)
        elif scope["type"] == "websocket":
            refusal = problems.unknown_route(WEBSOCKET, scope["path"])
            await denier(scope, receive, send)(_response(self._service.refusal(refusal)))
        else:
            response = await self._outside(Request(scope, receive))
            await response(scope, receive, send)

    async def _assist(self, request: Request) -> Response:
        """Respond to a message of an assistant, whose token must be of that kind."""
        assistant = request.scope[ASSISTANT]
        try:
            if assistant is None:
                raise problems.no_assistant()
            body = await read_body(request, MAX_MESSAGE)
        except (ProblemError, ClientDisconnect) as error:
            return _response(self._service.refusal(error))
        reply = await self._mcp.respond(assistant, request.method, request.headers, body)
        return Response(reply.body, reply.status, dict(reply.headers))

    async def _prometheus(self, request: Request) -> Response:
        """Return the values of all instruments, as text for Prometheus."""
        if request.method != "GET" or self._metrics is None:
            refusal = problems.wrong_method(request.method, request.url.path, ["GET"])
            return _response(self._service.refusal(refusal))
        if request.scope[ASSISTANT] is not None:
            refusal = problems.not_allowed(["metrics"])
            return _response(self._service.refusal(refusal))
        text = metrics.prometheus_text(await self._metrics())
        return Response(text, media_type=metrics.CONTENT_TYPE)

    async def _outside(self, request: Request) -> Response:
        match request.scope["path"], request.method:
            case "/session", "POST":
                return await self._web.start_session(request)
            case "/session", "DELETE":
                return self._web.end_session(request)
            case path, "GET" if path == METADATA_PATH:
                return Response(metadata(str(request.base_url).rstrip("/")), media_type=JSON)
            case path, "POST" if path.startswith(HOOKS):
                return await self._hook(request, path.removeprefix(HOOKS))
            case path, "GET":
                return await self._web.page(request, path)
            case path, method:
                allowed = ["POST", "DELETE"] if path == "/session" else ["GET"]
                refusal = problems.wrong_method(method, path, allowed)
                return _response(self._service.refusal(refusal))

    async def _hook(self, request: Request, name: str) -> Response:
        """Take the webhook of a trigger, whose signature or token authorizes it."""
        if self._hooks is None:
            refusal = problems.unknown_route(request.method, request.url.path)
            return _response(self._service.refusal(refusal))
        try:
            body = await read_body(request, MAX_MESSAGE)
            await self._hooks.receive(name, request.headers, body)
        except SignatureError as error:
            return _response(self._service.refusal(problems.unsigned(str(error))))
        except Exception as error:  # noqa: BLE001  every error becomes a response
            return _response(self._service.refusal(error))
        return Response(b'{"received": true}', HTTPStatus.ACCEPTED, media_type=JSON)


class ApiEndpoint:
    """Handles every request below ``/api``: the service finds the route and responds."""

    def __init__(self, service: Service, assistants: LocalTokens) -> None:
        self._service = service
        self._assistants = assistants

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request, or serve one stream."""
        if scope["type"] == "websocket":
            await self._stream(WebSocket(scope, receive, send))
            return
        answer = await self._respond(Request(scope, receive))
        await _response(answer)(scope, receive, send)

    async def _respond(self, request: Request) -> ApiResponse | Download:
        try:
            match = self._service.find(request.method, _raw_path(request.scope))
            limit = match.operation.max_body
            body = chunks(request, limit) if takes_bytes(match) else await read_body(request, limit)
            assistant = request.scope.get(ASSISTANT)
            if assistant is not None:
                content = body if isinstance(body, bytes) else b""
                client = client_in(request.headers)
                self._assistants.admit(assistant, match.operation, content, client)
        except (ProblemError, ClientDisconnect) as error:
            return self._service.refusal(error)
        headers = Headers(
            media_type=request.headers.get("content-type"),
            range=request.headers.get("range"),
            idempotency_key=request.headers.get(IDEMPOTENCY_KEY),
        )
        return await self._service.respond(match, request.url.query, body, headers)

    async def _stream(self, websocket: WebSocket) -> None:
        try:
            match = self._service.find(WEBSOCKET, _raw_path(websocket.scope))
            records = await self._service.subscribe(match, websocket.url.query)
        except ProblemError as error:
            deny = denier(websocket.scope, websocket.receive, websocket.send)
            await deny(_response(self._service.refusal(error)))
            return
        offered = websocket.scope.get("subprotocols", ())
        try:
            await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
            await _pump(websocket, records)
        finally:
            close = getattr(records, "aclose", None)
            if close is not None:
                await close()


async def _pump(websocket: WebSocket, records: AsyncIterator[Record | bytes]) -> None:
    """Send records until the client disconnects; a slow client delays only this coroutine."""
    sending = asyncio.create_task(_send_all(websocket, records))
    hearing = asyncio.create_task(_is_disconnected(websocket, records))
    try:
        await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, hearing):
            task.cancel()
        await asyncio.gather(sending, hearing, return_exceptions=True)
    if not hearing.cancelled() and not hearing.result():
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(NONSENSE)


async def _send_all(websocket: WebSocket, records: AsyncIterator[Record | bytes]) -> None:
    code = NORMAL if isinstance(records, Conversation) else GOING_AWAY
    try:
        async for record in records:
            if isinstance(record, bytes):
                await websocket.send_bytes(record)
            else:
                await websocket.send_text(encode(record).decode())
    except WebSocketDisconnect:
        return
    except Exception:
        code = INTERNAL_ERROR
        logger.exception("stream failed", extra={"path": websocket.url.path})
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(code)


async def _is_disconnected(websocket: WebSocket, records: AsyncIterator[Record | bytes]) -> bool:
    """Return True when the client has disconnected, False if it has sent an invalid message."""
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        if not isinstance(records, Conversation):
            continue  # messages on a one-way stream are ignored
        text = message.get("text")
        try:
            records.receive(message["bytes"] if text is None else text)
        except ValueError:
            return False
    return True


def _raw_path(scope: Scope) -> str:
    path: bytes = scope["raw_path"]
    return path.decode("ascii", errors="replace")


def _response(answer: ApiResponse | Download) -> Response:
    if isinstance(answer, Download):
        return StreamingResponse(
            answer.chunks, answer.status, dict(answer.headers()), media_type=OCTETS
        )
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)
