"""A transport without a network: the client's requests go directly to the handlers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

from conducto_client.errors import ApiError
from conducto_client.transport.port import Body, Reply, StreamLostError
from conducto_core.api.dispatch import Headers, Response, Service, encode, takes_bytes
from conducto_core.api.operation import IDEMPOTENCY_KEY, WEBSOCKET
from conducto_core.api.problems import ProblemError
from conducto_core.record import Record

T = TypeVar("T")

_KEY = IDEMPOTENCY_KEY.lower()


class InProcessTransport:
    """A `conducto_client.Transport` over a `Service` in the same process.

    The service runs in an event loop of its own, in a thread; use it as a context manager, or
    `stop` it.

    >>> from conducto_client import Client
    >>> from tests.fakes.pipelines import MemoryPipelines
    >>> with InProcessTransport(Service(MemoryPipelines())) as transport:
    ...     Client(transport).list()
    ()
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.new_event_loop()
        self._stopped, self._lock = False, threading.RLock()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all streams, the loop and its thread."""
        with self._lock:
            self._stopped = True
            ended = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        ended.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the service's response."""
        given = {name.lower(): value for name, value in (headers or {}).items()}
        content = b"" if body is None else body if isinstance(body, bytes) else b"".join(body)
        meaning = Headers(range=given.get("range"), idempotency_key=given.get(_KEY))
        return self._run(self._respond(method, path, urlencode(query), content, meaning))

    async def _respond(
        self, method: str, path: str, query: str, body: bytes, headers: Headers
    ) -> Reply:
        try:
            match = self._service.find(method, path)
        except ProblemError as error:
            return _reply(self._service.refusal(error))
        content = _chunks(body) if takes_bytes(match) else body
        response = await self._service.respond(match, query, content, headers)
        if isinstance(response, Response):
            return _reply(response)
        body = b"".join([chunk async for chunk in response.chunks])
        return Reply(response.status, body, dict(response.headers()))

    def stream(
        self, path: str, query: Mapping[str, str], *, heartbeat: float | None = None
    ) -> Iterator[bytes]:
        """Yield the frames of the service's stream."""
        try:
            match = self._service.find(WEBSOCKET, path)
            frames = self._run(self._service.subscribe(match, urlencode(query)))
        except ProblemError as error:
            raise ApiError(error.problem) from error
        pending = None
        try:
            while True:
                pending = pending or self._begin(_next(frames))
                try:
                    frame = pending.result(heartbeat)
                except TimeoutError:
                    yield b""
                    continue
                pending = None
                yield frame if isinstance(frame, bytes) else encode(frame)
        finally:
            if pending is not None:
                pending.cancel()
            with suppress(StreamLostError):  # a service that has stopped has closed it
                self._run(_close(frames))

    def close(self) -> None:
        """Do nothing: there is no connection to drop."""

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._begin(work).result()

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        with self._lock:
            if self._stopped:  # the loop would never run it
                work.close()
                raise StreamLostError("the service has stopped")
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    @staticmethod
    async def _end() -> None:
        open_ones = asyncio.all_tasks() - {asyncio.current_task()}
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()


def _reply(response: Response) -> Reply:
    return Reply(response.status, response.body, dict(response.headers))


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _next(frames: AsyncIterator[Record | bytes]) -> Record | bytes:
    try:
        return await anext(frames)
    except StopAsyncIteration as error:
        raise StreamLostError("the stream ended") from error


async def _close(frames: AsyncIterator[Record | bytes]) -> None:
    close = getattr(frames, "aclose", None)
    if close is not None:
        await close()
