"""The app as packaged for Lambda, in separate processes that have only its files.

`Mirror` is a proxy for the rest of the emulator: calls go to the process as the JSON that Lambda
would get.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chalice.app import (
    Chalice,
    ChaliceAuthorizer,
    CloudWatchEventConfig,
    RouteEntry,
    ScheduledEventConfig,
)

from conducto.version import install_command
from conducto_emulator.faults.latency import LAMBDA_SYNC_PAYLOAD
from conducto_emulator.lambdas.app import AppError
from conducto_emulator.lambdas.events import (
    AuthorizerError,
    EndedError,
    FunctionError,
    PayloadError,
    TooManyRequestsError,
)
from conducto_emulator.lambdas.host import HEAD

_HOST = Path(__file__).with_name("host.py")
#: Isolated from this process's path and from installed packages.
_PYTHON = (sys.executable, "-I", "-S")
#: The modules of Lambda's Python besides the standard library.
_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
#: Variables of this process that are passed on.
_PASSED_ON = ("PATH", "LANG", "TMPDIR", "TZ")
_CALL_SECONDS = 300.0
_TOO_LARGE = f"The {{}} of {{}} bytes is larger than {LAMBDA_SYNC_PAYLOAD.value} bytes"
#: Key of the functions without a separate process.
_REST = ""


class PackagedApp:
    """Processes with an unpacked deployment package.

    Args:
        folder: Directory of the unpacked zip.
        apart: ``{function: variables}`` of functions with a separate process and further variables,
            such as the function with the file system.
        path: Further module directories; None for those of Lambda's Python.

    Attributes:
        runtime: Directory with the modules of Lambda's Python.
        seconds: ``{function: seconds}`` of time limits; 300 by default.
        concurrency: Maximum number of simultaneous calls; None for no limit.
        cold_start: Returns the start time of a new sandbox in seconds.
    """

    def __init__(
        self,
        folder: Path,
        apart: Mapping[str, Mapping[str, str]] | None = None,
        *,
        path: Sequence[str] | None = None,
    ) -> None:
        self._folder = folder
        self._path = path
        self._apart: dict[str, Mapping[str, str]] = {**(apart or {}), _REST: {}}
        self._work = Path(tempfile.mkdtemp(prefix="conducto-lambda-"))
        self.runtime = self._work / "runtime"
        self._sockets: dict[str, str] = {}
        self._environment: dict[str, str] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self.seconds: dict[str, float] = {}
        self.concurrency: int | None = None
        self.cold_start: Callable[[], float] = float
        self._running = 0
        self._lock = threading.Lock()

    def start(self, environment: Mapping[str, str]) -> "Mirror":
        """Import the app in the processes; return a proxy for it.

        Raises:
            AppError: It cannot be imported; the reason is on standard error.
        """
        if self._path is None:
            self._bring_runtime()
        self._environment = dict(environment)
        self.deploy(self._folder)
        return Mirror(self)

    def deploy(self, folder: Path) -> None:
        """Switch to another package; calls in progress finish in the previous one."""
        started = {name: self._started(folder, more) for name, more in self._apart.items()}
        for process, _ in started.values():
            assert process.stdout is not None  # noqa: S101  requested above
            if not process.stdout.readline():
                raise AppError(f"{folder} cannot be imported as Lambda would; see above")
        self._sockets = {name: place for name, (_, place) in started.items()}

    def _started(
        self, folder: Path, more: Mapping[str, str]
    ) -> tuple["subprocess.Popen[bytes]", str]:
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        place = str(self._work / f"socket-{len(self._processes)}")
        process = subprocess.Popen(  # noqa: S603  our own arguments
            [*_PYTHON, str(_HOST), str(folder), os.pathsep.join(self._found()), place],
            env={**passed, **self._environment, **more},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._processes.append(process)
        return process, place

    def _found(self) -> Sequence[str]:
        return [str(self.runtime)] if self._path is None else [each for each in self._path if each]

    def _bring_runtime(self) -> None:
        """Create the directory with the modules of Lambda's Python."""
        self.runtime.mkdir()
        for name in _RUNTIME:
            spec = importlib.util.find_spec(name)
            if spec is None or spec.origin is None:
                raise AppError(f"{name} is not installed: {install_command('emulator')}")
            found = Path(spec.origin)
            found = found.parent if found.name == "__init__.py" else found
            (self.runtime / found.name).symlink_to(found)

    def call(self, name: str, event: Any, _context: object = None) -> Any:
        """Invoke a function.

        Raises:
            FunctionError: It raised an exception.
            EndedError: It reached its time limit.
            TooManyRequestsError: The maximum concurrency was reached.
            PayloadError: The event or the response is too large.
        """
        place = self._sockets.get(name, self._sockets[_REST])
        with self._counted():
            return self._ask(place, {"do": "invoke", "name": name, "event": event})

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            if self.concurrency is not None and self._running >= self.concurrency:
                raise TooManyRequestsError("Rate Exceeded.")
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    def _ask(self, place: str, request: Mapping[str, Any]) -> Any:
        name = str(request.get("name", ""))
        seconds = self.seconds.get(name, _CALL_SECONDS)
        head = json.dumps({"name": name, "seconds": seconds, "cold": self.cold_start()})
        body = json.dumps(request).encode()
        if len(body) > LAMBDA_SYNC_PAYLOAD.value:
            raise PayloadError(_TOO_LARGE.format("event", len(body)))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds + _CALL_SECONDS)
            connection.connect(place)
            with suppress(BrokenPipeError):  # it was killed before it had read everything
                connection.sendall(head.ljust(HEAD).encode() + body)
                connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as file:
                response = file.read()
        said = json.loads(response)
        if "error" in said:
            raise (EndedError if said.get("ended") else FunctionError)(said["error"])
        if len(response) > LAMBDA_SYNC_PAYLOAD.value:
            raise FunctionError(_TOO_LARGE.format("response", len(response)))
        return said["answer"]

    def describe(self) -> dict[str, Any]:
        """Return the description of the app, with the files of its imported modules."""
        return dict(self._ask(self._sockets[_REST], {"do": "describe"}))

    def close(self) -> None:
        """Kill all processes and remove their files."""
        for process in self._processes:
            process.kill()
            process.communicate()
        shutil.rmtree(self._work, ignore_errors=True)


