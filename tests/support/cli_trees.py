"""Small pipelines for the tests of the command line, and a fake that plays them."""

from collections.abc import AsyncIterator

from tests.fakes.pipelines import MemoryPipelines

from conducto_core.approvals.model import WaitingApproval
from conducto_core.run.model.params import LogParams, PipelineParams
from conducto_core.run.model.records import Counts, ImageRecord, NodeChange, PipelineRecord
from conducto_core.run.model.requests import (
    STARTS,
    Action,
    ControlRequest,
    ControlResult,
    EventBatch,
    LogChunk,
    NodeView,
    PipelineSummary,
)
from conducto_core.run.model.states import FINISHED, NodeType, State
from conducto_core.tree.model import ancestors

FILE = "/home/ada/pipeline.py"


class CountingPipelines(MemoryPipelines):
    """The fake, with the counts of the groups in its events.

    Attributes:
        asked: Actions as they arrived, previews too.
        read: Nodes whose output was requested, once for each request.
        idle: The server's reason why a run starts nothing; None where it starts something.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[ControlRequest] = []
        self.read: list[str] = []
        self.idle: str | None = None

    async def changes(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        pipeline = self._find(pipeline_id)
        async for batch in super().changes(pipeline_id, cursor):
            above = {path for change in batch.changes for path in ancestors(change.path)}
            counts = {path: pipeline.counts(path) for path in above}
            yield batch.model_copy(update={"counts": counts})

    async def read_log(self, query: LogParams) -> LogChunk:
        self.read.append(query.path)
        return await super().read_log(query)

    async def control(self, params: PipelineParams, request: ControlRequest) -> ControlResult:
        """Do it, or for a preview say what it would touch: Execs that have run, for a reset."""
        self.asked.append(request)
        if request.action is Action.RUN and self.idle is not None:
            return ControlResult(notes=(self.idle,), idle=self.idle)
        if not request.preview:
            result = await super().control(params, request)
            if request.action not in STARTS or self.idle is None:
                return result
            return result.model_copy(update={"notes": (self.idle,), "idle": self.idle})
        pipeline = self._find(params.id)
        if request.failed:
            request = pipeline.named(request)
        below = [node for path in request.paths for node in pipeline.below(path)]
        execs = [node for node in below if node.type is NodeType.EXEC]
        running = [node for node in execs if node.state is State.RUNNING]
        ran = [node for node in execs if node.state in FINISHED] + running
        touched = {
            Action.KILL: running,
            Action.RESET: ran,
            Action.RERUN: ran,
        }.get(request.action, execs)
        return ControlResult(
            affected=len(touched),
            paths=tuple(node.path for node in touched),
            stopped=0 if request.action in {Action.SKIP, Action.UNSKIP} else len(running),
            preview=True,
        )


def view(path: str, kind: str = "Exec", **fields: object) -> NodeView:
    given = {"type": kind, "state": "pending", "file": FILE, "line": 41, **fields}
    return NodeView.model_validate({"path": path, **given})


def small_tree() -> list[NodeView]:
    return [
        view("/", "Serial"),
        view("/build", command="make"),
        view("/tests", "Parallel"),
        view("/tests/login", command="pytest -q login", image="app"),
        view("/tests/logout", command="pytest -q logout", image="app"),
    ]


def wide_tree(width: int) -> list[NodeView]:
    children = [view(f"/all/n{number}") for number in range(width)]
    return [view("/", "Serial"), view("/all", "Parallel"), *children]


def record(pipeline_id: str = "abc-def", **fields: object) -> PipelineRecord:
    given = {"title": "demo.py", "armed": True, **fields}
    return PipelineRecord.model_validate({"id": pipeline_id, **given})


def summary(
    state: State = State.PENDING,
    *,
    seq: int = 0,
    settled: bool = False,
    images: tuple[ImageRecord, ...] = (),
    started: float | None = None,
    ended: float | None = None,
    **counts: int,
) -> PipelineSummary:
    return PipelineSummary(
        pipeline=record(),
        state=state,
        counts=Counts(**counts),
        settled=settled,
        seq=seq,
        images=images,
        started=started,
        ended=ended,
    )


def change(seq: int, path: str, state: State, kind: str = "Exec", **fields: object) -> NodeChange:
    given = {"time": float(seq), "type": kind, "state": state, **fields}
    return NodeChange.model_validate({"seq": seq, "path": path, **given})


def batch(
    *changes: NodeChange,
    counts: dict[str, Counts] | None = None,
    now: PipelineSummary | None = None,
) -> EventBatch:
    newest = changes[-1].seq if changes else 0
    return EventBatch(
        changes=changes,
        counts={} if counts is None else counts,
        pipeline=summary(State.RUNNING, seq=newest) if now is None else now,
    )


def ended(path: str, state: State, **attempt: object) -> NodeView:
    """An Exec that ran once, from second 1 to second 2."""
    given = {
        "path": path,
        "number": 1,
        "state": state,
        "started": 1.0,
        "ended": 2.0,
        "exit_code": 0 if state is State.DONE else 1,
        **attempt,
    }
    cause = given.get("cause")
    return view(path, state=state, cause=cause, attempts=[given])


def running(path: str, since: float) -> NodeView:
    attempt = {"path": path, "number": 1, "state": State.RUNNING, "started": since}
    return view(path, state=State.RUNNING, attempts=[attempt])


def asked(path: str, message: str = "Release?", since: float = 3.0) -> WaitingApproval:
    return WaitingApproval(path=path, message=message, since=since)


def approval(path: str, message: str = "Release?", state: State = State.QUEUED) -> NodeView:
    return view(path, approval={"message": message}, state=state, wait_kind="approval")
