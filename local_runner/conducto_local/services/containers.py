"""The service containers of one worker: start, readiness, output and end.

Each has an address of its own in the pipeline's network. The worker's container finds it by its
name, because the engine adds the name to the container's ``/etc/hosts``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

from conducto.wire.services import Service
from conducto_core.services import rules
from conducto_local.engine.docker.container import Traits
from conducto_local.engine.docker.http import EngineApiError, HttpClient
from conducto_local.engine.docker.streams import Attachment, attach
from conducto_local.engine.port import (
    EngineError,
    ImageError,
    ServiceError,
    ServiceOutput,
    Stream,
    WorkerSpec,
)
from conducto_local.images.engine_images import EngineImages
from conducto_local.images.progress import BuildLogWriter

#: Bytes of output that are kept for the next command while none runs.
_MAX_PENDING = 1 << 20
_STREAMS = {"stream": True, "stdout": True, "stderr": True}
#: Exit codes of a command whose program does not exist or cannot be executed.
_NO_PROGRAM = frozenset({126, 127})
#: Seconds for which such a command is repeated: a service may install its program at its start.
_NO_PROGRAM_SECONDS = 5.0
#: Waits until something listens on the port ``$0`` (hexadecimal) for other containers. It runs in a
#: container that shares only the network of the service, whose image may have no shell.
_LISTENS = """
while :; do
    for file in /proc/net/tcp /proc/net/tcp6; do
        while read -r _ address _ state _; do
            case $address/$state in
                ??????7F:*) ;;
                *":$0/0A") exit 0 ;;
            esac
        done <"$file"
    done
    sleep 0.1 || sleep 1
