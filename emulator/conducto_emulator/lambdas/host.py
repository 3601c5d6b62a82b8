"""Emulates Lambda for a package: imports its app, and runs its functions in sandboxes.

``python -I -S lambda_host.py PACKAGE RUNTIME SOCKET`` runs separately from the emulator. Besides
the standard library it has only the unpacked zip, and after it the modules that Lambda provides. It
prints a line once it listens on the Unix socket, and exits when its standard input ends. A
connection is one call: JSON until the caller stops sending, and JSON back.

Every call runs in a sandbox, which is killed at the time limit, and otherwise serves the next call
of the same function.
"""

import ctypes
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import time
import traceback
import uuid
from contextlib import suppress
from itertools import chain
from types import ModuleType
from typing import Any, NoReturn

_STDERR, _STDOUT = 2, 1
#: Size of the header of a call in bytes, JSON padded with spaces: ``name`` of the function, its
#: time limit in ``seconds``, and the start time of a new sandbox (``cold``).
HEAD = 128
#: Maximum number of connections that wait to be accepted.
_WAITING = 200
#: Seconds in which a caller may send the rest of a request that is ignored.
_DRAIN_SECONDS = 5.0
#: PR_SET_PDEATHSIG.
_DIE_WITH_PARENT = 1
_REGION = "AWS_REGION"
#: The services that functions use most.
_SERVICES = ("dynamodb", "s3", "ecs", "stepfunctions", "secretsmanager", "sts", "efs", "lambda")
#: Variable with the path of a program that is executed before the app is imported.
PRELUDE = "CONDUCTO_EMULATOR_PRELUDE"


class Context:
    """The context that Lambda passes to a function."""

    def __init__(self, name: str, seconds: float) -> None:
        self.function_name = name
        self.aws_request_id = str(uuid.uuid4())
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the call is cut off."""
        return max(0, int((self._end - time.monotonic()) * 1000))


class SandboxHost:
    """An app and its functions."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._app: Any = module.app

    def respond(self, request: dict[str, Any], seconds: float) -> Any:
        """Execute one call."""
        if request["do"] == "describe":
            return self.describe()
        # Lambda resolves the handler "app.NAME" in the same way.
        handler = getattr(self._module, request["name"])
        return handler(request["event"], Context(request["name"], seconds))

    def describe(self) -> dict[str, Any]:
        """Return the app's routes and event sources, and the files of its modules."""
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


class Sandbox:
    """A process for one call at a time, like Lambda's execution environments.

    Attributes:
        pid: Pid of the process.
        control: Passes connections to it; it sends a byte after each call.
        connection: Connection of the current call.
        deadline: Time at which the call is cut off.
    """

    def __init__(self, name: str, pid: int, control: socket.socket) -> None:
        self.name = name
        self.pid = pid
        self.control = control
        self.connection: socket.socket | None = None
        self.deadline = 0.0
        self.seconds = 0.0


class Sandboxes:
    """Passes calls to sandboxes, and kills them at the time limit.

    Sandboxes are forks of this process with the imported app, so it has no other threads.
    """

    def __init__(self, host: SandboxHost, listener: socket.socket) -> None:
        self._host = host
        self._listener = listener
        self._busy: dict[socket.socket, Sandbox] = {}
        self._idle: dict[str, list[Sandbox]] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def run(self) -> None:
        """Pass on calls until standard input ends."""
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(self._left()):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read_output(key.fileobj)
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
            connection.close()  # the caller disconnected
            return
        call = json.loads(head)
        idle = self._idle.setdefault(call["name"], [])
        # Like Lambda, use the most recently used sandbox; the others remain for higher load.
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
        """Close a fork's copies of sockets, which would keep the connections open."""
        self._selector.close()
        self._listener.close()
        for each in (*self._busy.values(), *chain.from_iterable(self._idle.values())):
            each.control.close()
            if each.connection is not None:
                each.connection.close()

    def _read_output(self, control: socket.socket) -> None:
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
        """Kill a sandbox during its call."""
        os.kill(sandbox.pid, signal.SIGKILL)
        del self._busy[sandbox.control]
        self._bury(sandbox)
        assert sandbox.connection is not None  # noqa: S101  it has a call
        with sandbox.connection as connection, suppress(OSError):
            connection.settimeout(_DRAIN_SECONDS)
            connection.sendall(json.dumps({"error": error, "ended": True}).encode())
            # Closing a socket with unread data would lose the response.
            while connection.recv(1 << 16):
                pass

    def _bury(self, sandbox: Sandbox) -> None:
        self._selector.unregister(sandbox.control)
        sandbox.control.close()
        os.waitpid(sandbox.pid, 0)


def _work(host: SandboxHost, control: socket.socket, parent: int) -> NoReturn:
    """Execute calls until the parent process ends."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # the parent ended earlier
    while True:
        head, descriptors, _, _ = socket.recv_fds(control, HEAD, 1)
        if not descriptors:
            os._exit(0)
        with socket.socket(fileno=descriptors[0]) as connection:
            with connection.makefile("rb") as file:
                said = _printed(host, json.loads(head), file.read())
            control.send(b".")
            with suppress(OSError):  # the caller disconnected
                connection.sendall(said)


def _printed(host: SandboxHost, call: dict[str, Any], request: bytes) -> bytes:
    try:
        said = {"answer": host.respond(json.loads(request), float(call["seconds"]))}
    except Exception as error:  # noqa: BLE001  as in Lambda, the caller gets the error
        traceback.print_exc()
        said = {"error": f"{type(error).__name__}: {error}"}
    return json.dumps(said).encode()


def warm() -> None:
    """Load the descriptions of AWS's services once, so that sandboxes need not."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  not every package calls AWS

    for service in _SERVICES:
        boto3.client(service, region_name=os.environ[_REGION])


def serve(host: SandboxHost, path: str) -> None:
    """Handle calls on a Unix socket until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(_WAITING)
        os.write(_STDOUT, b"ready\n")
        os.dup2(_STDERR, _STDOUT)  # the app's output is its log
        Sandboxes(host, listener).run()


def main(package: str, runtime: str, path: str) -> None:
    """Serve the package until the emulator stops."""
    sys.path[:0] = [package]
    sys.path.extend(runtime.split(os.pathsep))
    if PRELUDE in os.environ:
        runpy.run_path(os.environ[PRELUDE])
    module = importlib.import_module("app")
    if _REGION in os.environ:
        warm()
    serve(SandboxHost(module), path)


if __name__ == "__main__":
    main(*sys.argv[1:])
