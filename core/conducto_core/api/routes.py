"""The API as data: the permission and the handler of each operation.

A server of the API (the local server, or Chalice) uses this table; nothing about a route is defined
elsewhere. Paths, models and limits are those of `conducto_core.model.operations.pipelines`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable
from urllib.parse import unquote

from conducto_core.api import data_handlers, handlers, output_handlers, problems
from conducto_core.api.handlers import Call
from conducto_core.model.base import Record
from conducto_core.model.operations import pipelines
from conducto_core.model.operations.pipelines import API_ROOT, Bytes, Operation
from conducto_core.ports.downloads import Download
from conducto_core.ports.pipelines import Pipelines

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)

WEBSOCKET = "WEBSOCKET"


class Permission(StrEnum):
    """Permissions of a caller; ``debug`` also needs ``change_state`` and ``secrets``."""

    READ = "read"
    WRITE_DATA = "write_data"
    LAUNCH = "launch"
    CHANGE_STATE = "change_state"
    AGENT = "agent"
    SECRETS = "secrets"
    DEBUG = "debug"
    #: The only permission of the code with which a browser logs in to the cloud's web app.
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True)
class Route(Generic[P, B, R]):
    """An operation with one response."""

    operation: Operation[P, B, R]
    permission: Permission
    handler: Callable[[Pipelines, Call[P, B]], Awaitable[R]]


@dataclass(frozen=True, slots=True)
class StreamRoute(Generic[P, R]):
    """An operation with an endless stream of records, and possibly bytes."""

    operation: Operation[P, None, R]
    permission: Permission
    handler: Callable[[Pipelines, Call[P, None]], Awaitable[AsyncIterator[R | bytes]]]


@runtime_checkable
class Conversation(Protocol):
    """A stream whose client also sends messages."""

    def heard(self, message: str | bytes) -> None:
        """Process a message of the client, without blocking.

        Raises:
            ValueError: it is invalid; the connection ends.
        """


@dataclass(frozen=True, slots=True)
class DownloadRoute(Generic[P]):
    """An operation whose response is bytes.

    A server streams them, or redirects the client to their location.
    """

    operation: Operation[P, None, Bytes]
    permission: Permission
    handler: Callable[[Pipelines, Call[P, None]], Awaitable[Download]]


AnyRoute = Route[Any, Any, Any] | StreamRoute[Any, Any] | DownloadRoute[Any]

ROUTES: tuple[AnyRoute, ...] = (
    Route(pipelines.LIST, Permission.READ, handlers.list_pipelines),
    Route(pipelines.LAUNCH, Permission.LAUNCH, handlers.launch),
    Route(pipelines.GET, Permission.READ, handlers.get_pipeline),
    Route(pipelines.DELETE, Permission.CHANGE_STATE, handlers.delete_pipeline),
    Route(pipelines.DEFINITION, Permission.READ, handlers.get_definition),
    Route(pipelines.TREE, Permission.READ, handlers.get_tree),
    Route(pipelines.STATES, Permission.READ, handlers.get_states),
    Route(pipelines.NODE, Permission.READ, handlers.get_node),
    Route(pipelines.ATTEMPTS, Permission.READ, handlers.list_attempts),
    Route(pipelines.LOG, Permission.READ, handlers.read_log),
    Route(pipelines.LOG_LINES, Permission.READ, handlers.read_log_lines),
    Route(pipelines.LOG_SEARCH, Permission.READ, handlers.search_log),
    DownloadRoute(pipelines.LOG_FILE, Permission.READ, handlers.download_log),
    Route(pipelines.RESOURCES, Permission.READ, handlers.get_resources),
    Route(pipelines.RESULT, Permission.READ, output_handlers.get_result),
    Route(pipelines.METRICS, Permission.READ, output_handlers.list_metrics),
    Route(pipelines.ARTIFACTS, Permission.READ, output_handlers.list_artifacts),
    DownloadRoute(pipelines.EXPORT, Permission.READ, handlers.export_pipeline),
    Route(pipelines.IMAGES, Permission.READ, handlers.list_images),
    Route(pipelines.IMAGE_LOG, Permission.READ, handlers.read_image_log),
    Route(pipelines.DATA, Permission.READ, data_handlers.list_data),
    Route(pipelines.CHANGED_DATA, Permission.READ, data_handlers.list_changed_data),
    DownloadRoute(pipelines.DATA_FILE, Permission.READ, data_handlers.read_data),
    Route(pipelines.PUT_DATA, Permission.WRITE_DATA, data_handlers.write_data),
    Route(pipelines.DELETE_DATA, Permission.WRITE_DATA, data_handlers.delete_data),
    Route(pipelines.USER_DATA, Permission.READ, data_handlers.list_user_data),
    DownloadRoute(pipelines.USER_DATA_FILE, Permission.READ, data_handlers.read_user_data),
    Route(pipelines.PUT_USER_DATA, Permission.WRITE_DATA, data_handlers.write_user_data),
    Route(pipelines.DELETE_USER_DATA, Permission.WRITE_DATA, data_handlers.delete_user_data),
    Route(pipelines.CONTROL, Permission.CHANGE_STATE, handlers.control),
    Route(pipelines.DEBUG, Permission.DEBUG, handlers.debug),
    Route(pipelines.OPEN_SHELL, Permission.DEBUG, handlers.open_shell),
    StreamRoute(pipelines.SHELL, Permission.DEBUG, handlers.shell),
    Route(pipelines.OPEN_REMOTE_SHELL, Permission.DEBUG, handlers.open_remote_shell),
    Route(pipelines.ENTER_REMOTE_SHELL, Permission.DEBUG, handlers.enter_remote_shell),
    Route(pipelines.END_REMOTE_SHELL, Permission.DEBUG, handlers.end_remote_shell),
    StreamRoute(pipelines.EVENTS, Permission.READ, handlers.events),
    Route(pipelines.SECRETS, Permission.SECRETS, handlers.list_secrets),
    Route(pipelines.PUT_SECRETS, Permission.SECRETS, handlers.put_secrets),
    Route(pipelines.DELETE_SECRETS, Permission.SECRETS, handlers.delete_secrets),
    Route(pipelines.USAGE, Permission.READ, handlers.get_usage),
    Route(pipelines.AGENT_STATUS, Permission.READ, handlers.get_agent),
)


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the values of the braces in its path."""

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

        ``raw_path`` is percent-encoded, as received: an encoded "/" is part of a value.

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
