"""Each mend of moto by itself; a new version of moto has to pass these first."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conducto_core.asl.rules.compiler import Machine
from conducto_emulator.moto import shim as moto_shim
from support.asl.port import Offer, TaskGoneError

ACTIVITY = "arn:aws:states:us-east-1:123456789012:activity:shim"
MACHINES = "arn:aws:states:us-east-1:123456789012:stateMachine:"
TASK = {
    "Type": "Task",
    "Resource": ACTIVITY,
    "TimeoutSeconds": 300,
    "HeartbeatSeconds": 60,
    "End": True,
}


def machine(name: str, states: dict[str, Any], start: str = "a") -> Machine:
    text = json.dumps({"StartAt": start, "States": states})
    return Machine(name, MACHINES + name, text, "/", 1, 1)


def started(moto: Any, name: str, states: dict[str, Any]) -> str:
    made = machine(name, states)
    moto.create(made)
    return str(moto.start(made.arn, {"r": "x"}))


def next_offer(moto: Any) -> Offer:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        found: list[Offer] = moto.offers()
        if found:
            return found[0]
        time.sleep(0.01)
    raise AssertionError("no task came")


def ended(moto: Any, execution: str) -> str:
    end = time.monotonic() + 5
    while moto.status(execution) == "RUNNING" and time.monotonic() < end:
        time.sleep(0.01)
    return str(moto.status(execution))


def test_a_worker_gets_the_task_of_an_execution(moto: Any) -> None:
    execution = started(moto, "gets", {"a": TASK})

    offer = next_offer(moto)
    moto.succeed(offer.token, {"b": 1})

    assert offer.data == {"r": "x"}
    assert ended(moto, execution) == "SUCCEEDED"


def test_two_executions_without_names_are_two(moto: Any) -> None:
    first = started(moto, "two", {"a": TASK})

    second = started(moto, "two", {"a": TASK})

    assert first != second


def test_response_right_after_the_task_starts_is_not_lost(moto: Any) -> None:
    for _ in range(20):
        execution = started(moto, "soon", {"a": TASK})
        moto.succeed(next_offer(moto).token, {})

        assert ended(moto, execution) == "SUCCEEDED"


def test_a_failure_brings_its_error_to_the_catch(moto: Any) -> None:
    caught = {"Type": "Pass", "End": True}
    catch = [{"ErrorEquals": ["ExitCode"], "Next": "b"}]
    execution = started(moto, "catch", {"a": {**TASK, "Catch": catch}, "b": caught})

    moto.fail(next_offer(moto).token, "ExitCode")

    assert ended(moto, execution) == "SUCCEEDED"


def test_a_missed_heartbeat_is_tried_again(moto: Any) -> None:
    retry = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = started(moto, "beat", {"a": {**TASK, "HeartbeatSeconds": 1, "Retry": retry}})
    lost = next_offer(moto)

    moto.succeed(next_offer(moto).token, {})

    assert ended(moto, execution) == "SUCCEEDED"
    with pytest.raises(TaskGoneError):
        moto.succeed(lost.token, {})


def test_heartbeats_keep_a_task(moto: Any) -> None:
    started(moto, "kept", {"a": {**TASK, "HeartbeatSeconds": 1}})
    token = next_offer(moto).token
    for _ in range(5):
        time.sleep(0.3)
        moto.client.send_task_heartbeat(taskToken=token)

    moto.succeed(token, {})


def test_an_unknown_token_is_refused(moto: Any) -> None:
    with pytest.raises(ClientError, match="InvalidToken"):
        moto.client.send_task_heartbeat(taskToken="nonsense")


def test_a_poll_of_an_unknown_activity_is_refused(moto: Any) -> None:
    with pytest.raises(ClientError, match="ActivityDoesNotExist"):
        moto.client.get_activity_task(activityArn=ACTIVITY + "-unknown")


def nested(name: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {
            "StateMachineArn": MACHINES + name,
            "Input": {
                "r.$": "$.r",
                "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id",
            },
        },
        "End": True,
    }


def test_a_nested_execution_gives_its_output(moto: Any) -> None:
    moto.create(machine("inner", {"a": TASK}))
    execution = started(moto, "outer", {"a": {**nested("inner"), "OutputPath": "$.Output"}})

    moto.succeed(next_offer(moto).token, {"n": 42})

    assert ended(moto, execution) == "SUCCEEDED"
    output = moto.client.describe_execution(executionArn=execution)["output"]
    assert json.loads(output) == {"n": 42}


def test_a_nested_execution_that_fails_is_a_failed_task(moto: Any) -> None:
    moto.create(machine("inner", {"a": TASK}))
    catch = [{"ErrorEquals": ["States.TaskFailed"], "Next": "b"}]
    states = {"a": {**nested("inner"), "Catch": catch}, "b": {"Type": "Succeed"}}
    execution = started(moto, "outer-failed", states)

    moto.fail(next_offer(moto).token, "ExitCode")

    assert ended(moto, execution) == "SUCCEEDED"


def test_a_stop_ends_waiting_tasks_and_nested_executions(moto: Any) -> None:
    moto.create(machine("inner", {"a": TASK}))
    execution = started(moto, "outer-stopped", {"a": nested("inner")})
    token = next_offer(moto).token

    moto.stop(execution)

    assert moto.status(execution) == "ABORTED"
    with pytest.raises(TaskGoneError):
        moto.succeed(token, {})


def test_a_stop_ends_a_task_that_no_worker_took(moto: Any) -> None:
    moto.client.create_activity(name="nobody")
    states = {"a": {**TASK, "Resource": ACTIVITY.replace("shim", "nobody")}}
    moto.client.create_state_machine(
        name="untaken",
        definition=json.dumps({"StartAt": "a", "States": states}),
        roleArn="arn:aws:iam::123456789012:role/test",
    )
    execution = moto.start(MACHINES + "untaken", {})

    moto.stop(execution)

    assert moto.status(execution) == "ABORTED"


def test_a_history_comes_in_pages_and_backwards(moto: Any) -> None:
    execution = started(moto, "pages", {"a": TASK})
    moto.succeed(next_offer(moto).token, {})
    ended(moto, execution)

    first = moto.client.get_execution_history(executionArn=execution, maxResults=3)
    last = moto.client.get_execution_history(executionArn=execution, reverseOrder=True)

    assert len(first["events"]) == 3
    assert "nextToken" in first
    assert last["events"][0]["type"] == "ExecutionSucceeded"


def test_end_of_an_execution_is_reported(moto: Any) -> None:
    told: list[tuple[str, str]] = []

    def note(execution: Any) -> None:
        told.append((execution.exec_arn, str(execution.status)))

    moto_shim.ON_EXECUTION_ENDED.append(note)
    try:
        execution = started(moto, "told", {"a": TASK})
        moto.succeed(next_offer(moto).token, {})
        ended(moto, execution)
    finally:
        moto_shim.ON_EXECUTION_ENDED.remove(note)

    assert told == [(execution, "SUCCEEDED")]


def test_transition_takes_the_time_of_the_pace(moto: Any) -> None:
    states = {
        "a": {"Type": "Pass", "Next": "b"},
        "b": {"Type": "Pass", "Next": "c"},
        "c": {"Type": "Pass", "End": True},
    }
    before, moto_shim.PACE.seconds = moto_shim.PACE.seconds, lambda: 0.1
    try:
        began = time.monotonic()
        execution = started(moto, "pace", states)
        status = ended(moto, execution)
        took = time.monotonic() - began
    finally:
        moto_shim.PACE.seconds = before

    assert status == "SUCCEEDED"
    assert took >= 0.3


def test_an_exec_makes_five_events(moto: Any) -> None:
    execution = started(moto, "five", {"a": TASK})
    moto.succeed(next_offer(moto).token, {})
    ended(moto, execution)

    events = [event["type"] for event in moto.history(execution)]

    assert events[1:-1] == [
        "TaskStateEntered",
        "ActivityScheduled",
        "ActivityStarted",
        "ActivitySucceeded",
        "TaskStateExited",
    ]


def test_a_failure_does_not_print_the_program(moto: Any, capfd: pytest.CaptureFixture[str]) -> None:
    execution = started(moto, "quiet", {"a": TASK})
    moto.fail(next_offer(moto).token, "ExitCode")

    assert ended(moto, execution) == "FAILED"
    assert "ErrorEquals" not in capfd.readouterr().err


def test_threads_of_ended_executions_exit(moto: Any) -> None:
    before = threading.active_count()
    for _ in range(5):
        execution = started(moto, "threads", {"a": TASK})
        moto.succeed(next_offer(moto).token, {})
        ended(moto, execution)
    time.sleep(0.2)

    assert threading.active_count() <= before + 3


def test_definition_is_parsed_once_and_each_execution_has_its_own_program(moto: Any) -> None:
    made = machine("once", {"a": {"Type": "Pass", "Result": 1, "End": True}})
    moto.create(made)
    assert made.definition in moto_shim.PROGRAMS

    runs = [str(moto.start(made.arn, {"r": number})) for number in range(2)]

    assert [ended(moto, run) for run in runs] == ["SUCCEEDED", "SUCCEEDED"]
    assert made.definition not in moto_shim.PROGRAMS
