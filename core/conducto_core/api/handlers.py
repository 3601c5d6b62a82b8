"""What each call does: one use case of the port, one answer of the contract.

Handlers know neither Starlette nor Chalice, neither HTTP nor JSON; they let the port's
exceptions pass, which `conducto_core.api.problems` turns into answers.
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
    """A request, parsed: parameters of path and query, and the body (None without one).

    Attributes:
        span: The part of the content that is asked for, of a call that is answered by bytes.
        key: The idempotency key.
        repeated: An earlier request with this key was cut off; it may have been carried out.
    """

    params: P
    body: B
    span: Span | None = None
    key: str | None = None
    repeated: bool = False


async def list_pipelines(pipelines: Pipelines, call: Call[ListParams, None]) -> PipelineList:
    """Pipelines that match, the newest first."""
    return await pipelines.list(call.params)


async def launch(pipelines: Pipelines, call: Call[NoParams, LaunchRequest]) -> PipelineSummary:
    """Take a tree in, and arm it if asked."""
    return await pipelines.launch(call.body, call.key, repeated=call.repeated)


async def get_pipeline(pipelines: Pipelines, call: Call[PipelineParams, None]) -> PipelineSummary:
    """One pipeline."""
    return await pipelines.get(call.params.id)


async def get_definition(pipelines: Pipelines, call: Call[PipelineParams, None]) -> LaunchRequest:
    """A pipeline as it was launched, so that it can be launched again."""
    return await pipelines.definition(call.params.id)


async def get_tree(pipelines: Pipelines, call: Call[TreeParams, None]) -> TreePage:
    """One page of a subtree, or of what a search in it finds."""
    return await pipelines.nodes(call.params)


async def get_states(pipelines: Pipelines, call: Call[StatesParams, None]) -> NodeStates:
    """How each Exec of a subtree stands, in a letter."""
    return await pipelines.states(call.params)


async def get_node(pipelines: Pipelines, call: Call[NodeParams, None]) -> NodeDetail:
    """Everything about one node."""
    return await pipelines.node(call.params.id, call.params.path)


async def list_attempts(pipelines: Pipelines, call: Call[NodeParams, None]) -> AttemptList:
    """Every attempt of a node, also of one that a Lazy discarded."""
    return AttemptList(attempts=await pipelines.attempts(call.params.id, call.params.path))


async def read_log(pipelines: Pipelines, call: Call[LogParams, None]) -> LogChunk:
    """A piece of an output stream."""
    return await pipelines.log(call.params)


async def read_log_lines(pipelines: Pipelines, call: Call[LogLinesParams, None]) -> LogLines:
    """Some lines of an output stream."""
    return await pipelines.log_lines(call.params)


async def search_log(pipelines: Pipelines, call: Call[LogSearchParams, None]) -> LogMatches:
    """Lines of an output stream that hold a text or match a pattern."""
    return await pipelines.search_log(call.params)


async def download_log(pipelines: Pipelines, call: Call[LogFileParams, None]) -> Download:
    """An output stream as bytes."""
    return await pipelines.log_file(call.params, call.span)


async def get_resources(pipelines: Pipelines, call: Call[ResourcesParams, None]) -> Resources:
    """What an attempt used while it ran: CPUs and memory over time."""
    return await pipelines.resources(call.params)


async def export_pipeline(pipelines: Pipelines, call: Call[PipelineParams, None]) -> Download:
    """A pipeline as it is now, as one HTML file that needs nothing else."""
    return await export_response(pipelines, call.params.id, time.time(), call.span)


async def list_images(pipelines: Pipelines, call: Call[PipelineParams, None]) -> ImageList:
    """Images of a pipeline and how their builds stand."""
    return ImageList(images=(await pipelines.get(call.params.id)).images)


async def read_image_log(pipelines: Pipelines, call: Call[ImageLogParams, None]) -> ImageLog:
    """A piece of the log of an image's build."""
    return await pipelines.image_log(call.params)


async def control(
    pipelines: Pipelines, call: Call[PipelineParams, ControlRequest]
) -> ControlResult:
    """Carry out an order."""
    return await pipelines.control(call.params.id, call.body)


async def list_secrets(pipelines: Pipelines, _call: Call[NoParams, None]) -> SecretList:
    """Every secret, without values."""
    return await pipelines.secrets()


async def put_secrets(pipelines: Pipelines, call: Call[NoParams, PutSecrets]) -> SecretList:
    """Store secrets."""
    return await pipelines.put_secrets(call.body)


async def delete_secrets(pipelines: Pipelines, call: Call[NoParams, DeleteSecrets]) -> SecretList:
    """Delete secrets."""
    return await pipelines.delete_secrets(call.body)


async def debug(pipelines: Pipelines, call: Call[PipelineParams, DebugRequest]) -> DebugPlan:
    """What a debug shell for an attempt needs, secrets included."""
    return await pipelines.debug(call.params.id, call.body)


async def open_shell(
    _pipelines: Pipelines, call: Call[PipelineParams, DebugRequest]
) -> ShellTicket:
    """A ticket for a debug shell in the page, where the server opens any."""
    raise RefusedError(
        f"{call.body.path}: no shells open in pages of this server; in a terminal: "
        f"conducto debug {call.params.id} {shell_word(call.body.path)}"
    )


async def shell(
    _pipelines: Pipelines, _call: Call[ShellParams, None]
) -> AsyncIterator[ShellEnd | bytes]:
    """The debug shell that a ticket is for: what it prints, and how it ended."""
    raise RefusedError("no shells open in pages of this server")


async def open_remote_shell(
    _pipelines: Pipelines, call: Call[PipelineParams, RemoteShellRequest]
) -> RemoteShell:
    """A debug shell on a worker of its own, where the server is in the cloud."""
    raise _runs_here(call.params.id)


async def enter_remote_shell(
    _pipelines: Pipelines, call: Call[RemoteShellParams, None]
) -> RemoteShellEntry:
    """The way into such a shell, once it has started."""
    raise _runs_here(call.params.id)


async def end_remote_shell(
    _pipelines: Pipelines, call: Call[RemoteShellParams, None]
) -> RemoteShellEnd:
    """Such a shell is not needed any more."""
    raise _runs_here(call.params.id)


def _runs_here(pipeline_id: str) -> RefusedError:
    return RefusedError(
        f"{pipeline_id}: runs on this machine, not in the cloud; leave out --remote"
    )


async def get_usage(pipelines: Pipelines, call: Call[UsageParams, None]) -> Usage:
    """What commands took and cost, by month, pipeline and node."""
    return await pipelines.usage(call.params)


async def get_agent(pipelines: Pipelines, _call: Call[NoParams, None]) -> AgentStatus:
    """The process that runs pipelines."""
    return await pipelines.status()


async def events(pipelines: Pipelines, call: Call[EventParams, None]) -> AsyncIterator[EventBatch]:
    """Changes after the cursor, then live ones, without an end.

    An unknown pipeline and a cursor from the future are refused here, before the stream opens.
    """
    known = await pipelines.get(call.params.id)
    if call.params.cursor > known.seq:
        raise RefusedError(
            f"{known.pipeline.id}: cursor {call.params.cursor} is beyond the newest change "
            f"{known.seq}; read the tree again and go on from its seq"
        )
    return pipelines.events(known.pipeline.id, call.params.cursor)
