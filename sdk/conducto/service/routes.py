"""The API as data: who may call what, and which handler answers.

Whoever serves the API (the local server, later Chalice) mounts this table; nothing about a
route is written anywhere else. Paths, models and limits are those of `conducto.model.calls`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable
from urllib.parse import unquote

from conducto.model import calls
from conducto.model.base import Record
from conducto.model.calls import API_ROOT, Bytes, Operation
from conducto.service import data_handlers, handlers, problems
from conducto.service.downloads import Download
from conducto.service.handlers import Call
from conducto.service.port import Pipelines

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)

WEBSOCKET = "WEBSOCKET"


class Permission(StrEnum):
    """What a caller must be allowed to do; for ``debug`` also ``change_state`` and ``secrets``."""

    READ = "read"
    WRITE_DATA = "write_data"
    LAUNCH = "launch"
    CHANGE_STATE = "change_state"
    AGENT = "agent"
    SECRETS = "secrets"
    DEBUG = "debug"
    #: All that the code may do with which a browser comes into the cloud's web app.
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True)
class Route(Generic[P, B, R]):
    """One row: an operation that is answered once."""

    operation: Operation[P, B, R]
    permission: Permission
    handler: Callable[[Pipelines, Call[P, B]], Awaitable[R]]


@dataclass(frozen=True, slots=True)
class StreamRoute(Generic[P, R]):
    """One row: an operation that is answered by records, and perhaps bytes, without an end."""

    operation: Operation[P, None, R]
    permission: Permission
    handler: Callable[[Pipelines, Call[P, None]], Awaitable[AsyncIterator[R | bytes]]]


@runtime_checkable
class Conversation(Protocol):
    """What a stream is whose client has something to say, too."""

    def heard(self, message: str | bytes) -> None:
        """Take in what the client sent; must not block.

        Raises:
            ValueError: it makes no sense; the connection ends.
        """


@dataclass(frozen=True, slots=True)
class DownloadRoute(Generic[P]):
    """One row: an operation that is answered by bytes.

    A server streams them, or sends the client to where they are.
    """

    operation: Operation[P, None, Bytes]
    permission: Permission
    handler: Callable[[Pipelines, Call[P, None]], Awaitable[Download]]


AnyRoute = Route[Any, Any, Any] | StreamRoute[Any, Any] | DownloadRoute[Any]

ROUTES: tuple[AnyRoute, ...] = (
    Route(calls.LIST, Permission.READ, handlers.list_pipelines),
    Route(calls.LAUNCH, Permission.LAUNCH, handlers.launch),
    Route(calls.GET, Permission.READ, handlers.get_pipeline),
    Route(calls.DEFINITION, Permission.READ, handlers.get_definition),
    Route(calls.TREE, Permission.READ, handlers.get_tree),
    Route(calls.STATES, Permission.READ, handlers.get_states),
    Route(calls.NODE, Permission.READ, handlers.get_node),
    Route(calls.ATTEMPTS, Permission.READ, handlers.list_attempts),
    Route(calls.LOG, Permission.READ, handlers.read_log),
    Route(calls.LOG_LINES, Permission.READ, handlers.read_log_lines),
    Route(calls.LOG_SEARCH, Permission.READ, handlers.search_log),
    DownloadRoute(calls.LOG_FILE, Permission.READ, handlers.download_log),
    Route(calls.RESOURCES, Permission.READ, handlers.get_resources),
    DownloadRoute(calls.EXPORT, Permission.READ, handlers.export_pipeline),
    Route(calls.IMAGES, Permission.READ, handlers.list_images),
    Route(calls.IMAGE_LOG, Permission.READ, handlers.read_image_log),
    Route(calls.DATA, Permission.READ, data_handlers.list_data),
    Route(calls.CHANGED_DATA, Permission.READ, data_handlers.list_changed_data),
    DownloadRoute(calls.DATA_FILE, Permission.READ, data_handlers.read_data),
    Route(calls.PUT_DATA, Permission.WRITE_DATA, data_handlers.write_data),
    Route(calls.DELETE_DATA, Permission.WRITE_DATA, data_handlers.delete_data),
    Route(calls.USER_DATA, Permission.READ, data_handlers.list_user_data),
    DownloadRoute(calls.USER_DATA_FILE, Permission.READ, data_handlers.read_user_data),
    Route(calls.PUT_USER_DATA, Permission.WRITE_DATA, data_handlers.write_user_data),
    Route(calls.DELETE_USER_DATA, Permission.WRITE_DATA, data_handlers.delete_user_data),
    Route(calls.CONTROL, Permission.CHANGE_STATE, handlers.control),
    Route(calls.DEBUG, Permission.DEBUG, handlers.debug),
    Route(calls.OPEN_SHELL, Permission.DEBUG, handlers.open_shell),
    StreamRoute(calls.SHELL, Permission.DEBUG, handlers.shell),
    Route(calls.OPEN_REMOTE_SHELL, Permission.DEBUG, handlers.open_remote_shell),
    Route(calls.ENTER_REMOTE_SHELL, Permission.DEBUG, handlers.enter_remote_shell),
    Route(calls.END_REMOTE_SHELL, Permission.DEBUG, handlers.end_remote_shell),
    StreamRoute(calls.EVENTS, Permission.READ, handlers.events),
    Route(calls.SECRETS, Permission.SECRETS, handlers.list_secrets),
    Route(calls.PUT_SECRETS, Permission.SECRETS, handlers.put_secrets),
    Route(calls.DELETE_SECRETS, Permission.SECRETS, handlers.delete_secrets),
    Route(calls.USAGE, Permission.READ, handlers.get_usage),
    Route(calls.AGENT_STATUS, Permission.READ, handlers.get_agent),
)


@dataclass(frozen=True, slots=True)
class Match:
    """A route and what stood in the braces of its path."""

    route: AnyRoute
    params: dict[str, str]


class RouteTable:
    """Routes, found by method and path."""

    def __init__(self, routes: Iterable[AnyRoute]) -> None:
        self.routes = tuple(routes)
        self._rows = [
            (f"{API_ROOT}{route.operation.path}".split("/"), route) for route in self.routes
        ]

    def find(self, method: str, raw_path: str) -> Match:
        """Return the route for a request.

        ``raw_path`` is percent-encoded, as it came: an encoded "/" is part of a value.

        Raises:
            ProblemError: 404 for an unknown path, 405 for a method that the path does not have.
        """
        segments = raw_path.split("/")
        allowed = []
        for template, route in self._rows:
            params = _match(template, segments)
            if params is None:
                continue
            if route.operation.method == method:
                return Match(route, params)
            allowed.append(route.operation.method)
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
