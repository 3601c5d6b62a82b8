"""The calls of the API: where each one lives, what it takes and what it answers.

The client and the service both read this table, so that neither repeats a path, a parameter or
a limit of the other. Node paths travel in the query string, because a node's name may hold
anything but "/".
"""

from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

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
from conducto.model.debug import DebugPlan, DebugRequest
from conducto.model.records import AttemptRecord
from conducto.model.secret_calls import DeleteSecrets, PutSecrets, SecretList

API_ROOT = "/api/v1"
MAX_BODY = 1 << 20
MAX_LAUNCH_BODY = 256 << 20
#: A megabyte of values, each of its bytes up to six in JSON, and names.
MAX_SECRETS_BODY = 8 << 20
#: Most nodes in a `TreePage`, and most bytes in a `LogChunk`.
MAX_TREE_PAGE = 10_000
MAX_LOG_CHUNK = 4 << 20

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)

PipelineId = Annotated[str, Field(min_length=1, max_length=64)]


class NoParams(Record):
    """Nothing to say."""


class PipelineParams(Record):
    """Which pipeline."""

    id: PipelineId


class TreeParams(Record):
    """Which part of a tree.

    Attributes:
        root: Path of the subtree's root.
        after: Path to continue after, from `TreePage.next`.
        limit: Most nodes to answer.
    """

    id: PipelineId
    root: str = "/"
    after: str | None = None
    limit: int = Field(default=1000, ge=1, le=MAX_TREE_PAGE)


class NodeParams(Record):
    """Which node."""

    id: PipelineId
    path: str


class LogParams(Record):
    """Which piece of which output.

    Attributes:
        attempt: Counted from 1; None is the newest.
        offset: Bytes from the start; a negative one counts from the end.
        limit: Most bytes to answer.
    """

    id: PipelineId
    path: str
    attempt: int | None = Field(default=None, ge=1)
    stream: Literal["stdout", "stderr"] = "stdout"
    offset: int = 0
    limit: int = Field(default=1 << 20, ge=1, le=MAX_LOG_CHUNK)


class ImageParams(Record):
    """Which image of a pipeline, by its name."""

    id: PipelineId
    image: str


class EventParams(Record):
    """Where to go on from: the number of the last change that the reader has."""

    id: PipelineId
    cursor: int = Field(default=0, ge=0)


class StopParams(Record):
    """How to stop the agent.

    Attributes:
        if_idle: Refuse when a pipeline runs, or will start by itself.
    """

    if_idle: bool = False


class PipelineList(Record):
    """Pipelines, the newest first."""

    pipelines: tuple[PipelineSummary, ...]


class AttemptList(Record):
    """Attempts of one node, the first one first."""

    attempts: tuple[AttemptRecord, ...]


class ImageLog(Record):
    """What the build of an image printed so far."""

    text: str


class Stopping(Record):
    """The agent stops; ``pid`` is gone when it has stopped."""

    pid: int


@dataclass(frozen=True)
class Operation(Generic[P, B, R]):
    """One call.

    Attributes:
        method: The HTTP method; ``WEBSOCKET`` for a stream of JSON frames.
        path: Path template below `API_ROOT`; a field of ``params`` stands in braces, the other
            fields go in the query string.
        body: Model of the JSON body, or None.
        response: Model of the JSON answer, or of one frame.
        max_body: Bytes a body may have.
        private: The body holds what no error message may quote.
    """

    name: str
    method: str
    path: str
    params: type[P]
    body: type[B] | None
    response: type[R]
    max_body: int = MAX_BODY
    private: bool = False


AnyOperation = Operation[Any, Any, Any]

LIST = Operation[NoParams, None, PipelineList](
    "list_pipelines", "GET", "/pipelines", NoParams, None, PipelineList
)
LAUNCH = Operation[NoParams, LaunchRequest, PipelineSummary](
    "launch",
    "POST",
    "/pipelines",
    NoParams,
    LaunchRequest,
    PipelineSummary,
    max_body=MAX_LAUNCH_BODY,
)
GET = Operation[PipelineParams, None, PipelineSummary](
    "get_pipeline", "GET", "/pipelines/{id}", PipelineParams, None, PipelineSummary
)
TREE = Operation[TreeParams, None, TreePage](
    "get_tree", "GET", "/pipelines/{id}/tree", TreeParams, None, TreePage
)
ATTEMPTS = Operation[NodeParams, None, AttemptList](
    "list_attempts", "GET", "/pipelines/{id}/attempts", NodeParams, None, AttemptList
)
LOG = Operation[LogParams, None, LogChunk](
    "read_log", "GET", "/pipelines/{id}/log", LogParams, None, LogChunk
)
IMAGE_LOG = Operation[ImageParams, None, ImageLog](
    "read_image_log", "GET", "/pipelines/{id}/image-log", ImageParams, None, ImageLog
)
CONTROL = Operation[PipelineParams, ControlRequest, ControlResult](
    "control", "POST", "/pipelines/{id}/control", PipelineParams, ControlRequest, ControlResult
)
SECRETS = Operation[NoParams, None, SecretList](
    "list_secrets", "GET", "/secrets", NoParams, None, SecretList
)
PUT_SECRETS = Operation[NoParams, PutSecrets, SecretList](
    "put_secrets",
    "POST",
    "/secrets",
    NoParams,
    PutSecrets,
    SecretList,
    max_body=MAX_SECRETS_BODY,
    private=True,
)
DELETE_SECRETS = Operation[NoParams, DeleteSecrets, SecretList](
    "delete_secrets", "POST", "/secrets/delete", NoParams, DeleteSecrets, SecretList
)
AGENT_STATUS = Operation[NoParams, None, AgentStatus](
    "get_agent", "GET", "/agent", NoParams, None, AgentStatus
)
STOP_AGENT = Operation[StopParams, None, Stopping](
    "stop_agent", "POST", "/agent/stop", StopParams, None, Stopping
)
DEBUG = Operation[PipelineParams, DebugRequest, DebugPlan](
    "debug", "POST", "/pipelines/{id}/debug", PipelineParams, DebugRequest, DebugPlan
)
EVENTS = Operation[EventParams, None, EventBatch](
    "events", "WEBSOCKET", "/pipelines/{id}/events", EventParams, None, EventBatch
)
