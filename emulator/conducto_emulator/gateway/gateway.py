"""Emulates API Gateway: one address for the APIs, the WebSocket and the tasks' metadata.

In AWS the two APIs have separate addresses; here the WebSocket is at ``/socket``. The web app is at
a second address, on the loopback interface: browsers trust plain HTTP only there.
"""

import asyncio
import contextlib
import json
import socket as sockets
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from conducto_core.installation.model import GATEWAY_PROBLEMS, PROBLEM_TYPE
from conducto_emulator.faults.latency import (
    GATEWAY_PAYLOAD,
    GATEWAY_WAIT,
    WEBSOCKET_AGE,
    WEBSOCKET_FRAME,
    WEBSOCKET_IDLE,
    WEBSOCKET_MESSAGE,
)
from conducto_emulator.faults.strict import Strictness
from conducto_emulator.gateway.access import ApiDoor, Keys, Names, SignatureError, SignedRequest
from conducto_emulator.gateway.cloudfront import CloudFront
from conducto_emulator.lambdas.app import Functions
from conducto_emulator.tasks import exec as ecs_exec
from conducto_emulator.tasks.containers import Metadata
from conducto_emulator.tasks.exec import EcsExec

# ----------------------------------------------------------------------------------------
# API Gateway's limits of WebSockets: frames, messages, idle time, and age.


#: Path of the WebSocket API; streams of debug sessions belong to another service.
PATH = "/socket"


class BoundedFrames(WebSocketsSansIOProtocol):
    """Closes a connection with 1009 if a frame or a message is too large."""

    def handle_text(self, event: Frame) -> None:
        if self._is_allowed(event, 0):
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        if self._is_allowed(event, 0):
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        if self._is_allowed(event, sum(map(len, self.frames))):
            super().handle_cont(event)

    def _is_allowed(self, event: Frame, before: int) -> bool:
        if self.request.path.partition("?")[0] != PATH:
            return True
        size = len(event.data)
        if size <= WEBSOCKET_FRAME.value and before + size <= WEBSOCKET_MESSAGE.value:
            return True
        if self.conn.close_sent is None:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG)
            self.handle_parser_exception()
        return False


@dataclass(slots=True)
class SocketTimes:
    """Time limits of connections.

    Attributes:
        idle: Maximum seconds without a message in either direction; None for no limit.
        age: Maximum seconds since the start; None for no limit.
    """

    idle: float | None = None
    age: float | None = None


def strict_times() -> SocketTimes:
    """Return the limits of API Gateway."""
    return SocketTimes(idle=WEBSOCKET_IDLE.value, age=WEBSOCKET_AGE.value)


@dataclass(slots=True)
class OpenSocket:
    """The times of one connection."""

    began: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)

    def use(self) -> None:
        self.used = time.monotonic()

    async def close_in_time(
        self, times: SocketTimes, close: Callable[[int], Awaitable[None]]
    ) -> None:
        """Close the connection at its time limit; ``times`` may change meanwhile."""
        while not self._is_over(times):  # noqa: ASYNC110  (the times may change)
            await asyncio.sleep(0.1)
        await close(CloseCode.GOING_AWAY)

    def _is_over(self, times: SocketTimes) -> bool:
        now = time.monotonic()
        silent = times.idle is not None and now - self.used > times.idle
        return silent or (times.age is not None and now - self.began > times.age)


_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_THREADS = 200
_FAILED = 500
_START_SECONDS = 20.0
#: Host of the web app.
LOOPBACK = "127.0.0.1"


