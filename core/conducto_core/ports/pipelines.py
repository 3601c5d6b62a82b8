"""What the API's handlers ask of whoever runs pipelines (local scheduler, later the cloud)."""

from collections.abc import AsyncIterator
from typing import Protocol

from conducto_core.model.debug import DebugPlan, DebugRequest
from conducto_core.model.node_detail import NodeDetail
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
    """Everything a client can do. Raises `NotFoundError`, `RefusedError`, `DefinitionError`.

    What reads answers also while nothing can be written, e.g. because the disk is full.
    """

    async def launch(
        self, request: LaunchRequest, key: str | None = None, *, repeated: bool = False
    ) -> PipelineSummary:
        """Validate, resolve, store and (if asked) arm a pipeline.

        Args:
            request: The tree, and what to do with it.
            key: The idempotency key of the request.
            repeated: An earlier request with this key was cut off: return the pipeline that it
                has created, if it has.
        """

    async def list(self, query: ListParams | None = None) -> PipelineList:
        """The newest first, at most ``query.limit``; None is all that are not archived."""

    async def get(self, pipeline_id: str) -> PipelineSummary:
        """One pipeline. An unambiguous beginning of its id is enough."""

    async def definition(self, pipeline_id: str) -> LaunchRequest:
        """The pipeline as it was launched, so that it can be launched again; not armed."""

    async def states(self, query: StatesParams) -> NodeStates:
        """How each Exec of a subtree stands, in a letter."""

    async def nodes(self, query: TreeParams) -> TreePage:
        """Nodes of a subtree, down to a depth, or those that a search finds.

        Its cost is proportional to the page (for a search, to `MAX_TREE_SCAN` at most), not to
        the tree.
        """

    async def node(self, pipeline_id: str, path: str) -> NodeDetail:
        """Everything about one node."""

    async def attempts(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        """Every attempt of a node, the first one first; also of one that a Lazy discarded."""

    async def log(self, query: LogParams) -> LogChunk:
        """A piece of an output stream.

        Where it would be empty and more may come, it comes when there is something, or after
        ``query.wait`` seconds.
        """

    async def log_lines(self, query: LogLinesParams) -> LogLines:
        """Some lines of an output stream."""

    async def search_log(self, query: LogSearchParams) -> LogMatches:
        """Lines of an output stream that hold what is looked for; bounded in time and size."""

    async def log_file(self, query: LogFileParams, span: Span | None = None) -> Download:
        """An output stream as it is now, or a part of it."""

    async def resources(self, query: ResourcesParams) -> Resources:
        """What an attempt used while it ran; nothing where nobody knows."""

    async def image_log(self, query: ImageLogParams) -> ImageLog:
        """A piece of what the build of an image printed; like `log`."""

    async def data(self, pipeline_id: str | None, query: ListUserDataParams) -> DataList:
        """Entries of a directory of a pipeline's data; None is the user's data."""

    async def changed_data(self, query: ChangedDataParams) -> ChangedData:
        """Files of a pipeline's data that were written last within a time, the newest first."""

    async def read_data(
        self, pipeline_id: str | None, name: str, span: Span | None = None
    ) -> Download:
        """A data file, or a part of it. Nothing outside of the data is ever read."""

    async def write_data(
        self, pipeline_id: str | None, name: str, content: AsyncIterator[bytes]
    ) -> DataEntry:
        """Put a data file in place of one that may be there, once ``content`` has come whole."""

    async def delete_data(self, pipeline_id: str | None, name: str) -> Deleted:
        """Delete a data file, or a directory with what is in it."""

    async def control(self, pipeline_id: str, request: ControlRequest) -> ControlResult:
        """Carry out an order on a set of nodes, all or nothing."""

    async def debug(self, pipeline_id: str, request: DebugRequest) -> DebugPlan:
        """The container of a debug shell for an attempt; its image and network are there."""

    def events(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Changes after ``cursor``, then live ones; at most four batches a second."""

    async def secrets(self) -> SecretList:
        """Every secret, without values."""

    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets over those of the same name, all or nothing."""

    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; one that is not there is no error."""

    async def usage(self, query: UsageParams) -> Usage:
        """What commands took and cost, by month, pipeline and node."""

    async def status(self) -> AgentStatus:
        """The process itself."""
