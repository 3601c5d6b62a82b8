"""A small asyncio HTTP/1.1 client for the Engine API, on h11.

Connections are reused. A response is streamed; reading it to its end returns its connection to the
pool. `HttpClient.call` is the short form for JSON requests and responses.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import h11

from conducto_local.engine.port import EngineError

# ----------------------------------------------------------------------------------------
# Addresses of the container engine, and the error if none is reachable.


WITHOUT = "or run without containers: --engine process"
_TCP_PORT = 2375
_PROGRAMS = ("docker", "dockerd", "podman")


@dataclass(frozen=True, slots=True)
class Address:
    """A unix socket, or a TCP host and port.

    Attributes:
        path: Absolute path of the socket; None for TCP.
    """

    path: str | None = None
    host: str = ""
    port: int = _TCP_PORT

    def __str__(self) -> str:
        return f"tcp://{self.host}:{self.port}" if self.path is None else f"unix://{self.path}"


def candidates(env: Mapping[str, str]) -> list[Address]:
    """Return the addresses to try, best first.

    ``DOCKER_HOST`` is the only one if it is set; otherwise the default sockets of Docker and
    Podman.

    Raises:
        EngineError: ``DOCKER_HOST`` is not supported.
    """
    given = env.get("DOCKER_HOST", "")
    if given:
        return [_parse(given, env)]
    sockets = ["/var/run/docker.sock"]
    if "HOME" in env:
        sockets.append(f"{env['HOME']}/.docker/run/docker.sock")
    if "XDG_RUNTIME_DIR" in env:
        sockets.append(f"{env['XDG_RUNTIME_DIR']}/docker.sock")
        sockets.append(f"{env['XDG_RUNTIME_DIR']}/podman/podman.sock")
    return [Address(path=path) for path in sockets]


def _parse(given: str, env: Mapping[str, str]) -> Address:
    parts = urlsplit(given)
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return Address(path=parts.path)
    if parts.scheme == "tcp" and parts.hostname and not env.get("DOCKER_TLS_VERIFY"):
        return Address(host=parts.hostname, port=parts.port or _TCP_PORT)
    raise EngineError(
        f"DOCKER_HOST is {given!r}, which is not supported: only unix:///path and "
        f"tcp://host:port without TLS are. Unset it to use this machine's engine, {WITHOUT}"
    )


def unreachable(tried: Mapping[Address, OSError], search_path: str | None) -> EngineError:
    """Return the error for the case that no engine is reachable.

    Args:
        tried: ``{address: error}``, in the order in which they were tried.
        search_path: Value of ``PATH``, to find out whether an engine is installed.
    """
    for address, error in tried.items():
        if isinstance(error, PermissionError):
            return EngineError(_not_permitted(address))
    present = [address for address, error in tried.items() if not _is_missing(address, error)]
    installed = any(shutil.which(name, path=search_path) for name in _PROGRAMS)
    if not present and not installed:
        return EngineError(
            "no container engine is installed (neither docker nor podman was found). Install one "
            "(Debian and Ubuntu: sudo apt install docker.io; Mac and Windows: Docker Desktop), "
            + WITHOUT
        )
    address = present[0] if present else next(iter(tried))
    reason = tried[address].strerror or type(tried[address]).__name__
    return EngineError(
        f"the container engine is not running: no response at {address} ({reason.lower()}). "
        f"Start it (sudo systemctl start docker, or open Docker Desktop), {WITHOUT}"
    )


def _is_missing(address: Address, error: OSError) -> bool:
    return address.path is not None and isinstance(error, FileNotFoundError)


def _not_permitted(address: Address) -> str:
    group = "docker"
    if address.path is not None:
        try:
            group = Path(address.path).group()
        except (OSError, KeyError):
            group = "docker"
    return (
        f"no permission to use the container engine at {address}. Add yourself to its group "
        f"(sudo usermod -aG {group} $USER), log out and in again, {WITHOUT}"
    )


Params = Mapping[str, str | int | bool]
Body = bytes | AsyncIterator[bytes]

_Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]

_CHUNK = 256 * 1024
_CONNECT_SECONDS = 10
_BAD_STATUS = 400
#: Path prefix of Podman's own API: the oldest version that Podman still supports.
_LIBPOD = "/v4.0.0"


class EngineApiError(Exception):
    """An error response of the engine.

    Attributes:
        status: The HTTP status.
        message: The engine's message.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} (status {status})")
        self.status = status
        self.message = message


