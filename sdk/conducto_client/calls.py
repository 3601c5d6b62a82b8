"""Calls of operations over a transport: their addresses, responses, downloads and live events."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

from pydantic import ValidationError

from conducto_client.errors import AgentUnreachableError, ApiError
from conducto_client.transport.port import Body, Reply, StreamLostError, Transport
from conducto_core.api.operation import API_ROOT, IDEMPOTENCY_KEY, AnyOperation, Operation
from conducto_core.record import Record
from conducto_core.run import operations as pipelines
from conducto_core.run.model import params
from conducto_core.run.model.requests import (
    EventBatch,
    Problem,
)

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)

RESUME_DELAYS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
#: Seconds after which a lost stream counts as one that was open.
LASTED = 30.0
_OK = 200
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416
#: Bytes of a download in memory at a time.
CHUNK = 4 << 20


class Calls:
    """Calls of operations, over one transport.

    Args:
        transport: The connection to the server.
        resume_delays: Seconds to wait before each attempt to resume a stream; after that, the
            server counts as lost.

    Attributes:
        gate: Held while a response is parsed; acquire it to end a thread that uses this client.
    """

    def __init__(
        self, transport: Transport, *, resume_delays: Sequence[float] = RESUME_DELAYS
    ) -> None:
        self._transport = transport
        self._resume_delays = resume_delays
        self.gate: AbstractContextManager[object] = nullcontext()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def through(self, wrap: Callable[[Transport], Transport]) -> Self:
        """Return a client whose requests pass through a wrapper of the transport of this client."""
        return type(self)(wrap(self._transport))

    def events(self, pipeline_id: str, cursor: int = 0) -> Iterator[EventBatch]:
        """Yield the changes after ``cursor``, then live ones, without loss or repetition.

        It does not end by itself: stop iterating. A lost connection is reopened from the last
        change that was yielded.

        Raises:
            AgentUnreachableError: the connection stays lost.
        """
        failures = 0
        while True:
            started = time.monotonic()
            try:
                for batch in self._event_stream(pipeline_id, cursor, None):
                    if batch is None:
                        continue
                    failures = 0
                    if batch.changes:
                        cursor = batch.changes[-1].seq
                    yield batch
            except StreamLostError as error:
                if time.monotonic() - started > LASTED:
                    failures = 0  # it was idle for so long that it was closed
                if failures == len(self._resume_delays):
                    raise _broken_off(pipeline_id, error) from error
                time.sleep(self._resume_delays[failures])
                failures += 1

    def event_stream(
        self, pipeline_id: str, cursor: int, heartbeat: float
    ) -> Generator[EventBatch | None, None, None]:
        """Yield changes like `events`, over one connection, and None as a heartbeat.

        Raises:
            AgentUnreachableError: the connection was lost.
        """
        try:
            yield from self._event_stream(pipeline_id, cursor, heartbeat)
        except StreamLostError as error:
            raise _broken_off(pipeline_id, error) from error

    def _event_stream(
        self, pipeline_id: str, cursor: int, heartbeat: float | None
    ) -> Iterator[EventBatch | None]:
        with self.gate:
            query = params.EventParams(id=pipeline_id, cursor=cursor)
            address = _address(pipelines.EVENTS, query)
        for frame in self._transport.stream(*address, heartbeat=heartbeat):
            if not frame:
                yield None
                continue
            with self.gate:
                batch = _after(cursor, EventBatch.model_validate_json(frame))
            if batch.changes:
                cursor = batch.changes[-1].seq
            yield batch

    def call(
        self,
        operation: Operation[P, B, R],
        query: P,
        body: Record | None = None,
        key: str | None = None,
    ) -> R:
        """Call any operation of `conducto_core`, once for each ``key``."""
        # Fields that are not set are left out: in `Changes`, only fields that are given change
        # anything.
        data = None if body is None else body.model_dump_json(exclude_unset=True).encode()
        if data is not None and len(data) > operation.max_body:
            raise ApiError(_too_large(operation, len(data)))
        headers = {IDEMPOTENCY_KEY: key or uuid4().hex} if operation.remembered else None
        return self._respond(operation, query, data, headers)

    def _respond(
        self,
        operation: Operation[P, B, R],
        query: P,
        body: Body | None,
        headers: dict[str, str] | None,
    ) -> R:
        with self.gate:
            path, values = _address(operation, query)
        reply = self._transport.request(operation.method, path, values, body, headers)
        if reply.status != _OK:
            raise ApiError(problem_in(reply))
        try:
            with self.gate:
                return operation.response.model_validate_json(reply.body)
        except ValidationError as error:
            raise ApiError(_foreign_response(operation.name, reply)) from error

    def _download(self, operation: AnyOperation, query: Record) -> Iterator[bytes]:
        path, values = _address(operation, query)
        offset, version = 0, None
        while True:
            headers = {"Range": f"bytes={offset}-{offset + CHUNK - 1}"}
            reply = self._transport.request(operation.method, path, values, None, headers)
            if reply.status == _RANGE_NOT_SATISFIABLE and offset == _size_in(reply):
                return  # it is empty
            if reply.status not in (_OK, _PARTIAL):
                raise ApiError(problem_in(reply))
            if version not in (None, reply.headers.get("etag")):
                raise ApiError(_changed(operation))
            version = reply.headers.get("etag")
            yield reply.body
            offset += len(reply.body)
            if reply.status == _OK or offset >= _size_in(reply):
                return


def _broken_off(pipeline_id: str, error: StreamLostError) -> AgentUnreachableError:
    return AgentUnreachableError(
        f"the live events of pipeline {pipeline_id} broke off: {error}; "
        f"'conducto show {pipeline_id}' reconnects"
    )


def problem_in(reply: Reply) -> Problem:
    """Return the problem in a reply that is not a success."""
    try:
        return Problem.model_validate_json(reply.body)
    except ValidationError:
        return _foreign_response("the request", reply)


def _size_in(reply: Reply) -> int:
    """Return the size of the whole content, -1 if the response does not have it."""
    size = reply.headers.get("content-range", "").rpartition("/")[2]
    return int(size) if size.isdecimal() else -1


def _changed(operation: AnyOperation) -> Problem:
    return Problem(
        title="changed",
        status=409,
        detail=f"{operation.name}: the file was replaced while it was read",
        remedy="read it again",
    )


def _too_large(operation: AnyOperation, size: int) -> Problem:
    # Also checked here: a server may close the connection during a large body.
    return Problem(
        title="body too large",
        status=413,
        detail=f"{operation.name}: the body may have {operation.max_body} bytes, has {size}",
    )


def _foreign_response(what: str, reply: Reply) -> Problem:
    return Problem(
        title="not a response of Conducto",
        status=reply.status,
        detail=f"{what}: the server sent an unexpected response with status {reply.status}",
        remedy="client and server may differ in version: stop a local agent with 'conducto agent "
        "stop', or install the version of your cloud installation",
    )


def _after(cursor: int, batch: EventBatch) -> EventBatch:
    """Return the batch without changes up to ``cursor``; the cloud may send a change twice."""
    new = tuple(change for change in batch.changes if change.seq > cursor)
    return batch if len(new) == len(batch.changes) else batch.model_copy(update={"changes": new})


def _address(operation: AnyOperation, query: Record) -> tuple[str, dict[str, str]]:
    """Return the path and the query; defaults are left out of the query."""
    in_path, values = {}, {}
    for name, value in query.model_dump(mode="json", exclude_defaults=True).items():
        if f"{{{name}}}" in operation.path:
            in_path[name] = quote(value, safe="")
        else:
            values[name] = value if isinstance(value, str) else str(value).lower()
    return f"{API_ROOT}{operation.path.format_map(in_path)}", values
