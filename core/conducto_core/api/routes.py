"""Routes of the API: the operation for a method and a path."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from conducto_core.api import problems
from conducto_core.model.operations.operation import API_ROOT, AnyOperation


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
