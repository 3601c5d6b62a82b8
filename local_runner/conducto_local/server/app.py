"""The API's route table as an ASGI application."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from conducto.model.base import Record
from conducto.service import problems
from conducto.service.dispatch import Answer, Service, encode
from conducto.service.problems import ProblemError
from conducto.service.routes import WEBSOCKET
from conducto_local.server.guard import SUBPROTOCOL, Guard, denier

logger = logging.getLogger(__name__)

GOING_AWAY = 1001
INTERNAL_ERROR = 1011


def build_app(service: Service, *, token: str, port: int) -> ASGIApp:
    """Return the guarded application that serves ``service`` to the owner of ``token``."""

    async def unknown(request: Request, _error: Exception) -> Response:
        return _response(service.refusal(problems.unknown_route(request.method, request.url.path)))

    app = Starlette(
        routes=[Mount("/api", app=ApiEndpoint(service))], exception_handlers={404: unknown}
    )
    return Guard(app, token, port)


class ApiEndpoint:
    """Every request below ``/api``: the service finds the route and answers."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one stream."""
        if scope["type"] == "websocket":
            await self._stream(WebSocket(scope, receive, send))
            return
        answer = await self._answer(Request(scope, receive))
        await _response(answer)(scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        try:
            match = self._service.find(request.method, _raw_path(request.scope))
            body = await _read_body(request, match.route.operation.max_body)
        except ProblemError as error:
            return self._service.refusal(error)
        media_type = request.headers.get("content-type")
        return await self._service.answer(match, request.url.query, body, media_type)

    async def _stream(self, websocket: WebSocket) -> None:
        try:
            match = self._service.find(WEBSOCKET, _raw_path(websocket.scope))
            records = await self._service.subscribe(match, websocket.url.query)
        except ProblemError as error:
            deny = denier(websocket.scope, websocket.receive, websocket.send)
            await deny(_response(self._service.refusal(error)))
            return
        offered = websocket.scope.get("subprotocols", ())
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        await _pump(websocket, records)


async def _pump(websocket: WebSocket, records: AsyncIterator[Record]) -> None:
    """Send records until the client leaves; a slow client makes only this coroutine wait."""
    sending = asyncio.create_task(_send_all(websocket, records))
    leaving = asyncio.create_task(_wait_until_left(websocket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send_all(websocket: WebSocket, records: AsyncIterator[Record]) -> None:
    code = GOING_AWAY
    try:
        async for record in records:
            await websocket.send_text(encode(record).decode())
    except WebSocketDisconnect:
        return
    except Exception:
        code = INTERNAL_ERROR
        logger.exception("stream failed", extra={"path": websocket.url.path})
    finally:
        close = getattr(records, "aclose", None)
        if close is not None:
            await close()
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await websocket.close(code)


async def _wait_until_left(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass  # a client has nothing to say on a stream


async def _read_body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise problems.too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise problems.too_large(limit)
    return bytes(body)


def _raw_path(scope: Scope) -> str:
    path: bytes = scope["raw_path"]
    return path.decode("ascii", errors="replace")


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)
