"""Histories: the runs of one program, separated from other programs, and their summary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from conducto_core.programs.comparison import histories_of
from conducto_core.run import handlers as listing
from conducto_core.run.model.params import MAX_HISTORY, MAX_HISTORY_SCAN, ListParams
from conducto_core.run.model.records import Counts, Lifecycle, ParentAttempt, PipelineRecord
from conducto_core.run.model.requests import PipelineSummary
from conducto_core.run.model.states import State


def run(
    name: str,
    took: float | None = 10.0,
    state: State = State.DONE,
    *,
    settled: bool = True,
    **record: Any,
) -> PipelineSummary:
    """A pipeline that started at 100; ``took`` is None while it runs."""
    fields = {"title": "nightly", "program": "/p.py", **record}
    return PipelineSummary(
        pipeline=PipelineRecord(id=name, **fields),
        state=state,
        counts=Counts(done=2, error=1),
        settled=settled,
        seq=0,
        started=100.0,
        ended=None if took is None else 100.0 + took,
    )


def ids_of(pipelines: list[PipelineSummary], **query: Any) -> list[tuple[str, list[str]]]:
    """The title of each history of a page, and the runs in it."""
    found = listing.page(pipelines, ListParams(history=True, **query))
    return [(one.title, [each.id for each in one.runs]) for one in found.histories]


def test_runs_of_the_same_title_and_program_are_one_history() -> None:
    pipelines = [
        run("a"),
        run("b", title="weekly"),
        run("c", program="/q.py"),
        run("d"),
        run("e", program=None),
    ]

    assert ids_of(pipelines) == [
        ("nightly", ["a", "d"]),
        ("weekly", ["b"]),
        ("nightly", ["c"]),
        ("nightly", ["e"]),
    ]


def test_runs_of_a_function_are_one_history_with_any_arguments() -> None:
    pipelines = [
        run("a", title="p.py nightly --shards 4", function="nightly"),
        run("b", title="p.py web", function="web"),
        run("c", title="p.py nightly --shards 2", function="nightly"),
    ]

    assert ids_of(pipelines) == [("p.py nightly --shards 4", ["a", "c"]), ("p.py web", ["b"])]
    (found,) = histories_of(pipelines[:1], pipelines)
    assert (found.program, found.function) == ("/p.py", "nightly")


def test_a_history_has_runs_that_the_page_has_not() -> None:
    archived = run("archived", lifecycle=Lifecycle.ARCHIVED)
    pipelines = [run("new"), run("failed", state=State.ERROR), archived, run("x", title="x")]

    assert ids_of(pipelines, limit=1) == [("nightly", ["new", "failed", "archived"])]
    assert ids_of(pipelines, state="error") == [("nightly", ["new", "failed", "archived"])]
    assert ids_of(pipelines, after="archived") == [("x", ["x"])]


def test_histories_are_omitted_unless_requested() -> None:
    pipelines = [run("a")]

    assert listing.page(pipelines, ListParams()).histories == ()
    assert listing.page(pipelines, None).histories == ()
    assert ids_of(pipelines, text="nobody is called so") == []


def test_only_runs_that_came_to_their_end_are_counted() -> None:
    known = [
        run("runs", None, State.RUNNING, settled=False),
        run("fails soon", None, State.ERROR, settled=False),
        run("paused", 5, State.PENDING),
        run("failed", 1, State.ERROR),
        run("killed", 2, State.KILLED),
        run("one", 10),
        run("two", 20),
    ]

    (found,) = histories_of(known[:1], known)

    assert len(found.runs) == 7
    assert (found.passed, found.ended) == (2, 4)
    assert found.median_seconds == 15
    assert (found.runs[3].state, found.runs[3].execs, found.runs[3].ended) == (State.ERROR, 3, 101)


@pytest.mark.parametrize(
    ("seconds", "median"), [([], None), ([7.0], 7.0), ([1.0, 50.0, 3.0], 3.0), ([-5.0], 0.0)]
)
def test_median_counts_done_runs_only(seconds: list[float], median: float | None) -> None:
    known = [run("x", 99, State.ERROR), *(run(str(n), took) for n, took in enumerate(seconds))]

    (found,) = histories_of(known, known)

    assert found.median_seconds == median


def test_the_newest_runs_are_enough() -> None:
    pipelines = [run(str(number)) for number in range(MAX_HISTORY + 5)]

    (found,) = histories_of(pipelines, pipelines)

    assert [one.id for one in found.runs] == [str(number) for number in range(MAX_HISTORY)]


def counted(pipelines: list[PipelineSummary], looked_at: list[str]) -> Iterator[PipelineSummary]:
    for one in pipelines:
        looked_at.append(one.pipeline.id)
        yield one


def test_children_come_with_the_history_of_their_parent() -> None:
    origin = ParentAttempt(pipeline="b", path="/", attempt=1, depth=1)
    pipelines = [run("d", title="child", parent=origin), run("c"), run("b"), run("a")]

    assert ids_of(pipelines, parent="b") == [("nightly", ["c", "b", "a"]), ("child", ["d"])]
    assert ids_of(pipelines, parent="a") == [("nightly", ["c", "b", "a"])]


@pytest.mark.parametrize(
    ("others", "looked"),
    [("nightly", MAX_HISTORY), ("weekly", MAX_HISTORY_SCAN)],
    ids=["enough runs", "few runs"],
)
def test_scan_stops_at_the_needed_number_of_pipelines(others: str, looked: int) -> None:
    older = [run(str(number), title=others) for number in range(MAX_HISTORY_SCAN + 100)]
    looked_at: list[str] = []

    listing.page(counted([run("a"), *older], looked_at), ListParams(history=True, limit=1))

    assert len(looked_at) == looked
