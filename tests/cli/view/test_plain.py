from conducto_cli.view.model import PipelineModel
from conducto_cli.view.plain import FAILED, LOUD, PlainPrinter
from conducto_core.approvals.model import WaitingApproval
from conducto_core.run.model.records import Counts, ImageRecord, ImageState
from conducto_core.run.model.requests import EventBatch
from conducto_core.run.model.states import Cause, State
from support.cli_trees import (
    asked,
    batch,
    change,
    ended,
    record,
    small_tree,
    summary,
    view,
    wide_tree,
)


def printed(nodes: list, *batches: object, since: float = 0.0) -> list[str]:
    lines: list[str] = []
    printer = PlainPrinter(lines.append, since)
    model = PipelineModel(summary())
    model.add(nodes)
    printer.nodes(model, nodes)
    for each in batches:
        model.apply(each)
        printer.show(model, each)
    return lines


def test_each_exec_that_ends_is_one_line() -> None:
    lines = printed(
        small_tree(),
        batch(
            change(1, "/build", State.RUNNING, attempt=1),
            change(3, "/build", State.DONE, attempt=1, exit_code=0),
        ),
        batch(
            change(4, "/tests", State.RUNNING, "Parallel"),
            change(5, "/tests/login", State.RUNNING, attempt=1),
            change(6, "/tests/login", State.ERROR, attempt=1, exit_code=2, cause=Cause.EXIT_CODE),
        ),
    )

    assert lines == [
        "done    /build  2.0s",
        "error   /tests/login  exit 2  1.0s  pipeline.py:41",
    ]


def test_pause_and_its_end_are_printed_while_nodes_run() -> None:
    def now(*, armed: bool) -> EventBatch:
        status = summary(State.RUNNING, running=2, pending=1)
        return batch(now=status.model_copy(update={"pipeline": record(armed=armed)}))

    lines = printed(
        small_tree(), now(armed=True), now(armed=False), now(armed=False), now(armed=True)
    )

    assert lines == ["paused  2 Execs still running; nothing more starts", "running it goes on"]


def test_an_attempt_that_is_retried_in_the_same_batch_keeps_its_own_exit_code() -> None:
    lines = printed(
        small_tree(),
        batch(
            change(1, "/build", State.ERROR, attempt=1, exit_code=7, cause=Cause.EXIT_CODE),
            change(2, "/build", State.RUNNING, attempt=2),
            change(3, "/build", State.DONE, attempt=2, exit_code=0),
        ),
    )

    assert lines == [
        "error   /build  exit 7  pipeline.py:41",
        "done    /build  1.0s  attempt 2",
    ]


def with_problem(problem: str | None) -> EventBatch:
    return batch(now=summary().model_copy(update={"pipeline": record(problem=problem)}))


def test_problem_and_its_end_are_printed_once() -> None:
    lines = printed(
        small_tree(),
        with_problem("the disk is full"),
        with_problem("the disk is full"),
        with_problem(None),
    )

    assert lines == ["problem the disk is full", "problem it is over"]


def test_node_that_ended_before_the_first_read_is_printed_once() -> None:
    nodes = [view("/", "Serial"), ended("/build", State.DONE)]

    lines = printed(nodes, batch(change(1, "/build", State.DONE, attempt=1)))

    assert lines == ["done    /build  1.0s"]


def test_reattached_watch_omits_earlier_results() -> None:
    old = ended("/build", State.DONE, ended=2.0)
    new = ended("/tests", State.DONE, ended=4.0)

    lines = printed([view("/", "Serial"), old, new], since=3.0)

    assert lines == ["done    /tests  3.0s"]


