"""The operations that all targets execute in the same way, and what they need of a target."""

import asyncio
import json
import time
from abc import abstractmethod
from collections.abc import AsyncIterator

from conducto_core.activity.handlers import Activities
from conducto_core.annotations.handlers import Annotations
from conducto_core.api.downloads import ByteRange, Download
from conducto_core.api.serve import serves
from conducto_core.coverage.handlers import CoverageReports
from conducto_core.debug.model import (
    DebugPlan,
    DebugRequest,
)
from conducto_core.diagnosis.handlers import Diagnoses
from conducto_core.errors import RefusedError
from conducto_core.export.page import export_response
from conducto_core.notifications.handlers import NotificationRules
from conducto_core.partitions.handlers import Partitions
from conducto_core.programs.comparison import Comparisons
from conducto_core.programs.model import (
    ContinuationParams,
    LatestContinuation,
)
from conducto_core.programs.relaunch import Programs, latest_continuation
from conducto_core.results import operations as results_operations
from conducto_core.results.model import (
    ArtifactList,
    MetricList,
    MetricParams,
    OutputParams,
    ResultValue,
)
from conducto_core.results.outputs import artifacts_in, metrics_in
from conducto_core.run import operations as run_operations
from conducto_core.run.model import params as p
from conducto_core.run.model.requests import (
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
)
from conducto_core.run.model.responses import ImageList
from conducto_core.services import operations as services_operations
from conducto_core.services.model import ServiceOutput, ServiceOutputParams
from conducto_core.services.rules import lines_of
from conducto_core.test_results.handlers import Tests


class Pipelines(
    Programs,
    Activities,
    Comparisons,
    Tests,
    Partitions,
    Annotations,
    CoverageReports,
    Diagnoses,
    NotificationRules,
):
    """The handlers that all targets share, and what they need of a target.

    A target has handlers of the other operations, too. All
    raise `NotFoundError`, `RefusedError` and `DefinitionError`. Reading works even while nothing
    can be written, e.g. because the disk is full.

    Attributes:
        schedules: The object with the operations on schedules, if the server has one.
    """

    schedules: object | None = None

    @abstractmethod
    async def control(self, params: p.PipelineParams, request: ControlRequest) -> ControlResult:
        """Execute an action on a set of nodes, all or nothing."""

    @abstractmethod
    async def debug(self, params: p.PipelineParams, request: DebugRequest) -> DebugPlan:
        """Return the container of a debug shell for an attempt; its image and network exist."""

    @abstractmethod
    def changes(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Yield changes after ``cursor``, then live ones; at most four batches a second."""

    @abstractmethod
    async def get_agent(self) -> AgentStatus:
        """Return the status of the process, as far as its pipelines know it."""

    @abstractmethod
    async def stored_plan(self, pipeline_id: str) -> bytes | None:
        """Return the stored plan by which the tree was replaced last, or None."""

    # ---- the same for every target, unless it overrides them ------------------------------------

    @serves(results_operations.RESULT)
    async def get_result(self, params: OutputParams) -> ResultValue:
        attempt, data = await self.attempt_output(params, "result")
        if not data:
            return ResultValue(attempt=attempt)
        return ResultValue(attempt=attempt, exists=True, value=json.loads(data), size=len(data))

    @serves(results_operations.METRICS)
    async def list_metrics(self, params: MetricParams) -> MetricList:
        attempt, data = await self.attempt_output(params, "metrics")
        return MetricList(attempt=attempt, metrics=metrics_in(data, params.points))

    @serves(results_operations.ARTIFACTS)
    async def list_artifacts(self, params: OutputParams) -> ArtifactList:
        attempt, data = await self.attempt_output(params, "artifacts")
        return ArtifactList(attempt=attempt, artifacts=artifacts_in(data))

    @serves(services_operations.SERVICE_OUTPUT)
    async def read_service_output(self, params: ServiceOutputParams) -> ServiceOutput:
        attempt, data = await self.attempt_output(params, "services")
        return ServiceOutput(attempt=attempt, text=lines_of(data.decode(), params.service))

    @serves(run_operations.IMAGES)
    async def list_images(self, params: p.PipelineParams) -> ImageList:
        return ImageList(images=(await self.get_pipeline(params)).images)

    @serves(run_operations.EXPORT)
    async def export_pipeline(
        self, params: p.PipelineParams, span: ByteRange | None = None
    ) -> Download:
        """Return the current state of a pipeline as one HTML file."""
        return await export_response(self, params, time.time(), span)

    @serves(run_operations.EVENTS)
    async def events(self, params: p.EventParams) -> AsyncIterator[EventBatch]:
        """Return the stream of changes.

        An unknown pipeline and a cursor beyond the newest change are rejected here, before the
        stream opens.
        """
        known = await self.get_pipeline(p.PipelineParams(id=params.id))
        if params.cursor > known.seq:
            raise RefusedError(
                f"{known.pipeline.id}: cursor {params.cursor} is beyond the newest change "
                f"{known.seq}; read the tree again and continue from its seq"
            )
        return self.changes(known.pipeline.id, params.cursor)

    @serves(run_operations.CONTINUATION)
    async def get_continuation(self, params: ContinuationParams) -> LatestContinuation:
        """Return the plan by which the tree was replaced last."""
        stored = await self.stored_plan(params.id)
        return await asyncio.to_thread(latest_continuation, stored, params)
