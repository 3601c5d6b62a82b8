from conducto_cli.view.model import Interest, PipelineModel
from conducto_cli.view.rows import elapsed
from conducto_core.run.model.records import Counts
from conducto_core.run.model.requests import GroupTime
from conducto_core.run.model.states import Cause, State
from support.cli_trees import batch, change, ended, small_tree, summary, view, wide_tree


def loaded(nodes: list) -> PipelineModel:
    model = PipelineModel(summary())
    model.add(nodes)
    return model


def test_children_keep_the_order_of_the_definition() -> None:
    model = loaded(small_tree())

    assert list(model.rows["/tests"].children) == ["/tests/login", "/tests/logout"]


def test_a_change_moves_a_node_between_the_buckets_of_its_group() -> None:
    model = loaded(small_tree())

    model.apply(batch(change(1, "/tests/login", State.RUNNING)))

    tests = model.rows["/tests"]
    assert list(tests.among(Interest.RUNNING)) == ["/tests/login"]
    assert list(tests.among(Interest.PENDING)) == ["/tests/logout"]


def test_a_group_with_a_failure_below_is_failing_once_nothing_runs_in_it() -> None:
    model = loaded(small_tree())

    model.apply(
        batch(
            change(1, "/tests", State.RUNNING, "Parallel"),
            counts={"/tests": Counts(error=1, running=1)},
        )
    )

    while_it_runs = model.rows["/tests"].interest
    model.apply(batch(counts={"/tests": Counts(error=1, queued=1)}))

    assert while_it_runs is Interest.RUNNING
    assert model.rows["/tests"].interest is Interest.FAILING


def test_a_skipped_failure_does_not_count() -> None:
    model = loaded(small_tree())

    model.apply(batch(change(1, "/build", State.ERROR, skipped=True, cause=Cause.EXIT_CODE)))

    assert model.rows["/build"].interest is Interest.SKIPPED
    assert list(model.failures()) == []


def test_times_of_a_group_are_those_of_the_server() -> None:
    group = view("/tests", "Parallel", state=State.DONE)
    times = {"started": 2.0, "ended": 1005.0, "idle": 1000.0}
    first = ended("/tests/login", State.DONE, started=3.0, ended=5.0)
    model = loaded([view("/", "Serial"), group.model_copy(update=times), first])
    row = model.rows["/tests"]

    assert elapsed(row, now=9999.0) == "3.0s"
    time = GroupTime(started=2.0, ended=1009.0, idle=1000.0)
    model.apply(batch().model_copy(update={"times": {"/tests": time}}))
    assert elapsed(row, now=9999.0) == "7.0s"


def test_time_of_a_group_stops_during_an_approval() -> None:
    group = view("/tests", "Parallel", state=State.QUEUED)
    times = {"started": 2.0, "ended": 5.0}
    model = loaded([view("/", "Serial"), group.model_copy(update=times)])

    assert elapsed(model.rows["/tests"], now=9999.0) == "3.0s"


def test_clock_of_an_exec_restarts_with_each_attempt() -> None:
    model = loaded(small_tree())

    model.apply(
        batch(
            change(1, "/build", State.RUNNING, attempt=1),
            change(2, "/build", State.ERROR, attempt=1),
            change(3, "/build", State.QUEUED, attempt=2),
            change(4, "/build", State.RUNNING, attempt=2),
        )
    )

    assert (model.rows["/build"].started, model.rows["/build"].ended) == (4.0, None)


def test_clock_of_a_group_continues_between_two_children() -> None:
    model = loaded(small_tree())

    model.apply(
        batch(
            change(1, "/tests", State.RUNNING, "Parallel"),
            change(2, "/tests", State.PENDING, "Parallel"),
            change(3, "/tests", State.RUNNING, "Parallel"),
        )
    )

    assert model.rows["/tests"].started == 1.0


def test_unlisted_node_is_added_by_its_change() -> None:
    model = loaded(small_tree())

    model.apply(batch(change(1, "/tests/new/deep", State.RUNNING)))

    assert model.rows["/tests/new/deep"].parent is model.rows["/tests/new"]


def test_a_lazy_that_is_done_asks_for_its_tree() -> None:
    lazy = [view("/", "Serial"), view("/Generate"), view("/Execute", "Serial")]
    model = loaded(lazy)

    model.apply(batch(change(1, "/Generate", State.DONE)))

    assert model.grown == ["/Execute"]


def test_a_lazy_that_generates_again_loses_its_tree() -> None:
    lazy = [view("/", "Serial"), ended("/Generate", State.DONE), view("/Execute", "Serial")]
    model = loaded([*lazy, view("/Execute/a", "Serial"), view("/Execute/a/b")])

    model.apply(batch(change(1, "/Generate", State.QUEUED)))

    assert list(model.rows) == ["/", "/Generate", "/Execute"]
    assert model.rows["/Execute"].children == {}


def test_settled_counts_only_once_the_last_change_is_known() -> None:
    model = loaded(wide_tree(1))
    model.seq = 5

    model.summary = summary(State.DONE, seq=4, settled=True)

    assert not model.is_settled
