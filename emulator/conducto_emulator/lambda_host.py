"""What Lambda is to a package: imports its app from there, and calls its functions.

``python -I -S lambda_host.py PACKAGE RUNTIME SOCKET`` runs by itself, apart from the emulator, with
two directories besides the standard library: the unpacked zip, and behind it what Lambda has
anyway. It prints a line once it listens at the Unix socket, and ends when its standard input does.
A connection is one call: JSON until the caller stops sending, and JSON back.
"""

import importlib
import json
import os
import socketserver
import sys
import threading
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from pathlib import Path
from types import ModuleType
from typing import Any

_STDERR, _STDOUT = 2, 1
_HANDLER_SECONDS = 60.0
#: Variable with the file in which calls of AWS are written down.
CALLS = "CONDUCTO_EMULATOR_CALLS"
#: What a call of AWS carries: it may be long, and secret. What it is about stays.
_CARRIED = frozenset(
    [
        "Body",
        "Data",
        "ExpressionAttributeValues",
        "Item",
        "Payload",
        "Policy",
        "SecretString",
        "buildspecOverride",
        "cause",
        "containerDefinitions",
        "definition",
        "environmentVariablesOverride",
        "input",
        "output",
        "overrides",
        "taskToken",
    ]
)
_called: ContextVar[str] = ContextVar("_called", default="")


class Context:
    """What Lambda hands over besides the event."""

    def __init__(self, name: str) -> None:
        self.function_name = name
        self.aws_request_id = str(uuid.uuid4())

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the call may still take; here it is never ended."""
        return int(_HANDLER_SECONDS * 1000)


class Host:
    """An app and its functions.

    Args:
        module: The package's ``app``.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._app: Any = module.app

    def answer(self, request: dict[str, Any]) -> Any:
        """Carry out one call."""
        if request["do"] == "describe":
            return self.describe()
        _called.set(request["name"])
        # As Lambda finds what "app.NAME" means.
        handler = getattr(self._module, request["name"])
        return handler(request["event"], Context(request["name"]))

    def describe(self) -> dict[str, Any]:
        """Return what API Gateway and EventBridge are told of an app, and where it comes from."""
        app = self._app
        return {
            "name": app.app_name,
            "routes": [
                [path, method, entry.authorizer.name if entry.authorizer else None]
                for path, methods in app.routes.items()
                for method, entry in methods.items()
            ],
            "binary_types": list(app.api.binary_types),
            "functions": sorted(app.handler_map),
            "sockets": {route: found.name for route, found in app.websocket_handlers.items()},
            "sources": [_source(each) for each in app.event_sources],
            "files": sorted(
                str(module.__file__)
                for module in list(sys.modules.values())
                if getattr(module, "__file__", None)
            ),
        }


def _source(source: Any) -> dict[str, Any]:
    if hasattr(source, "event_pattern"):
        return {"name": source.name, "pattern": source.event_pattern}
    expression = source.schedule_expression
    text = expression if isinstance(expression, str) else expression.to_string()
    return {"name": source.name, "schedule": text}


def let_threads_in(app: Any) -> None:
    """Give each thread a request of its own: Lambda has a process for each request at a time."""
    current = threading.local()

    class Concurrent(type(app)):  # type: ignore[misc]
        @property
        def current_request(self) -> Any:
            return getattr(current, "request", None)

        @current_request.setter
        def current_request(self, request: Any) -> None:
            current.request = request

    app.__class__ = Concurrent


def note_calls(file: Path) -> None:
    """Have every call of AWS that a function makes, or signs for others, written into a file.

    A line each: the function, the service, the operation and what it is about.
    """
    from botocore.client import BaseClient  # type: ignore[import-untyped]  # noqa: PLC0415

    begin, one = BaseClient._emit_api_params, threading.Lock()  # noqa: SLF001  both come by here
    written = file.open("a")

    def noting(self: Any, *given: Any, **named: Any) -> Any:
        params, operation = named["api_params"], named["operation_model"]
        call = {
            "function": _called.get(),
            "service": operation.service_model.service_name,
            "operation": operation.name,
            "params": _about(params),
        }
        with one:
            written.write(json.dumps(call) + "\n")
            written.flush()
        return begin(self, *given, **named)

    BaseClient._emit_api_params = noting  # noqa: SLF001
    _let_threads_know()


def _about(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _about(each) for name, each in value.items() if name not in _CARRIED}
    if isinstance(value, list | tuple):
        return [_about(each) for each in value]
    return value if isinstance(value, str | int | float | None) else type(value).__name__


def _let_threads_know() -> None:
    """What a thread does is done by the function that started it."""
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def started(self: Any) -> None:
        run, context = self.run, copy_context()
        self.run = lambda: context.run(run)
        start(self)

    def submitted(self: Any, task: Any, /, *given: Any, **named: Any) -> Any:
        return submit(self, copy_context().run, task, *given, **named)

    threading.Thread.start = started  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = submitted  # type: ignore[method-assign]


def serve(host: Host, path: str) -> None:
    """Answer calls at a Unix socket until standard input ends."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                said = {"answer": host.answer(json.loads(self.rfile.read()))}
            except Exception as error:  # noqa: BLE001  as Lambda: whoever called is told
                traceback.print_exc()
                said = {"error": f"{type(error).__name__}: {error}"}
            self.wfile.write(json.dumps(said).encode())

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        request_queue_size = 200

    with Server(path, Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        os.write(_STDOUT, b"ready\n")
        os.dup2(_STDERR, _STDOUT)  # what the app prints is its log
        sys.stdin.buffer.read()


def main(package: str, runtime: str, path: str) -> None:
    """Be Lambda until the emulator ends."""
    sys.path[:0] = [package]
    sys.path.append(runtime)
    if CALLS in os.environ:
        note_calls(Path(os.environ[CALLS]))
    module = importlib.import_module("app")
    let_threads_in(module.app)
    serve(Host(module), path)


if __name__ == "__main__":
    main(*sys.argv[1:])
