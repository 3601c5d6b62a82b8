"""Request handling from the bytes of a request to the bytes of its response, for any server.

`Service` does everything except the socket: it finds the route, parses the request, calls the
handler, and serialises the result or a problem. A server authenticates the caller before.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl, unquote

from pydantic import ValidationError
from pydantic_core import from_json

from conducto_core.api import problems
from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.downloads import Download, RangeError, parse_range
from conducto_core.api.idempotency import IdempotentExecutor, MemoryResponses
from conducto_core.api.operation import API_ROOT, WEBSOCKET, AnyOperation, Bytes
from conducto_core.api.problems import ProblemError, ProblemRule
from conducto_core.api.serve import Handlers, OperationCall
from conducto_core.record import Record

# ----------------------------------------------------------------------------------------
# Routes of the API: the operation for a method and a path.


@dataclass(frozen=True, slots=True)
class Match:
    """An operation and the values of the braces in its path."""

    operation: AnyOperation
    params: dict[str, str]


class RouteTable:
    """Operations, found by method and path."""

    def __init__(self, operations: Iterable[AnyOperation]) -> None:
        self._rows = [
            (f"{API_ROOT}{operation.path}".split("/"), operation) for operation in operations
        ]

    def find(self, method: str, raw_path: str) -> Match:
        """Return the operation for a request.

        ``raw_path`` is percent-encoded, as received: an encoded "/" is part of a value.

        Raises:
            ProblemError: 404 for an unknown path, 405 for a method that the path does not have.
        """
        segments = raw_path.split("/")
        allowed = []
        for template, operation in self._rows:
            params = _match(template, segments)
            if params is None:
                continue
            if operation.method == method:
                return Match(operation, params)
            allowed.append(operation.method)
        if allowed:
            raise problems.wrong_method(method, raw_path, allowed)
        raise problems.unknown_route(method, raw_path)


def _match(template: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(template) != len(segments):
        return None
    params = {}
    for expected, segment in zip(template, segments, strict=True):
        if expected.startswith("{"):
            params[expected[1:-1]] = unquote(segment)
        elif expected != segment:
            return None
    return params


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

    def receive(self, message: str | bytes) -> None:
        """Process a message of the client, without blocking.

        Raises:
            ValueError: it is invalid; the connection ends.
        """


class Service:
    """The API of one target.

    Args:
        servers: Objects with the handlers of the operations.
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
        self._handlers = Handlers(*servers)
        rows = tuple(operations)
        self._table = RouteTable(rows)
        self._by_name = {operation.name: operation for operation in rows}
        self._rules = tuple(rules)
        self._once = IdempotentExecutor(MemoryResponses()) if once is None else once

    def check_complete(self) -> None:
        """Raise `TypeError` if an operation has neither a handler nor a refusal."""
        self._handlers.check_complete(self._by_name.values())

    def find(self, method: str, raw_path: str) -> Match:
        """Return the operation for a request, or raise `ProblemError`."""
        return self._table.find(method, raw_path)

    def operation(self, name: str) -> AnyOperation | None:
        return self._by_name.get(name)

    async def respond(
        self, match: Match, query: str, body: bytes | AsyncIterator[bytes], headers: Headers
    ) -> Response | Download:
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
            return await self._download(
                operation, OperationCall(params, None, parse_range(headers.range))
            )
        if operation.is_stream:
            raise problems.wrong_method("GET", operation.path, [operation.method])
        parsed = body
        if isinstance(body, bytes):
            parsed = _parse_body(operation, body, headers.media_type)

        key = headers.idempotency_key

        async def work(*, repeated: bool = False) -> bytes:
            call = OperationCall(params=params, body=parsed, key=key, repeated=repeated)
            return encode(await self._handlers.call(operation, call))

        if key is None or not isinstance(body, bytes) or not operation.remembered:
            return Response(200, JSON, await work())
        request = (operation.name.encode(), encode(params), body)
        again = partial(work, repeated=True) if operation.resumable else None
        response = await self._once.respond(
            key, request, work, again=again, private=operation.private
        )
        return Response(200, JSON, response)

    async def _download(self, operation: AnyOperation, call: OperationCall[Any, None]) -> Download:
        try:
            found: Download = await self._handlers.call(operation, call)
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
            call = OperationCall(params, None)
            stream: AsyncIterator[Record | bytes] = await self._handlers.call(operation, call)
        except Exception as error:
            raise ProblemError(problems.problem_of(error, self._rules)) from error
        return stream

    def refusal(self, error: Exception) -> Response:
        problem = problems.problem_of(error, self._rules)
        headers = error.headers if isinstance(error, ProblemError) else ()
        return Response(problem.status, problems.MEDIA_TYPE, encode(problem), headers)


def takes_bytes(match: Match) -> bool:
    """Return whether the body of a request is passed on as it arrives, unparsed."""
    return match.operation.body is Bytes


def encode(record: Record) -> bytes:
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


# ----------------------------------------------------------------------------------------
# The security headers of responses, for the local server and the cloud.


#: The page's name for the target that serves it.
_TARGET = 'name="conducto-target" content="{}"'


def page_policy(*connect: str) -> str:
    """Return the content security policy of pages that may also connect to ``connect``.

    It allows only content from the page's own server, no inline code or style, and no frames.
    """
    sources = " ".join(("'self'", *connect))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"font-src 'self'; connect-src {sources}; manifest-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def cloud_page(page: str) -> str:
    """Return the built page for the cloud; the app reads its target from it."""
    return page.replace(_TARGET.format("local"), _TARGET.format("cloud"))


#: Policy of all other responses: displayed alone, they can do nothing.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