done 2>/dev/null
"""


class ServiceContainer:
    """A service in its container, which is created but not started.

    Attributes:
        address: Its address in the network, once it was started.
        over: Set when it has ended.
        output: Receives its output while a command runs.
        when_ended: Called when it has ended.
    """

    def __init__(self, http: HttpClient, service: Service, identity: str) -> None:
        self.service = service
        self.id = identity
        self.address = ""
        self.over = asyncio.Event()
        self.output: ServiceOutput | None = None
        self.when_ended: Callable[[ServiceContainer], None] | None = None
        self._http = http
        self._attachment: Attachment | None = None
        self._tail = self._pending = b""

    @property
    def last_output(self) -> str:
        """The end of its output."""
        return self._tail.decode(errors="replace")

    @property
    def unread(self) -> bytes:
        """The output that no command has received."""
        return self._pending

    async def start(self, network: str) -> None:
        path = f"/containers/{self.id}"
        self._attachment = await attach(self._http, f"{path}/attach", _STREAMS, self)
        await self._http.call("POST", f"{path}/start")
        found = await self._http.call("GET", f"{path}/json")
        networks = found["NetworkSettings"]["Networks"]
        self.address = str((networks.get(network) or {}).get("IPAddress") or "")

    def listen(self, output: ServiceOutput | None) -> None:
        """Pass on the output to the command that starts now; None keeps it for the next one."""
        self.output = output
        if output is not None and self._pending:
            pending, self._pending = self._pending, b""
            output(self.service.name, pending)

    async def end_message(self) -> str:
        """Return why it has ended."""
        state: Mapping[str, Any] = {}
        with suppress(EngineApiError, EngineError):
            state = (await self._http.call("GET", f"/containers/{self.id}/json"))["State"]
        oom = bool(state.get("OOMKilled"))
        return rules.ended(self.service, state.get("ExitCode"), self.last_output, oom=oom)

    async def close(self) -> None:
        """Remove it; safe to call twice."""
        self.when_ended = self.output = None
        try:
            await _remove(self._http, self.id)
        finally:
            if self._attachment is not None:
                self._attachment.close()

    # Implements `streams.Listener`.

    def received(self, _stream: Stream, data: bytes) -> None:
        self._tail = (self._tail + data)[-rules.LAST_OUTPUT :]
        if self.output is not None:
            self.output(self.service.name, data)
        else:
            self._pending = (self._pending + data)[-_MAX_PENDING:]

    def ended(self) -> None:
        self.over.set()
        if self.when_ended is not None:
            self.when_ended(self)


class Services:
    """The services of one worker.

    Attributes:
        failure: Why one of them has ended.
    """

    def __init__(self, http: HttpClient, traits: Traits, spec: WorkerSpec) -> None:
        self.failure: str | None = None
        self._http = http
        self._traits = traits
        self._spec = spec
        self._containers: list[ServiceContainer] = []

    @property
    def hosts(self) -> tuple[str, ...]:
        """The lines of ``/etc/hosts`` for them, as the engine takes them."""
        return tuple(f"{each.service.name}:{each.address}" for each in self._containers)

    @property
    def have_ended(self) -> bool:
        return any(each.over.is_set() for each in self._containers)

    async def start(self) -> None:
        """Start all and wait until they are ready.

        Raises:
            ServiceError: One cannot start, has ended, or was not ready in time.
            EngineError: The engine is unreachable.
        """
        try:
            for service in self._spec.services:  # each knows the addresses of those before it
                await self._start(service)
            await self._all_ready()
        except ServiceError as error:
            error.outputs = {each.service.name: each.unread for each in self._containers}
            raise

    async def _all_ready(self) -> None:
        waits = [asyncio.create_task(self._wait_ready(each)) for each in self._containers]
        try:
            await asyncio.gather(*waits)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    @asynccontextmanager
    async def during(
        self, output: ServiceOutput | None, failed: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Pass on output while a command runs, and call ``failed`` if a service ends."""

        def ended(_container: ServiceContainer) -> None:
            failed()

        for each in self._containers:
            each.listen(output)
            each.when_ended = ended
        try:
            yield
            for each in self._containers:
                if each.over.is_set() and self.failure is None:
                    self.failure = await each.end_message()
        finally:
            for each in self._containers:
                each.when_ended = None
                each.listen(None)

    async def close(self) -> None:
        """Remove all; safe to call twice.

        Raises:
            EngineError: The engine is unreachable.
        """
        done = await asyncio.gather(
            *(each.close() for each in self._containers), return_exceptions=True
        )
        for each in done:
            if isinstance(each, BaseException):
                raise each

    async def _start(self, service: Service) -> None:
        try:
            container = await self._create(service)
            self._containers.append(container)
            await container.start(str(self._spec.network))
        except EngineApiError as error:
            raise ServiceError(rules.not_started(service, error.message)) from error
        except ImageError as error:
            raise ServiceError(rules.not_started(service, str(error))) from error

    async def _create(self, service: Service) -> ServiceContainer:
        body = self._traits.service_body(self._spec, service, self.hosts)
        name = f"{self._spec.name}_{service.name}"
        try:
            found = await self._post(name, body)
        except EngineApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            await EngineImages(self._http).pull(service.image, BuildLogWriter())
            found = await self._post(name, body)
        return ServiceContainer(self._http, service, found)

    async def _post(self, name: str, body: Mapping[str, Any]) -> str:
        params = {"name": name}
        made = await self._http.call("POST", "/containers/create", params=params, json_body=body)
        return str(made["Id"])

    async def _wait_ready(self, container: ServiceContainer) -> None:
        service, said = container.service, [""]
        check = asyncio.create_task(self._ready(container, said))
        end = asyncio.create_task(container.over.wait())
        try:
            await asyncio.wait(
                {check, end},
                timeout=service.ready_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            is_ready = check.done() and check.result()
        except EngineApiError:  # the container has ended meanwhile
            is_ready = False
        finally:
            check.cancel()
            end.cancel()
            await asyncio.gather(check, end, return_exceptions=True)
        if container.over.is_set():
            raise ServiceError(await container.end_message())
        if not is_ready:
            raise ServiceError(rules.not_ready(service, container.last_output, probe=said[0]))

    async def _ready(self, container: ServiceContainer, said: list[str]) -> bool:
        """Return True when a service is ready.

        Raises:
            ServiceError: Its command cannot be executed.
        """
        service = container.service
        if service.ready is None:
            return service.port is None or await self._listens(container, service.port)
        ready = service.ready
        command = ["/bin/sh", "-c", ready] if isinstance(ready, str) else list(ready)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for pause in rules.pauses():
            code, said[0] = await self._run(container.id, command)
            if code == 0:
                return True
            if code in _NO_PROGRAM and loop.time() - began > _NO_PROGRAM_SECONDS:
                last = container.last_output
                text = rules.not_ready(service, last, probe=said[0], no_program=True)
                raise ServiceError(text)
            await asyncio.sleep(pause)
        return False

    async def _run(self, identity: str, command: Sequence[object]) -> tuple[int | None, str]:
        """Run a command in a container; return its exit code and output."""
        body = {"Cmd": command, "AttachStdout": True, "AttachStderr": True}
        created = await self._http.call("POST", f"/containers/{identity}/exec", json_body=body)
        path = f"/exec/{created['Id']}"
        finished = asyncio.Event()
        listener = _Collected(finished)
        try:
            options = {"Detach": False, "Tty": False}
            attachment = await attach(self._http, f"{path}/start", {}, listener, json_body=options)
        except EngineApiError as error:  # Docker runs no exec whose program does not exist
            return 127, error.message
        try:
            await finished.wait()
        finally:
            attachment.close()
        found = await self._http.call("GET", f"{path}/json")
        return found.get("ExitCode"), listener.text

    async def _listens(self, container: ServiceContainer, port: int) -> bool:
        """Wait until something listens on a port in the network of a container."""
        spec = self._spec
        body = {
            "Image": spec.image,
            "Entrypoint": [spec.shell, "-c", _LISTENS, f"{port:04X}"],
            "Cmd": [],
            "Labels": dict(spec.labels),
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "NetworkMode": f"container:{container.id}",
                "LogConfig": {"Type": "none"},
                "SecurityOpt": ["no-new-privileges"],
            },
        }
        identity = await self._post(f"{spec.name}_{container.service.name}_ready", body)
        try:
            await self._http.call("POST", f"/containers/{identity}/start")
            ended = await self._http.call("POST", f"/containers/{identity}/wait")
            return bool(ended["StatusCode"] == 0)
        finally:
            await asyncio.shield(_remove(self._http, identity))


class _Collected:
    """Collects the end of the output of a command; implements `streams.Listener`."""

    def __init__(self, finished: asyncio.Event) -> None:
        self._finished = finished
        self._data = b""

    @property
    def text(self) -> str:
        return self._data.decode(errors="replace")

    def received(self, _stream: Stream, data: bytes) -> None:
        self._data = (self._data + data)[-rules.LAST_OUTPUT :]

    def ended(self) -> None:
        self._finished.set()


async def _remove(http: HttpClient, identity: str) -> None:
    try:
        await http.call("DELETE", f"/containers/{identity}", params={"force": True, "v": True})
    except EngineApiError as error:
        if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise EngineError(f"a service's container cannot be removed: {error}") from error
