"""Points of instruments, and their text, which Prometheus's own parser reads."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from conducto_core.activity.model import Activity, WaitGroup
from conducto_core.limits.rules import LimitRequest, LimitTable
from conducto_core.run.model.records import AttemptRecord, PipelineRecord, PipelineStatus, Round
from conducto_core.run.model.states import Cause, State
from conducto_core.telemetry.rules.metrics import (
    BOUNDS,
    MAX_NAMES,
    OTHER,
    Counting,
    gauges_of,
    prometheus_text,
)
from conducto_core.telemetry.rules.spans import run_of
from conducto_core.tree.model import NamedLimit


def attempt(seconds, cause=None, waited=2.0):
    state = State.DONE if cause is None else State.ERROR
    times = {"queued": 100.0, "started": 100.0 + waited, "ended": 100.0 + waited + seconds}
    return AttemptRecord(path="/a", number=1, state=state, cause=cause, **times)


def run(title):
    status = PipelineStatus(state=State.DONE)
    record = PipelineRecord(id="abc-def", title=title, status=status)
    found = run_of(record, (Round(started=10.0, ended=20.0),), {})
    assert found is not None
    return found


def parsed(points):
    return {
        family.name: family for family in text_string_to_metric_families(prometheus_text(points))
    }


def value(family, name, **labels):
    (found,) = (
        sample.value
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
    return found


def test_histograms_are_cumulative_for_prometheus():
    counting = Counting(0.0)
    for seconds in (0.5, 4.0, 1e6):
        counting.add_attempt(attempt(seconds), charged=False)
    family = parsed(counting.points())["conducto_attempt_duration_seconds"]

    name = "conducto_attempt_duration_seconds"
    assert value(family, f"{name}_bucket", le="1.0") == 1
    assert value(family, f"{name}_bucket", le="5.0") == 2
    assert value(family, f"{name}_bucket", le="+Inf") == value(family, f"{name}_count") == 3
    assert value(family, f"{name}_sum") == 1000004.5
    assert len([s for s in family.samples if s.name.endswith("_bucket")]) == len(BOUNDS) + 1


def test_attempts_are_counted_by_result_and_only_charged_ones_cost():
    counting = Counting(0.0)
    counting.add_attempt(attempt(60.0), charged=True)
    counting.add_attempt(attempt(60.0, Cause.EXIT_CODE), charged=False)
    families = parsed(counting.points())

    label = "cicd_pipeline_task_run_result"
    assert value(families["conducto_attempt"], "conducto_attempt_total", **{label: "failure"}) == 1
    once = Counting(0.0)
    once.add_attempt(attempt(60.0), charged=True)
    assert value(families["conducto_cost_USD"], "conducto_cost_USD_total") == pytest.approx(
        next(point.value for point in once.points() if point.name == "conducto.cost")
    )


def test_totals_are_continued_from_their_stored_form():
    counting = Counting(5.0)
    counting.add_run(run("nightly"))
    again = Counting.continued(
        counting.totals().model_validate_json(counting.totals().model_dump_json())
    )
    again.add_run(run("nightly"))

    (point,) = again.points()
    assert (again.since, sum(point.counts), point.value) == (5.0, 2, 20.0)


def test_the_number_of_names_is_bounded():
    counting = Counting(0.0)
    for number in range(MAX_NAMES + 5):
        counting.add_run(run(f"pipeline {number}"))
    counting.add_run(run("pipeline 0"))
    names = {dict(point.attributes)["cicd.pipeline.name"] for point in counting.points()}

    assert len(names) == MAX_NAMES + 1
    assert OTHER in names


def test_gauges_have_the_queue_the_workers_and_the_limits():
    table = LimitTable()
    for key in ("x", "y"):
        table.acquire(LimitRequest(key, key, (NamedLimit("db", 3, 0),), 0.0))
    wait = WaitGroup(kind=None, text="", since=70.0, count=1, first=())
    activity = Activity(queued=4, running=2, workers=2, waits=(wait,), cpu=8.0, cpu_used=2.5)
    families = parsed(gauges_of(activity, table.all_holders(), 100.0))

    assert value(families["conducto_queue_length"], "conducto_queue_length") == 4
    assert value(families["conducto_queue_longest_seconds"], "conducto_queue_longest_seconds") == 30
    assert (
        value(families["conducto_limit_held"], "conducto_limit_held", conducto_limit_name="db") == 2
    )
    assert value(families["conducto_limit_maximum"], "conducto_limit_maximum") == 3
    busy = {"cicd_worker_state": "busy"}
    assert value(families["cicd_worker_count"], "cicd_worker_count", **busy) == 2


def test_labels_are_escaped():
    counting = Counting(0.0)
    counting.add_run(run('a "b"\\\nc'))
    family = parsed(counting.points())["cicd_pipeline_run_duration_seconds"]

    assert {sample.labels["cicd_pipeline_name"] for sample in family.samples} == {'a "b"\\\nc'}
