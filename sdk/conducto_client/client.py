"""The API as methods; the operations are those of `conducto_core`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from conducto_client.calls import Calls
from conducto_core.billing.model import COST_NODES, CostParams, UsageParams
from conducto_core.command.model import ResourcesParams
from conducto_core.programs.model import ContinuationParams, ProgramStartParams
from conducto_core.results.model import MetricParams, OutputParams
from conducto_core.run import operations as pipelines
from conducto_core.run.model import params
from conducto_core.test_results.model import QuarantineParams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_client.transport.port import Body
    from conducto_core.activity import operations as activity_rows
    from conducto_core.activity.model import Activity, ActivityParams
    from conducto_core.annotations import operations as annotations_rows
    from conducto_core.annotations.model import AnnotationList, AnnotationParams
    from conducto_core.approvals import operations as approvals
    from conducto_core.approvals.model import DecideApproval
    from conducto_core.billing import operations as billing
    from conducto_core.billing.model import PipelineCost, Usage
    from conducto_core.cache import model as cache_model
    from conducto_core.cache import operations as cache
    from conducto_core.command.model import Resources
    from conducto_core.coverage import operations as coverage_rows
    from conducto_core.coverage.model import CoverageParams, CoverageReport
    from conducto_core.data import operations as data
    from conducto_core.debug import model as debug_model
    from conducto_core.debug import operations as debug
    from conducto_core.diagnosis import operations as diagnosis_rows
    from conducto_core.diagnosis.model import Diagnosis, DiagnosisParams
    from conducto_core.installation import model as installation
    from conducto_core.logs import operations as logs
    from conducto_core.logs.model import MergedPage, MergedPageParams
    from conducto_core.partitions import operations as partitions_rows
    from conducto_core.partitions.model import PartitionsParams, ProgramPartitions
    from conducto_core.programs import history
    from conducto_core.programs import operations as programs
    from conducto_core.programs.model import (
        ContinuePlan,
        ContinueRequest,
        LatestContinuation,
        LaunchAgain,
        ProgramStart,
        ProgramView,
        StartProgram,
    )
    from conducto_core.remote import operations as agent
    from conducto_core.results import operations as results
    from conducto_core.results.model import (
        Artifact,
        CompareParams,
        MetricComparison,
        MetricSeries,
        ResultValue,
    )
    from conducto_core.run.model.records import AttemptRecord, ImageRecord
    from conducto_core.run.model.requests import (
        AgentStatus,
        ControlRequest,
        ControlResult,
        LaunchRequest,
        LogChunk,
        NodeView,
        PipelineSummary,
        TreePage,
    )
    from conducto_core.run.model.responses import (
        AskedApproval,
        DataEntry,
        DataList,
        Deleted,
        ImageLog,
        Login,
        LogLines,
        LogMatches,
        LogOutline,
        NodeDetail,
        PipelineList,
    )
    from conducto_core.schedules import model as sc
    from conducto_core.schedules import operations as schedules
    from conducto_core.secrets import operations as secrets
    from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretList
    from conducto_core.services import model as services_model
    from conducto_core.services import operations as services
    from conducto_core.test_results import operations as test_results
    from conducto_core.test_results.model import (
        PipelineTestParams,
        PipelineTests,
        ProgramTestParams,
        ProgramTests,
        Quarantine,
        QuarantineRequest,
    )
else:

    class _Module:
        """A module that is imported with its first use: those of all features take 0.1 s."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self._name), name)

    activity_rows = _Module("conducto_core.activity.operations")
    agent = _Module("conducto_core.remote.operations")
    annotations_rows = _Module("conducto_core.annotations.operations")
    approvals = _Module("conducto_core.approvals.operations")
    billing = _Module("conducto_core.billing.operations")
    cache = _Module("conducto_core.cache.operations")
    coverage_rows = _Module("conducto_core.coverage.operations")
    data = _Module("conducto_core.data.operations")
    debug = _Module("conducto_core.debug.operations")
    debug_model = _Module("conducto_core.debug.model")
    diagnosis_rows = _Module("conducto_core.diagnosis.operations")
    installation = _Module("conducto_core.installation.model")
    logs = _Module("conducto_core.logs.operations")
    partitions_rows = _Module("conducto_core.partitions.operations")
    programs = _Module("conducto_core.programs.operations")
    results = _Module("conducto_core.results.operations")
    sc = _Module("conducto_core.schedules.model")
    schedules = _Module("conducto_core.schedules.operations")
    secrets = _Module("conducto_core.secrets.operations")
    services = _Module("conducto_core.services.operations")
    services_model = _Module("conducto_core.services.model")
    test_results = _Module("conducto_core.test_results.operations")

