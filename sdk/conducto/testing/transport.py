"""The way to the API without a network: the client's calls go straight to the handlers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

from conducto.client.errors import ApiError
from conducto.client.transport import Reply, StreamLostError
from conducto.model.base import Record
from conducto.service.dispatch import Answer, Service, encode
from conducto.service.problems import ProblemError
from conducto.service.routes import WEBSOCKET

T = TypeVar("T")


class InProcessTransport:
    """A `conducto.client.Transport` over a `Service` in the same process.

    The service runs in an event loop of its own, in a thread; use it as a context manager, or
    `stop` it.

    >>> from conducto.client import Client
    >>> from conducto.testing.pipelines import FakePipelines
    >>> with InProcessTransport(Service(FakePipelines())) as transport:
    ...     Client(transport).list()
    ()
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.new_event_loop()
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
        """End the loop and its thread."""
        self._run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def request(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None
    ) -> Reply:
        """Return the service's answer."""
        answer = self._run(self._answer(method, path, urlencode(query), body))
        return Reply(answer.status, answer.body)

    async def _answer(self, method: str, path: str, query: str, body: bytes | None) -> Answer:
        try:
            match = self._service.find(method, path)
        except ProblemError as error:
            return self._service.refusal(error)
        return await self._service.answer(match, query, b"" if body is None else body)

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """Yield what the service's stream yields."""
        try:
            match = self._service.find(WEBSOCKET, path)
            records = self._run(self._service.subscribe(match, urlencode(query)))
        except ProblemError as error:
            raise ApiError(error.problem) from error
        try:
            while True:
                yield encode(self._run(_next(records)))
        finally:
            self._run(_close(records))

    def close(self) -> None:
        """Do nothing: there is no connection to drop."""

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _next(records: AsyncIterator[Record]) -> Record:
    try:
        return await anext(records)
    except StopAsyncIteration as error:
        raise StreamLostError("the stream ended") from error


async def _close(records: AsyncIterator[Record]) -> None:
    close = getattr(records, "aclose", None)
    if close is not None:
        await close()
