"""Advice about the size of nodes."""

import pytest

from conducto_core.programs.rules.comparison import NodeRun, size_advice
from conducto_core.run.model.states import State
from conducto_core.workers.rules.fargate import PRICES, Size

DAY = 86400.0


def run(day: float, peak: float | None, mem: float = 16, state: State = State.DONE) -> NodeRun:
    return NodeRun(state, "train", 3600.0, started=day * DAY, cpu=2, mem=mem, peak=peak)


def test_a_node_gets_a_third_more_than_it_ever_used() -> None:
    runs = [{"/train": run(day, peak)} for day, peak in enumerate([2.1, 1.0, 2.9, 0.5, 2.0])]

    (advice,) = size_advice(runs)

    assert (advice.path, advice.mem, advice.peak, advice.enough) == ("/train", 16, 2.9, 4.0)
    # Four hours in four days; the worker has 17 GB now, which 2 vCPUs do not have, and 5 then.
    saved = PRICES.worker_hour(Size(4, 17)) - PRICES.worker_hour(Size(2, 5))
    assert advice.dollars_month == pytest.approx(30 * saved)


@pytest.mark.parametrize(
    "runs",
    [
        [run(day, 1.0) for day in range(4)],  # too few
        [run(day, 10.0) for day in range(9)],  # 13 GB are not much less than 16
        [run(day, None) for day in range(9)],  # unknown
        [run(day, 1.0, state=State.ERROR) for day in range(9)],  # it may have ended early
    ],
)
def test_no_advice_without_evidence(runs: list[NodeRun]) -> None:
    assert size_advice([{"/train": each} for each in runs]) == []


def test_the_newest_size_counts_and_the_largest_saving_comes_first() -> None:
    runs = [
        {"/small": run(day, 0.1, mem=2), "/large": run(day, 0.1, mem=30), "/was": run(day, 0.1)}
        for day in range(5)
    ]
    runs.append({"/was": run(5, 0.1, mem=0.25)})

    assert [one.path for one in size_advice(runs)] == ["/large", "/small"]


def test_a_size_that_no_worker_has_saves_nothing() -> None:
    runs = [{"/huge": run(day, 1.0, mem=500)} for day in range(5)]

    assert [(one.enough, one.dollars_month) for one in size_advice(runs)] == [(1.5, 0.0)]
