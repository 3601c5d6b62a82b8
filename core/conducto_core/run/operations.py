"""The operations that both the agent and the cloud have.

`conducto_core.run.model.params` has the parameters.
"""

from conducto_core.api.operation import (
    WEBSOCKET,
    AnyOperation,
    Bytes,
    LinkClass,
    Operation,
    Permission,
    act,
    read,
    send,
)
from conducto_core.approvals.model import DecideApproval
from conducto_core.billing.model import CostParams, PipelineCost, Usage, UsageParams
from conducto_core.command.model import Resources, ResourcesParams
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
from conducto_core.notifications.operations import DELETE_RULE, LIST_RULES, PUT_RULE, TEST_RULE  # noqa: F401  in OPERATIONS
from conducto_core.programs.history import (
    ComparisonParams,
    NodeHistory,
    NodeHistoryParams,
    PipelineComparison,
)
from conducto_core.programs.model import (
    ContinuationParams,
    ContinuePlan,
    ContinueRequest,
    LatestContinuation,
    LaunchAgain,
    ProgramStart,
    ProgramStartParams,
    ProgramView,
    StartProgram,
)
from conducto_core.results.model import (
    ArtifactList,
    CompareParams,
    MetricComparison,
    MetricList,
    MetricParams,
    OutputParams,
    ResultValue,
)
from conducto_core.run.model import params as p
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import (
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
from conducto_core.run.model.responses import (
    ApprovalList,
    AttemptList,
    ChangedData,
    DataEntry,
    DataList,
    Deleted,
    DeletedPipeline,
    ImageList,
    ImageLog,
    LogLines,
    LogMatches,
    LogOutline,
    NodeDetail,
    PipelineList,
)
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretList

MAX_LAUNCH_BODY = 256 << 20
#: A megabyte of values, each byte up to six in JSON, and names.
MAX_SECRETS_BODY = 8 << 20
#: Maximum bytes of a data file uploaded through the API; commands may write larger ones.
MAX_DATA_FILE = 4 << 30
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

LIST = read(
    "list_pipelines",
    "/pipelines",
    p.ListParams,
    PipelineList,
    "List pipelines, the newest first.",
    link_class=LinkClass.READ,
)
LAUNCH = send(
    "launch",
    "POST /pipelines",
    p.NoParams,
    LaunchRequest,
    PipelineSummary,
    Permission.LAUNCH,
    "Launch a pipeline, and run it if requested.",
    link_class=LinkClass.AUTHOR,
    max_body=MAX_LAUNCH_BODY,
    resumable=True,
)
GET = read(
    "get_pipeline",
    "/pipelines/{id}",
    p.PipelineParams,
    PipelineSummary,
    "Return one pipeline.",
    link_class=LinkClass.READ,
)
DELETE = act(
    "delete_pipeline",
    "DELETE /pipelines/{id}",
    p.PipelineParams,
    DeletedPipeline,
    Permission.CHANGE_STATE,
    "Delete a pipeline with its output, data and history.",
    link_class=LinkClass.AUTHOR,
)
DEFINITION = read(
    "get_definition",
    "/pipelines/{id}/definition",
    p.PipelineParams,
    LaunchRequest,
    "Return the launch request of a pipeline, so that it can be launched again.",
    link_class=LinkClass.READ,
)
LAUNCH_AGAIN = send(
    "launch_again",
    "POST /pipelines/{id}/launch-again",
    p.PipelineParams,
    LaunchAgain,
    PipelineSummary,
    Permission.LAUNCH,
    "Launch the tree of a pipeline again, as it was launched.",
    link_class=LinkClass.AUTHOR,
    resumable=True,
)
PROGRAM = read(
    "get_program",
    "/pipelines/{id}/program",
    p.PipelineParams,
    ProgramView,
    "Return the program of a pipeline: its script, and its function with parameters and arguments.",
    link_class=LinkClass.READ,
)
START_PROGRAM = send(
    "start_program",
    "POST /pipelines/{id}/program",
    p.PipelineParams,
    StartProgram,
    ProgramStart,
    Permission.LAUNCH,
    "Start the program of a pipeline with other arguments, if the server is on its machine.",
    link_class=LinkClass.AUTHOR,
)
PROGRAM_START = read(
    "get_program_start",
    "/program-starts/{start}",
    ProgramStartParams,
    ProgramStart,
    "Return the state and the output of a program that was started.",
    link_class=LinkClass.READ,
)
CANCEL_PROGRAM_START = act(
    "cancel_program_start",
    "DELETE /program-starts/{start}",
    ProgramStartParams,
    ProgramStart,
    Permission.LAUNCH,
    "Stop a program that was started and has not launched its pipeline yet.",
    link_class=LinkClass.AUTHOR,
)
CONTINUE = send(
    "continue_pipeline",
    "POST /pipelines/{id}/definition",
    p.PipelineParams,
    ContinueRequest,
    ContinuePlan,
    Permission.LAUNCH,
    "Replace the definition of a pipeline, and keep the results that are unchanged.",
    link_class=LinkClass.AUTHOR,
    max_body=MAX_LAUNCH_BODY,
)
CONTINUATION = read(
    "get_continuation",
    "/pipelines/{id}/continuation",
    ContinuationParams,
    LatestContinuation,
    "Return the nodes that the latest replacement of the tree kept, and why the others run.",
    link_class=LinkClass.READ,
)
TREE = read(
    "get_tree",
    "/pipelines/{id}/tree",
    p.TreeParams,
    TreePage,
    "Return one page of a subtree, or of the results of a search in it.",
    link_class=LinkClass.READ,
)
STATES = read(
    "get_states",
    "/pipelines/{id}/states",
    p.StatesParams,
    NodeStates,
    "Return the state of each Exec of a subtree as a letter.",
    link_class=LinkClass.READ,
)
NODE = read(
    "get_node",
    "/pipelines/{id}/node",
    p.NodeParams,
    NodeDetail,
    "Return the details of one node.",
    link_class=LinkClass.READ,
)
ATTEMPTS = read(
    "list_attempts",
    "/pipelines/{id}/attempts",
    p.NodeParams,
    AttemptList,
    "List all attempts of a node, even of one that a Lazy discarded.",
    link_class=LinkClass.READ,
)
LOG = read(
    "read_log",
    "/pipelines/{id}/log",
    p.LogParams,
    LogChunk,
    "Return a part of an output stream.",
    link_class=LinkClass.READ,
)
LOG_LINES = read(
    "read_log_lines",
    "/pipelines/{id}/log/lines",
    p.LogLinesParams,
    LogLines,
    "Return some lines of an output stream.",
    link_class=LinkClass.READ,
)
LOG_SEARCH = read(
    "search_log",
    "/pipelines/{id}/log/search",
    p.LogSearchParams,
    LogMatches,
    "Search an output stream for lines with a text or pattern.",
    link_class=LinkClass.READ,
)
LOG_OUTLINE = read(
    "outline_log",
    "/pipelines/{id}/log/outline",
    p.LogOutlineParams,
    LogOutline,
    "Return the times of the lines of a part of an output stream, and the groups they form.",
    link_class=LinkClass.READ,
)
LOG_FILE = read(
    "download_log",
    "/pipelines/{id}/log/file",
    p.LogFileParams,
    Bytes,
    "Download an output stream.",
    link_class=LinkClass.READ,
)
RESOURCES = read(
    "get_resources",
    "/pipelines/{id}/resources",
    ResourcesParams,
    Resources,
    "Return the resource usage of an attempt: CPUs and memory over time.",
    link_class=LinkClass.READ,
)
RESULT = read(
    "get_result",
    "/pipelines/{id}/result",
    OutputParams,
    ResultValue,
    "Return the result of an attempt: the return value of its function.",
    link_class=LinkClass.READ,
)
METRICS = read(
    "list_metrics",
    "/pipelines/{id}/metrics",
    MetricParams,
    MetricList,
    "Return the points of all metrics of an attempt.",
    link_class=LinkClass.READ,
)
COMPARE_METRICS = read(
    "compare_metrics",
    "/metrics",
    CompareParams,
    MetricComparison,
    "Return the metrics of the newest pipelines of a program.",
    link_class=LinkClass.READ,
)
COMPARE_PIPELINES = read(
    "compare_pipelines",
    "/pipelines/{id}/comparison",
    ComparisonParams,
    PipelineComparison,
    "Return the differences of a pipeline from another one.",
    link_class=LinkClass.READ,
)
NODE_HISTORY = read(
    "node_history",
    "/node-history",
    NodeHistoryParams,
    NodeHistory,
    "Return the flaky and the slowest nodes of a program.",
    link_class=LinkClass.READ,
)
ARTIFACTS = read(
    "list_artifacts",
    "/pipelines/{id}/artifacts",
    OutputParams,
    ArtifactList,
    "List the artifacts of an attempt, in the order in which they were declared.",
    link_class=LinkClass.READ,
)
EXPORT = read(
    "export_pipeline",
    "/pipelines/{id}/export",
    p.PipelineParams,
    Bytes,
    "Download the current state of a pipeline as one self-contained HTML file.",
    link_class=LinkClass.READ,
)
IMAGES = read(
    "list_images",
    "/pipelines/{id}/images",
    p.PipelineParams,
    ImageList,
    "List the images of a pipeline, with the states of their builds.",
    link_class=LinkClass.READ,
)
IMAGE_LOG = read(
    "read_image_log",
    "/pipelines/{id}/image-log",
    p.ImageLogParams,
    ImageLog,
    "Return a part of the log of an image's build.",
    link_class=LinkClass.READ,
)
DATA = read(
    "list_data",
    "/pipelines/{id}/data",
    p.ListDataParams,
    DataList,
    "List a directory of a pipeline's data.",
    link_class=LinkClass.READ,
)
CHANGED_DATA = read(
    "list_changed_data",
    "/pipelines/{id}/data/changed",
    p.ChangedDataParams,
    ChangedData,
    "List the files of a pipeline's data that were written within a time range.",
    link_class=LinkClass.READ,
)
DATA_FILE = read(
    "read_data",
    "/pipelines/{id}/data/file",
    p.DataParams,
    Bytes,
    "Download a file of a pipeline's data.",
    link_class=LinkClass.READ,
)
PUT_DATA = send(
    "write_data",
    "PUT /pipelines/{id}/data/file",
    p.DataParams,
    Bytes,
    DataEntry,
    Permission.WRITE_DATA,
    "Write a file of a pipeline's data.",
    link_class=LinkClass.AUTHOR,
    max_body=MAX_DATA_FILE,
)
DELETE_DATA = act(
    "delete_data",
    "DELETE /pipelines/{id}/data/file",
    p.DataParams,
    Deleted,
    Permission.WRITE_DATA,
    "Delete a file or directory of a pipeline's data.",
    link_class=LinkClass.AUTHOR,
)
USER_DATA = read(
    "list_user_data",
    "/data",
    p.ListUserDataParams,
    DataList,
    "List a directory of the user's data.",
    link_class=LinkClass.READ,
    executed_by=DATA.name,
)
USER_DATA_FILE = read(
    "read_user_data",
    "/data/file",
    p.UserDataParams,
    Bytes,
    "Download a file of the user's data.",
    link_class=LinkClass.READ,
    executed_by=DATA_FILE.name,
)
PUT_USER_DATA = send(
    "write_user_data",
    "PUT /data/file",
    p.UserDataParams,
    Bytes,
    DataEntry,
    Permission.WRITE_DATA,
    "Write a file of the user's data.",
    link_class=LinkClass.AUTHOR,
    max_body=MAX_DATA_FILE,
    executed_by=PUT_DATA.name,
)
DELETE_USER_DATA = act(
    "delete_user_data",
    "DELETE /data/file",
    p.UserDataParams,
    Deleted,
    Permission.WRITE_DATA,
    "Delete a file or directory of the user's data.",
    link_class=LinkClass.AUTHOR,
    executed_by=DELETE_DATA.name,
)
CONTROL = send(
    "control",
    "POST /pipelines/{id}/control",
    p.PipelineParams,
    ControlRequest,
    ControlResult,
    Permission.CHANGE_STATE,
    "Execute an action.",
    link_class=LinkClass.CONTROL,
)
APPROVALS = read(
    "list_approvals",
    "/approvals",
    p.NoParams,
    ApprovalList,
    "List the approvals that wait for a decision of the caller, the oldest first.",
    link_class=LinkClass.READ,
)
DECIDE_APPROVAL = send(
    "decide_approval",
    "POST /pipelines/{id}/approval",
    p.PipelineParams,
    DecideApproval,
    AttemptRecord,
    Permission.CHANGE_STATE,
    "Approve or reject a node that waits for a person.",
    link_class=LinkClass.AUTHOR,
)
SECRETS = read(
    "list_secrets",
    "/secrets",
    p.NoParams,
    SecretList,
    "List all secrets, without values.",
    link_class=LinkClass.SECRETS,
    permission=Permission.SECRETS,
)
PUT_SECRETS = send(
    "put_secrets",
    "POST /secrets",
    p.NoParams,
    PutSecrets,
    SecretList,
    Permission.SECRETS,
    "Store secrets.",
    link_class=LinkClass.SECRETS,
    max_body=MAX_SECRETS_BODY,
    private=True,
)
DELETE_SECRETS = send(
    "delete_secrets",
    "POST /secrets/delete",
    p.NoParams,
    DeleteSecrets,
    SecretList,
    Permission.SECRETS,
    "Delete secrets.",
    link_class=LinkClass.SECRETS,
)
USAGE = read(
    "get_usage",
    "/usage",
    UsageParams,
    Usage,
    "Return the usage and cost of commands, by month, pipeline and node.",
    link_class=LinkClass.READ,
)
COST = read(
    "get_cost",
    "/pipelines/{id}/cost",
    CostParams,
    PipelineCost,
    "Return the cost of a pipeline since its launch, by node and by kind of cost.",
    link_class=LinkClass.READ,
)
AGENT_STATUS = read(
    "get_agent",
    "/agent",
    p.NoParams,
    AgentStatus,
    "Return the status of the process that runs pipelines.",
    link_class=LinkClass.READ,
)
DEBUG = send(
    "debug",
    "POST /pipelines/{id}/debug",
    p.PipelineParams,
    DebugRequest,
    DebugPlan,
    Permission.DEBUG,
    "Return the container of a debug shell for an attempt, including secrets.",
    link_class=LinkClass.NEVER,
    kept=False,  # it holds secrets, and changes nothing
)
OPEN_SHELL = send(
    "open_shell",
    "POST /pipelines/{id}/shell",
    p.PipelineParams,
    DebugRequest,
    ShellTicket,
    Permission.DEBUG,
    "Return a ticket for a debug shell in the web app, if the server supports it.",
    link_class=LinkClass.DEBUG,
    kept=False,  # a ticket can be used once
)
SHELL = read(
    "shell",
    "/shell",
    ShellParams,
    ShellEnd,
    "Connect to the debug shell of a ticket: its output and its end.",
    link_class=LinkClass.DEBUG,
    method=WEBSOCKET,
    permission=Permission.DEBUG,
)
OPEN_REMOTE_SHELL = send(
    "open_remote_shell",
    "POST /pipelines/{id}/remote-shells",
    p.PipelineParams,
    RemoteShellRequest,
    RemoteShell,
    Permission.DEBUG,
    "Open a debug shell on a worker of its own, if the server is in the cloud.",
    link_class=LinkClass.DEBUG,
)
ENTER_REMOTE_SHELL = act(
    "enter_remote_shell",
    "POST /pipelines/{id}/remote-shells/{shell}/enter",
    RemoteShellParams,
    RemoteShellEntry,
    Permission.DEBUG,
    "Return the session of such a shell, once it has started.",
    link_class=LinkClass.DEBUG,
    kept=False,  # a session can be used once
)
END_REMOTE_SHELL = act(
    "end_remote_shell",
    "DELETE /pipelines/{id}/remote-shells/{shell}",
    RemoteShellParams,
    RemoteShellEnd,
    Permission.DEBUG,
    "End such a shell.",
    link_class=LinkClass.DEBUG,
    kept=False,
)
EVENTS = read(
    "events",
    "/pipelines/{id}/events",
    p.EventParams,
    EventBatch,
    "Stream the changes after the cursor, then live ones, without an end.",
    link_class=LinkClass.READ,
    method=WEBSOCKET,
)

#: All operations of both targets, with the imported ones.
OPERATIONS: tuple[AnyOperation, ...] = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Operation)
)
