"""Commands in containers like those of attempts, which are kept between two commands.

The agent holds process 1 of such a container by its stdin, so the container ends with the agent,
for whatever reason. One that no command used for some minutes is removed.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

from conducto_core.api.pipelines import Pipelines
from conducto_core.api.serve import Handlers, OperationCall, serves
from conducto_core.assistants import operations as assistants_operations
from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.debug.model import DebugPlan, DebugRequest
from conducto_core.errors import RefusedError
from conducto_core.run.handlers import chosen_attempt
from conducto_core.run.model.params import NodeParams, PipelineParams
from conducto_core.run.operations import ATTEMPTS
from conducto_local.debug.handlers import passing_script
from conducto_local.debug.session import debug_container, ensure_image
from conducto_local.debug.terminal import DebugError, env_list, secrets_of
from conducto_local.engine.docker.engine import DockerEngine
from conducto_local.engine.docker.http import EngineApiError, HttpClient
from conducto_local.engine.docker.streams import attach
from conducto_local.engine.port import Stream

#: Maximum number of containers.
MAX_CONTAINERS = 3
#: Seconds without a command after which a container is removed.
IDLE_SECONDS = 600.0
#: Seconds that a command has to end after its time, before its container is removed.
_GRACE = 5.0
#: Exit codes of ``timeout`` for a command that it ended: of GNU's, by SIGKILL, and of busybox's.
_TIMED_OUT = frozenset({124, 137, 143})
#: Many images have no ``timeout``.
_SCRIPT = (
    "if command -v timeout >/dev/null 2>&1; "
    'then exec timeout -k 2 "$0" "$1" -c "$2"; else exec "$1" -c "$2"; fi'
)

#: Pipeline, path, attempt, and whether its commands get secrets: those leave values in files and in
#: processes, which no other command may see.
_Key = tuple[str, str, int | None, bool]


class _Output:
    """The ends of two streams, and their sizes; implements `streams.Listener`."""

    def __init__(self, limit: int) -> None:
        self.kept: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self.sizes: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self.over = asyncio.Event()
        self._limit = limit

    def received(self, stream: Stream, data: bytes) -> None:
        self.sizes[stream] += len(data)
        kept = self.kept[stream]
        kept += data
        del kept[: max(0, len(kept) - self._limit)]

    def ended(self) -> None:
        self.over.set()

    def text(self, stream: Stream) -> str:
        return self.kept[stream].decode(errors="replace")


@dataclass
class _Held:
    """A container that is kept for the next command."""

    http: HttpClient
    container: str
    plan: DebugPlan
    files: Literal["snapshot", "image"]
    closing: AsyncExitStack
    used: float = field(default_factory=time.monotonic)
    busy: bool = True


class FailureContainers:
    """Executes `conducto_core.assistants.operations.EXEC`."""

    def __init__(self, pipelines: Pipelines, idle: float = IDLE_SECONDS) -> None:
        self._pipelines = pipelines
        self._idle = idle
        self._held: dict[_Key, _Held] = {}
        self._opening = asyncio.Lock()

    @serves(assistants_operations.EXEC)
    async def exec_in_failure(self, params: PipelineParams, request: ExecRequest) -> ExecResult:
        """Run a command in a container like that of an attempt.

        Raises:
            NotFoundError, RefusedError: There is no such attempt, or no container for it.
            EngineError: The engine is unreachable.
        """
        summary = await self._pipelines.get_pipeline(params)
        key = (summary.pipeline.id, request.path, request.attempt, request.secrets)
        async with self._opening:
            held = self._held.get(key)
            if held is not None and held.busy:
                raise RefusedError(
                    f"{request.path}: another command runs in its container; wait for its end"
                )
            kept = held is not None
            if held is None:
                await self._make_room()
                try:
                    held = await self._open(key)
                except DebugError as error:
                    raise RefusedError(str(error)) from error
            held.busy = True
        try:
            result, gone = await _run(held, request)
        except BaseException:
            await self._close(key)
            raise
        held.busy, held.used = False, time.monotonic()
        if gone:
            await self._close(key)
        else:
            asyncio.get_running_loop().call_later(self._idle, self._close_idle, key)
        return result.model_copy(update={"kept": kept})

    async def close(self) -> None:
        """Remove all containers."""
        for key in list(self._held):
            await self._close(key)

    async def _open(self, key: _Key) -> _Held:
        pipeline_id, path, number, _ = key
        query = OperationCall(NodeParams(id=pipeline_id, path=path), None)
        listed = await Handlers(self._pipelines).call(ATTEMPTS, query)
        found = chosen_attempt(path, listed.attempts, number)
        has_snapshot = found is not None and found.snapshot is not None
        request = DebugRequest(path=path, attempt=number, snapshot=has_snapshot)
        plan = await self._pipelines.debug(PipelineParams(id=pipeline_id), request)
        async with AsyncExitStack() as stack:
            engine = DockerEngine()
            await engine.open()
            stack.push_async_callback(engine.close)
            await ensure_image(engine.http, plan)
            script = stack.enter_context(passing_script(plan))
            container = await stack.enter_async_context(debug_container(engine, plan, script))
            files: Literal["snapshot", "image"] = "snapshot" if has_snapshot else "image"
            held = _Held(engine.http, container, plan, files, stack.pop_all())
        self._held[key] = held
        return held

    async def _make_room(self) -> None:
        while len(self._held) >= MAX_CONTAINERS:
            idle = [key for key, held in self._held.items() if not held.busy]
            if not idle:
                raise RefusedError(
                    f"{MAX_CONTAINERS} commands run in containers of failures, the maximum; wait "
                    "for the end of one"
                )
            await self._close(min(idle, key=lambda one: self._held[one].used))

    def _close_idle(self, key: _Key) -> None:
        held = self._held.get(key)
        if held is not None and not held.busy and time.monotonic() - held.used >= self._idle:
            self._closing = asyncio.ensure_future(self._close(key))

    async def _close(self, key: _Key) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            await held.closing.aclose()


async def _run(held: _Held, request: ExecRequest) -> tuple[ExecResult, bool]:
    """Return the end of a command, and whether its container must be removed."""
    plan, output, start = held.plan, _Output(request.max_bytes), time.monotonic()
    body: dict[str, Any] = {
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "Cmd": ["/bin/sh", "-c", _SCRIPT, f"{request.timeout:g}", plan.shell, request.command],
        "Env": env_list(secrets_of(plan)) if request.secrets else [],
    }
    if plan.workdir is not None:
        body["WorkingDir"] = plan.workdir
    try:
        made = await held.http.call("POST", f"/containers/{held.container}/exec", json_body=body)
        started = {"Detach": False, "Tty": False}
        path = f"/exec/{made['Id']}"
        stream = await attach(held.http, f"{path}/start", {}, output, json_body=started)
        late = False
        try:
            await asyncio.wait_for(output.over.wait(), request.timeout + _GRACE)
        except TimeoutError:
            late = True
        finally:
            stream.close()
        state = await held.http.call("GET", f"{path}/json")
    except EngineApiError as error:
        raise RefusedError(f"{request.path}: cannot run the command: {error.message}") from error
    seconds = time.monotonic() - start
    code = None if state["Running"] else int(state["ExitCode"])
    result = ExecResult(
        code=code,
        stdout=output.text("stdout"),
        stderr=output.text("stderr"),
        stdout_size=output.sizes["stdout"],
        stderr_size=output.sizes["stderr"],
        seconds=round(seconds, 3),
        timed_out=late or (code in _TIMED_OUT and seconds >= request.timeout),
        kept=False,
        files=held.files,
        withheld=() if request.secrets else tuple(sorted(plan.secrets)),
        attempt=plan.attempt,
        notes=plan.notes,
    )
    return result, late
