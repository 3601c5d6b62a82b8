"""From the bytes of a request to the bytes of its answer, for any server.

`Service` is the whole way but for the socket: find the route, parse, call the handler,
serialise, or say what is wrong as a problem. A server checks who is asking before it comes here.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ValidationError

from conducto.model.base import Record
from conducto.model.calls import AnyOperation
from conducto.service import problems
from conducto.service.handlers import Call
from conducto.service.port import Pipelines
from conducto.service.problems import ProblemError, ProblemRule
from conducto.service.routes import ROUTES, AnyRoute, Match, Route, RouteTable, StreamRoute

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    media_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Service:
    """The API over one port.

    Args:
        pipelines: Whoever runs pipelines.
        routes: The table; a server may add rows of its own.
        rules: What exceptions of the port's implementation mean to a client.
    """

    def __init__(
        self,
        pipelines: Pipelines,
        routes: Iterable[AnyRoute] = ROUTES,
        rules: Iterable[ProblemRule] = problems.RULES,
    ) -> None:
        self._pipelines = pipelines
        self._table = RouteTable(routes)
        self._rules = tuple(rules)

    def find(self, method: str, raw_path: str) -> Match:
        """Return the route for a request, or raise `ProblemError`."""
        return self._table.find(method, raw_path)

    async def answer(
        self, match: Match, query: str, body: bytes, media_type: str | None = JSON
    ) -> Answer:
        """Carry out a request that was matched to a `Route`.

        ``query`` comes without its "?"; ``media_type`` is what the request says its body is.
        """
        try:
            return await self._carry_out(match, query, body, media_type)
        except Exception as error:  # noqa: BLE001  the edge: every error becomes an answer
            return self.refusal(error)

    async def _carry_out(
        self, match: Match, query: str, body: bytes, media_type: str | None
    ) -> Answer:
        route = match.route
        if not isinstance(route, Route):
            raise problems.wrong_method("GET", route.operation.path, [route.operation.method])
        call = Call(
            params=_parse_params(route.operation, match.params, query),
            body=_parse_body(route.operation, body, media_type),
        )
        response = await route.handler(self._pipelines, call)
        return Answer(200, JSON, encode(response))

    async def subscribe(self, match: Match, query: str) -> AsyncIterator[Record]:
        """Open the stream of a request that was matched to a `StreamRoute`.

        Raises:
            ProblemError: the stream cannot be opened.
        """
        route = match.route
        if not isinstance(route, StreamRoute):
            raise problems.wrong_method("WEBSOCKET", route.operation.path, [route.operation.method])
        try:
            params = _parse_params(route.operation, match.params, query)
            return await route.handler(self._pipelines, Call(params=params, body=None))
        except Exception as error:
            raise ProblemError(problems.problem_of(error, self._rules)) from error

    def refusal(self, error: Exception) -> Answer:
        """Return the answer that tells a client of ``error``."""
        problem = problems.problem_of(error, self._rules)
        headers = error.headers if isinstance(error, ProblemError) else ()
        return Answer(problem.status, problems.MEDIA_TYPE, encode(problem), headers)


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
        return operation.body.model_validate_json(body)
    except ValidationError as error:
        quoting = not operation.private
        raise problems.invalid_request(error, "body", quoting=quoting) from error
