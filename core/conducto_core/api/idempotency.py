"""Execution of a request once, however often its idempotency key arrives.

A client that lost a response sends the request again under the same key, and gets the first
response. The key is stored before anything is done: if the server stops in between, the result of
the request is unknown. The second request is rejected, or resumes if that is possible.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from conducto_core.api import problems
from conducto_core.api.operation import (
    IDEMPOTENCY_KEY,
    MAX_IDEMPOTENCY_KEY,
    REMEMBERED_RESPONSES,
    REMEMBERED_SECONDS,
)
from conducto_core.api.problems import ProblemError

logger = logging.getLogger(__name__)


class NotRememberedError(Exception):
    """A `ResponseStore` can neither read nor write now, e.g. because the disk is full."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The stored state of a key.

    Attributes:
        response: The body of the response; None if there was none.
    """

    fingerprint: str
    response: bytes | None


class ResponseStore(Protocol):
    """Keys and responses; bounded, the oldest are dropped first.

    `recall`, `begin` and `finish` may raise `NotRememberedError`.
    """

    def recall(self, key: str, now: float) -> Memory | None:
        """Return the state of a key that has not expired at ``now``."""

    def begin(self, key: str, fingerprint: str, now: float) -> None:
        """Record the start of a request."""

    def finish(self, key: str, response: bytes) -> None:
        """Record the response of a request."""

    def forget(self, key: str) -> None:
        """Drop a key, because nothing was done."""


class MemoryResponses:
    """A `ResponseStore` for the life of the process."""

    def __init__(
        self, maximum: int = REMEMBERED_RESPONSES, seconds: float = REMEMBERED_SECONDS
    ) -> None:
        self._maximum = maximum
        self._seconds = seconds
        self._known: OrderedDict[str, tuple[float, Memory]] = OrderedDict()

    def recall(self, key: str, now: float) -> Memory | None:
        since, memory = self._known.get(key, (0.0, None))
        return memory if abs(now - since) < self._seconds else None

    def begin(self, key: str, fingerprint: str, now: float) -> None:
        self._known.pop(key, None)
        self._known[key] = now, Memory(fingerprint, None)
        while len(self._known) > self._maximum:
            self._known.popitem(last=False)

    def finish(self, key: str, response: bytes) -> None:
        if key in self._known:
            since, memory = self._known[key]
            self._known[key] = since, Memory(memory.fingerprint, response)

    def forget(self, key: str) -> None:
        self._known.pop(key, None)


class IdempotentExecutor:
    """Executes each request once; ``kept`` may remember responses of earlier processes."""

    def __init__(self, kept: ResponseStore, clock: Callable[[], float] = time.time) -> None:
        self._kept = kept
        self._fleeting = MemoryResponses()
        self._clock = clock
        self._under_way: dict[str, asyncio.Future[None]] = {}

    async def respond(
        self,
        key: str,
        request: tuple[bytes, ...],
        work: Callable[[], Awaitable[bytes]],
        *,
        again: Callable[[], Awaitable[bytes]] | None = None,
        private: bool = False,
    ) -> bytes:
        """Return the response of ``work``, or of the earlier request under ``key``.

        Args:
            key: The client's key.
            request: The parts that identify the request.
            work: Executes the request. If it raises, the key is free again.
            again: Executes a request that was interrupted; None: reject it.
            private: The request has contents that no file may store, not even as a digest.

        Raises:
            ProblemError: the key is invalid, belongs to another request, or to one that was
                interrupted.
        """
        if not 0 < len(key) <= MAX_IDEMPOTENCY_KEY or not key.isascii() or not key.isprintable():
            raise problems.wrong_header(
                IDEMPOTENCY_KEY, f"must be 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters"
            )
        while key in self._under_way:
            await asyncio.shield(self._under_way[key])
        digest = hashlib.blake2b(digest_size=16)
        for part in request:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        fingerprint = digest.hexdigest()
        memory = self._recall(key)
        if memory is not None:
            if again is None or memory.response is not None:
                _check_same(memory, fingerprint)
                if memory.response is None:
                    raise ProblemError(problems.cut_off())
                return memory.response
            _check_same(memory, fingerprint)
            work = again
        self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            store = self._begin(key, fingerprint, private=private)
            return await self._first(store, key, fingerprint, work)
        finally:
            self._under_way.pop(key).set_result(None)

    def _recall(self, key: str) -> Memory | None:
        now = self._clock()
        memory = self._fleeting.recall(key, now)
        if memory is not None:
            return memory
        with contextlib.suppress(NotRememberedError):
            return self._kept.recall(key, now)
        return None

    def _begin(self, key: str, fingerprint: str, *, private: bool) -> ResponseStore:
        """Record the start of a request; return the store for its response.

        If the disk is full, the process remembers the response instead: requests that free space
        must still work.
        """
        now = self._clock()
        if not private:
            try:
                self._kept.begin(key, fingerprint, now)
            except NotRememberedError as error:
                logger.warning("key kept in memory only", extra={"why": str(error)})
            else:
                return self._kept
        self._fleeting.begin(key, fingerprint, now)
        return self._fleeting

    async def _first(
        self, store: ResponseStore, key: str, fingerprint: str, work: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        try:
            response = await work()
        except Exception:
            store.forget(key)
            raise
        try:
            store.finish(key, response)
        except NotRememberedError as error:
            logger.warning("response kept in memory only", extra={"why": str(error)})
            self._fleeting.begin(key, fingerprint, self._clock())
            self._fleeting.finish(key, response)
        return response


def _check_same(memory: Memory, fingerprint: str) -> None:
    if memory.fingerprint != fingerprint:
        raise problems.wrong_header(
            IDEMPOTENCY_KEY, "was used for another request; every request needs a new one"
        )
