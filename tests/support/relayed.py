"""The scenes of `support.fixtures` behind a linked agent: every request passes through a cloud."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from chalicelib.api.dispatch import Request
from conducto_client import Client, HttpTransport
from conducto_client.transport.port import Body, Reply
from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.dispatch import RouteTable
from conducto_core.api.downloads import RangeError, parse_range
from conducto_core.api.operation import API_ROOT, AnyOperation
from conducto_core.people.rules import INHERITED
from conducto_core.remote.model import MAX_INLINE, Ask, ResponseHead, Stored
from support.cloud.linked_agent import RelayWorld
from support.cloud.world import ME
from support.fixtures import Scene, scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_BY_NAME = {operation.name: operation for operation in OPERATIONS}
_ROUTES = RouteTable(OPERATIONS)
_TOKEN = "token of everything"


class RelayTransport:
    """Sends the requests of a client through a cloud in memory to an agent."""

    def __init__(self, agent: HttpTransport) -> None:
        self._agent = agent
        self._world = RelayWorld()
        caller = replace(ME, permissions=INHERITED, token=_TOKEN)
        self._caller = caller
        self._world.tokens.put(_TOKEN, caller, expires=None)
        self._linked = self._world.agent()
        self._linked.respond = self._respond

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        match = _ROUTES.find(method, path)
        data = body if isinstance(body, bytes) else b"".join(body or ())
        given = {name.lower(): value for name, value in (headers or {}).items()}
        given.setdefault("content-type", "application/json")
        pairs = (*query.items(), ("agent", "laptop"))
        request = Request(dict(match.params), tuple(pairs), given, data)
        response = self._world.api.call(match.operation, self._caller, request)
        found = dict(response.headers)
        if response.status == 303:
            return self._fetched(found["location"], given.get("range"))
        return Reply(response.status, response.body, {**found, "content-type": response.media_type})

    def _fetched(self, location: str, part: str | None) -> Reply:
        """Return an object of the bucket, or a part of it, as S3 does."""
        key = location.removeprefix("https://blobs.invalid/").partition("?")[0]
        content = self._world.blobs.get(key) or b""
        span = parse_range(part)
        if span is None:
            return Reply(200, content, {})
        try:
            first, count = span.within(len(content))
        except RangeError as error:
            return Reply(416, b"", {"content-range": f"bytes */{error.size}"})
        end = first + count - 1
        place = {"content-range": f"bytes {first}-{end}/{len(content)}"}
        return Reply(206, content[first : end + 1], place)

    def stream(self, *arguments: Any, **options: Any) -> Any:
        return self._agent.stream(*arguments, **options)

    def close(self) -> None:
        self._agent.close()

    def _respond(self, ask: Ask) -> tuple[int, str, bytes] | None:
        operation = _BY_NAME[ask.operation]
        body = base64.b64decode(ask.b64)
        if ask.url is not None:
            key = ask.url.removeprefix("https://blobs.invalid/").partition("?")[0]
            body = self._world.blobs.get(key) or b""
        headers = {"Content-Type": ask.headers.media_type or "application/json"}
        if ask.headers.idempotency_key is not None:
            headers["Idempotency-Key"] = ask.headers.idempotency_key
        query = dict(parse_qsl(ask.query, keep_blank_values=True))
        sent = body if operation.body is not None else None
        path = _path(operation, ask.params)
        reply = self._agent.request(operation.method, path, query, sent, headers)
        media_type = reply.headers["content-type"]
        if len(reply.body) <= MAX_INLINE:
            return reply.status, media_type, reply.body
        assert ask.upload is not None
        self._world.blobs.put(ask.upload.key, reply.body)
        head = ResponseHead(status=reply.status, media_type=media_type)
        self._linked.send(Stored(n=1, id=ask.id, key=ask.upload.key, head=head))
        return None


def _path(operation: AnyOperation, params: Mapping[str, str]) -> str:
    path = operation.path
    for name, value in params.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return f"{API_ROOT}{path}"


@asynccontextmanager
async def relayed(folder: Path) -> AsyncIterator[Scene]:
    """Return a scene of the shipped fake, whose client is in another place."""
    async with scripted(folder) as scene:
        scene.client = Client(RelayTransport(HttpTransport(scene.endpoint)))
        with scene.client:
            yield scene