_OCTETS = {"Content-Type": "application/octet-stream"}


class Client(Calls):
    """The operations of users on pipelines.

    Every method raises `ApiError` if the server rejects the request and `AgentUnreachableError` if
    there is no server. One client belongs to one thread; `events` may run in a thread of its own.
    """

    def launch(self, request: LaunchRequest, key: str | None = None) -> PipelineSummary:
        """Launch a tree, once for each ``key``; return the new pipeline."""
        return self.call(pipelines.LAUNCH, params.NoParams(), request, key)

    def list(self, **filters: Any) -> tuple[PipelineSummary, ...]:
        """Return all pipelines that match, the newest first; by default, all but archived ones.

        Args:
            filters: Fields of `conducto_core.run.model.params.ListParams`.
        """
        return tuple(self.iterate(params.ListParams(**filters)))

    def iterate(self, query: params.ListParams) -> Iterator[PipelineSummary]:
        """Yield the pipelines that match, the newest first; ``query.limit`` is that of a page."""
        while True:
            page = self.list_page(query)
            yield from page.pipelines
            if page.next is None:
                return
            query = query.model_copy(update={"after": page.next})

    def list_page(self, query: params.ListParams) -> PipelineList:
        """Return one page of the pipelines that match."""
        return self.call(pipelines.LIST, query)

    def get(self, pipeline_id: str) -> PipelineSummary:
        """Return one pipeline; an unambiguous prefix of its id is enough."""
        return self.call(pipelines.GET, params.PipelineParams(id=pipeline_id))

    def delete(self, pipeline_id: str) -> str:
        """Delete a pipeline with its output, data and history; return its id."""
        return self.call(pipelines.DELETE, params.PipelineParams(id=pipeline_id)).id

    def definition(self, pipeline_id: str) -> LaunchRequest:
        """Return the launch request of a pipeline; `launch` creates another one from it."""
        return self.call(pipelines.DEFINITION, params.PipelineParams(id=pipeline_id))

    def launch_again(self, pipeline_id: str, request: LaunchAgain) -> PipelineSummary:
        """Launch the tree of a pipeline again; return the new pipeline."""
        return self.call(pipelines.LAUNCH_AGAIN, params.PipelineParams(id=pipeline_id), request)

    def schedules(self) -> sc.ScheduleList:
        """Return all schedules, by name."""
        return self.call(schedules.LIST_SCHEDULES, params.NoParams())

    def schedule(self, name: str) -> sc.ScheduleView:
        """Return a schedule."""
        return self.call(schedules.GET_SCHEDULE, sc.ScheduleParams(name=name))

    def create_schedule(self, request: sc.NewSchedule) -> sc.ScheduleView:
        """Create a schedule."""
        return self.call(schedules.CREATE_SCHEDULE, params.NoParams(), request)

    def change_schedule(self, name: str, request: sc.ScheduleSettings) -> sc.ScheduleView:
        """Replace the settings of a schedule."""
        return self.call(schedules.CHANGE_SCHEDULE, sc.ScheduleParams(name=name), request)

    def delete_schedule(self, name: str) -> sc.ScheduleDeleted:
        """Delete a schedule and its history."""
        return self.call(schedules.DELETE_SCHEDULE, sc.ScheduleParams(name=name))

    def pause_schedule(self, name: str) -> sc.ScheduleView:
        """Pause a schedule."""
        return self.call(schedules.PAUSE_SCHEDULE, sc.ScheduleParams(name=name))

    def resume_schedule(self, name: str) -> sc.ScheduleView:
        """Resume a schedule from now on."""
        return self.call(schedules.RESUME_SCHEDULE, sc.ScheduleParams(name=name))

    def fire_schedule(self, name: str) -> sc.Firing:
        """Fire a schedule now."""
        return self.call(schedules.FIRE_SCHEDULE, sc.ScheduleParams(name=name))

    def backfill_schedule(self, name: str, request: sc.Backfill) -> sc.FiringList:
        """Fire a schedule for each of its times in a range of the past."""
        return self.call(schedules.BACKFILL_SCHEDULE, sc.ScheduleParams(name=name), request)

    def firings(self, name: str, before: str | None = None, limit: int = 50) -> sc.FiringList:
        """Return a page of the firings of a schedule, the newest first."""
        query = sc.FiringsParams(name=name, before=before, limit=limit)
        return self.call(schedules.LIST_FIRINGS, query)

    def program(self, pipeline_id: str) -> ProgramView:
        """Return the program of a pipeline, with its parameters."""
        return self.call(programs.PROGRAM, params.PipelineParams(id=pipeline_id))

    def start_program(self, pipeline_id: str, request: StartProgram) -> ProgramStart:
        """Start the program of a pipeline with other arguments, on the agent's machine."""
        return self.call(programs.START_PROGRAM, params.PipelineParams(id=pipeline_id), request)

    def program_start(self, start: str) -> ProgramStart:
        """Return the state of a program that was started."""
        return self.call(programs.PROGRAM_START, ProgramStartParams(start=start))

    def cancel_program_start(self, start: str) -> ProgramStart:
        """Stop a program that was started."""
        return self.call(programs.CANCEL_PROGRAM_START, ProgramStartParams(start=start))

    def continue_pipeline(self, pipeline_id: str, request: ContinueRequest) -> ContinuePlan:
        """Replace the definition of a pipeline, or return the plan for it."""
        return self.call(pipelines.CONTINUE, params.PipelineParams(id=pipeline_id), request)

    def continuation(self, pipeline_id: str, **options: Any) -> LatestContinuation:
        """Return the latest replacement; ``options`` are those of `ContinuationParams`."""
        query = ContinuationParams(id=pipeline_id, **options)
        return self.call(pipelines.CONTINUATION, query)

    def tree(self, pipeline_id: str, *, root: str = "/", **options: Any) -> Iterator[NodeView]:
        """Yield the nodes of a subtree, parents first; ``options`` are those of `TreeParams`."""
        query = params.TreeParams(id=pipeline_id, root=root, **options)
        while True:
            page = self.nodes(query)
            yield from page.nodes
            if page.next is None:
                return
            query = query.model_copy(update={"after": page.next})

    def tree_page(
        self, pipeline_id: str, *, root: str = "/", after: str | None = None, limit: int = 1000
    ) -> TreePage:
        """Return one page of a subtree; its ``seq`` is the cursor for `events`."""
        return self.nodes(params.TreeParams(id=pipeline_id, root=root, after=after, limit=limit))

    def nodes(self, query: params.TreeParams) -> TreePage:
        """Return one page of a subtree, or of the results of a search in it."""
        return self.call(pipelines.TREE, query)

    def node(self, pipeline_id: str, path: str) -> NodeDetail:
        """Return the details of one node."""
        return self.call(pipelines.NODE, params.NodeParams(id=pipeline_id, path=path))

    def attempts(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        """Return all attempts of a node, the first one first."""
        return self.call(pipelines.ATTEMPTS, params.NodeParams(id=pipeline_id, path=path)).attempts

    def log(
        self,
        pipeline_id: str,
        path: str,
        *,
        attempt: int | None = None,
        stream: Literal["stdout", "stderr"] = "stdout",
        offset: int = 0,
        limit: int = 1 << 20,
        wait: float = 0.0,
        times: bool = False,
    ) -> LogChunk:
        """Return a part of an output stream; a negative ``offset`` counts from the end.

        To follow it, repeat the request with ``wait`` from the end of the last part until
        ``complete``.
        """
        query = params.LogParams(
            id=pipeline_id,
            path=path,
            attempt=attempt,
            stream=stream,
            offset=offset,
            limit=limit,
            wait=wait,
            times=times,
        )
        return self.call(logs.LOG, query)

    def log_lines(self, query: params.LogLinesParams) -> LogLines:
        """Return some lines of an output stream."""
        return self.call(logs.LOG_LINES, query)

    def search_log(self, query: params.LogSearchParams) -> LogMatches:
        """Search an output stream."""
        return self.call(logs.LOG_SEARCH, query)

    def outline_log(self, query: params.LogOutlineParams) -> LogOutline:
        """Return the times and groups of the lines of a part of an output stream."""
        return self.call(logs.LOG_OUTLINE, query)

    def merged_output(self, query: MergedPageParams) -> MergedPage:
        """Return the output of all commands below a node by time, in pages."""
        return self.call(logs.MERGED, query)

    def download_log(self, query: params.LogFileParams) -> Iterator[bytes]:
        """Yield the current contents of an output stream in chunks."""
        return self._download(logs.LOG_FILE, query)

    def resources(self, pipeline_id: str, path: str, *, attempt: int | None = None) -> Resources:
        """Return the resource usage of an attempt; empty if unknown."""
        query = ResourcesParams(id=pipeline_id, path=path, attempt=attempt)
        return self.call(pipelines.RESOURCES, query)

    def get_result(self, pipeline_id: str, path: str, *, attempt: int | None = None) -> ResultValue:
        """Return the result of an attempt, by default the newest."""
        return self.call(results.RESULT, OutputParams(id=pipeline_id, path=path, attempt=attempt))

    def metrics(
        self, pipeline_id: str, path: str, *, attempt: int | None = None
    ) -> tuple[MetricSeries, ...]:
        """Return the metrics of an attempt, by default the newest."""
        query = MetricParams(id=pipeline_id, path=path, attempt=attempt)
        return self.call(results.METRICS, query).metrics

    def annotations(self, query: AnnotationParams) -> AnnotationList:
        """Return the annotations of a pipeline, errors first."""
        return self.call(annotations_rows.LIST_ANNOTATIONS, query)

    def coverage(self, query: CoverageParams) -> CoverageReport:
        """Return the covered lines of a pipeline, and the difference from its base."""
        return self.call(coverage_rows.GET_COVERAGE, query)

    def pipeline_tests(self, query: PipelineTestParams) -> PipelineTests:
        """Return the tests of a pipeline, failures first."""
        return self.call(test_results.PIPELINE_TESTS, query)

    def program_tests(self, query: ProgramTestParams) -> ProgramTests:
        """Return the history of the tests of a pipeline's program."""
        return self.call(test_results.PROGRAM_TESTS, query)

    def quarantine_test(self, pipeline_id: str, request: QuarantineRequest) -> Quarantine:
        """Do not count the failures of a test until a time."""
        query = params.PipelineParams(id=pipeline_id)
        return self.call(test_results.QUARANTINE, query, request)

    def end_quarantine(self, pipeline_id: str, name: str) -> Quarantine:
        """End a quarantine, by the name of its record."""
        return self.call(test_results.END_QUARANTINE, QuarantineParams(id=pipeline_id, name=name))

    def compare_metrics(
        self, query: CompareParams, *, beside: str | None = None
    ) -> MetricComparison:
        """Return the metrics of the newest pipelines of a program.

        Args:
            query: The program and the metrics.
            beside: Id of a pipeline of the server to ask, if there are several.
        """
        del beside  # this is the only server
        return self.call(results.COMPARE_METRICS, query)

    def compare_pipelines(self, query: history.ComparisonParams) -> history.PipelineComparison:
        """Return the differences of a pipeline from another one."""
        return self.call(programs.COMPARE_PIPELINES, query)

    def get_diagnosis(self, query: DiagnosisParams) -> Diagnosis:
        """Return the causes of a pipeline's failures, what changed, and next steps."""
        return self.call(diagnosis_rows.GET_DIAGNOSIS, query)

    def get_why(self, query: history.WhyParams) -> history.Why:
        """Return why a node ran: the inputs that differ from those of an earlier attempt."""
        return self.call(programs.GET_WHY, query)

    def get_activity(self, query: ActivityParams) -> Activity:
        """Return the running and the waiting commands of all pipelines, and the reasons."""
        return self.call(activity_rows.GET_ACTIVITY, query)

    def list_cache(self, query: cache_model.CacheQuery) -> cache_model.CacheList:
        """Return the entries of the cache, the last used ones first."""
        return self.call(cache.LIST_CACHE, query)

    def get_cache_entry(self, entry: cache_model.CacheEntryParams) -> cache_model.CacheItem:
        """Return an entry of the cache."""
        return self.call(cache.GET_CACHE_ENTRY, entry)

    def delete_cache_entry(self, entry: cache_model.CacheEntryParams) -> cache_model.CacheItem:
        """Delete an entry of the cache."""
        return self.call(cache.DELETE_CACHE_ENTRY, entry)

    def plan_cache(self, request: LaunchRequest) -> cache_model.CachePlan:
        """Return which commands of a tree would be from the cache, and why the others run."""
        return self.call(cache.PLAN_CACHE, params.NoParams(), request)

    def get_cache_usage(self, query: cache_model.CacheQuery) -> cache_model.CacheUsage:
        """Return the size of the cache, and the time that it saved."""
        return self.call(cache.GET_CACHE_USAGE, query)

    def get_lineage(self, query: cache_model.LineageParams) -> cache_model.Lineage:
        """Return the files of cached commands, which have changed, and the origin of a file."""
        return self.call(cache.GET_LINEAGE, query)

    def node_history(self, query: history.NodeHistoryParams) -> history.NodeHistory:
        """Return the flaky and the slowest nodes of a program, and advice about sizes."""
        return self.call(programs.NODE_HISTORY, query)

    def partitions(self, query: PartitionsParams) -> ProgramPartitions:
        """Return the states of the partitions of a program."""
        return self.call(partitions_rows.PARTITIONS, query)

    def memory_history(self, query: params.ProgramParams) -> history.MemoryHistory:
        """Return the memory that commands of a program used, by which mem='auto' is decided."""
        return self.call(programs.MEMORY_HISTORY, query)

    def artifacts(
        self, pipeline_id: str, path: str, *, attempt: int | None = None
    ) -> tuple[Artifact, ...]:
        """Return the artifacts of an attempt, by default the newest, in their order."""
        query = OutputParams(id=pipeline_id, path=path, attempt=attempt)
        return self.call(results.ARTIFACTS, query).artifacts

    def service_output(
        self,
        pipeline_id: str,
        path: str,
        *,
        service: str | None = None,
        attempt: int | None = None,
    ) -> services_model.ServiceOutput:
        """Return the output of the services of an attempt, by default the newest.

        Args:
            pipeline_id: The pipeline.
            path: The node.
            service: Only of this service; by default of all, with their names.
            attempt: Number of the attempt.
        """
        query = services_model.ServiceOutputParams(
            id=pipeline_id, path=path, attempt=attempt, service=service
        )
        return self.call(services.SERVICE_OUTPUT, query)

    def export(self, pipeline_id: str) -> bytes:
        """Return the current state of a pipeline as one self-contained HTML file."""
        return b"".join(self._download(pipelines.EXPORT, params.PipelineParams(id=pipeline_id)))

    def images(self, pipeline_id: str) -> tuple[ImageRecord, ...]:
        """Return the images of a pipeline, with the states of their builds."""
        return self.call(pipelines.IMAGES, params.PipelineParams(id=pipeline_id)).images

    def image_log(self, pipeline_id: str, image: str) -> str:
        """Return the output so far of the build of an image."""
        query, text = params.ImageLogParams(id=pipeline_id, image=image), ""
        while True:
            chunk = self.image_log_page(query)
            text += chunk.text
            if chunk.next >= chunk.size or chunk.next == chunk.offset:
                return text
            query = query.model_copy(update={"offset": chunk.next})

    def image_log_page(self, query: params.ImageLogParams) -> ImageLog:
        """Return a part of the output of an image's build; like `log`."""
        return self.call(pipelines.IMAGE_LOG, query)

    def data(
        self, pipeline_id: str | None, name: str = "", *, limit: int = params.MAX_DATA_PAGE
    ) -> Iterator[DataEntry]:
        """Yield the entries of a directory of a pipeline's data; None is the user's data."""
        query = params.ListUserDataParams(name=name, limit=limit)
        while True:
            page = self.data_page(pipeline_id, query)
            yield from page.entries
            if page.next is None:
                return
            query = query.model_copy(update={"after": page.next})

    def data_page(self, pipeline_id: str | None, query: params.ListUserDataParams) -> DataList:
        """Return one page of a directory of data."""
        if pipeline_id is None:
            return self.call(data.USER_DATA, query)
        return self.call(data.DATA, params.ListDataParams(id=pipeline_id, **dict(query)))

    def read_data(self, pipeline_id: str | None, name: str) -> Iterator[bytes]:
        """Yield the content of a data file in chunks; None is the user's data."""
        if pipeline_id is None:
            return self._download(data.USER_DATA_FILE, params.UserDataParams(name=name))
        return self._download(data.DATA_FILE, params.DataParams(id=pipeline_id, name=name))

    def write_data(self, pipeline_id: str | None, name: str, content: Body) -> DataEntry:
        """Write a data file atomically; None is the user's data."""
        if pipeline_id is None:
            query = params.UserDataParams(name=name)
            return self._respond(data.PUT_USER_DATA, query, content, _OCTETS)
        pipeline_query = params.DataParams(id=pipeline_id, name=name)
        return self._respond(data.PUT_DATA, pipeline_query, content, _OCTETS)

    def delete_data(self, pipeline_id: str | None, name: str) -> Deleted:
        """Delete a data file, or a directory with its contents; None is the user's data."""
        if pipeline_id is None:
            return self.call(data.DELETE_USER_DATA, params.UserDataParams(name=name))
        return self.call(data.DELETE_DATA, params.DataParams(id=pipeline_id, name=name))

    def control(self, pipeline_id: str, request: ControlRequest) -> ControlResult:
        """Execute an action on a set of nodes, all or nothing."""
        return self.call(pipelines.CONTROL, params.PipelineParams(id=pipeline_id), request)

    def approvals(self) -> tuple[AskedApproval, ...]:
        """Return the approvals that the caller may decide now, the oldest first."""
        return self.call(approvals.APPROVALS, params.NoParams()).approvals

    def decide_approval(self, pipeline_id: str, request: DecideApproval) -> AttemptRecord:
        """Approve or reject a node that waits for a person; return its attempt."""
        return self.call(approvals.DECIDE_APPROVAL, params.PipelineParams(id=pipeline_id), request)

    def secrets(self) -> SecretList:
        """Return all secrets, without values."""
        return self.call(secrets.SECRETS, params.NoParams())

    def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets, replacing those of the same name, all or nothing."""
        return self.call(secrets.PUT_SECRETS, params.NoParams(), request)

    def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; ``changed`` of the response has those that existed."""
        return self.call(secrets.DELETE_SECRETS, params.NoParams(), request)

    def debug(self, pipeline_id: str, request: debug_model.DebugRequest) -> debug_model.DebugPlan:
        """Return the container of a debug shell for an attempt, including secrets."""
        return self.call(debug.DEBUG, params.PipelineParams(id=pipeline_id), request)

    def open_shell(
        self, pipeline_id: str, request: debug_model.DebugRequest
    ) -> debug_model.ShellTicket:
        """Return a ticket, which opens the WebSocket of a debug shell."""
        return self.call(debug.OPEN_SHELL, params.PipelineParams(id=pipeline_id), request)

    def open_remote_shell(
        self, pipeline_id: str, request: debug_model.RemoteShellRequest
    ) -> debug_model.RemoteShell:
        """Start a debug shell on a worker of the cloud."""
        return self.call(debug.OPEN_REMOTE_SHELL, params.PipelineParams(id=pipeline_id), request)

    def enter_remote_shell(self, shell: debug_model.RemoteShell) -> debug_model.RemoteShellEntry:
        """Return the session of the shell, or its current step."""
        return self.call(debug.ENTER_REMOTE_SHELL, _which(shell))

    def end_remote_shell(self, shell: debug_model.RemoteShell) -> None:
        """End the shell; one that has ended is ignored."""
        self.call(debug.END_REMOTE_SHELL, _which(shell))

    def usage(self, month: str | None = None, *, nodes: int = 0) -> Usage:
        """Return usage and cost by month and pipeline, with the most expensive nodes of each."""
        return self.call(billing.USAGE, UsageParams(month=month, nodes=nodes))

    def cost(self, pipeline_id: str, *, nodes: int = COST_NODES) -> PipelineCost:
        """Return the cost of a pipeline since its launch, with its most expensive nodes."""
        return self.call(billing.COST, CostParams(id=pipeline_id, nodes=nodes))

    def status(self) -> AgentStatus:
        """Return the status of the server process."""
        return self.call(pipelines.AGENT_STATUS, params.NoParams())

    def stop_agent(self, *, if_idle: bool = False) -> int:
        """Stop the agent; return its pid, whose process ends a little later."""
        return self.call(agent.STOP_AGENT, params.StopParams(if_idle=if_idle)).pid

    def gc(self, *, dry_run: bool = False) -> installation.GcReport:
        """Delete resources that no live pipeline of this machine needs, or list them."""
        return self.call(agent.GC, params.NoParams(), installation.GcRequest(dry_run=dry_run))

    def login(self) -> Login:
        """Create an address that opens the web app once, with the rights of this client."""
        return self.call(agent.LOGIN, params.NoParams())


def _which(shell: debug_model.RemoteShell) -> debug_model.RemoteShellParams:
    return debug_model.RemoteShellParams(id=shell.pipeline, shell=shell.id)