class Mirror(Chalice):
    """A proxy for an app whose functions are in another process."""

    def __init__(self, package: PackagedApp) -> None:
        told = package.describe()
        super().__init__(told["name"])
        self._package = package
        self.api.binary_types = told["binary_types"]
        for path, method, authorizer in told["routes"]:
            by: Any = None if authorizer is None else _Authorizer(authorizer, package)
            self.routes[path][method] = RouteEntry(_elsewhere, "", path, method, authorizer=by)
        for name in told["functions"]:
            self.handler_map[name] = partial(package.call, name)
        for route, name in told["sockets"].items():
            self.websocket_handlers[route] = SimpleNamespace(name=name)
        self.event_sources.extend(map(_source, told["sources"]))

    def __call__(self, event: Any, _context: Any) -> Any:
        """Handle a request from API Gateway, whose body is text except for binary types."""
        body = event["body"]
        if isinstance(body, bytes):
            event = {**event, "body": body.decode(errors="replace")}
        return self._package.call("app", event)


class _Authorizer(ChaliceAuthorizer):
    def __init__(self, name: str, package: PackagedApp) -> None:
        super().__init__(name, _elsewhere)
        self._package = package

    def __call__(self, event: Any, _context: Any) -> Any:
        wanted = ("type", "authorizationToken", "methodArn")  # the fields that API Gateway sends
        try:
            return self._package.call(self.name, {name: event[name] for name in wanted})
        except (FunctionError, TooManyRequestsError) as error:
            raise AuthorizerError(str(error)) from error


def _elsewhere(*_: Any) -> None:
    raise NotImplementedError("the function runs in the package's process")


def _source(told: Mapping[str, Any]) -> CloudWatchEventConfig | ScheduledEventConfig:
    name = told["name"]
    if "pattern" in told:
        return CloudWatchEventConfig(name, f"app.{name}", told["pattern"])
    return ScheduledEventConfig(name, f"app.{name}", told["schedule"], "")
