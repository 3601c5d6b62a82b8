"""A container that runs the command server."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from conducto_core.command.server import (
    READY,
    RUN_DIRECTORY,
    Finished,
    JobEncoder,
    OutputParser,
    Part,
    ServerProtocolError,
)
from conducto_core.command.usage import PeakMemory, Reading, reading_of
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.outcomes import cause_of_exit, out_of_memory
from conducto_local.engine.docker.http import EngineApiError, HttpClient, Params
from conducto_local.engine.docker.streams import STREAMS, Attachment, Pipes
from conducto_local.engine.port import (
    EngineError,
    Exit,
    Job,
    Output,
    Relay,
    SnapshotError,
    Stream,
    WorkerSpec,
)
from conducto_local.engine.relay import start_in_container
from conducto_local.services.containers import Services

#: Signal only if the container has its own process namespace, in which the server is process 1:
#: only then is the parent of an exec'd shell 0.
_SIGNAL_ALL = '[ "$PPID" = 0 ] && kill -{signal} -1'
_AFTER_KILL_SECONDS = 5.0
_GB = 2**30
_KILLED = 137


@dataclass(slots=True)
class _Run:
    """A running command.

    Attributes:
        result: Resolves when both trailers have arrived, or to None when the container is lost.
        failure: Exception of the output callback, which is not called again.
        killed: Whether the worker killed the whole container to stop the command.
    """

    parser: OutputParser
    output: Output
    result: "asyncio.Future[Exit | None]"
    failure: Exception | None = None
    killed: bool = False


class DockerWorker:
    """A running container; implements `conducto_local.engine.port.Worker`."""

    def __init__(
        self,
        client: HttpClient,
        spec: WorkerSpec,
        identity: str,
        grace: float,
        *,
        services: Services,
        has_memory_limit: bool = True,
    ) -> None:
        self._client = client
        self._spec = spec
        self._id = identity
        self._grace = grace
        self._has_memory_limit = has_memory_limit
        self._services = services
        self._encoder = JobEncoder()
        self._attachment: Attachment | None = None
        self._pipes: Pipes | None = None
        self._are_pipes_used = False
        self._run: _Run | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._lost = False
        self._closed = False
        self._oom_kills = 0
        self._peak = PeakMemory()

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def lost(self) -> bool:
        return self._lost or self._closed or self._services.have_ended

    @property
    def id(self) -> str:
        return self._id

    def prepare(self, pipes: Pipes | None) -> tuple["asyncio.Future[Exit | None]", bytearray]:
        """Expect the server's ready message; call it before attaching the streams.

        Args:
            pipes: Pipes that the server uses if it can, instead of the streams.

        Returns:
            A future that resolves when the server is ready, or to None if it ended; and a buffer
            with the output until then.
        """
        words = bytearray()
        result: asyncio.Future[Exit | None] = asyncio.get_running_loop().create_future()
        self._run = _Run(OutputParser(READY), lambda _stream, data: words.extend(data), result)
        self._pipes = pipes
        if pipes is not None:
            pipes.listen(self._piped)
        return result, words

    def attached(self, attachment: Attachment) -> None:
        self._attachment = attachment

    def started(self) -> None:
        """Note that the server is ready: further output belongs to commands."""
        self._run = None
        if self._pipes is not None:
            if self._are_pipes_used:
                self._pipes.connected()
            else:
                self._pipes.close()
                self._pipes = None

    async def run(self, job: Job, output: Output) -> Exit:
        """Run a command, stream its output, and leave no process of it behind.

        If ``output`` raises, it is not called again, the command runs to its end, and then the
        error is raised. After a cancelled run the worker is unusable: close it.
        """
        if self._stopping is not None:  # its signals must not reach this command
            await asyncio.shield(self._stopping)
        if self._run is not None:
            raise RuntimeError(f"worker {self.name} is already running a command")
        encoded = self._encoder.encode(job.script, job.env, job.inputs)
        if self._lost or self._attachment is None:
            return replace(await self._explain_loss(), started=False)
        result: asyncio.Future[Exit | None] = asyncio.get_running_loop().create_future()
        run = self._run = _Run(OutputParser(encoded.nonce), output, result)
        (self._attachment if self._pipes is None else self._pipes).write(encoded.line)
        try:
            async with self._services.during(job.services, self._stop_soon):
                end = await run.result
        except asyncio.CancelledError:
            self._lost = True
            raise
        finally:
            self._run = None
        if run.failure is not None:
            raise run.failure
        if self._services.failure is not None:
            self._lost = True
            code = None if end is None else end.code
            return Exit(code, Cause.SERVICE, self._services.failure)
        if run.killed:
            return Exit(_KILLED)
        return end if end is not None else await self._explain_loss()

    async def relay(self, name: str) -> Relay:
        return await start_in_container(self._client, self._id, f"{RUN_DIRECTORY}/{name}")

    def _stop_soon(self) -> None:
        """Stop the running command: a service that it needs has ended."""
        if self._run is not None and (self._stopping is None or self._stopping.done()):
            self._stopping = asyncio.create_task(self._stop(self._run))

    async def stop(self) -> None:
        if self._run is None or self._lost:
            return
        if self._stopping is None or self._stopping.done():
            self._stopping = asyncio.create_task(self._stop(self._run))
        await asyncio.shield(self._stopping)

    async def snapshot(
        self, reference: str, labels: Mapping[str, str], *, max_bytes: int | None = None
    ) -> int:
        name, _, tag = reference.partition(":")
        # The command has ended, and rootless engines cannot pause with cgroup v1.
        params: Params = {"container": self._id, "repo": name, "tag": tag, "pause": False}
        # Empty labels: a container made from the image must not count as a worker of this pipeline.
        own = dict.fromkeys(self._spec.labels, "")
        try:
            size = await self._changed_bytes()
            if max_bytes is not None and size > max_bytes:
                raise SnapshotError(
                    f"no snapshot: {size / _GB:.2g} GB were changed in container {self.name}, "
                    f"more than the {max_bytes / _GB:g} GB limit"
                )
            body = {"Labels": {**own, **labels}}
            await self._client.call("POST", "/commit", params=params, json_body=body)
        except EngineApiError as error:
            raise SnapshotError(f"no snapshot of container {self.name}: {error.message}") from error
        return size

    async def reading(self) -> Reading | None:
        path, params = f"/containers/{self._id}/stats", {"stream": False, "one-shot": True}
        try:
            return reading_of(await self._client.call("GET", path, params=params))
        except EngineApiError:
            return None

    async def close(self) -> None:
        self._closed = True
        try:
            await self._remove()
            await self._services.close()
        finally:
            if self._attachment is not None:
                self._attachment.close()
            if self._pipes is not None:
                self._pipes.close()

    # Implements `attach.Listener`.

    def received(self, stream: Stream, data: bytes) -> None:
        """Pass on output of the running command, unless its output comes through pipes.

        The engine may still deliver what the container printed at its start.
        """
        if not self._are_pipes_used:
            self._pass_on(stream, data)

    def _pass_on(self, stream: Stream, data: bytes) -> None:
        """Pass on output of the running command; ignore output between commands."""
        run = self._run
        if run is not None and not run.result.done():
            self._handle(run, lambda: run.parser.parts(stream, data))

    def _handle(self, run: _Run, parse: Callable[[], list[tuple[Part, bytes]]]) -> None:
        try:
            parts = parse()
            finished = run.parser.finished
        except ServerProtocolError as error:
            run.result.set_exception(EngineError(str(error)))
            return
        if parts and run.failure is None:
            try:
                for part, text in parts:
                    run.output(part, text)
            except Exception as error:  # noqa: BLE001  (the caller's; raised by `run`)
                run.failure = error
        if finished is not None:
            run.result.set_result(self._exit(finished))

    def ended(self) -> None:
        """Note that the container, the engine or the connection was lost."""
        self._lost = True
        if self._pipes is not None:  # the last output may be in them
            for stream in STREAMS:
                for data in self._pipes.rest(stream):
                    self._piped(stream, data)
        if self._run is not None and not self._run.result.done():
            self._run.result.set_result(None)

    def _piped(self, stream: Stream, data: bytes) -> None:
        """Handle output that arrived through a pipe.

        The server writes one trailer, on stdout: by then all of stderr is in its pipe.
        """
        self._are_pipes_used = True
        run = self._run
        if run is None or run.result.done():
            return
        self._pass_on(stream, data)
        if run.result.done() or self._pipes is None or not run.parser.has_stdout_ended:
            return
        for rest in self._pipes.rest("stderr"):
            self._pass_on("stderr", rest)
        self._handle(run, run.parser.end_stderr)

    def _exit(self, finished: Finished) -> Exit:
        self._oom_kills += finished.oom_kills
        is_oom = cause_of_exit(finished.code, finished.oom_kills) is Cause.OUT_OF_MEMORY
        return Exit(
            finished.code,
            Cause.OUT_OF_MEMORY if is_oom else None,
            self._oom_message() if is_oom else None,
            self._peak.of_command(finished.peak_memory),
            files=finished.files,
            interpreter=finished.interpreter,
        )

    def _oom_message(self) -> str:
        if self._has_memory_limit:
            return out_of_memory(self._spec.mem)
        return (
            "out of memory: the kernel killed it; the machine has no memory left, and its "
            f"container engine does not enforce the node's limit of {self._spec.mem:g} GB"
        )

    async def _explain_loss(self) -> Exit:
        if self._closed:
            return Exit(None, Cause.WORKER_LOST, f"container {self.name} was removed")
        try:
            state = (await self._client.call("GET", f"/containers/{self._id}/json"))["State"]
        except EngineApiError:
            return Exit(None, Cause.WORKER_LOST, f"container {self.name} was removed from outside")
        except EngineError as error:
            message = f"container {self.name} was lost: {error}"
            return Exit(None, Cause.WORKER_LOST, message, engine_gone=True)
        return self._explain_state(state)

    def _explain_state(self, state: dict[str, Any]) -> Exit:
        if state.get("OOMKilled") and self._oom_kills == 0:
            return Exit(_KILLED, Cause.OUT_OF_MEMORY, self._oom_message())
        if state.get("Running"):
            message = f"container {self.name} is running, but the connection to it was lost"
        else:
            message = f"container {self.name} died with exit code {state.get('ExitCode')}"
        return Exit(None, Cause.WORKER_LOST, message)

    async def _stop(self, run: _Run) -> None:
        for signal, seconds in (("TERM", self._grace), ("KILL", _AFTER_KILL_SECONDS)):
            with suppress(EngineApiError, EngineError):
                await self._signal_all(signal)
            await asyncio.wait([run.result], timeout=seconds)
            if run.result.done():
                return
        # Some processes cannot be signalled by this user, or the kernel cannot end them yet.
        run.killed = True
        with suppress(EngineApiError, EngineError):
            await self._client.call("POST", f"/containers/{self._id}/kill")
        await asyncio.wait([run.result], timeout=_AFTER_KILL_SECONDS)
        self.ended()

    async def _changed_bytes(self) -> int:
        path = f"/containers/{self._id}/json"
        return int((await self._client.call("GET", path, params={"size": True})).get("SizeRw") or 0)

    async def _signal_all(self, signal: str) -> None:
        command = ["/bin/sh", "-c", _SIGNAL_ALL.format(signal=signal)]
        path = f"/containers/{self._id}/exec"
        created = await self._client.call("POST", path, json_body={"Cmd": command})
        await self._client.call("POST", f"/exec/{created['Id']}/start", json_body={"Detach": True})

    async def _remove(self) -> None:
        try:
            await self._client.call(
                "DELETE", f"/containers/{self._id}", params={"force": True, "v": True}
            )
        except EngineApiError as error:
            if error.status == HTTPStatus.CONFLICT:  # it is already being removed
                with suppress(EngineApiError):
                    path = f"/containers/{self._id}/wait"
                    await self._client.call("POST", path, params={"condition": "removed"})
            elif error.status != HTTPStatus.NOT_FOUND:
                raise EngineError(f"container {self.name} cannot be removed: {error}") from error
