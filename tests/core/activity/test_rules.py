"""The running and the waiting commands."""

from conducto_core.activity.rules import activity_of, running_command, wait_groups
from conducto_core.approvals.model import ApprovalView
from conducto_core.run.model.records import AttemptRecord, Counts, PipelineRecord
from conducto_core.run.model.requests import NodeView, PipelineSummary, Workers
from conducto_core.run.model.states import NodeType, State


def summary(id_: str, workers: Workers | None = None, **counts: int) -> PipelineSummary:
    return PipelineSummary(
        pipeline=PipelineRecord(id=id_, title=f"title of {id_}", created=0.0),
        state=State.RUNNING,
        counts=Counts(**counts),
        settled=False,
        seq=1,
        workers=workers,
    )


def waiting(path: str, text: str, holder: str | None = None, since: float = 1.0) -> NodeView:
    return NodeView(
        path=path,
        type=NodeType.EXEC,
        state=State.QUEUED,
        waits_for=text,
        wait_kind="turn",
        wait_holder=holder,
        wait_since=since,
    )


def test_a_holder_is_one_reason_and_nodes_are_holders_of_their_pipeline_only() -> None:
    one, other = summary("abc-def"), summary("xyz-uvw")
    found = [
        (one, waiting("/a", "1 of 2 free", "limit db", since=5.0)),
        (one, waiting("/b", "max_concurrent=1 of /g is reached", "/g")),
        (other, waiting("/a", "0 of 2 free", "limit db", since=3.0)),
        (other, waiting("/b", "max_concurrent=1 of /g is reached", "/g")),
    ]

    limit, *groups = wait_groups(found)

    assert (limit.holder, limit.count, limit.since) == ("limit db", 2, 3.0)
    assert [(each.pipeline, each.path) for each in limit.first] == [
        ("abc-def", "/a"),
        ("xyz-uvw", "/a"),
    ]
    assert [(group.holder, group.count) for group in groups] == [("/g", 1), ("/g", 1)]


def test_totals_are_those_of_all_pipelines_and_a_machine_counts_once() -> None:
    workers = Workers(busy=2, idle=1, starting=1, cpu_used=3.5, cpu=8)
    pipelines = [
        summary("abc-def", workers, running=2, queued=7, pending=1),
        summary("xyz-uvw", workers, running=1),
    ]

    found = activity_of(pipelines, [], [(pipelines[0], waiting("/a", "x"))], 10, complete=True)

    assert (found.pipelines, found.running, found.queued, found.pending) == (2, 3, 7, 1)
    assert (found.cpu_used, found.cpu, found.workers, found.workers_idle) == (3.5, 8, 4, 4)
    assert found.read == 1


def test_the_retries_of_a_pipeline_are_one_reason_and_wait_like_queued_commands() -> None:
    one = summary("abc-def", queued=1, pending=5)

    def retry(path: str, until: float) -> NodeView:
        changed = {"state": State.PENDING, "wait_kind": "retry", "wait_until": until}
        return waiting(path, f"retries in {until:g}s").model_copy(update=changed)

    found = [(one, retry("/late", 90.0)), (one, waiting("/a", "x")), (one, retry("/soon", 40.0))]

    activity = activity_of([one], [], found, 10, complete=True)

    assert (activity.queued, activity.pending, activity.read) == (3, 3, 3)
    group = activity.waits[0]
    assert (group.kind, group.count, group.until) == ("retry", 2, 40.0)
    assert [(each.path, each.until) for each in group.first] == [("/soon", 40.0), ("/late", 90.0)]


def test_the_longest_command_comes_first_and_one_without_a_container_does_not_run() -> None:
    one = summary("abc-def")

    def node(path: str, started: float | None) -> NodeView:
        attempt = AttemptRecord(path=path, number=2, state=State.RUNNING, started=started)
        return NodeView(path=path, type=NodeType.EXEC, state=State.RUNNING, attempts=(attempt,))

    nodes = [node("/late", 9.0), node("/early", 1.0), node("/none", None)]
    commands = [each for each in (running_command(one, node) for node in nodes) if each]

    found = activity_of([one], commands, [], 1, complete=True)

    assert [(each.path, each.attempt, each.title) for each in found.commands] == [
        ("/early", 2, "title of abc-def")
    ]


def test_approvals_come_first_with_their_question() -> None:
    one = summary("abc-def")
    asks = waiting("/ask", "waits for the approval of a member", "a member")
    question = ApprovalView(message="Release it?")
    asks = asks.model_copy(update={"wait_kind": "approval", "approval": question})
    found = [(one, waiting("/a", "x")), (one, waiting("/b", "x")), (one, asks)]

    first, _ = wait_groups(found)

    assert (first.kind, first.text, first.count) == ("approval", "Release it?", 1)
