"""Handlers of operations: each calls one method of the port and returns one response.

Handlers know neither Starlette nor Chalice, neither HTTP nor JSON. They do not catch the port's
exceptions, which `conducto_core.api.problems` converts to responses.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from conducto.wire.printable import shell_word
from conducto_core.api.export.page import export_response
from conducto_core.errors import RefusedError
from conducto_core.model.base import Record
from conducto_core.model.debug import DebugPlan, DebugRequest
from conducto_core.model.node_detail import NodeDetail
from conducto_core.model.params import (
    EventParams,
    ImageLogParams,
    ListParams,
    LogFileParams,
    LogLinesParams,
    LogParams,
    LogSearchParams,
    NodeParams,
    NoParams,
    PipelineParams,
    StatesParams,
    TreeParams,
)
from conducto_core.model.remote_shells import (
    RemoteShell,
    RemoteShellEnd,
    RemoteShellEntry,
    RemoteShellParams,
    RemoteShellRequest,
)
from conducto_core.model.requests import (
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LaunchRequest,
    LogChunk,
    NodeStates,
    PipelineSummary,
    TreePage,
)
from conducto_core.model.resources import Resources, ResourcesParams
from conducto_core.model.responses import (
    AttemptList,
    DeletedPipeline,
    ImageList,
    ImageLog,
    LogLines,
    LogMatches,
    PipelineList,
)
from conducto_core.model.secrets import DeleteSecrets, PutSecrets, SecretList
from conducto_core.model.shells import ShellEnd, ShellParams, ShellTicket
from conducto_core.model.usage import Usage, UsageParams
from conducto_core.ports.downloads import Download, Span
from conducto_core.ports.pipelines import Pipelines

P = TypeVar("P", bound=Record)
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Call(Generic[P, B]):
    """A parsed request: parameters of path and query, and the body (None without one).

    Attributes:
        span: The requested part of the content, for a download.
        repeated: An earlier request with this key was interrupted; it may have been executed.
    """

    params: P
    body: B
    span: Span | None = None
    key: str | None = None
    repeated: bool = False


async def list_pipelines(pipelines: Pipelines, call: Call[ListParams, None]) -> PipelineList:
    """List pipelines, the newest first."""
    return await pipelines.list(call.params)


async def launch(pipelines: Pipelines, call: Call[NoParams, LaunchRequest]) -> PipelineSummary:
    """Launch a pipeline, and run it if requested."""
    return await pipelines.launch(call.body, call.key, repeated=call.repeated)


async def get_pipeline(pipelines: Pipelines, call: Call[PipelineParams, None]) -> PipelineSummary:
    """Return one pipeline."""
    return await pipelines.get(call.params.id)


async def delete_pipeline(
    pipelines: Pipelines, call: Call[PipelineParams, None]
) -> DeletedPipeline:
    """Delete a pipeline with its output, data and history."""
    return DeletedPipeline(id=await pipelines.delete(call.params.id))


async def get_definition(pipelines: Pipelines, call: Call[PipelineParams, None]) -> LaunchRequest:
    """Return the launch request of a pipeline, so that it can be launched again."""
    return await pipelines.definition(call.params.id)


async def get_tree(pipelines: Pipelines, call: Call[TreeParams, None]) -> TreePage:
    """Return one page of a subtree, or of the results of a search in it."""
    return await pipelines.nodes(call.params)


async def get_states(pipelines: Pipelines, call: Call[StatesParams, None]) -> NodeStates:
    """Return the state of each Exec of a subtree as a letter."""
    return await pipelines.states(call.params)


async def get_node(pipelines: Pipelines, call: Call[NodeParams, None]) -> NodeDetail:
    """Return the details of one node."""
    return await pipelines.node(call.params.id, call.params.path)


async def list_attempts(pipelines: Pipelines, call: Call[NodeParams, None]) -> AttemptList:
    """List all attempts of a node, even of one that a Lazy discarded."""
    return AttemptList(attempts=await pipelines.attempts(call.params.id, call.params.path))


async def read_log(pipelines: Pipelines, call: Call[LogParams, None]) -> LogChunk:
    """Return a part of an output stream."""
    return await pipelines.log(call.params)


async def read_log_lines(pipelines: Pipelines, call: Call[LogLinesParams, None]) -> LogLines:
    """Return some lines of an output stream."""
    return await pipelines.log_lines(call.params)


async def search_log(pipelines: Pipelines, call: Call[LogSearchParams, None]) -> LogMatches:
    """Search an output stream for lines with a text or pattern."""
    return await pipelines.search_log(call.params)


async def download_log(pipelines: Pipelines, call: Call[LogFileParams, None]) -> Download:
    """Download an output stream."""
    return await pipelines.log_file(call.params, call.span)


async def get_resources(pipelines: Pipelines, call: Call[ResourcesParams, None]) -> Resources:
    """Return the resource usage of an attempt: CPUs and memory over time."""
    return await pipelines.resources(call.params)


async def export_pipeline(pipelines: Pipelines, call: Call[PipelineParams, None]) -> Download:
    """Download the current state of a pipeline as one self-contained HTML file."""
    return await export_response(pipelines, call.params.id, time.time(), call.span)


async def list_images(pipelines: Pipelines, call: Call[PipelineParams, None]) -> ImageList:
    """List the images of a pipeline, with the states of their builds."""
    return ImageList(images=(await pipelines.get(call.params.id)).images)


async def read_image_log(pipelines: Pipelines, call: Call[ImageLogParams, None]) -> ImageLog:
    """Return a part of the log of an image's build."""
    return await pipelines.image_log(call.params)


