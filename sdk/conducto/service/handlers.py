"""What each call does: one use case of the port, one answer of the contract.

Handlers know neither Starlette nor Chalice, neither HTTP nor JSON; they let the port's
exceptions pass, which `conducto.service.problems` turns into answers.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from conducto.model.api import (
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LaunchRequest,
    LogChunk,
    PipelineSummary,
    TreePage,
)
from conducto.model.base import Record
from conducto.model.calls import (
    AttemptList,
    EventParams,
    ImageLog,
    ImageParams,
    LogParams,
    NodeParams,
    NoParams,
    PipelineList,
    PipelineParams,
    TreeParams,
)
from conducto.model.debug import DebugPlan, DebugRequest
from conducto.model.secret_calls import DeleteSecrets, PutSecrets, SecretList
from conducto.service.port import Pipelines

P = TypeVar("P", bound=Record)
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Call(Generic[P, B]):
    """A request, parsed: parameters of path and query, and the body (None without one)."""

    params: P
    body: B


async def list_pipelines(pipelines: Pipelines, _call: Call[NoParams, None]) -> PipelineList:
    """Every pipeline that is not archived."""
    return PipelineList(pipelines=await pipelines.list())


async def launch(pipelines: Pipelines, call: Call[NoParams, LaunchRequest]) -> PipelineSummary:
    """Take a tree in, and arm it if asked."""
    return await pipelines.launch(call.body)


async def get_pipeline(pipelines: Pipelines, call: Call[PipelineParams, None]) -> PipelineSummary:
    """One pipeline."""
    return await pipelines.get(call.params.id)


async def get_tree(pipelines: Pipelines, call: Call[TreeParams, None]) -> TreePage:
    """One page of a subtree."""
    params = call.params
    return await pipelines.tree(params.id, root=params.root, after=params.after, limit=params.limit)


async def list_attempts(pipelines: Pipelines, call: Call[NodeParams, None]) -> AttemptList:
    """Every attempt of a node."""
    return AttemptList(attempts=await pipelines.attempts(call.params.id, call.params.path))


async def read_log(pipelines: Pipelines, call: Call[LogParams, None]) -> LogChunk:
    """A piece of an output stream."""
    params = call.params
    return await pipelines.log(
        params.id,
        params.path,
        attempt=params.attempt,
        stream=params.stream,
        offset=params.offset,
        limit=params.limit,
    )


async def read_image_log(pipelines: Pipelines, call: Call[ImageParams, None]) -> ImageLog:
    """The log of an image's build."""
    return ImageLog(text=await pipelines.image_log(call.params.id, call.params.image))


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


async def get_agent(pipelines: Pipelines, _call: Call[NoParams, None]) -> AgentStatus:
    """The process that runs pipelines."""
    return await pipelines.status()


async def events(pipelines: Pipelines, call: Call[EventParams, None]) -> AsyncIterator[EventBatch]:
    """Changes after the cursor, then live ones, without an end.

    An unknown pipeline is refused here, before the stream opens.
    """
    pipeline = (await pipelines.get(call.params.id)).pipeline
    return pipelines.events(pipeline.id, call.params.cursor)
