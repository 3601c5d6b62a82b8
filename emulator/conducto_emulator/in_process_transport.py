"""Requests from this process to moto's server in this process, without the network.

A call is still a request and a response, byte for byte; only the sockets and a thread per call are
omitted. They would be most of the cost of an emulated call.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import boto3  # type: ignore[import-untyped]
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]
from botocore.compat import HTTPHeaders  # type: ignore[import-untyped]

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
        """Stop: existing clients use the network again."""
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