async def control(
    pipelines: Pipelines, call: Call[PipelineParams, ControlRequest]
) -> ControlResult:
    """Execute an action."""
    return await pipelines.control(call.params.id, call.body)


async def list_secrets(pipelines: Pipelines, _call: Call[NoParams, None]) -> SecretList:
    """List all secrets, without values."""
    return await pipelines.secrets()


async def put_secrets(pipelines: Pipelines, call: Call[NoParams, PutSecrets]) -> SecretList:
    """Store secrets."""
    return await pipelines.put_secrets(call.body)


async def delete_secrets(pipelines: Pipelines, call: Call[NoParams, DeleteSecrets]) -> SecretList:
    """Delete secrets."""
    return await pipelines.delete_secrets(call.body)


async def debug(pipelines: Pipelines, call: Call[PipelineParams, DebugRequest]) -> DebugPlan:
    """Return the container of a debug shell for an attempt, including secrets."""
    return await pipelines.debug(call.params.id, call.body)


async def open_shell(
    _pipelines: Pipelines, call: Call[PipelineParams, DebugRequest]
) -> ShellTicket:
    """Return a ticket for a debug shell in the web app, if the server supports it."""
    raise RefusedError(
        f"{call.body.path}: this server does not open shells in pages; in a terminal, run: "
        f"conducto debug {call.params.id} {shell_word(call.body.path)}"
    )


async def shell(
    _pipelines: Pipelines, _call: Call[ShellParams, None]
) -> AsyncIterator[ShellEnd | bytes]:
    """Connect to the debug shell of a ticket: its output and its end."""
    raise RefusedError("this server does not open shells in pages; use 'conducto debug'")


async def open_remote_shell(
    _pipelines: Pipelines, call: Call[PipelineParams, RemoteShellRequest]
) -> RemoteShell:
    """Open a debug shell on a worker of its own, if the server is in the cloud."""
    raise _runs_here(call.params.id)


async def enter_remote_shell(
    _pipelines: Pipelines, call: Call[RemoteShellParams, None]
) -> RemoteShellEntry:
    """Return the session of such a shell, once it has started."""
    raise _runs_here(call.params.id)


async def end_remote_shell(
    _pipelines: Pipelines, call: Call[RemoteShellParams, None]
) -> RemoteShellEnd:
    """End such a shell."""
    raise _runs_here(call.params.id)


def _runs_here(pipeline_id: str) -> RefusedError:
    return RefusedError(
        f"{pipeline_id}: runs on this machine, not in the cloud; leave out --remote"
    )


async def get_usage(pipelines: Pipelines, call: Call[UsageParams, None]) -> Usage:
    """Return the usage and cost of commands, by month, pipeline and node."""
    return await pipelines.usage(call.params)


async def get_agent(pipelines: Pipelines, _call: Call[NoParams, None]) -> AgentStatus:
    """Return the status of the process that runs pipelines."""
    return await pipelines.status()


async def events(pipelines: Pipelines, call: Call[EventParams, None]) -> AsyncIterator[EventBatch]:
    """Stream the changes after the cursor, then live ones, without an end.

    An unknown pipeline and a cursor beyond the newest change are rejected here, before the stream
    opens.
    """
    known = await pipelines.get(call.params.id)
    if call.params.cursor > known.seq:
        raise RefusedError(
            f"{known.pipeline.id}: cursor {call.params.cursor} is beyond the newest change "
            f"{known.seq}; read the tree again and continue from its seq"
        )
    return pipelines.events(known.pipeline.id, call.params.cursor)
