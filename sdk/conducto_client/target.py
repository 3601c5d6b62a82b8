"""The target of the handles: where the pipelines are, and how to reach it."""

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar

from pydantic import ValidationError

from conducto.errors import InvalidArgumentError
from conducto_client.client import Client
from conducto_client.errors import AgentUnreachableError, ApiError
from conducto_core.record import Record
from conducto_core.run.model.requests import ControlRequest

T = TypeVar("T")
R = TypeVar("R", bound=Record)

TargetName = Literal["local", "cloud"]
#: HTTP statuses of a token that is missing, expired or revoked.
_REJECTED = frozenset({401, 403})


class Host(Protocol):
    """The parts of the command line that the handles need."""

    @property
    def name(self) -> TargetName:
        """The target."""

    def open(self, *, start: bool = True) -> Client:
        """Return a client with the current address and token.

        Args:
            start: Start the agent of this machine if it is not running.

        Raises:
            AgentUnreachableError: there is no server.
        """

    def rebuild_request(
        self, client: Client, pipeline_id: str, request: ControlRequest
    ) -> ControlRequest:
        """Return a rebuild request with the current files of the images, if it needs them."""

    def failure_report(self, client: Client, pipeline_id: str) -> str:
        """Return the report that ends a run in a terminal."""

    def open_page(self, client: Client, pipeline_id: str | None) -> str:
        """Open a page of the web app in a browser, signed in; return its address."""


class Target:
    """One target, with a client for each thread that is calling.

    Args:
        host: Makes the clients.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self._idle: list[Client] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()
        weakref.finalize(self, _close, self._idle)

    @property
    def name(self) -> TargetName:
        """``local`` or ``cloud``."""
        return self.host.name

    def call(self, operation: Callable[[Client], T]) -> T:
        """Return the result of an operation.

        A rejected token is read again once, since a new agent or a new login has another one.
        """
        client = self._accept()
        try:
            result = operation(client)
        except ApiError as error:
            if error.status not in _REJECTED:
                self._put(client)
                raise
        except BaseException:
            self._discard(client)
            raise
        else:
            self._put(client)
            return result
        self._discard(client)
        with self.host.open() as fresh:
            return operation(fresh)

    def read(self, operation: Callable[[Client], T]) -> T:
        """Return the result of an operation that changes nothing; start a lost agent again."""
        try:
            return self.call(operation)
        except AgentUnreachableError:
            with self.host.open() as fresh:
                return operation(fresh)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            _close(self._idle)

    def _accept(self) -> Client:
        with self._lock:
            if self._pid != os.getpid():
                self._idle.clear()  # the parent process uses these connections
                self._pid = os.getpid()
            if self._idle:
                return self._idle.pop()
        return self.host.open()

    def _put(self, client: Client) -> None:
        with self._lock:
            if self._pid == os.getpid():
                self._idle.append(client)

    def _discard(self, client: Client) -> None:
        client.close()
        self.close()


def _close(clients: list[Client]) -> None:
    while clients:
        clients.pop().close()


def checked(kind: type[R], **fields: Any) -> R:
    """Return a request record.

    Raises:
        InvalidArgumentError: a value is invalid.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InvalidArgumentError(problem_of(error)) from None


def problem_of(error: ValidationError) -> str:
    """Return the first problem of a record, without the value, which may be a secret."""
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"])) or error.title
    return f"{name}: {first['msg']}"
