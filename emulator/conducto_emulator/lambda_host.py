"""What Lambda is to a package: imports its app from there, and calls its functions.

``python -I -S lambda_host.py PACKAGE RUNTIME SOCKET`` runs by itself, apart from the emulator, with
directories besides the standard library: the unpacked zip, and behind it what Lambda has anyway.
It prints a line once it listens at the Unix socket, and ends when its standard input does. A
connection is one call: JSON until the caller stops sending, and JSON back.

Every call has a sandbox, which is killed when the call takes too long, and serves the next call of
the same function otherwise.
"""

import ctypes
import importlib
import json
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar, copy_context
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn
from urllib.parse import unquote

from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import AWSError

from conducto_core.model.deployment import function_name
from conducto_emulator.asynchronous import AsyncCalls
from conducto_emulator.limits import LAMBDA_ASYNC_PAYLOAD, LAMBDA_SYNC_PAYLOAD
from conducto_emulator.packaged_errors import TooManyRequestsError

_STDERR, _STDOUT = 2, 1
#: Bytes of JSON, filled up with spaces, before the request of a call: ``name`` of the function,
#: ``seconds`` that it may take, and those that a new sandbox takes before (``cold``).
HEAD = 128
#: Calls that wait to be accepted.
_WAITING = 200
#: Seconds that a caller may take to send the rest of a request that nobody will read.
_DRAIN_SECONDS = 5.0
#: PR_SET_PDEATHSIG.
_DIE_WITH_PARENT = 1
_REGION = "AWS_REGION"
#: Of AWS, those that functions use most.
_SERVICES = ("dynamodb", "s3", "ecs", "stepfunctions", "secretsmanager", "sts", "efs", "lambda")
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

    def __init__(self, name: str, seconds: float) -> None:
        self.function_name = name
        self.aws_request_id = str(uuid.uuid4())
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the call may still take before it is cut off."""
        return max(0, int((self._end - time.monotonic()) * 1000))


class Host:
    """An app and its functions.

    Args:
        module: The package's ``app``.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._app: Any = module.app

    def answer(self, request: dict[str, Any], seconds: float) -> Any:
        """Carry out one call."""
        if request["do"] == "describe":
            return self.describe()
        _called.set(request["name"])
        # As Lambda finds what "app.NAME" means.
        handler = getattr(self._module, request["name"])
        return handler(request["event"], Context(request["name"], seconds))

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


class Sandbox:
    """A process for one call at a time, as Lambda's execution environments are.

    Attributes:
        pid: Of the process.
        control: Gives it connections; it sends a byte when it has done a call.
        connection: Of the call that it carries out.
        deadline: When that call is cut off.
    """

    def __init__(self, name: str, pid: int, control: socket.socket) -> None:
        self.name = name
        self.pid = pid
        self.control = control
        self.connection: socket.socket | None = None
        self.deadline = 0.0
        self.seconds = 0.0


class Sandboxes:
    """Passes calls on to sandboxes, and kills those whose time is over.

    The process with it has no other thread: sandboxes are its forks, with the app imported.

    Args:
        host: Answers calls, in a sandbox.
        listener: Where calls come in.
    """

    def __init__(self, host: Host, listener: socket.socket) -> None:
        self._host = host
        self._listener = listener
        self._busy: dict[socket.socket, Sandbox] = {}
        self._idle: dict[str, list[Sandbox]] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def run(self) -> None:
        """Pass calls on until standard input ends."""
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(self._left()):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj)
                else:
                    return
            self._end_late()

    def _left(self) -> float | None:
        ends = [each.deadline for each in self._busy.values()]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        head = connection.recv(HEAD, socket.MSG_WAITALL)
        if len(head) < HEAD:
            connection.close()  # who called is gone
            return
        call = json.loads(head)
        idle = self._idle.setdefault(call["name"], [])
        # As Lambda does: the one that was used last; the others stay for busier times.
        sandbox = idle.pop() if idle else self._forked(call, connection)
        sandbox.connection, sandbox.seconds = connection, float(call["seconds"])
        sandbox.deadline = time.monotonic() + sandbox.seconds
        self._busy[sandbox.control] = sandbox
        try:
            socket.send_fds(sandbox.control, [head], [connection.fileno()])
        except OSError:
            self._end(sandbox, "Runtime exited")

    def _forked(self, call: dict[str, Any], connection: socket.socket) -> Sandbox:
        ours, theirs = socket.socketpair()
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            ours.close()
            connection.close()
            self._close_all()
            time.sleep(float(call["cold"]))
            _work(self._host, theirs, parent)
        theirs.close()
        self._selector.register(ours, selectors.EVENT_READ)
        return Sandbox(call["name"], pid, ours)

    def _close_all(self) -> None:
        """Let go of what a fork has no use for: connections end when nobody has them open."""
        self._selector.close()
        self._listener.close()
        for each in (*self._busy.values(), *chain.from_iterable(self._idle.values())):
            each.control.close()
            if each.connection is not None:
                each.connection.close()

    def _hear(self, control: socket.socket) -> None:
        sandbox = self._busy.get(control)
        if not control.recv(1):
            self._lose(control, sandbox)
        elif sandbox is not None and sandbox.connection is not None:
            sandbox.connection.close()
            sandbox.connection = None
            del self._busy[control]
            self._idle[sandbox.name].append(sandbox)

    def _lose(self, control: socket.socket, sandbox: Sandbox | None) -> None:
        if sandbox is not None:
            self._end(sandbox, "Runtime exited")
            return
        for idle in self._idle.values():
            for each in [each for each in idle if each.control is control]:
                idle.remove(each)
                self._bury(each)

    def _end_late(self) -> None:
        now = time.monotonic()
        for each in [each for each in self._busy.values() if each.deadline <= now]:
            self._end(each, f"Task timed out after {each.seconds:.2f} seconds")

    def _end(self, sandbox: Sandbox, error: str) -> None:
        """Kill a sandbox in the middle of its call, with all that it has in memory."""
        os.kill(sandbox.pid, signal.SIGKILL)
        del self._busy[sandbox.control]
        self._bury(sandbox)
        assert sandbox.connection is not None  # noqa: S101  it has a call
        with sandbox.connection as connection, suppress(OSError):
            connection.settimeout(_DRAIN_SECONDS)
            connection.sendall(json.dumps({"error": error, "ended": True}).encode())
            # Closing a socket with something unread would lose what was just sent.
            while connection.recv(1 << 16):
                pass

    def _bury(self, sandbox: Sandbox) -> None:
        self._selector.unregister(sandbox.control)
        sandbox.control.close()
        os.waitpid(sandbox.pid, 0)


