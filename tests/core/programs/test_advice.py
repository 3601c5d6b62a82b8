"""Advice about the size of nodes, and about their images."""

import pytest

from conducto_cli.programs.advice_command import advice_lines
from conducto_core.programs.history import ImageAdvice, NodeHistory
from conducto_core.programs.rules.comparison import NodeRun, image_advice, node_runs, size_advice
from conducto_core.run.model.records import AttemptRecord
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


# ---- images -----------------------------------------------------------------------------------


def waited(seconds: float = 2.0, state: State = State.DONE, **waits: float) -> NodeRun:
    return NodeRun(state, "true", seconds, image="web:1", waits=waits)


def test_an_image_that_takes_most_of_the_time_is_named_with_its_wait() -> None:
    runs = [{"/a": waited(image=seconds)} for seconds in (12, 11, 13, 90, 0)]

    (advice,) = image_advice(runs)

    assert (advice.path, advice.image, advice.kind) == ("/a", "web:1", "image")
    assert (advice.wait_seconds, advice.seconds, advice.runs) == (12, 14, 5)


def test_the_longer_wait_counts_and_comes_first() -> None:
    one = {"/a": waited(start=9.0, image=6.0), "/b": waited(start=20.0)}

    found = image_advice([one] * 5)

    assert [(each.path, each.kind) for each in found] == [("/b", "start"), ("/a", "start")]


@pytest.mark.parametrize(
    "runs",
    [
        [waited(image=12.0)] * 4,  # too few
        [waited(image=90.0), *[waited()] * 8],  # downloaded once, then kept
        [waited(image=4.0)] * 5,  # short
        [waited(60.0, image=50.0)] * 5,  # the command takes longer
        [waited(image=12.0, state=State.ERROR)] * 9,
    ],
)
def test_no_advice_about_an_image_without_evidence(runs: list[NodeRun]) -> None:
    assert image_advice([{"/a": each} for each in runs]) == []


def test_waits_are_those_of_the_attempt() -> None:
    times = {"queued": 0.0, "image_ready": 12.0, "admitted": 20.0, "started": 23.0, "ended": 25.0}
    attempt = AttemptRecord(path="/a", number=1, state=State.DONE, **times)

    assert node_runs([attempt])["/a"].waits == {"image": 12.0, "start": 3.0}


def test_the_command_prints_advice_about_images() -> None:
    advice = ImageAdvice(path="/a", kind="image", wait_seconds=12.2, seconds=14.1, runs=7)

    lines = list(advice_lines(NodeHistory(pipelines=("aaa-aaa",), images=(advice,))))

    use = "12 s of 14 s is the download or build of its image, in 7 pipelines"
    assert lines == [f"/a  smaller image  {use}"]