class Gateway:
    """Serves the app; `start` returns when it is ready.

    Attributes:
        away: Whether to respond to every API request with 503.
        max_wait: Seconds that a request waits for its function; None for no limit.
        socket_times: Time limits of WebSockets.
    """

    def __init__(
        self,
        functions: Functions,
        metadata: Metadata,
        entered: EcsExec,
        host: str,
        port: int,
        *,
        keys: Keys,
        web_root: Path,
        bucket: str,
        identity: Mapping[str, str] | None = None,
        strict: Strictness | None = None,
        overhead: Callable[[], float] = float,
    ) -> None:
        self.away = False
        self.max_wait = None if strict is None else strict.slowness * GATEWAY_WAIT.value
        self._overhead = overhead
        self.socket_times = SocketTimes() if strict is None else strict_times()
        self._web_root = web_root
        self._bucket = bucket
        self._identity = identity
        self._sessions = entered
        self._keys = keys
        self._functions = functions
        self._metadata = metadata
        self._host = host
        self._port = port
        self._sockets: dict[str, WebSocket] = {}
        self._times: dict[str, OpenSocket] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    def start(self) -> None:
        """Serve in a thread.

        Raises:
            RuntimeError: The server does not start.
        """
        config = uvicorn.Config(
            self._app(),
            self._host,
            self._port,
            log_level="warning",
            ws=BoundedFrames,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        listening = self._listening()
        self._thread = threading.Thread(
            target=self._server.run, args=(listening,), daemon=True, name="gateway"
        )
        self._thread.start()
        end = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > end or not self._thread.is_alive():
                raise RuntimeError(f"no server at {self.url}; check whether the port is in use")
            time.sleep(0.01)

    def _listening(self) -> list[sockets.socket]:
        try:
            places = sorted({self._host, LOOPBACK})
            return [sockets.create_server((place, self._port)) for place in places]
        except OSError as error:
            raise RuntimeError(f"port {self._port} is not available: {error}") from error

    def close(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._server.force_exit = True
            self._thread.join()

    def _app(self) -> ASGIApp:
        app = Starlette(
            routes=[
                *self._metadata.routes(),
                Route(f"{PATH}/@connections/{{name}}", self._post, methods=["POST"]),
                Route(f"{PATH}/@connections/{{name}}", self._hang_up, methods=["DELETE"]),
                WebSocketRoute(PATH, self._socket),
                WebSocketRoute(f"{ecs_exec.PATH}/{{name}}", self._sessions.serve),
                Route("/{path:path}", self._request, methods=_METHODS),
            ]
        )

        page = f"{LOOPBACK}:{self._port}"
        edge = CloudFront(app, self._web_root, page, self._bucket, self._identity)
        hosts = frozenset((page, f"{self._host}:{self._port}"))
        door = ApiDoor(edge, Names(hosts, f"http://{page}"))

        async def with_threads(scope: Scope, receive: Receive, send: Send) -> None:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
                current_default_thread_limiter().total_tokens = _THREADS
            await door(scope, receive, send)

        return with_threads

    async def _request(self, request: Request) -> Response:
        if self.away:
            return Response(b'{"message": "Service Unavailable"}', 503)
        body = await request.body()
        if len(body) > GATEWAY_PAYLOAD.value:
            return _problem("REQUEST_TOO_LARGE")
        await asyncio.sleep(self._overhead())
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        call = run_in_threadpool(
            self._functions.request, request.method, target, dict(request.headers), body
        )
        try:
            status, headers, data = await asyncio.wait_for(asyncio.shield(call), self.max_wait)
        except TimeoutError:
            return _problem("INTEGRATION_TIMEOUT")
        response = Response(data, status)
        for name, value in headers:
            if name.lower() not in {"content-length", "content-type"}:
                response.headers.append(name, value)
            elif name.lower() == "content-type":
                response.headers[name] = value
        return response

    async def _post(self, request: Request) -> Response:
        """Handle PostToConnection."""
        socket = self._sockets.get(request.path_params["name"])
        data = await request.body()
        try:
            self._check(request, data)
        except SignatureError as error:
            return Response(json.dumps({"message": str(error)}), 403)
        if socket is None:
            headers = {"x-amzn-ErrorType": "GoneException"}
            return Response(b'{"message": null}', 410, headers)
        if len(data) > WEBSOCKET_FRAME.value:
            headers = {"x-amzn-ErrorType": "PayloadTooLargeException"}
            return Response(b'{"message": "Message too long"}', 413, headers)
        try:
            self._times[request.path_params["name"]].use()
            await socket.send_text(data.decode())
        except (KeyError, RuntimeError, WebSocketDisconnect):
            self._sockets.pop(request.path_params["name"], None)
            return Response(b"{}", 410, {"x-amzn-ErrorType": "GoneException"})
        return Response(b"{}")

    async def _hang_up(self, request: Request) -> Response:
        """Handle DeleteConnection."""
        try:
            self._check(request, b"")
        except SignatureError as error:
            return Response(json.dumps({"message": str(error)}), 403)
        socket = self._sockets.pop(request.path_params["name"], None)
        if socket is None:
            return Response(b'{"message": null}', 410, {"x-amzn-ErrorType": "GoneException"})
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close()
        return Response(status_code=204)

    def _check(self, request: Request, body: bytes) -> None:
        """Raise `SignatureError` unless the app signed a request."""
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"http://{request.headers['host']}{request.scope['raw_path'].decode()}{query}"
        signed = SignedRequest(request.method, url, dict(request.headers), body)
        if signed.check(self._keys) is not self._keys.own:
            raise SignatureError("workers may not send to connections")

    async def _socket(self, socket: WebSocket) -> None:
        name = uuid.uuid4().hex
        response = await self._call("$connect", name, socket)
        if response.get("statusCode", 200) >= 300:  # noqa: PLR2004
            await socket.close()
            return
        chosen = (response.get("headers") or {}).get("Sec-WebSocket-Protocol")
        self._sockets[name], times = socket, OpenSocket()
        self._times[name] = times
        await socket.accept(subprotocol=chosen)
        end = asyncio.create_task(times.close_in_time(self.socket_times, socket.close))
        try:
            while True:
                text = await socket.receive_text()
                times.use()
                response = await self._call("$default", name, socket, text)
                if response.get("statusCode") == _FAILED:
                    about = {"connectionId": name, "requestId": uuid.uuid4().hex}
                    said = {"message": "Internal server error", **about}
                    await socket.send_text(json.dumps(said))
                elif response.get("body"):
                    await socket.send_text(str(response["body"]))
        except WebSocketDisconnect:
            pass
        finally:
            end.cancel()
            self._sockets.pop(name, None)
            self._times.pop(name, None)
            await self._call("$disconnect", name, socket)

    async def _call(self, route: str, name: str, socket: WebSocket, body: str | None = None) -> Any:
        event = {
            "requestContext": {
                "routeKey": route,
                "eventType": {"$connect": "CONNECT", "$disconnect": "DISCONNECT"}.get(
                    route, "MESSAGE"
                ),
                "connectionId": name,
                "domainName": f"{self._host}:{self._port}",
                "stage": PATH.strip("/"),
                "apiId": "emulated",
            },
            "headers": dict(socket.headers) if route == "$connect" else {},
            "queryStringParameters": dict(socket.query_params) or None,
            "body": body,
            "isBase64Encoded": False,
        }
        return await run_in_threadpool(self._functions.socket, route, event)


def _problem(name: str) -> Response:
    """Return API Gateway's own response of a type."""
    problem = GATEWAY_PROBLEMS[name]
    return Response(
        problem.model_dump_json(exclude_none=True), problem.status, media_type=PROBLEM_TYPE
    )
