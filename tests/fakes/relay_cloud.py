"""A cloud for the agent's link, in the test's event loop: honest by default, hostile on request.

>>> import asyncio
>>> async def example() -> int:
...     async with RelayCloud() as cloud:
...         return len(cloud.hellos)
>>> asyncio.run(example())
0
"""

import asyncio
import base64
import json
import secrets
import ssl
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from conducto_core.api.operation import SUBPROTOCOL
from conducto_core.record import Record
from conducto_core.remote import model as relay

_SECONDS = 60.0


@dataclass
class Answer:
    """The response to a request."""

    status: int
    body: bytes
    key: str | None = None

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass
class Peer:
    """One connection of an agent, with the number of frames sent to it."""

    socket: ServerConnection
    sent: int = 0
    received: int = 0
    hello: relay.Hello | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class RelayCloud:
    """The cloud's side of the protocol.

    Attributes:
        hellos: The first frame of each connection.
        pipelines: ``{id: summary}`` as the agent sent them.
        cursor: Cursor of the last summaries.
        batches: ``{pipeline: batches}``.
        shells: ``{shell: output frames}``.
        frames: All frames of agents.
        executed: ``{request id: number of complete responses}``.
        drops: Closes a connection on a frame for which it returns True, before it is processed.
        acks: Whether frames are acknowledged.
        token: The accepted token.
        down: Whether new connections get the status 503; ``refused`` counts them.
        delay: Reorders frames: each frame is sent after the next frame.
    """

    def __init__(
        self, token: str = "agent-token", tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.token = token
        self._tls = tls
        self._host = host
        self.hellos: list[relay.Hello] = []
        self.pipelines: dict[str, Any] = {}
        self.cursor = 0
        self.batches: dict[str, list[Any]] = defaultdict(list)
        self.shells: dict[str, list[relay.ShellOutput]] = defaultdict(list)
        self.frames: list[relay.AgentFrame] = []
        self.executed: dict[str, int] = defaultdict(int)
        self.drops: Callable[[relay.AgentFrame], bool] = lambda _: False
        self.acks = True
        self.protocol = relay.PROTOCOL
        self.greets = True
        self.delay = False
        self.down = False
        self.refused = 0
        self.upload: relay.Upload | None = None
        self.peers: list[Peer] = []
        self._held: list[str] = []
        self._parts: dict[str, dict[int, relay.Part]] = defaultdict(dict)
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
            process_request=self._check,
            ssl=self._tls,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Port of the server."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """URL of the WebSocket."""
        scheme = "ws" if self._tls is None else "wss"
        return f"{scheme}://{self._host}:{self.port}/socket"

    @property
    def peer(self) -> Peer:
        """The newest connection."""
        return self.peers[-1]

    async def until(self, is_true: Callable[[], bool], seconds: float = _SECONDS) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(seconds):
            while not is_true():  # noqa: ASYNC110  conditions of any kind
                await asyncio.sleep(0.005)

    async def send(self, kind: type[Record], peer: Peer | None = None, **fields: Any) -> None:
        """Send a frame with the next number; to the newest connection, as soon as it is open."""
        while True:
            await self.until(lambda: peer is not None or self._is_open())
            to = self.peer if peer is None else peer
            to.sent += 1
            try:
                await self.send_text(kind(n=to.sent, **fields).model_dump_json(), to)
            except ConnectionClosed:
                if peer is not None:
                    raise
            else:
                return

    def _is_open(self) -> bool:
        is_open = bool(self.peers) and not self.peer.closed.is_set()
        return is_open and self.peer.hello is not None

    async def send_text(self, text: str | bytes, peer: Peer | None = None) -> None:
        """Send any text."""
        to = self.peer if peer is None else peer
        if self.delay and not self._held:
            self._held.append(str(text))
            return
        held, self._held = self._held, []
        for each in (text, *held):
            await to.socket.send(each)

    async def ask(
        self, operation: str, *, user: str = "ada", body: Any = None, **more: Any
    ) -> Answer:
        """Send a request and return its response."""
        request = more.pop("id", None) or secrets.token_hex(8)
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        if len(data) <= relay.PART_BYTES:
            more.setdefault("b64", base64.b64encode(data).decode())
        future = self._answers[request] = asyncio.get_running_loop().create_future()
        await self.send(
            relay.Ask,
            id=request,
            caller=more.pop("caller", relay.Caller(user=user)),
            operation=operation,
            upload=self.upload,
            **more,
        )
        async with asyncio.timeout(_SECONDS):
            return await asyncio.shield(future)

    def _check(self, connection: ServerConnection, request: Any) -> Any:
        if self.down:
            self.refused += 1
            return connection.respond(503, "being deployed\n")
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return connection.respond(401, "wrong token\n")
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        peer = Peer(socket)
        self.peers.append(peer)
        try:
            async for text in socket:
                frame = relay.read_agent_frame(text)
                peer.received += 1
                assert frame.n == peer.received
                if self.drops(frame):
                    await socket.close(1001)
                    return
                self.frames.append(frame)
                await self._handle(peer, frame)
        except ConnectionClosed:
            pass
        finally:
            peer.closed.set()

    async def _handle(self, peer: Peer, frame: relay.AgentFrame) -> None:
        match frame:
            case relay.Hello():
                await self._greet(peer, frame)
            case relay.Part():
                self._add_part(frame)
            case relay.Stored():
                self._answer(frame.id, Answer(frame.head.status, b"", frame.key))
            case relay.Summaries():
                self._add_summaries(frame)
            case relay.Batch():
                self.batches[frame.pipeline].append(frame.batch)
            case relay.ShellOutput():
                self.shells[frame.id].append(frame)
        acked = (relay.Summaries, relay.Batch, relay.ShellOutput, relay.Ping)
        if self.acks and isinstance(frame, acked):
            await self.send(relay.Ack, peer, of=frame.n)

    async def _greet(self, peer: Peer, hello: relay.Hello) -> None:
        peer.hello = hello
        self.hellos.append(hello)
        if self.greets:
            welcome = {"protocol": self.protocol, "org": "acme", "user": "ada"}
            await self.send(relay.Welcome, peer, summaries_cursor=self.cursor, **welcome)

    def _add_summaries(self, frame: relay.Summaries) -> None:
        if frame.replace:
            self.pipelines.clear()
        for one in frame.pipelines:
            self.pipelines[one.pipeline.id] = one
        for name in frame.removed:
            self.pipelines.pop(name, None)
        self.cursor = frame.cursor

    def _add_part(self, part: relay.Part) -> None:
        parts = self._parts[part.id]
        parts[part.index] = part
        last = next((one.index for one in parts.values() if one.last), None)
        if last is None or len(parts) <= last:
            return
        head = parts[0].head
        assert head is not None
        body = b"".join(base64.b64decode(parts[index].b64) for index in range(last + 1))
        self._answer(part.id, Answer(head.status, body))

    def _answer(self, request: str, answer: Answer) -> None:
        self.executed[request] += 1
        future = self._answers.get(request)
        if future is not None and not future.done():
            future.set_result(answer)
