"""The pipelines of a target, and the call of the method that executes an operation."""

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from conducto.wire.printable import shell_word
from conducto_core.api.downloads import ByteRange, Download
from conducto_core.api.operation import AnyOperation
from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.debug.model import (
    DebugPlan,
    DebugRequest,
    RemoteShell,
    RemoteShellEnd,
    RemoteShellEntry,
    RemoteShellParams,
    RemoteShellRequest,
    ShellEnd,
    ShellParams,
    ShellTicket,
)
from conducto_core.errors import RefusedError
from conducto_core.export.page import export_response
from conducto_core.notifications.handlers import NotificationRules
from conducto_core.programs.comparison import Comparisons
from conducto_core.programs.model import (
    ContinuationParams,
    ContinuePlan,
    ContinueRequest,
    LatestContinuation,
)
from conducto_core.programs.relaunch import Programs, latest_continuation
from conducto_core.record import Record
from conducto_core.results.model import (
    ArtifactList,
    MetricList,
    MetricParams,
    OutputParams,
    ResultValue,
)
from conducto_core.results.outputs import artifacts_in, metrics_in
from conducto_core.run.model import params as p
from conducto_core.run.model.requests import (
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LogChunk,
)
from conducto_core.run.model.responses import ImageList

P = TypeVar("P", bound=Record)
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class OperationCall(Generic[P, B]):
    """A parsed request: parameters of path and query, and the body (None without one).

    Attributes:
        span: The requested part of the content, for a download.
        key: The idempotency key.
        repeated: An earlier request with this key was interrupted; it may have been executed.
    """

    params: P
    body: B
    span: ByteRange | None = None
    key: str | None = None
    repeated: bool = False


async def call_operation(
    servers: Iterable[object], operation: AnyOperation, call: OperationCall[Any, Any]
) -> Any:
    """Execute an operation by the method of its name, and return its response.

    The arguments are the parameters (unless they are `NoParams`) and the body (if there is one);
    ``span`` for a download; ``key`` and ``repeated`` for a resumable operation.

    Args:
        servers: The first of these objects that has the method is used.
        operation: The operation.
        call: The parsed request.
    """
    name = operation.executed_by or operation.name
    method = next(getattr(server, name) for server in servers if hasattr(server, name))
    arguments = [] if operation.params is p.NoParams else [call.params]
    if operation.body is not None:
        arguments.append(call.body)
    if operation.is_download:
        return await method(*arguments, span=call.span)
    if operation.resumable:
        return await method(*arguments, key=call.key, repeated=call.repeated)
    return await method(*arguments)


