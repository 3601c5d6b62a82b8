"""The operations on pipelines.

`conducto_core.run.model.params` has the parameters.
"""

from conducto_core.api.operation import (
    MAX_LAUNCH_BODY,
    WEBSOCKET,
    Bytes,
    LinkClass,
    Permission,
    act,
    read,
    send,
)
from conducto_core.command.model import Resources, ResourcesParams
from conducto_core.programs.model import (
    ContinuationParams,
    ContinuePlan,
    ContinueRequest,
    LatestContinuation,
    LaunchAgain,
)
from conducto_core.run.model import params as p
from conducto_core.run.model.requests import (
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LaunchRequest,
    NodeStates,
    PipelineSummary,
    TreePage,
)
from conducto_core.run.model.responses import (
    AttemptList,
    DeletedPipeline,
    ImageList,
    ImageLog,
    NodeDetail,
    PipelineList,
)

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
RESOURCES = read(
    "get_resources",
    "/pipelines/{id}/resources",
    ResourcesParams,
    Resources,
    "Return the resource usage of an attempt: CPUs and memory over time.",
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
AGENT_STATUS = read(
    "get_agent",
    "/agent",
    p.NoParams,
    AgentStatus,
    "Return the status of the process that runs pipelines.",
    link_class=LinkClass.READ,
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
