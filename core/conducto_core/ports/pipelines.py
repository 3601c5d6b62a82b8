"""The port of the API's handlers to the pipelines of a target."""

from collections.abc import AsyncIterator
from typing import Protocol

from conducto_core.model.debug import DebugPlan, DebugRequest
from conducto_core.model.node_detail import NodeDetail
from conducto_core.model.outputs import OutputParams, OutputStream
from conducto_core.model.params import (
    ChangedDataParams,
    ImageLogParams,
    ListParams,
    ListUserDataParams,
    LogFileParams,
    LogLinesParams,
    LogParams,
    LogSearchParams,
    StatesParams,
    TreeParams,
)
from conducto_core.model.records import AttemptRecord
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
    ChangedData,
    DataEntry,
    DataList,
    Deleted,
    ImageLog,
    LogLines,
    LogMatches,
    PipelineList,
)
from conducto_core.model.secrets import DeleteSecrets, PutSecrets, SecretList
from conducto_core.model.usage import Usage, UsageParams
from conducto_core.ports.downloads import Download, Span


class Pipelines(Protocol):
    """The operations of clients. Raises `NotFoundError`, `RefusedError`, `DefinitionError`.

    Reading works even while nothing can be written, e.g. because the disk is full.
    """

    async def launch(
        self, request: LaunchRequest, key: str | None = None, *, repeated: bool = False
    ) -> PipelineSummary:
        """Validate, resolve, store and (if requested) run a pipeline.

        Args:
            request: The tree, with options.
            key: The idempotency key of the request.
            repeated: An earlier request with this key was interrupted: return the pipeline that it
                created, if any.
        """

    async def list(self, query: ListParams | None = None) -> PipelineList:
        """Return the newest pipelines; None selects all that are not archived."""

    async def get(self, pipeline_id: str) -> PipelineSummary:
        """Return one pipeline. An unambiguous prefix of its id is enough."""

    async def delete(self, pipeline_id: str) -> str:
        """Delete a pipeline with its output, data and history, archived or not; return its id.

        Raises:
            RefusedError: it runs, or will start by itself.
        """

    async def definition(self, pipeline_id: str) -> LaunchRequest:
        """Return the launch request of a pipeline, so that it can be launched again; not armed."""

    async def states(self, query: StatesParams) -> NodeStates:
        """Return the state of each Exec of a subtree as a letter."""

    async def nodes(self, query: TreeParams) -> TreePage:
        """Return nodes of a subtree, down to a depth, or those that a search finds.

        Its cost is proportional to the page (for a search, to `MAX_TREE_SCAN` at most), not to the
        tree.
        """

    async def node(self, pipeline_id: str, path: str) -> NodeDetail:
        """Return the details of one node."""

    async def attempts(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        """Return all attempts of a node, the first one first, even of one that a Lazy discarded."""

    async def log(self, query: LogParams) -> LogChunk:
        """Return a part of an output stream.

        If it would be empty and more may come, wait for output, at most ``query.wait`` seconds.
        """

    async def log_lines(self, query: LogLinesParams) -> LogLines:
        """Return some lines of an output stream."""

    async def search_log(self, query: LogSearchParams) -> LogMatches:
        """Search an output stream; bounded in time and size."""

    async def log_file(self, query: LogFileParams, span: Span | None = None) -> Download:
        """Return the current contents of an output stream, or a part of it."""

    async def resources(self, query: ResourcesParams) -> Resources:
        """Return the resource usage of an attempt; empty if unknown."""

    async def attempt_output(
        self, query: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        """Return an output stream of an attempt, and the attempt's number (None: no attempt)."""

    async def image_log(self, query: ImageLogParams) -> ImageLog:
        """Return a part of the output of an image's build; like `log`."""

    async def data(self, pipeline_id: str | None, query: ListUserDataParams) -> DataList:
        """Return entries of a directory of a pipeline's data; None is the user's data."""

    async def changed_data(self, query: ChangedDataParams) -> ChangedData:
        """Return files of a pipeline's data last written within a time range, the newest first."""

    async def read_data(
        self, pipeline_id: str | None, name: str, span: Span | None = None
    ) -> Download:
        """Return a data file, or a part of it. No file outside of the data is ever read."""

    async def write_data(
        self, pipeline_id: str | None, name: str, content: AsyncIterator[bytes]
    ) -> DataEntry:
        """Write a data file, replacing an existing one once ``content`` is complete."""

    async def delete_data(self, pipeline_id: str | None, name: str) -> Deleted:
        """Delete a data file, or a directory with its contents."""

    async def control(self, pipeline_id: str, request: ControlRequest) -> ControlResult:
        """Execute an action on a set of nodes, all or nothing."""

    async def debug(self, pipeline_id: str, request: DebugRequest) -> DebugPlan:
        """Return the container of a debug shell for an attempt; its image and network exist."""

    def events(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Yield changes after ``cursor``, then live ones; at most four batches a second."""

    async def secrets(self) -> SecretList:
        """Return all secrets, without values."""

    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets, replacing those of the same name, all or nothing."""

    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; missing ones are ignored."""

    async def usage(self, query: UsageParams) -> Usage:
        """Return the usage and cost of commands, by month, pipeline and node."""

    async def status(self) -> AgentStatus:
        """Return the status of the process."""
