"""The handle of a launched pipeline."""

import sys
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import quote

from conducto.errors import ClientError, InvalidArgumentError, NodeNotFoundError, PipelineFailed
from conducto_client import notebook, programs
from conducto_client import notebook as display
from conducto_client.actions import Actions, NodeChanges, Selection
from conducto_client.data import Data
from conducto_client.errors import ApiError
from conducto_client.nodes import NodeHandle
from conducto_client.notebook import progress_for
from conducto_client.target import Target, TargetName, checked
from conducto_client.watching import Watcher, missing
from conducto_core.annotations.model import AnnotationList, AnnotationParams
from conducto_core.approvals.model import WaitingApproval
from conducto_core.coverage.model import CoverageParams, CoverageReport
from conducto_core.programs.history import ComparisonParams, PipelineComparison
from conducto_core.programs.model import LaunchAgain, StartProgram
from conducto_core.results.model import ComparedPipeline
from conducto_core.run.model.records import Counts, ImageRecord, NodeChange, ParentAttempt
from conducto_core.run.model.requests import Action, ControlResult, PipelineSummary
from conducto_core.run.model.states import State
from conducto_core.test_results.model import PipelineTestParams, PipelineTests, TestFilter


class PipelineIdentity:
    """The unchanging facts of a pipeline, known without a request."""

    def __init__(self, target: Target, summary: PipelineSummary) -> None:
        self._target = target
        self._record = summary.pipeline

    @property
    def id(self) -> str:
        """Its id, e.g. ``abc-def``."""
        return self._record.id

    @property
    def title(self) -> str:
        """Its title."""
        return self._record.title

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags."""
        return self._record.tags

    @property
    def program(self) -> str | None:
        """Path of the script that launched it, if known."""
        return self._record.program

    @property
    def parent(self) -> ParentAttempt | None:
        """The attempt whose command launched it; None if a user did."""
        return self._record.parent

    @property
    def created(self) -> float:
        """Time of the launch, in seconds since the epoch."""
        return self._record.created

    @property
    def target(self) -> TargetName:
        """``local`` or ``cloud``."""
        return self._target.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PipelineIdentity) and (self.target, self.id) == (
            other.target,
            other.id,
        )

    def __hash__(self) -> int:
        return hash((self.target, self.id))

    def __repr__(self) -> str:
        return f"<pipeline {self.id} ({self.target}): {self.title!r}>"


class MetricRow(TypedDict):
    """A point of a metric, as a row of a data frame."""

    path: str
    name: str
    step: float | None
    value: float | None
    time: float | None


class ComparedMetricRow(TypedDict):
    """The last value of a metric of a pipeline, as a row of a data frame.

    Attributes:
        pipeline: Id of the pipeline.
        created: Time of the launch, in seconds since the epoch.
        count: Number of points.
    """

    pipeline: str
    created: float
    state: State
    path: str
    name: str
    value: float | None
    minimum: float | None
    maximum: float | None
    count: int


def compared_rows(pipeline: ComparedPipeline) -> Iterator[ComparedMetricRow]:
    """Yield a row for each metric of a pipeline."""
    for one in pipeline.metrics:
        yield {
            "pipeline": pipeline.id,
            "created": pipeline.created,
            "state": pipeline.state,
            "path": one.path,
            "name": one.name,
            "value": one.last,
            "minimum": one.minimum,
            "maximum": one.maximum,
            "count": one.count,
        }


class Pipeline(PipelineIdentity):
    """A launched pipeline.

    ``state``, ``counts`` and ``summary`` are read from the server each time. Methods raise
    `conducto.errors.ClientError`. Threads may share it.
    """

    def __init__(self, target: Target, summary: PipelineSummary) -> None:
        super().__init__(target, summary)
        self._actions = Actions(target, self.id)
        self._watcher = Watcher(target, self.id)

    # ---- read --------------------------------------------------------------------------------

    @property
    def summary(self) -> PipelineSummary:
        """The current state with counts, images and times."""
        return self._watcher.summary()

    @property
    def state(self) -> State:
        """The current state, which equals a text such as ``"done"``."""
        return self.summary.state

    @property
    def counts(self) -> Counts:
        """The number of Execs by state."""
        return self.summary.counts

    @property
    def settled(self) -> bool:
        """Whether nothing runs, is queued or will start by itself."""
        return self.summary.settled

    @property
    def approvals(self) -> tuple[WaitingApproval, ...]:
        """The approvals that wait for a decision, the oldest first; at most 20."""
        return self.summary.approvals

    @property
    def url(self) -> str:
        """Address of its page in the web app; it signs nobody in, see `open`."""
        status = self._target.read(lambda client: client.status())
        return f"{(status.app or status.url).rstrip('/')}/p/{quote(self.id)}"

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """The images, with the states of their builds."""
        return self._target.read(lambda client: client.images(self.id))

    def image_log(self, name: str) -> str:
        """Return the output so far of the build of an image."""
        return self._target.read(lambda client: client.image_log(self.id, name))

    @property
    def data(self) -> Data:
        """The pipeline's data files."""
        return Data(self._target, self.id)

    def node(self, path: str) -> NodeHandle:
        """Return a node.

        Raises:
            conducto.errors.NodeNotFoundError: there is none; a KeyError, too.
        """
        return NodeHandle(self._actions, self._actions.node(path))

    def __getitem__(self, path: str) -> NodeHandle:
        return self.node(path)

    def __iter__(self) -> Iterator[NodeHandle]:
        return iter(self.nodes())

    def __contains__(self, path: str) -> bool:
        try:
            self.node(path)
        except NodeNotFoundError:
            return False
        return True

    def nodes(self, pattern: str | None = None, **filters: Unpack[Selection]) -> list[NodeHandle]:
        """Return nodes in definition order.

        Args:
            pattern: Path with wildcards: ``*`` and ``?`` within a name, ``**`` for any number of
                names, e.g. ``/tests/**``. None is all nodes.
            filters: ``state``: only Execs in this state. ``failed=True``: only nodes that failed
                by themselves. ``text``: only nodes whose path or command contains it.
        """
        found = self._actions.nodes(pattern, **filters)
        return [NodeHandle(self._actions, view) for view in found]

    def follow(self, *, since: int = 0) -> Generator[NodeChange, None, None]:
        """Yield the state changes of nodes in order, until the pipeline has settled.

        Args:
            since: ``seq`` of the last change that is already known; 0 starts at the launch.
        """
        for change in self._watcher.follow(since):
            if change is not None:
                yield change

    def metrics(self, pattern: str | None = None) -> list[MetricRow]:
        """Return the metrics of the newest attempts, a row for each point.

        Args:
            pattern: Only those of these nodes, as in `nodes`.
        """
        return [
            {"path": node.path, "name": series.name, "step": step, "value": value, "time": time}
            for node in self.nodes(pattern)
            if node.has_metrics
            for series in node.metrics()
            for step, value, time in zip(series.steps, series.values, series.times, strict=True)
        ]

    def tests(self, only: TestFilter = "all", *, limit: int = 200) -> PipelineTests:
        """Return the tests in the JUnit files of the newest attempts, failures first.

        Args:
            only: ``"failed"``, ``"flaky"``, or ``"slow"`` for the slowest first.
            limit: Maximum number of tests.
        """
        query = checked(PipelineTestParams, id=self.id, only=only, limit=limit)
        return self._target.read(lambda client: client.pipeline_tests(query))

    def annotations(self, *, limit: int = 200) -> AnnotationList:
        """Return the messages about lines of files of the newest attempts, errors first.

        Args:
            limit: Maximum number of annotations.
        """
        query = checked(AnnotationParams, id=self.id, limit=limit)
        return self._target.read(lambda client: client.annotations(query))

    def coverage(self, *, limit: int = 200) -> CoverageReport:
        """Return the covered lines, and the difference from the pipeline's base.

        Args:
            limit: Maximum number of files, those with most missed lines first.
        """
        query = checked(CoverageParams, id=self.id, limit=limit)
        return self._target.read(lambda client: client.coverage(query))

    def compare(self, other: "Pipeline", *, limit: int = 100) -> PipelineComparison:
        """Return the differences from another pipeline to this one.

        Args:
            other: The earlier pipeline, on the same target.
            limit: Maximum number of differences of each kind.
        """
        if not isinstance(other, Pipeline):
            raise InvalidArgumentError(
                f"compare: {other!r} is not a handle; use co.get_pipeline, or co.compare with ids"
            )
        if other.target != self.target:
            raise InvalidArgumentError(
                f"compare: {self.id} is on target {self.target!r}, {other.id} on {other.target!r}; "
                "both must be on the same target"
            )
        query = checked(ComparisonParams, id=self.id, other=other.id, limit=limit)
        return self._target.read(lambda client: client.compare_pipelines(query))

    def export(self, file: str | Path) -> Path:
        """Write the current state as one self-contained HTML file; return its path."""
        path = Path(file)
        path.write_bytes(self._target.read(lambda client: client.export(self.id)))
        return path

    def open(self) -> str:
        """Open its page in a browser, signed in; return the address."""
        host = self._target.host
        return self._target.call(lambda client: host.open_page(client, self.id))

    # ---- wait --------------------------------------------------------------------------------

    def wait(
        self, timeout: float | None = None, *, check: bool = False, progress: bool | None = None
    ) -> State:
        """Wait until the pipeline has settled; return its state.

        A pipeline has settled when nothing runs, is queued or will start by itself, so a paused
        one has settled, too. A lost connection is reopened for a minute. Ctrl-C stops waiting; the
        pipeline continues.

        Args:
            timeout: Seconds; None waits without a limit.
            check: Raise an error unless it is done.
            progress: Show the progress, on stderr or in the notebook. None shows it on a terminal
                and in a notebook.

        Raises:
            conducto.errors.PipelineFailed: ``check`` is true and it is not done.
            conducto.errors.WaitTimeoutError: it has not settled in time; a TimeoutError, too.
            conducto.errors.AgentUnreachableError: the server stays unreachable.
        """
        state = State.PENDING
        try:
            for now in self._waiting(timeout, check=check, progress=progress):
                state = now
        except KeyboardInterrupt:
            print(self._interrupted(), file=sys.stderr)  # noqa: T201 - for the user at the terminal
            raise
        return state

    def _waiting(
        self, timeout: float | None, *, check: bool, progress: bool | None
    ) -> Generator[State, None, None]:
        """Yield the state at least once per heartbeat, until the pipeline has settled."""
        shown = progress_for(self._repr_html_, progress)
        state = State.PENDING
        try:
            for summary in self._watcher.wait(timeout):
                state = summary.state
                shown.show(summary)
                yield state
        finally:
            shown.close()
        if check:
            self._check(state)

    def _interrupted(self) -> str:
        return (
            f"stopped waiting; pipeline {self.id} continues\n"
            f"  come back: conducto show {self.id}\n"
            f"  end it:    conducto cancel {self.id}"
        )

    def _check(self, state: State) -> None:
        if state is State.DONE:
            return
        host = self._target.host
        report = self._target.read(lambda client: host.failure_report(client, self.id))
        raise PipelineFailed(report, self.id, state.value)

    # ---- act on the pipeline -----------------------------------------------------------------

    def run(self) -> ControlResult:
        """Start the pipeline, or continue it."""
        return self._actions.on_pipeline(Action.RUN)

    def pause(self) -> ControlResult:
        """Start no further commands; running ones continue."""
        return self._actions.on_pipeline(Action.PAUSE)

    def cancel(self) -> ControlResult:
        """Pause the pipeline and kill its commands."""
        return self._actions.on_pipeline(Action.CANCEL)

    def sleep(self) -> ControlResult:
        """Stop its commands and remove its containers."""
        return self._actions.on_pipeline(Action.SLEEP)

    def wake(self) -> ControlResult:
        """Revert `sleep` or `archive`."""
        return self._actions.on_pipeline(Action.WAKE)

    def archive(self) -> ControlResult:
        """Stop it and remove it from the list."""
        return self._actions.on_pipeline(Action.ARCHIVE)

    def delete(self) -> None:
        """Delete the pipeline with its output, data and history; it must have settled."""
        try:
            self._target.call(lambda client: client.delete(self.id))
        except ApiError as error:
            raise missing(error) from error

    # ---- launch again ------------------------------------------------------------------------

    def launch_again(
        self,
        arguments: Mapping[str, Any] = MappingProxyType({}),
        /,
        *,
        same_tree: bool = False,
        run: bool = True,
        title: str | None = None,
        **changes: Any,
    ) -> "Pipeline":
        """Launch a new pipeline from the program of this one; return it.

        The agent runs the script as the user did, with the parameters of this pipeline, but for
        those that are given here. They are known if the script was launched on the command line,
        not by ``co.launch``.

        Args:
            arguments: Values of parameters, ``{name: value}``, as ``changes``: for parameters whose
                names are arguments of this method.
            same_tree: Copy the tree without running the script; the only way in the cloud.
            run: Start it at once.
            title: The new title; by default that of this pipeline, or that of the script.
            changes: Values of parameters.

        Raises:
            conducto.errors.InvalidArgumentError: the function does not take the arguments.
            conducto.errors.ClientError: the script cannot be started, or launched no pipeline.
        """
        given = programs.words_of({**arguments, **changes})
        if same_tree and given:
            raise InvalidArgumentError(
                f"{next(iter(given))}: same_tree=True copies the tree, so parameters cannot change"
            )
        if same_tree:
            again = LaunchAgain(run=run, title=title)
            return Pipeline(
                self._target, self._target.call(lambda client: client.launch_again(self.id, again))
            )
        view = self._target.read(lambda client: client.program(self.id))
        if view.call is None:
            raise ClientError(
                f"{self.id} was launched by co.launch, a notebook or another program, which "
                "records no parameters: launch_again(same_tree=True) copies its tree; for other "
                "values, call co.launch"
            )
        if view.problem is not None:
            raise ClientError(f"{self.id}: {view.problem}: same_tree=True launches it")
        request = StartProgram(arguments={**view.call.arguments, **given}, run=run, title=title)
        start = programs.wait_for_launch(self._target.call, self.id, request)
        launched = programs.launched_by(start)
        return Pipeline(self._target, self._target.read(lambda client: client.get(launched)))

    # ---- act on nodes ------------------------------------------------------------------------

    def reset(self, *patterns: str, failed: bool = False, preview: bool = False) -> ControlResult:
        """Return nodes and their subtrees to pending.

        Args:
            patterns: Paths, with wildcards as in `nodes`; this applies to the other actions, too.
            failed: Only the failed Execs in them; without patterns, in the pipeline.
            preview: Change nothing, only return the effect.
        """
        return self._act(Action.RESET, patterns, failed=failed, preview=preview)

    def rerun(self, *patterns: str, failed: bool = False) -> ControlResult:
        """Reset nodes, as `reset`, and run the pipeline."""
        return self._act(Action.RERUN, patterns, failed=failed)

    def skip(self, *patterns: str, failed: bool = False, preview: bool = False) -> ControlResult:
        """Skip nodes."""
        return self._act(Action.SKIP, patterns, failed=failed, preview=preview)

    def unskip(self, *patterns: str, preview: bool = False) -> ControlResult:
        """Revert `skip`."""
        return self._act(Action.UNSKIP, patterns, preview=preview)

    def kill(self, *patterns: str, preview: bool = False) -> ControlResult:
        """Stop the running commands of nodes; without patterns, of the pipeline."""
        return self._act(Action.KILL, patterns or ("/",), preview=preview)

    def rebuild(self, *patterns: str, failed: bool = False, preview: bool = False) -> ControlResult:
        """Build the images of nodes again, reset the nodes, and run the pipeline."""
        return self._act(Action.REBUILD, patterns, failed=failed, preview=preview)

    def modify(
        self, *patterns: str, failed: bool = False, **changes: Unpack[NodeChanges]
    ) -> ControlResult:
        """Change parameters of nodes; None removes a node's own value."""
        paths = self._actions.paths(patterns)
        return self._actions.on_nodes(Action.MODIFY, paths, failed=failed, **changes)

    def _act(
        self,
        action: Action,
        patterns: tuple[str, ...],
        *,
        failed: bool = False,
        preview: bool = False,
    ) -> ControlResult:
        paths = self._actions.paths(patterns)
        return self._actions.on_nodes(action, paths, failed=failed, preview=preview)

    # ---- notebooks ---------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        return display.html_of(self._target, self.id)

    def _ipython_display_(self) -> None:
        notebook.show_live(lambda: self.summary, self._repr_html_)

    def refresh(self) -> Self:
        """Read the title and the tags again; return the pipeline."""
        self._record = self.summary.pipeline
        return self