def _work(host: Host, control: socket.socket, parent: int) -> NoReturn:
    """Carry out calls, one after the other, until the process that gives them ends."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it ended before
    while True:
        head, descriptors, _, _ = socket.recv_fds(control, HEAD, 1)
        if not descriptors:
            os._exit(0)
        with socket.socket(fileno=descriptors[0]) as connection:
            with connection.makefile("rb") as file:
                said = _said(host, json.loads(head), file.read())
            control.send(b".")
            with suppress(OSError):  # who called is gone
                connection.sendall(said)


def _said(host: Host, call: dict[str, Any], request: bytes) -> bytes:
    try:
        said = {"answer": host.answer(json.loads(request), float(call["seconds"]))}
    except Exception as error:  # noqa: BLE001  as Lambda: whoever called is told
        traceback.print_exc()
        said = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps(said).encode()


def warm() -> None:
    """Read the descriptions of AWS's services once: every sandbox would do it again."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  not every package calls AWS

    for service in _SERVICES:
        boto3.client(service, region_name=os.environ[_REGION])


def serve(host: Host, path: str) -> None:
    """Answer calls at a Unix socket until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(_WAITING)
        os.write(_STDOUT, b"ready\n")
        os.dup2(_STDERR, _STDOUT)  # what the app prints is its log
        Sandboxes(host, listener).run()


def main(package: str, runtime: str, path: str) -> None:
    """Be Lambda until the emulator ends."""
    sys.path[:0] = [package]
    sys.path.extend(runtime.split(os.pathsep))
    if CALLS in os.environ:
        note_calls(Path(os.environ[CALLS]))
    module = importlib.import_module("app")
    if _REGION in os.environ:
        warm()
    serve(Host(module), path)


if __name__ == "__main__":
    main(*sys.argv[1:])


logger = logging.getLogger(__name__)

Call = Callable[[str, Any], Any]
_TOO_LARGE = "Request must be smaller than {} bytes for the InvokeFunction operation"
_Answer = tuple[int, dict[str, str], str]


def install(call: Call, stage: str, functions: tuple[str, ...], later: AsyncCalls) -> None:
    """Have moto's server in this process call functions.

    Args:
        call: Calls one by what the app calls it.
        stage: Of the installation.
        functions: Those that there are.
        later: Carries asynchronous invocations out.
    """
    known = {function_name(stage, name): name for name in functions}

    def invoke(self: Any) -> _Answer:
        asked = unquote(self.path.rsplit("/", 2)[-2]).rpartition(":")[2]
        if asked not in known:
            raise AWSError(f"Function not found: {asked}", "ResourceNotFoundException")
        name, body = known[asked], self.body or b"{}"
        is_event = self.headers.get("X-Amz-Invocation-Type") == "Event"
        maximum = (LAMBDA_ASYNC_PAYLOAD if is_event else LAMBDA_SYNC_PAYLOAD).value
        if len(body) > maximum:
            raise AWSError(_TOO_LARGE.format(maximum), "RequestTooLargeException", 413)
        if is_event:
            later.submit(name, lambda: call(name, json.loads(body)))
            return 202, {}, ""
        return _invoked(call, name, json.loads(body))

    LambdaResponse.invoke = invoke


def _invoked(call: Call, name: str, event: Any) -> _Answer:
    try:
        return 200, {}, json.dumps(call(name, event))
    except TooManyRequestsError as error:
        raise AWSError(str(error), "TooManyRequestsException", 429) from error
    except Exception as error:  # as Lambda: whoever invoked it is told
        logger.exception("the function %s failed", name)
        told = {"errorMessage": str(error), "errorType": type(error).__name__}
        return 200, {"x-amz-function-error": "Unhandled"}, json.dumps(told)
