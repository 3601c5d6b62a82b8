"""What the API's handlers ask of whoever runs pipelines (local scheduler, later the cloud)."""

from collections.abc import AsyncIterator
from typing import Protocol

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
from conducto.model.debug import DebugPlan, DebugRequest
from conducto.model.records import AttemptRecord
from conducto.model.secret_calls import DeleteSecrets, PutSecrets, SecretList


class NotFoundError(Exception):
    """No such pipeline, node, attempt or image."""


class RefusedError(Exception):
    """The request makes no sense now; the message says why and what to do."""


class Pipelines(Protocol):
    """Everything a client can do. Raises `NotFoundError`, `RefusedError`, `DefinitionError`."""

    async def launch(self, request: LaunchRequest) -> PipelineSummary:
        """Validate, resolve, store and (if asked) arm a pipeline."""

    async def list(self) -> tuple[PipelineSummary, ...]:
        """Every pipeline that is not archived, the newest first."""

    async def get(self, pipeline_id: str) -> PipelineSummary:
        """One pipeline. An unambiguous beginning of its id is enough."""

    async def tree(
        self, pipeline_id: str, *, root: str = "/", after: str | None = None, limit: int = 1000
    ) -> TreePage:
        """Nodes of a subtree with all their attempts."""

    async def attempts(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        """Every attempt of a node, the first one first."""

    async def log(
        self,
        pipeline_id: str,
        path: str,
        *,
        attempt: int | None = None,
        stream: str = "stdout",
        offset: int = 0,
        limit: int = 1 << 20,
    ) -> LogChunk:
        """A piece of an output stream; a negative ``offset`` counts from the end."""

    async def image_log(self, pipeline_id: str, image: str) -> str:
        """What the build of an image printed so far."""

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

    async def status(self) -> AgentStatus:
        """The process itself."""