class Response:
    """A response whose body is not read yet; a context manager that releases its connection."""

    def __init__(self, client: "HttpClient", connection: "_Connection", head: h11.Response) -> None:
        self.status: int = head.status_code
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers
        }
        self._client = client
        self._connection: _Connection | None = connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        while self._connection is not None:
            match await self._connection.next_event():
                case h11.Data(data=data):
                    yield bytes(data)
                case h11.EndOfMessage():
                    connection, self._connection = self._connection, None
                    self._client.give_back(connection)
                case _:
                    raise EngineError("the container engine closed the connection too early")

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.stream()])

    async def json(self) -> Any:
        """Return the decoded body; None if it is empty."""
        body = await self.read()
        return json.loads(body) if body.strip() else None

    async def raise_for_status(self) -> None:
        """Raise the engine's error, if it is one."""
        if self.status >= _BAD_STATUS:
            raise EngineApiError(self.status, error_message(await self.read()))

    def close(self) -> None:
        """Release the response; closes the connection unless the body was read."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def error_message(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace").strip()
    return str(answer.get("message", answer)) if isinstance(answer, dict) else str(answer)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h11 = h11.Connection(h11.CLIENT)

    @property
    def usable(self) -> bool:
        return not self._reader.at_eof() and not self._writer.is_closing()

    async def send(self, request: h11.Request, body: Body) -> None:
        head = self._h11.send(request) or b""
        if isinstance(body, bytes):
            data = (self._h11.send(h11.Data(data=body)) or b"") if body else b""
            self._writer.write(head + data + (self._h11.send(h11.EndOfMessage()) or b""))
        else:
            self._writer.write(head)
            # An engine may close the connection while it rejects an upload; its response has the
            # reason.
            with suppress(ConnectionError):
                await self._upload(body)
        with suppress(ConnectionError):
            await self._writer.drain()

    async def _upload(self, body: AsyncIterator[bytes]) -> None:
        async for chunk in body:
            self._writer.write(self._h11.send(h11.Data(data=chunk)) or b"")
            await self._writer.drain()
        self._writer.write(self._h11.send(h11.EndOfMessage()) or b"")

    async def next_event(self) -> _Event:
        try:
            while True:
                event = self._h11.next_event()
                if event is not h11.NEED_DATA:
                    return event
                self._h11.receive_data(await self._reader.read(_CHUNK))
        except (OSError, h11.RemoteProtocolError) as error:
            raise EngineError(f"the container engine lost the connection: {error}") from error

    async def head(self) -> h11.Response:
        while True:
            match await self.next_event():
                case h11.Response() as response:
                    return response
                case h11.InformationalResponse():
                    continue
                case _:
                    raise EngineError("the container engine closed the connection")

    def recycle(self) -> bool:
        """Prepare for the next request; return False if the connection is not reusable."""
        try:
            self._h11.start_next_cycle()
        except h11.LocalProtocolError:
            return False
        return self.usable

    def close(self) -> None:
        self._writer.close()

    async def wait_closed(self) -> None:
        self.close()
        with suppress(OSError):
            await self._writer.wait_closed()


class HttpClient:
    """Sends requests to one engine.

    Attributes:
        address: Address of the engine.
        prefix: Prefix of each path, such as ``/v1.45``; initially empty.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.prefix = ""
        self._idle: list[_Connection] = []
        self._closed = False

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Response:
        """Send a request; return the response when its head has arrived, whatever its status.

        A body that is an async iterator is sent in chunks.

        Raises:
            EngineError: The engine is unreachable or closed the connection.
        """
        body = b"" if body is None else body
        request = _head(method, self.target(path, params), headers, body)
        if isinstance(body, bytes):
            while self._idle:
                connection = self._idle.pop()
                # The engine may have closed the idle connection: then it did not receive the
                # request.
                with suppress(EngineError, OSError):
                    if connection.usable:
                        return await self._exchange(connection, request, body)
                connection.close()
        try:
            connection = await self._connect()
            return await self._exchange(connection, request, body)
        except OSError as error:
            raise EngineError(
                f"the container engine at {self.address} is unreachable: {error}"
            ) from error

    async def call(
        self, method: str, path: str, *, params: Params | None = None, json_body: Any = None
    ) -> Any:
        """Return the decoded response to a JSON request.

        Raises:
            ApiError: The engine returned an error.
            EngineError: The engine is unreachable or closed the connection.
        """
        body, headers = b"", {}
        if json_body is not None:
            body, headers = json.dumps(json_body).encode(), {"Content-Type": "application/json"}
        async with await self.request(
            method, path, params=params, headers=headers, body=body
        ) as response:
            await response.raise_for_status()
            return await response.json()

    def target(self, path: str, params: Params | None) -> str:
        words = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in (params or {}).items()
        }
        query = f"?{urlencode(words, quote_via=quote)}" if words else ""
        prefix = _LIBPOD if path.startswith("/libpod/") else self.prefix
        return f"{prefix}{path}{query}"

    def give_back(self, connection: _Connection) -> None:
        """Return a connection to the pool after its response was read."""
        if not self._closed and connection.recycle():
            self._idle.append(connection)
        else:
            connection.close()

    async def close(self) -> None:
        """Close the idle connections; the others are closed when their responses are read."""
        self._closed = True
        while self._idle:
            await self._idle.pop().wait_closed()

    async def _exchange(
        self, connection: _Connection, request: h11.Request, body: Body
    ) -> Response:
        try:
            await connection.send(request, body)
            return Response(self, connection, await connection.head())
        except BaseException:
            connection.close()
            raise

    async def _connect(self) -> _Connection:
        address = self.address
        opening = (
            asyncio.open_connection(address.host, address.port, limit=_CHUNK)
            if address.path is None
            else asyncio.open_unix_connection(address.path, limit=_CHUNK)
        )
        return _Connection(*await asyncio.wait_for(opening, _CONNECT_SECONDS))


def _head(method: str, target: str, headers: Mapping[str, str] | None, body: Body) -> h11.Request:
    fields = {"Host": "engine", **(headers or {})}
    if isinstance(body, bytes):
        fields["Content-Length"] = str(len(body))
    else:
        fields["Transfer-Encoding"] = "chunked"
    return h11.Request(method=method, target=target, headers=list(fields.items()))