class Pipelines(Programs, Comparisons, NotificationRules, ABC):
    """The operations that all targets execute in the same way, and what they need of a target.

    A target has a method for each other operation of `operations.py`, too. They
    raise `NotFoundError`, `RefusedError` and `DefinitionError`. Reading works even while nothing
    can be written, e.g. because the disk is full.

    Attributes:
        schedules: The object with the operations on schedules, if the server has one.
    """

    schedules: object | None = None

    @abstractmethod
    async def read_log(self, params: p.LogParams) -> LogChunk:
        """Return a part of an output stream.

        If it would be empty and more may come, wait for output, at most ``params.wait`` seconds.
        """

    @abstractmethod
    async def control(self, params: p.PipelineParams, request: ControlRequest) -> ControlResult:
        """Execute an action on a set of nodes, all or nothing."""

    @abstractmethod
    async def debug(self, params: p.PipelineParams, request: DebugRequest) -> DebugPlan:
        """Return the container of a debug shell for an attempt; its image and network exist."""

    @abstractmethod
    def changes(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Yield changes after ``cursor``, then live ones; at most four batches a second."""

    @abstractmethod
    async def get_agent(self) -> AgentStatus:
        """Return the status of the process."""

    # ---- the same for every target, unless it overrides them ------------------------------------

    async def get_result(self, params: OutputParams) -> ResultValue:
        attempt, data = await self.attempt_output(params, "result")
        if not data:
            return ResultValue(attempt=attempt)
        return ResultValue(attempt=attempt, exists=True, value=json.loads(data), size=len(data))

    async def list_metrics(self, params: MetricParams) -> MetricList:
        attempt, data = await self.attempt_output(params, "metrics")
        return MetricList(attempt=attempt, metrics=metrics_in(data, params.points))

    async def list_artifacts(self, params: OutputParams) -> ArtifactList:
        attempt, data = await self.attempt_output(params, "artifacts")
        return ArtifactList(attempt=attempt, artifacts=artifacts_in(data))

    async def list_images(self, params: p.PipelineParams) -> ImageList:
        return ImageList(images=(await self.get_pipeline(params)).images)

    async def export_pipeline(
        self, params: p.PipelineParams, span: ByteRange | None = None
    ) -> Download:
        """Return the current state of a pipeline as one HTML file."""
        return await export_response(self, params, time.time(), span)

    async def events(self, params: p.EventParams) -> AsyncIterator[EventBatch]:
        """Return the stream of changes.

        An unknown pipeline and a cursor beyond the newest change are rejected here, before the
        stream opens.
        """
        known = await self.get_pipeline(p.PipelineParams(id=params.id))
        if params.cursor > known.seq:
            raise RefusedError(
                f"{known.pipeline.id}: cursor {params.cursor} is beyond the newest change "
                f"{known.seq}; read the tree again and continue from its seq"
            )
        return self.changes(known.pipeline.id, params.cursor)

    async def continue_pipeline(
        self, params: p.PipelineParams, _request: ContinueRequest
    ) -> ContinuePlan:
        """Refuse: this server replaces no definitions."""
        raise RefusedError(
            f"{params.id}: this server does not continue pipelines with a changed script; launch "
            "the script again instead"
        )

    async def get_continuation(self, params: ContinuationParams) -> LatestContinuation:
        """Return the plan by which the tree was replaced last."""
        stored = await self.stored_plan(params.id)
        return await asyncio.to_thread(latest_continuation, stored, params)

    async def stored_plan(self, pipeline_id: str) -> bytes | None:
        """Return the stored plan by which the tree was replaced last, or None."""
        await self.get_pipeline(p.PipelineParams(id=pipeline_id))
        return None

    async def exec_in_failure(self, params: p.PipelineParams, request: ExecRequest) -> ExecResult:
        """Refuse: only an agent keeps containers for single commands."""
        raise RefusedError(
            f"{request.path}: this server runs no single commands in containers of failures; "
            f"a person can open a shell: conducto debug {params.id} {shell_word(request.path)} "
            "--remote"
        )

    async def open_shell(self, params: p.PipelineParams, request: DebugRequest) -> ShellTicket:
        """Refuse: only an agent opens shells in pages."""
        raise RefusedError(
            f"{request.path}: this server does not open shells in pages; in a terminal, run: "
            f"conducto debug {params.id} {shell_word(request.path)}"
        )

    async def shell(self, _params: ShellParams) -> AsyncIterator[ShellEnd | bytes]:
        """Refuse: only an agent opens shells in pages."""
        raise RefusedError("this server does not open shells in pages; use 'conducto debug'")

    async def open_remote_shell(
        self, params: p.PipelineParams, _request: RemoteShellRequest
    ) -> RemoteShell:
        """Refuse: only the cloud has workers."""
        raise _runs_here(params.id)

    async def enter_remote_shell(self, params: RemoteShellParams) -> RemoteShellEntry:
        """Refuse: only the cloud has workers."""
        raise _runs_here(params.id)

    async def end_remote_shell(self, params: RemoteShellParams) -> RemoteShellEnd:
        """Refuse: only the cloud has workers."""
        raise _runs_here(params.id)


def _runs_here(pipeline_id: str) -> RefusedError:
    return RefusedError(
        f"{pipeline_id}: runs on this machine, not in the cloud; leave out --remote"
    )
