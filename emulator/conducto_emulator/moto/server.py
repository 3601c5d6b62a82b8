"""Moto's server in this process, reachable from this machine and its containers."""

import base64
import io
import json
import logging
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import boto3  # type: ignore[import-untyped]
import docker  # type: ignore[import-untyped]
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]
from botocore.compat import HTTPHeaders  # type: ignore[import-untyped]
from docker.errors import DockerException  # type: ignore[import-untyped]
from moto import backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.config import default_user_config
from moto.core.utils import get_service_model
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.test import Client

from conducto_emulator.faults.latency import Latency
from conducto_emulator.faults.strict import StrictAws, Strictness
from conducto_emulator.gateway.access import AwsDoor, Keys, Names
from conducto_emulator.moto import shim as moto_shim
from conducto_emulator.moto import table as moto_table

# ----------------------------------------------------------------------------------------
# DynamoDB requests of the app to moto's handler, without Flask.
#
# Flask, and moto's general parser and serializer, take most of the time of a call. This middleware
# parses and serializes the JSON of the operations that the app uses, and calls moto's handler
# itself. Whatever is unusual, and every request that the handler rejects, goes through moto as a
# whole.


StartResponse = Callable[..., Any]

_TARGET = "DynamoDB_20120810."
#: ``{operation: method of the handler}``.
_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "GetItem": "get_item",
        "Query": "query",
        "PutItem": "put_item",
        "UpdateItem": "update_item",
        "DeleteItem": "delete_item",
        "BatchWriteItem": "batch_write_item",
        "TransactWriteItems": "transact_write_items",
    }
)
_REGION = re.compile(r"Credential=[^/,]+/\d{8}/([a-z0-9-]+)/dynamodb/aws4_request")
_REQUEST_ID_BYTES = 26


class ShortWay:
    """WSGI middleware in front of moto."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
        operation = target.removeprefix(_TARGET)
        region = _REGION.search(str(environ.get("HTTP_AUTHORIZATION", "")))
        length = environ.get("CONTENT_LENGTH")
        if operation in _METHODS and region is not None and length:
            body = bytes(environ["wsgi.input"].read(int(length)))
            said = _response_body(operation, region[1], body)
            if said is not None:
                start("200 OK", _headers(said))
                return [said]
            environ["wsgi.input"] = io.BytesIO(body)
        passed_on: Iterable[bytes] = self._inner(environ, start)
        return passed_on


def _response_body(operation: str, region: str, body: bytes) -> bytes | None:
    """Return the body of the response; None if moto must handle the request as a whole."""
    handler = DynamoHandler()
    handler.current_account, handler.region = DEFAULT_ACCOUNT_ID, region
    try:
        handler.body = json.loads(body, object_hook=_decoded)
        result = getattr(handler, _METHODS[operation])().result
    except Exception:  # noqa: BLE001  moto makes the response to an error, and has changed nothing
        return None
    known = _fields(operation)
    kept = {name: each for name, each in result.items() if name in known and each is not None}
    return json.dumps(kept, default=_encoded).encode()


@cache
def _fields(operation: str) -> frozenset[str]:
    """Return the names of the fields of an operation's response."""
    return frozenset(get_service_model("dynamodb").operation_model(operation).output_shape.members)


def _decoded(value: dict[str, Any]) -> Any:
    """Decode a binary value. An attribute with the name ``B`` has an object, not a text."""
    if len(value) == 1 and isinstance(value.get("B"), str):
        return {"B": base64.b64decode(value["B"])}
    return value


def _encoded(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is not expected in a response of DynamoDB")
    return base64.b64encode(value).decode()


def _headers(body: bytes) -> list[tuple[str, str]]:
    return [
        ("Content-Type", "application/x-amz-json-1.0"),
        ("x-amzn-requestid", secrets.token_hex(_REQUEST_ID_BYTES).upper()),
        ("Content-Length", str(len(body))),
    ]


# ----------------------------------------------------------------------------------------
# Requests from this process to moto's server in this process, without the network.
#
# A call is still a request and a response, byte for byte; only the sockets and a thread per call
# are omitted. They would be most of the cost of an emulated call.


_EVENT = "before-send"


class InProcessTransport:
    """Handles requests of clients of boto3's default session that are created while it is open.

    Args:
        endpoint: URL of the requests to handle; other requests use the network.
        application: The WSGI application of that URL.
    """

    def __init__(self, endpoint: str, application: Any) -> None:
        self._endpoint = endpoint
        self._application = application
        self._open = False
        self._events: Any = None

    def open(self) -> None:
        """Start handling requests."""
        if boto3.DEFAULT_SESSION is None:
            boto3.setup_default_session()
        self._events = boto3.DEFAULT_SESSION.events
        self._events.register(_EVENT, self._respond)
        self._open = True

    def close(self) -> None:
        self._open = False
        if self._events is not None:
            self._events.unregister(_EVENT, self._respond)

    def _respond(self, request: Any, **_more: Any) -> Any:
        if not self._open or not str(request.url).startswith(self._endpoint):
            return None
        said = _Said()
        chunks = self._application(_environ(request), said.start)
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        return AWSResponse(request.url, said.status, said.headers, _Raw(body))


class _Said:
    """Collects status and headers of a WSGI application."""

    def __init__(self) -> None:
        self.status = 0
        self.headers = HTTPHeaders()

    def start(self, status: str, headers: Iterable[tuple[str, str]], _error: object = None) -> None:
        self.status = int(status.partition(" ")[0])
        for name, value in headers:
            self.headers[name] = value


class _Raw(io.BytesIO):
    """A body with the interface that botocore expects."""

    def stream(self, amt: int = 1 << 16, **_more: Any) -> Iterator[bytes]:
        while chunk := self.read(amt):
            yield chunk


def _environ(request: Any) -> dict[str, Any]:
    """Return a request as a WSGI environment."""
    parts = urlsplit(request.url)
    body = _body(request.body)
    headers: Mapping[str, Any] = {name: _text(value) for name, value in request.headers.items()}
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path or "/").decode("latin-1"),
        "QUERY_STRING": parts.query,
        "REQUEST_URI": f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
        "RAW_URI": f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": parts.hostname,
        "HTTP_HOST": parts.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        if name.lower() == "transfer-encoding":
            continue  # the length is known here
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ.pop("HTTP_CONTENT_LENGTH", None)
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if hasattr(body, "read"):
        return bytes(body.read())
    return body.encode() if isinstance(body, str) else bytes(body)


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


