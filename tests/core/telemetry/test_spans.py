"""Spans of runs: ids, the runs to which attempts belong, and results."""

import pytest

from conducto_core.command.environment import ExecutionContext, command_env
from conducto_core.run.model.records import (
    AttemptRecord,
    CacheSource,
    ParentAttempt,
    PipelineRecord,
    PipelineStatus,
    Round,
)
from conducto_core.run.model.states import STATE_OF_CAUSE, Cause, State
from conducto_core.telemetry.rules.spans import (
    attempt_span_id,
    batches,
    run_of,
    spans_of,
    task_result,
    trace_id,
    trace_variables,
)

FIRST, SECOND = Round(started=10.0, ended=20.0), Round(started=30.0, ended=40.0)


def record(**changes):
    return PipelineRecord(
        id="abc-def", title="nightly", status=PipelineStatus(state=State.DONE), **changes
    )


def attempt(path="/a", number=1, ended=15.0, cause=None, **changes):
    return AttemptRecord(
        path=path,
        number=number,
        cause=cause,
        state=STATE_OF_CAUSE[cause],
        **{"queued": ended - 3, "started": ended - 2, "ended": ended, **changes},
    )


def run(rounds=(FIRST,), groups=None, **changes):
    found = run_of(record(**changes), rounds, groups or {"/": State.DONE})
    assert found is not None
    return found


def test_a_pipeline_that_has_not_run_or_still_runs_has_no_run():
    assert run_of(record(), (), {}) is None
    assert run_of(record(), (Round(started=1.0),), {}) is None


def test_attempts_of_earlier_runs_are_left_out():
    found = list(spans_of(run((FIRST, SECOND)), [attempt(), attempt(number=2, ended=35.0)]))

    assert [span.name for span in found] == ["attempt 2", "a", "RUN nightly"]


def test_rounds_around_an_approval_are_one_run():
    continued = SECOND.model_copy(update={"continues": True})
    spans = list(spans_of(run((FIRST, continued)), [attempt(), attempt("/b", ended=35.0)]))

    assert (spans[-1].start, spans[-1].end) == (10.0, 40.0)
    assert not spans[-1].links
    assert len(spans) == 5


def test_groups_reach_from_the_first_start_to_the_last_end_below():
    groups = {"/": State.ERROR, "/g": State.ERROR}
    attempts = [attempt("/g/a", ended=14.0), attempt("/g/b", ended=19.0, cause=Cause.EXIT_CODE)]
    spans = {span.name: span for span in spans_of(run(groups=groups), attempts)}

    group = spans["g"]
    assert (group.start, group.end, group.error) == (11.0, 19.0, "error")
    assert spans["b"].attributes["error.type"] == "exit_code"
    assert spans["a"].error is None
    assert spans["b"].parent_id == group.span_id


def test_a_pipeline_of_a_command_links_to_the_attempt_that_launched_it():
    parent = ParentAttempt(pipeline="xyz-xyz", path="/up", attempt=3, depth=1)
    top = list(spans_of(run(parent=parent), []))[-1]

    (link,) = top.links
    assert (link.trace_id, link.span_id) == (
        trace_id("xyz-xyz"),
        attempt_span_id("xyz-xyz", "/up", 3),
    )


def test_an_attempt_from_the_cache_names_its_source_and_has_no_cost():
    source = CacheSource(pipeline="old-one", path="/a", attempt=1)
    cached = attempt(from_cache=source, started=None)
    charged = run_of(record(), (FIRST,), {}, charged=True)
    assert charged is not None
    span = next(iter(spans_of(charged, [cached])))

    assert span.attributes["conducto.from_cache"] == "old-one /a attempt 1"
    assert "conducto.cost" not in span.attributes
    paid = next(iter(spans_of(charged, [attempt()])))
    assert paid.attributes["conducto.cost"] > 0


@pytest.mark.parametrize(
    ("cause", "result"),
    [
        (None, "success"),
        (Cause.EXIT_CODE, "failure"),
        (Cause.TIMEOUT, "timeout"),
        (Cause.KILLED_BY_USER, "cancellation"),
        (Cause.WORKER_LOST, "error"),
    ],
)
def test_results_of_attempts(cause, result):
    assert task_result(STATE_OF_CAUSE[cause], cause) == result


def test_spans_are_divided_into_batches():
    spans = list(spans_of(run(), [attempt()]))

    assert [len(each) for each in batches(spans, 2)] == [2, 1]


def test_variables_of_a_node_have_precedence_and_its_attributes_are_kept():
    env = {"TRACEPARENT": "own", "OTEL_RESOURCE_ATTRIBUTES": "team=x"}
    found = trace_variables("abc-def", "/a b,é", 1, env, isolated=False)

    assert found["TRACEPARENT"] == "own"
    names = dict(pair.split("=") for pair in found["OTEL_RESOURCE_ATTRIBUTES"].split(","))
    assert names["team"] == "x"
    assert names["cicd.pipeline.task.name"] == "/a%20b%2C%C3%A9"


def test_a_cached_command_has_the_id_of_its_span_but_not_of_its_pipeline():
    around = ExecutionContext("abc-def", "http://api")
    env = command_env({}, around, path="/a", attempt=1, path_map={}, isolated=True)

    assert (
        env["TRACEPARENT"] == f"00-{trace_id('abc-def')}-{attempt_span_id('abc-def', '/a', 1)}-01"
    )
    assert not any("abc-def" in value for value in env.values())
