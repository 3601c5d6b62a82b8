"""The operations of the API: the path, parameters, body and response of each.

The client and the service both read this table, so neither repeats a path, a parameter or a limit.
`conducto_core.model.params` has the parameters.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from conducto_core.model import params as p
from conducto_core.model.base import Record
from conducto_core.model.debug import DebugPlan, DebugRequest
from conducto_core.model.gc import GcReport, GcRequest
from conducto_core.model.node_detail import NodeDetail
from conducto_core.model.outputs import ArtifactList, MetricList, OutputParams, ResultValue
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
    AgentStopping,
    AttemptList,
    ChangedData,
    DataEntry,
    DataList,
    Deleted,
    DeletedPipeline,
    ImageList,
    ImageLog,
    Login,
    LogLines,
    LogMatches,
    PipelineList,
)
from conducto_core.model.secrets import DeleteSecrets, PutSecrets, SecretList
from conducto_core.model.shells import ShellEnd, ShellParams, ShellTicket
from conducto_core.model.usage import Usage, UsageParams

API_ROOT = "/api/v1"
MAX_BODY = 1 << 20
MAX_LAUNCH_BODY = 256 << 20
#: A megabyte of values, each byte up to six in JSON, and names.
MAX_SECRETS_BODY = 8 << 20
#: Maximum bytes of a data file uploaded through the API; commands may write larger ones.
MAX_DATA_FILE = 4 << 30
#: Maximum levels of arrays and objects in a JSON body; pydantic's own limit, which cannot be set.
MAX_JSON_DEPTH = 200
#: Maximum number of debug shells open in pages at once, with those that have an unused ticket.
MAX_SHELLS = 4
#: Maximum bytes of input in one frame, and of input that the shell has not read yet.
MAX_SHELL_FRAME = 64 << 10
MAX_SHELL_TYPED = 1 << 20
#: Bytes of output that a client may lag behind before its shell has to wait.
MAX_SHELL_AHEAD = 256 << 10
#: Maximum seconds that a shell is open, and that it is idle.
MAX_SHELL_SECONDS = 8 * 3600.0
MAX_SHELL_IDLE = 3600.0
#: Header that identifies a mutation, and its maximum length; each key is executed once.
IDEMPOTENCY_KEY = "Idempotency-Key"
MAX_IDEMPOTENCY_KEY = 200
#: Seconds for which a response is remembered, and the maximum number of remembered responses.
REMEMBERED_SECONDS = 24 * 3600.0
REMEMBERED_RESPONSES = 1000

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)


class Bytes(Record):
    """Placeholder for bytes instead of JSON in an `Operation`."""


@dataclass(frozen=True)
class Operation(Generic[P, B, R]):
    """One operation.

    Attributes:
        method: The HTTP method; ``WEBSOCKET`` for a stream of JSON frames.
        path: Path template below `API_ROOT`; it has fields of ``params`` in braces, the other
            fields go in the query string.
        body: Model of the JSON body, `Bytes`, or None.
        response: Model of the JSON response or of one frame, or `Bytes`.
        max_body: Maximum bytes of a body.
        private: The body is never quoted in error messages or stored in a file.
        kept: The response may be remembered under the caller's idempotency key.
        resumable: An interrupted request can be executed again under its key.
    """

    name: str
    method: str
    path: str
    params: type[P]
    body: type[B] | None
    response: type[R]
    max_body: int = MAX_BODY
    private: bool = False
    kept: bool = True
    resumable: bool = False

    @property
    def safe(self) -> bool:
        """Whether the operation changes nothing."""
        return self.method in ("GET", "WEBSOCKET")

    @property
    def remembered(self) -> bool:
        """Whether the operation is executed once for each idempotency key.

        Repeating any other operation has no further effect.
        """
        return not self.safe and self.kept and self.body is not Bytes


AnyOperation = Operation[Any, Any, Any]

LIST = Operation[p.ListParams, None, PipelineList](
    "list_pipelines", "GET", "/pipelines", p.ListParams, None, PipelineList
)
LAUNCH = Operation[p.NoParams, LaunchRequest, PipelineSummary](
    "launch",
    "POST",
    "/pipelines",
    p.NoParams,
    LaunchRequest,
    PipelineSummary,
    max_body=MAX_LAUNCH_BODY,
    resumable=True,
)
GET = Operation[p.PipelineParams, None, PipelineSummary](
    "get_pipeline", "GET", "/pipelines/{id}", p.PipelineParams, None, PipelineSummary
)
DELETE = Operation[p.PipelineParams, None, DeletedPipeline](
    "delete_pipeline", "DELETE", "/pipelines/{id}", p.PipelineParams, None, DeletedPipeline
)
DEFINITION = Operation[p.PipelineParams, None, LaunchRequest](
    "get_definition", "GET", "/pipelines/{id}/definition", p.PipelineParams, None, LaunchRequest
)
TREE = Operation[p.TreeParams, None, TreePage](
    "get_tree", "GET", "/pipelines/{id}/tree", p.TreeParams, None, TreePage
)
STATES = Operation[p.StatesParams, None, NodeStates](
    "get_states", "GET", "/pipelines/{id}/states", p.StatesParams, None, NodeStates
)
NODE = Operation[p.NodeParams, None, NodeDetail](
    "get_node", "GET", "/pipelines/{id}/node", p.NodeParams, None, NodeDetail
)
ATTEMPTS = Operation[p.NodeParams, None, AttemptList](
    "list_attempts", "GET", "/pipelines/{id}/attempts", p.NodeParams, None, AttemptList
)
LOG = Operation[p.LogParams, None, LogChunk](
    "read_log", "GET", "/pipelines/{id}/log", p.LogParams, None, LogChunk
)
LOG_LINES = Operation[p.LogLinesParams, None, LogLines](
    "read_log_lines", "GET", "/pipelines/{id}/log/lines", p.LogLinesParams, None, LogLines
)
LOG_SEARCH = Operation[p.LogSearchParams, None, LogMatches](
    "search_log", "GET", "/pipelines/{id}/log/search", p.LogSearchParams, None, LogMatches
)
LOG_FILE = Operation[p.LogFileParams, None, Bytes](
    "download_log", "GET", "/pipelines/{id}/log/file", p.LogFileParams, None, Bytes
)
RESOURCES = Operation[ResourcesParams, None, Resources](
    "get_resources", "GET", "/pipelines/{id}/resources", ResourcesParams, None, Resources
)
RESULT = Operation[OutputParams, None, ResultValue](
    "get_result", "GET", "/pipelines/{id}/result", OutputParams, None, ResultValue
)
METRICS = Operation[OutputParams, None, MetricList](
    "list_metrics", "GET", "/pipelines/{id}/metrics", OutputParams, None, MetricList
)
ARTIFACTS = Operation[OutputParams, None, ArtifactList](
    "list_artifacts", "GET", "/pipelines/{id}/artifacts", OutputParams, None, ArtifactList
)
EXPORT = Operation[p.PipelineParams, None, Bytes](
    "export_pipeline", "GET", "/pipelines/{id}/export", p.PipelineParams, None, Bytes
)
IMAGES = Operation[p.PipelineParams, None, ImageList](
    "list_images", "GET", "/pipelines/{id}/images", p.PipelineParams, None, ImageList
)
IMAGE_LOG = Operation[p.ImageLogParams, None, ImageLog](
    "read_image_log", "GET", "/pipelines/{id}/image-log", p.ImageLogParams, None, ImageLog
)
DATA = Operation[p.ListDataParams, None, DataList](
    "list_data", "GET", "/pipelines/{id}/data", p.ListDataParams, None, DataList
)
CHANGED_DATA = Operation[p.ChangedDataParams, None, ChangedData](
    "list_changed_data",
    "GET",
    "/pipelines/{id}/data/changed",
    p.ChangedDataParams,
    None,
    ChangedData,
)
DATA_FILE = Operation[p.DataParams, None, Bytes](
    "read_data", "GET", "/pipelines/{id}/data/file", p.DataParams, None, Bytes
)
PUT_DATA = Operation[p.DataParams, Bytes, DataEntry](
    "write_data",
    "PUT",
    "/pipelines/{id}/data/file",
    p.DataParams,
    Bytes,
    DataEntry,
    max_body=MAX_DATA_FILE,
)
DELETE_DATA = Operation[p.DataParams, None, Deleted](
    "delete_data", "DELETE", "/pipelines/{id}/data/file", p.DataParams, None, Deleted
)
USER_DATA = Operation[p.ListUserDataParams, None, DataList](
    "list_user_data", "GET", "/data", p.ListUserDataParams, None, DataList
)
USER_DATA_FILE = Operation[p.UserDataParams, None, Bytes](
    "read_user_data", "GET", "/data/file", p.UserDataParams, None, Bytes
)
PUT_USER_DATA = Operation[p.UserDataParams, Bytes, DataEntry](
    "write_user_data",
    "PUT",
    "/data/file",
    p.UserDataParams,
    Bytes,
    DataEntry,
    max_body=MAX_DATA_FILE,
)
DELETE_USER_DATA = Operation[p.UserDataParams, None, Deleted](
    "delete_user_data", "DELETE", "/data/file", p.UserDataParams, None, Deleted
)
CONTROL = Operation[p.PipelineParams, ControlRequest, ControlResult](
    "control", "POST", "/pipelines/{id}/control", p.PipelineParams, ControlRequest, ControlResult
)
SECRETS = Operation[p.NoParams, None, SecretList](
    "list_secrets", "GET", "/secrets", p.NoParams, None, SecretList
)
PUT_SECRETS = Operation[p.NoParams, PutSecrets, SecretList](
    "put_secrets",
    "POST",
    "/secrets",
    p.NoParams,
    PutSecrets,
    SecretList,
    max_body=MAX_SECRETS_BODY,
    private=True,
)
DELETE_SECRETS = Operation[p.NoParams, DeleteSecrets, SecretList](
    "delete_secrets", "POST", "/secrets/delete", p.NoParams, DeleteSecrets, SecretList
)
USAGE = Operation[UsageParams, None, Usage]("get_usage", "GET", "/usage", UsageParams, None, Usage)
AGENT_STATUS = Operation[p.NoParams, None, AgentStatus](
    "get_agent", "GET", "/agent", p.NoParams, None, AgentStatus
)
STOP_AGENT = Operation[p.StopParams, None, AgentStopping](
    "stop_agent", "POST", "/agent/stop", p.StopParams, None, AgentStopping
)
GC = Operation[p.NoParams, GcRequest, GcReport](
    "collect_garbage", "POST", "/agent/gc", p.NoParams, GcRequest, GcReport
)
LOGIN = Operation[p.NoParams, None, Login](
    "make_login", "POST", "/agent/login", p.NoParams, None, Login, kept=False
)
DEBUG = Operation[p.PipelineParams, DebugRequest, DebugPlan](
    "debug",
    "POST",
    "/pipelines/{id}/debug",
    p.PipelineParams,
    DebugRequest,
    DebugPlan,
    kept=False,  # it holds secrets, and changes nothing
)
OPEN_SHELL = Operation[p.PipelineParams, DebugRequest, ShellTicket](
    "open_shell",
    "POST",
    "/pipelines/{id}/shell",
    p.PipelineParams,
    DebugRequest,
    ShellTicket,
    kept=False,  # a ticket can be used once
)
SHELL = Operation[ShellParams, None, ShellEnd](
    "shell", "WEBSOCKET", "/shell", ShellParams, None, ShellEnd
)
OPEN_REMOTE_SHELL = Operation[p.PipelineParams, RemoteShellRequest, RemoteShell](
    "open_remote_shell",
    "POST",
    "/pipelines/{id}/remote-shells",
    p.PipelineParams,
    RemoteShellRequest,
    RemoteShell,
)
ENTER_REMOTE_SHELL = Operation[RemoteShellParams, None, RemoteShellEntry](
    "enter_remote_shell",
    "POST",
    "/pipelines/{id}/remote-shells/{shell}/enter",
    RemoteShellParams,
    None,
    RemoteShellEntry,
    kept=False,  # a session can be used once
)
END_REMOTE_SHELL = Operation[RemoteShellParams, None, RemoteShellEnd](
    "end_remote_shell",
    "DELETE",
    "/pipelines/{id}/remote-shells/{shell}",
    RemoteShellParams,
    None,
    RemoteShellEnd,
    kept=False,
)
EVENTS = Operation[p.EventParams, None, EventBatch](
    "events", "WEBSOCKET", "/pipelines/{id}/events", p.EventParams, None, EventBatch
)