def test_stale_batch_prints_no_image_twice() -> None:
    building = ImageRecord(name="app", state=ImageState.BUILDING, started=1.0)
    done = ImageRecord(name="app", state=ImageState.DONE, started=1.0, ended=3.5)
    rebuilt = ImageRecord(name="app", state=ImageState.BUILDING, started=9.0)
    states = [building, done, building, done, rebuilt]

    lines = printed([], *(batch(now=summary(images=(state,))) for state in states))

    assert lines == [
        "image   app  building",
        "image   app  done  2.5s",
        "image   app  building",
    ]


def test_a_group_whose_time_is_over_is_printed_once_for_each_time() -> None:
    over = change(1, "/tests", State.KILLED, "Parallel", cause=Cause.TIMEOUT)
    again = change(2, "/tests", State.RUNNING, "Parallel")

    lines = printed(small_tree(), batch(over), batch(over), batch(again), batch(over))

    assert [line.split()[1] for line in lines] == ["/tests", "/tests"]


def test_image_changes_are_printed() -> None:
    building = ImageRecord(name="app", state=ImageState.BUILDING, started=1.0)
    done = ImageRecord(name="app", state=ImageState.DONE, started=1.0, ended=3.5)

    lines = printed(
        small_tree(),
        batch(now=summary(images=(building,))),
        batch(now=summary(images=(building,))),
        batch(now=summary(images=(done,))),
    )

    assert lines == ["image   app  building", "image   app  done  2.5s"]


def test_thousands_of_nodes_are_summarised() -> None:
    batches = [
        batch(
            *(change(n, f"/all/n{n}", State.DONE) for n in range(start, start + 50)),
            now=summary(State.RUNNING, done=start + 50, pending=2_000 - start - 50),
        )
        for start in range(0, 2_000, 50)
    ]

    lines = printed(wide_tree(2_000), *batches)

    assert len(lines) == LOUD + 10
    assert lines[-1] == "counts  P 0  Q 0  R 0  D 2,000  E 0  K 0"


def test_failures_beyond_many_are_left_to_the_report() -> None:
    failures = [change(n, f"/all/n{n}", State.ERROR) for n in range(1000)]

    lines = printed(wide_tree(1000), batch(*failures, now=summary(State.ERROR, error=1000)))

    assert sum(line.startswith("error") for line in lines) == FAILED
    assert Counts(error=1000) == summary(error=1000).counts
    assert lines[-1].startswith("counts")


def test_waiting_approval_is_printed_once_each_time_with_the_command_that_decides_it() -> None:
    def now(*waiting: WaitingApproval) -> EventBatch:
        return batch(now=summary().model_copy(update={"approvals": waiting}))

    first, again = asked("/a b", "Release\nto \x1b[1mall?"), asked("/a b", since=9.0)
    lines = printed(small_tree(), now(first), now(first), now(), now(again))

    assert lines == [
        "waits   /a b: Release to \\x1b[1mall?; decide it: conducto approve abc-def '/a b'",
        "waits   /a b: Release?; decide it: conducto approve abc-def '/a b'",
    ]


def test_approval_that_was_asked_again_is_printed_with_the_reason_and_its_number() -> None:
    again = asked("/ask").model_copy(update={"attempt": 2, "withdrawn": ("withdrawn: a\x1b",)})
    lines = printed(small_tree(), batch(now=summary().model_copy(update={"approvals": (again,)})))

    (line,) = lines
    assert line == (
        "waits   /ask: Release? (asked again: withdrawn: a\\x1b); decide it: "
        "conducto approve abc-def /ask --attempt 2"
    )


def test_approval_that_waits_already_is_printed_behind_the_nodes_that_ended() -> None:
    lines: list[str] = []
    nodes = [view("/", "Serial"), ended("/test", State.DONE), view("/ask")]
    model = PipelineModel(summary().model_copy(update={"approvals": (asked("/ask"),)}))
    model.add(nodes)

    PlainPrinter(lines.append).nodes(model, nodes)

    assert lines == [
        "done    /test  1.0s",
        "waits   /ask: Release?; decide it: conducto approve abc-def /ask",
    ]
