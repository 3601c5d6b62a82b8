"""A linked agent in memory: it speaks the protocol, and responds as a test says."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from chalicelib.api.dispatch import Request
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of
from chalicelib.services import Services
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.remote.model import (
    PROTOCOL,
    Ask,
    CloudFrame,
    Hello,
    LinkPolicy,
    Part,
    Ping,
    ResponseHead,
    read_cloud_frame,
)
from support.cloud.world import ME, World

if TYPE_CHECKING:
    from conducto_core.api.dispatch import Response
    from conducto_core.api.operation import AnyOperation
    from conducto_core.record import Record

#: Bytes of a part.
PART = 20_000
JSON = "application/json"
ANYBODY = LinkPolicy(who="org")


class LinkedAgent:
    """An agent, linked to a world.

    Attributes:
        frames: The frames that it received.
        respond: Returns the response to a request: status, media type and body; None: none.
    """

    def __init__(
        self,
        world: World,
        name: str = "laptop",
        *,
        user: str = ME.user,
        policy: LinkPolicy = ANYBODY,
        epoch: int = 1,
        shells: tuple[str, ...] = (),
    ) -> None:
        self.world = world
        self.name = name
        self.connection = f"link of {name} {epoch}"
        self.frames: list[CloudFrame] = []
        self.respond: Any = lambda ask: (200, JSON, json.dumps({"asked": ask.operation}).encode())
        self._read = 0
        self._sent = 0
        token = f"cdo_{name}"
        agent = Identity(ME.org, user, frozenset({"agent"}))
        world.tokens.put(digest_of(token), agent, expires=None)
        self.sockets = world.services.sockets
        self.sockets.connect(self.connection, {"authorization": f"Bearer {token}"})
        self.send(
            Hello(
                n=1,
                protocol=PROTOCOL,
                agent=name,
                host=f"{name}.local",
                version="1.0",
                policy=policy,
                epoch=epoch,
                shells=shells,
            )
        )
        self.look()

    def send(self, frame: Record) -> None:
        """Send a frame, with the next number."""
        self._sent += 1
        numbered = frame.model_copy(update={"n": self._sent})
        self.sockets.message(self.connection, numbered.model_dump_json())

    def send_text(self, text: str) -> None:
        self.sockets.message(self.connection, text)

    def ping(self) -> None:
        self.send(Ping(n=1))

    def disconnect(self) -> None:
        self.world.gateway.gone.add(self.connection)
        self.sockets.disconnect(self.connection)

    def look(self, _seconds: float = 0.0) -> None:
        """Read new frames, and respond to requests."""
        sent = self.world.gateway.sent.get(self.connection, [])
        while self._read < len(sent):
            frame = read_cloud_frame(sent[self._read])
            self._read += 1
            self.frames.append(frame)
            if isinstance(frame, Ask):
                self._respond(frame)

    def _respond(self, ask: Ask) -> None:
        response = self.respond(ask)
        if response is None:
            return
        status, media_type, body = response
        starts = range(0, max(1, len(body)), PART)
        parts = [
            Part(
                n=1,
                id=ask.id,
                index=index,
                last=start + PART >= len(body),
                head=ResponseHead(status=status, media_type=media_type) if index == 0 else None,
                b64=base64.b64encode(body[start : start + PART]).decode(),
            )
            for index, start in enumerate(starts)
        ]
        for part in reversed(parts):  # Lambda handles the messages of a connection in any order
            self.send(part)

    @property
    def asks(self) -> list[Ask]:
        return [frame for frame in self.frames if isinstance(frame, Ask)]

    def last(self) -> CloudFrame:
        self.look()
        return self.frames[-1]


class RelayWorld(World):
    """A world whose requests wait for agents: they look for frames in each pause."""

    def __init__(self, **more: Any) -> None:
        self.agents_here: list[LinkedAgent] = []
        super().__init__(sleep=self._pause, **more)
        self.api = Services(self.cloud).api(lambda _: MemoryResponses())

    def _pause(self, seconds: float) -> None:
        self.now += seconds
        for agent in self.agents_here:
            agent.look()

    def agent(self, *args: Any, **more: Any) -> LinkedAgent:
        """Link an agent that responds to requests."""
        made = LinkedAgent(self, *args, **more)
        self.agents_here.append(made)
        return made

    def call(
        self,
        operation: AnyOperation,
        *,
        caller: Identity = ME,
        query: dict[str, str] | None = None,
        body: Any = None,
        **params: str,
    ) -> Response:
        """Send a request to the API."""
        known = f"token of {caller.user}"
        self.tokens.put(known, caller, expires=None)
        me = Identity(caller.org, caller.user, caller.permissions, token=known)
        request = Request(
            params=params,
            query=tuple((query or {}).items()),
            headers={"content-type": JSON, "idempotency-key": "k1"},
            body=b"" if body is None else json.dumps(body).encode(),
        )
        return self.api.call(operation, me, request)
