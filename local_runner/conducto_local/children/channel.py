"""Requests of commands with ``launch=True``: the token of an attempt, and the channel to it."""

import asyncio
import hmac
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from secrets import token_hex, token_urlsafe
from typing import Any

from conducto.wire.launching import CHANNEL, MAX_LINE, TOKEN
from conducto_local.engine.port import Relay, Worker
from conducto_local.run.context import Tasks
from conducto_local.run.live_pipeline import ActiveAttempt

logger = logging.getLogger(__name__)

_PREFIX = "cdo_"
_ID = re.compile(r"[0-9a-f]{32}")
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class ChildRequest:
    """A request of a command.

    Attributes:
        body: JSON.
    """

    method: str
    path: str
    body: bytes
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ChildResponse:
    """The response to a request of a command; ``body`` is JSON."""

    status: int
    body: bytes


#: Executes a request of an attempt's command.
Handle = Callable[[ActiveAttempt, ChildRequest], Awaitable[ChildResponse]]


@dataclass(frozen=True, slots=True)
class Grant:
    """A right to launch pipelines, for one attempt.

    Attributes:
        env: Variables of the command.
    """

    token: str = field(repr=False)
    env: Mapping[str, str] = field(repr=False)


@asynccontextmanager
async def launch_channel(
    active: ActiveAttempt, worker: Worker, handle: Handle, tasks: Tasks
) -> AsyncIterator[Grant]:
    """Serve the requests of the command that runs meanwhile; its token is valid as long.

    Raises:
        WorkerStartError: The image lacks the programs for it.
        EngineError: The engine is unreachable.
    """
    token = _PREFIX + token_urlsafe(32)
    relay = await worker.relay(f"launch-{token_hex(8)}")
    serving = asyncio.create_task(_Channel(active, relay, token, handle, tasks).serve())
    try:
        yield Grant(token, {TOKEN: token, CHANNEL: relay.directory})
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        await relay.close()  # in case it was cancelled before it started


@dataclass(frozen=True, slots=True)
class _Channel:
    active: ActiveAttempt
    relay: Relay
    token: str = field(repr=False)
    handle: Handle
    tasks: Tasks

    async def serve(self) -> None:
        """Answer requests, one after another, until the relay ends; then close it."""
        try:
            async for line in lines_of(self.relay):
                await self._answer(line)
        except Exception:
            logger.exception("requests of a command failed", extra={"path": self.active.spec.path})
        finally:
            await self.relay.close()  # so that later requests fail at once

    async def _answer(self, line: bytes) -> None:
        request = _read(line)
        if request is None:
            return  # of a process that was killed
        # A launch that has started is completed, even if its attempt ends meanwhile.
        work = self.tasks.spawn(self._execute(request))
        response = await asyncio.shield(work)
        answer = {"status": response.status, "body": response.body.decode()}
        self.relay.write(f"{request['id']}\n{json.dumps(answer)}\n".encode())

    async def _execute(self, request: Mapping[str, Any]) -> ChildResponse:
        given = str(request.get("token")).encode(errors="replace")
        if not hmac.compare_digest(given, self.token.encode()):
            problem = {"title": "wrong token", "detail": "the token is not that of this attempt"}
            return ChildResponse(_UNAUTHORIZED, json.dumps(problem).encode())
        key = request.get("key")
        wanted = ChildRequest(
            str(request.get("method")),
            str(request.get("path")),
            str(request.get("body") or "").encode(errors="replace"),
            None if key is None else str(key),
        )
        return await self.handle(self.active, wanted)


def _read(line: bytes) -> Mapping[str, Any] | None:
    """Return a request; None if it is not one."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return None
    named = isinstance(request, dict) and _ID.fullmatch(str(request.get("id")))
    return request if named else None


async def lines_of(relay: Relay, maximum: int = MAX_LINE) -> AsyncIterator[bytes]:
    """Yield the lines of requests; end at a line that is too long."""
    parts: list[bytes] = []
    size = 0
    while data := await relay.read():
        first, *others = data.split(b"\n")
        parts.append(first)
        size += len(first)
        for other in others:
            yield b"".join(parts)
            parts, size = [other], len(other)
        if size > maximum:
            return