_LOOPBACK = "127.0.0.1"
_MAX_PORT = 65_535


class AddressError(Exception):
    """This machine and its containers have no common address."""


def shared_address() -> str:
    """Return an address of this machine that is reachable from containers, but not from outside.

    Raises:
        AddressError: The engine is not running, or runs on another machine.
    """
    try:
        bridge: Any = docker.from_env().networks.get("bridge")
        gateway = str(bridge.attrs["IPAM"]["Config"][0]["Gateway"])
    except (DockerException, KeyError, IndexError) as error:
        raise AddressError(f"the container engine has no bridge network: {error}") from error
    with socket.socket() as probe:
        try:
            probe.bind((gateway, 0))
        except OSError as error:
            raise AddressError(
                f"{gateway}, the engine's bridge, is not an address of this machine; "
                "the emulator needs an engine that runs on the same Linux"
            ) from error
    return gateway


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Ports:
    """The ports of an emulator, which stay the same when it starts again.

    Args:
        path: File with the ports by name.
        hosts: Addresses at which a port has to be free.
    """

    def __init__(self, path: Path, hosts: Sequence[str]) -> None:
        self._path, self._hosts = path, hosts

    def choose(self, name: str, wanted: int = 0) -> int:
        """Return and store a port: ``wanted``, or the last one of this name if it is free."""
        known = self._read_ports()
        port = wanted or known.get(name, 0)
        if not wanted and not self._is_free(port):
            port = free_port(self._hosts[0])
        self._path.write_text(json.dumps({**known, name: port}), "utf-8")
        return port

    def _read_ports(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {n: p for n, p in found.items() if isinstance(p, int) and 0 < p <= _MAX_PORT}

    def _is_free(self, port: int) -> bool:
        if port == 0:
            return False
        try:
            for host in self._hosts:
                socket.create_server((host, port)).close()
        except OSError:  # another program uses it
            return False
        return True


class MotoServer:
    """Emulates AWS at one port of two addresses: for containers and on the loopback interface.

    Moto's own clients only use the loopback address.

    Args:
        host: An address from `shared_address`.
        keys: The keys that may sign requests.
        page: Origin of the web app.
        strictness: None for no limits.
        latency: None for no delays.
    """

    def __init__(
        self,
        host: str,
        port: int,
        keys: Keys,
        page: str,
        *,
        strictness: Strictness | None = None,
        latency: Latency | None = None,
    ) -> None:
        self.endpoint = f"http://{host}:{port}"
        self._keys = keys
        self._application = DomainDispatcherApplication(create_backend_app)
        names = Names(frozenset(f"{each}:{port}" for each in (host, _LOOPBACK)), page)
        limited = StrictAws(ShortWay(self._application), strictness, latency)
        door = AwsDoor(limited, keys, names)
        self._servers = [
            make_server(each, port, door, threaded=True, request_handler=MotoRequestHandler)
            for each in (host, _LOOPBACK)
        ]
        self._threads: list[threading.Thread] = []
        self._short_way = InProcessTransport(self.endpoint, limited)
        os.environ["MOTO_PORT"] = str(port)
        # Machine images are not used; moto would create 1,300 of them with their disks.
        os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

    def start(self) -> None:
        """Serve an empty account."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        moto_shim.install()
        moto_table.install()
        # Otherwise the list of modules is read from the disk for every request.
        backends.list_of_moto_modules = partial(tuple, tuple(backends.list_of_moto_modules()))
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        moto_shim.sign_with(self._keys.own)
        # Remove the state of earlier emulators in this process.
        Client(self._application).post("/moto-api/reset").close()
        for each in self._servers:
            thread = threading.Thread(target=each.serve_forever, args=(0.1,), daemon=True)
            self._threads.append(thread)
            thread.start()
        self._short_way.open()

    def close(self) -> None:
        self._short_way.close()
        for each in self._servers:
            if self._threads:
                each.shutdown()
            each.server_close()
        for thread in self._threads:
            thread.join()
