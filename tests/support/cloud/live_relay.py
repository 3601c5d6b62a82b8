"""The relay of the cloud behind a real WebSocket, for agents in processes of their own.

Handlers run in threads of the connections. One lock stands for the transactions of the table, and
is free while a request waits, so handlers and requests interleave as those of Lambda do.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from tests.fakes.cloud.memory import FakeGateway
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from chalicelib.api.dispatch import Request
from chalicelib.api.websocket import FORBIDDEN
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of
from chalicelib.services import Services
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.api.operation import SUBPROTOCOL
from conducto_local.remote.policy import LinkSettings, write_settings
from support.cloud.linked_agent import JSON
from support.cloud.world import ME, World, with_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conducto_core.api.dispatch import Response
    from conducto_core.api.operation import AnyOperation
    from conducto_core.remote.model import LinkPolicy

TOKEN = "cdo_linked"
_HANDSHAKE = "handshake"


class _Gateway(FakeGateway):
    """Connections that send to real sockets; those without one keep the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: dict[str, ServerConnection] = {}
        self.on_send: Callable[[str, bytes], None] = lambda _connection, _data: None

    def post_to_connection(self, ConnectionId: str, Data: bytes) -> None:  # noqa: N803  AWS's names
        socket = self.sockets.get(ConnectionId)
        if socket is None:
            super().post_to_connection(ConnectionId, Data)
            return
        try:
            socket.send(Data.decode())
        except ConnectionClosed:
            self.gone.add(ConnectionId)
            super().post_to_connection(ConnectionId, Data)
        self.on_send(ConnectionId, Data)


class LiveRelay(World):
    """A cloud to which real agents connect.

    Attributes:
        down: The installation responds with 503 and accepts no connection.
        lock: Held by whatever reads or changes the world.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.down = False
        super().__init__(sleep=self._sleep)
        self.live = self.clients.gateway = self.gateway = _Gateway()
        self.deploy()
        agent = Identity(ME.org, ME.user, frozenset({"agent"}))
        self.tokens.put(digest_of(TOKEN), agent, expires=None)
        self._server: Server | None = None

    def _sleep(self, seconds: float) -> None:
        self.lock.release()
        try:
            time.sleep(seconds)
        finally:
            self.lock.acquire()

    def deploy(self) -> None:
        """Replace the code; the table stays."""
        ports = self.over(sleep=self._sleep)
        self.cloud = with_ports(ports, clock=time.time)
        self.services = Services(self.cloud)
        self.api = self.services.api(lambda _: MemoryResponses())
        self.sockets = self.services.sockets

    @contextmanager
    def serving(self) -> Iterator[LiveRelay]:
        """Serve the WebSocket while the block runs."""
        self._server = serve(
            self._handle,
            "127.0.0.1",
            0,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            process_request=self._accept,
        )
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.close_all()
            self._server.shutdown()
            thread.join()

    def link(self, profile: str, policy: LinkPolicy) -> None:
        """Write the section ``[link]`` of a profile."""
        assert self._server is not None
        host = f"127.0.0.1:{self._server.socket.getsockname()[1]}"
        write_settings(
            profile,
            LinkSettings(
                "laptop2345",
                url=f"http://{host}",
                socket=f"ws://{host}/socket",
                org=ME.org,
                user=ME.user,
                token=TOKEN,
                policy=policy,
            ),
        )

    def close_all(self) -> None:
        """Close all connections, as a deployment of the WebSocket API does."""
        for socket in list(self.live.sockets.values()):
            socket.close(1001)

    def call(
        self, operation: AnyOperation, body: Any = None, *, key: str | None = None, **params: str
    ) -> Response:
        """Send a request to the agent."""
        token = "token of a person"
        with self.lock:
            self.tokens.put(token, ME, expires=None)
            caller = Identity(ME.org, ME.user, ME.permissions, token=token)
            request = Request(
                params=params,
                query=(("agent", "laptop2345"),),
                headers={
                    "content-type": JSON,
                    "idempotency-key": key or token_hex(8),
                },
                body=b"" if body is None else json.dumps(body).encode(),
            )
            return self.api.call(operation, caller, request)

    def follow(self, page: str, pipeline: str) -> None:
        """Let a page follow a pipeline of the agent from its start."""
        with self.lock:
            self.tokens.put(f"token of {page}", ME, expires=None)
            self.connections.opened(page, f"token of {page}")
            message = {"subscribe": pipeline, "agent": "laptop2345", "cursor": 0}
            self.sockets.message(page, json.dumps(message))

    def seen(self, page: str) -> list[int]:
        """Return the numbers of the changes that a page has received."""
        frames = list(self.gateway.sent.get(page, []))
        return [change["seq"] for frame in frames for change in json.loads(frame)["changes"]]

    # ---- the server ---------------------------------------------------------------------------

    def _accept(self, socket: ServerConnection, request: Any) -> Any:
        if self.down:
            return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "being deployed\n")
        name = token_hex(8)
        headers = {key.lower(): value for key, value in request.headers.raw_items()}
        with self.lock:
            if self.sockets.connect(name, headers) == FORBIDDEN:
                return socket.respond(HTTPStatus.FORBIDDEN, "wrong token\n")
        self.live.sockets[name] = socket
        setattr(socket, _HANDSHAKE, name)
        return None

    def _handle(self, socket: ServerConnection) -> None:
        name = str(getattr(socket, _HANDSHAKE))
        try:
            for text in socket:
                with self.lock:
                    self.sockets.message(name, str(text))
        except ConnectionClosed:
            pass
        finally:
            self.live.sockets.pop(name, None)
            with self.lock:
                self.sockets.disconnect(name)


def wait_until(is_true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition.

    Raises:
        AssertionError: It is not met in time.
    """
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)
