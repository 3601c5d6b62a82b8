"""Request handling from the bytes of a request to the bytes of its response, for any server.

`Service` does everything except the socket: it finds the route, parses the request, calls the
handler, and serialises the result or a problem. A server authenticates the caller before.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from pydantic import ValidationError
from pydantic_core import from_json

from conducto_core.api import problems
from conducto_core.api.idempotency import IdempotentExecutor, MemoryResponses
from conducto_core.api.pipelines import Call, call_operation
from conducto_core.api.problems import ProblemError, ProblemRule
from conducto_core.api.routes import Match, RouteTable
from conducto_core.model.base import Record
from conducto_core.model.operations.operation import WEBSOCKET, AnyOperation, Bytes
from conducto_core.model.operations.pipelines import OPERATIONS
from conducto_core.ports.downloads import Download, RangeError, parse_range

JSON = "application/json"
#: Words in the error of `from_json` for more than `MAX_JSON_DEPTH` levels.
_TOO_DEEP = "recursion limit"


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a request."""

    status: int
    media_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of a request that the API uses.

    Attributes:
        media_type: Media type of the body; None if the request has none.
        range: The requested part of the content.
        idempotency_key: Key under which the request is executed once.
    """

    media_type: str | None = JSON
    range: str | None = None
    idempotency_key: str | None = None


@runtime_checkable
class Conversation(Protocol):
    """A stream whose client also sends messages."""

    def heard(self, message: str | bytes) -> None:
        """Process a message of the client, without blocking.

        Raises:
            ValueError: it is invalid; the connection ends.
        """


class Service:
    """The API of one target.

    Args:
        servers: Objects with the methods of the operations, as `call_operation` takes them.
        operations: The operations of this server.
        rules: Problems for exceptions of the servers.
        once: Remembers responses; the default keeps them for the life of the process.
    """

    def __init__(
        self,
        *servers: object,
        operations: Iterable[AnyOperation] = OPERATIONS,
        rules: Iterable[ProblemRule] = problems.RULES,
        once: IdempotentExecutor | None = None,
    ) -> None:
        self._servers = servers
        rows = tuple(operations)
        self._table = RouteTable(rows)
        self._by_name = {operation.name: operation for operation in rows}
        self._rules = tuple(rules)
        self._once = IdempotentExecutor(MemoryResponses()) if once is None else once

    def find(self, method: str, raw_path: str) -> Match:
        """Return the operation for a request, or raise `ProblemError`."""
        return self._table.find(method, raw_path)

    def operation(self, name: str) -> AnyOperation | None:
        """Return the operation with a name, or None."""
        return self._by_name.get(name)

    async def respond(
        self, match: Match, query: str, body: bytes | AsyncIterator[bytes], headers: Headers
    ) -> Response | Download:
        """Execute a request that was matched to an operation with one response."""
        try:
            return await self._execute(match, query, body, headers)
        except Exception as error:  # noqa: BLE001  the edge: every error becomes an answer
            return self.refusal(error)

    async def _execute(
        self, match: Match, query: str, body: bytes | AsyncIterator[bytes], headers: Headers
    ) -> Response | Download:
        operation = match.operation
        params = _parse_params(operation, match.params, query)
        if operation.is_download:
            return await self._download(operation, Call(params, None, parse_range(headers.range)))
        if operation.is_stream:
            raise problems.wrong_method("GET", operation.path, [operation.method])
        parsed = body
        if isinstance(body, bytes):
            parsed = _parse_body(operation, body, headers.media_type)

        key = headers.idempotency_key

        async def work(*, repeated: bool = False) -> bytes:
            call = Call(params=params, body=parsed, key=key, repeated=repeated)
            return encode(await call_operation(self._servers, operation, call))

        if key is None or not isinstance(body, bytes) or not operation.remembered:
            return Response(200, JSON, await work())
        request = (operation.name.encode(), encode(params), body)
        again = partial(work, repeated=True) if operation.resumable else None
        response = await self._once.respond(
            key, request, work, again=again, private=operation.private
        )
        return Response(200, JSON, response)

    async def _download(self, operation: AnyOperation, call: Call[Any, None]) -> Download:
        try:
            found: Download = await call_operation(self._servers, operation, call)
        except RangeError as error:
            raise problems.wrong_range(error) from error
        return found

    async def subscribe(self, match: Match, query: str) -> AsyncIterator[Record | bytes]:
        """Open the stream of a request that was matched to a stream.

        The result may be a `Conversation`.

        Raises:
            ProblemError: the stream cannot be opened.
        """
        operation = match.operation
        if not operation.is_stream:
            raise problems.wrong_method(WEBSOCKET, operation.path, [operation.method])
        try:
            params = _parse_params(operation, match.params, query)
            call = Call(params, None)
            stream: AsyncIterator[Record | bytes] = await call_operation(
                self._servers, operation, call
            )
        except Exception as error:
            raise ProblemError(problems.problem_of(error, self._rules)) from error
        return stream

    def refusal(self, error: Exception) -> Response:
        """Return the error response for ``error``."""
        problem = problems.problem_of(error, self._rules)
        headers = error.headers if isinstance(error, ProblemError) else ()
        return Response(problem.status, problems.MEDIA_TYPE, encode(problem), headers)


def takes_bytes(match: Match) -> bool:
    """Return whether the body of a request is passed on as it arrives, unparsed."""
    return match.operation.body is Bytes


def encode(record: Record) -> bytes:
    """Return the record as JSON."""
    return record.model_dump_json().encode()


def _parse_params(operation: AnyOperation, in_path: Mapping[str, str], query: str) -> Any:
    values = dict(in_path)
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        if name in values:
            raise problems.repeated_parameter(name)
        values[name] = value
    try:
        return operation.params.model_validate(values)
    except ValidationError as error:
        raise problems.invalid_request(error, "query") from error


def _parse_body(operation: AnyOperation, body: bytes, media_type: str | None) -> Any:
    if len(body) > operation.max_body:
        raise problems.too_large(operation.max_body)
    if operation.body is None:
        return None
    if media_type is not None and media_type.partition(";")[0].strip().lower() != JSON:
        raise problems.wrong_media_type(media_type)
    try:
        return _read(operation.body, body)
    except ValidationError as error:
        quoting = not operation.private
        raise problems.invalid_request(error, "body", quoting=quoting) from error


def read_json(body: bytes) -> Any:
    """Return the value of a JSON body.

    Raises:
        ValueError: It is not JSON.
        ProblemError: 400, it has too many levels of arrays and objects.
    """
    try:
        return from_json(body)
    except ValueError as error:
        if _TOO_DEEP in str(error):
            raise problems.too_deep() from error
        raise


def _read(model: type[Record], body: bytes) -> Record:
    """Return the record in ``body``.

    In two steps: for a large tree, `model_validate_json` needs twice the memory, and more time.
    """
    try:
        value = read_json(body)
    except ValueError:
        return model.model_validate_json(body)  # raises, with the position
    return model.model_validate(value)
