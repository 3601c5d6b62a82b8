"""State machines: interpreted in memory, and at Step Functions."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from botocore.stub import Stubber
from tests.fakes.cloud import FakeMachines

from chalicelib.errors import TaskGoneError, ThrottledError
from chalicelib.run.aws import TIMEOUT, StepFunctions, execution_arn
from chalicelib.run.port import StateMachines
from conducto_core.asl.rules.compiler import Machine
from conducto_core.asl.rules.naming import Site
from support.asl.interpreter import Interpreter
from support.asl.port import TaskGoneError as InterpreterGoneError
from support.cloud.aws import ACCOUNT, REGION, aws, role
from support.cloud.throttle import throttled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.clients import Clients

SITE = Site(REGION, ACCOUNT, stage="test")
POOL = SITE.activity_name("conducto-pool")
ACTIVITY = SITE.activity_of("conducto-pool")
DEFINITION = json.dumps(
    {
        "StartAt": "wait",
        "States": {
            "wait": {
                "Type": "Task",
                "Resource": "x",
                "Parameters": {"n": "a", "r.$": "$.r"},
                "End": True,
            }
        },
    }
)


def machine(name: str = "conducto-test_1") -> Machine:
    definition = DEFINITION.replace('"x"', json.dumps(ACTIVITY))
    return Machine(name, SITE.machine(name), definition, "/", 1, 7)


@pytest.fixture
def clients() -> Iterator[Clients]:
    with aws() as made:
        yield made


class Sleeper:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def real(clients: Clients, sleeper: Sleeper) -> StepFunctions:
    return StepFunctions(clients, SITE, role("machine"), sleeper)


@pytest.fixture(params=["fake", "aws"])
def machines(request: pytest.FixtureRequest) -> StateMachines:
    if request.param == "fake":
        return FakeMachines(Interpreter(), InterpreterGoneError, SITE)
    made: StateMachines = request.getfixturevalue("real")
    return made


@pytest.mark.parametrize("tracing", [True, False])
def test_machines_send_traces_where_the_installation_has_them(
    clients: Clients, tracing: bool
) -> None:
    StepFunctions(clients, SITE, role("machine"), tracing=tracing).create(machine(), "acme", "abc")

    found = clients.get("stepfunctions").describe_state_machine(stateMachineArn=machine().arn)
    tags = clients.get("stepfunctions").list_tags_for_resource(resourceArn=machine().arn)["tags"]
    assert {"key": "conducto:pipeline", "value": "abc"} in tags
    assert found.get("tracingConfiguration", {}).get("enabled", False) is tracing


def test_an_activity_that_another_process_made_is_made(clients: Clients) -> None:
    for _ in range(2):
        StepFunctions(clients, SITE, role("machine")).ensure_activity(POOL)

    found = clients.get("stepfunctions").list_activities()["activities"]
    assert [activity["name"] for activity in found] == [POOL]


def test_everything_may_be_made_again(machines: StateMachines) -> None:
    for _ in range(2):
        machines.ensure_activity(POOL)
        machines.create(machine(), "acme", "abc")


def test_an_execution_is_started_once_under_its_name(machines: StateMachines) -> None:
    machines.ensure_activity(POOL)
    machines.create(machine(), "acme", "abc")

    first = machines.start(machine().arn, "abc-1", {"r": "abc-1"})
    again = machines.start(machine().arn, "abc-1", {"r": "abc-1"})
    other = machines.start(machine().arn, "abc-2", {"r": "abc-2"})

    assert first == again
    assert other != first
    assert machines.status(first) == "RUNNING"


def test_an_execution_that_was_stopped_is_aborted(machines: StateMachines) -> None:
    machines.ensure_activity(POOL)
    machines.create(machine(), "acme", "abc")
    arn = machines.start(machine().arn, "abc-1", {"r": "abc-1"})

    machines.stop(arn, "reset")
    machines.stop(arn, "reset")

    assert machines.status(arn) == "ABORTED"


def test_deleted_machine_may_be_deleted_again(machines: StateMachines) -> None:
    kept = machine("conducto-test_abc-def-2_1")
    gone = machine("conducto-test_abc-def-1_1")
    for each in (gone, kept):
        machines.create(each, "acme", "abc")
    arn = machines.start(gone.arn, "abc-def-1", {"r": "abc-def-1"})

    assert machines.machine_of(arn) == gone.arn
    for _ in range(2):
        machines.forget(gone.arn)
        machines.forget_activity(ACTIVITY)

    assert list(machines.runs()) == [("abc-def-2", kept.arn)]


def test_machines_that_belong_to_no_run_are_not_listed(machines: StateMachines) -> None:
    machines.create(machine("conducto-test_0123abcd"), "acme", "abc")
    machines.create(machine("conducto-test_abc-def-12_0123abcd"), "acme", "abc")

    assert [run for run, _ in machines.runs()] == ["abc-def-12"]


@pytest.mark.parametrize("prefix", ["conducto-", "conducto-test-2_", "conducto-tes_", "other-"])
def test_machines_of_another_stage_are_not_listed(machines: StateMachines, prefix: str) -> None:
    machines.create(machine(f"{prefix}abc-def-1_1"), "acme", "abc")

    assert list(machines.runs()) == []


def test_deleted_activity_does_not_exist(real: StepFunctions, clients: Clients) -> None:
    real.ensure_activity(POOL)
    real.forget_activity(ACTIVITY)

    assert clients.get("stepfunctions").list_activities()["activities"] == []


def test_throttled_deletion_raises_throttled_error(real: StepFunctions, clients: Clients) -> None:
    client = clients.get("stepfunctions")
    refused = throttled(client, "DeleteStateMachine", code="ThrottlingException")
    with refused, pytest.raises(ThrottledError):
        real.forget(machine().arn)
    refused = throttled(client, "DeleteActivity", code="ThrottlingException")
    with refused, pytest.raises(ThrottledError):
        real.forget_activity(ACTIVITY)


def test_response_to_a_lost_task_raises_an_error() -> None:
    """For Step Functions see below: moto knows tokens only while it interprets a machine."""
    machines = FakeMachines(Interpreter(), InterpreterGoneError, SITE)
    with pytest.raises(TaskGoneError):
        machines.succeed("no such token", {})
    with pytest.raises(TaskGoneError):
        machines.fail("no such token", "Conducto.NodeError", "exit code 1")


def test_an_execution_that_ended_is_not_started_again(
    real: StepFunctions, clients: Clients
) -> None:
    with Stubber(clients.get("stepfunctions")) as stub:
        stub.add_client_error("start_execution", "ExecutionAlreadyExists")
        arn = real.start(machine().arn, "abc-1", {"r": "abc-1"})

    assert arn == f"arn:aws:states:{REGION}:{ACCOUNT}:execution:conducto-test_1:abc-1"


def test_name_of_an_execution_equals_the_one_from_aws(
    real: StepFunctions,
) -> None:
    real.create(machine(), "acme", "abc")

    assert real.start(machine().arn, "abc-1", {}) == execution_arn(machine().arn, "abc-1")


def test_existing_machine_with_another_role_is_kept(real: StepFunctions, clients: Clients) -> None:
    with Stubber(clients.get("stepfunctions")) as stub:
        stub.add_client_error("create_state_machine", "StateMachineAlreadyExists")
        real.create(machine(), "acme", "abc")


def test_stopping_an_execution_that_aws_forgot_is_not_an_error(
    real: StepFunctions, clients: Clients
) -> None:
    with Stubber(clients.get("stepfunctions")) as stub:
        stub.add_client_error("stop_execution", "ExecutionDoesNotExist")
        real.stop(execution_arn(machine().arn, "abc-1"), "x")


@pytest.mark.parametrize("code", ["InvalidToken", "TaskDoesNotExist", "TaskTimedOut"])
def test_every_error_code_for_a_lost_task_is_handled(
    real: StepFunctions, clients: Clients, code: str
) -> None:
    with Stubber(clients.get("stepfunctions")) as stub:
        stub.add_client_error("send_task_success", code)
        stub.add_client_error("send_task_failure", code)
        with pytest.raises(TaskGoneError):
            real.succeed("token", {})
        with pytest.raises(TaskGoneError):
            real.fail("token", "Conducto.NodeError")


def test_throttled_creation_is_retried(
    real: StepFunctions, clients: Clients, sleeper: Sleeper
) -> None:
    client = clients.get("stepfunctions")
    with throttled(client, "CreateStateMachine", code="ThrottlingException", count=5) as refused:
        real.create(machine(), "acme", "abc")

    assert len(refused) == 5
    assert len(sleeper.slept) >= 1
    assert real.status(real.start(machine().arn, "abc-1", {})) == "RUNNING"


def test_retries_end_before_the_request_times_out(
    real: StepFunctions, clients: Clients, sleeper: Sleeper
) -> None:
    client = clients.get("stepfunctions")
    refused = throttled(client, "CreateActivity", code="ThrottlingException")
    with refused, pytest.raises(ThrottledError):
        real.ensure_activity(POOL)

    assert 0 < sum(sleeper.slept) <= TIMEOUT


def test_existing_machine_is_not_requested_again(real: StepFunctions, clients: Clients) -> None:
    real.ensure_activity(POOL)
    real.create(machine(), "acme", "abc")

    client = clients.get("stepfunctions")
    with throttled(client, "CreateActivity"), throttled(client, "CreateStateMachine"):
        real.ensure_activity(POOL)
        real.create(machine(), "acme", "abc")


def test_long_errors_are_truncated_to_the_limits_of_aws(
    real: StepFunctions, clients: Clients
) -> None:
    sent: list[dict[str, str]] = []

    def look(params: dict[str, str], **_more: object) -> None:
        sent.append(params)

    events = clients.get("stepfunctions").meta.events
    events.register("provide-client-params.stepfunctions.SendTaskFailure", look)
    with suppress(TaskGoneError):  # moto knows the token only when it runs no machines
        real.fail("token", "e" * 1000, "c" * 100_000)

    assert (len(sent[0]["error"]), len(sent[0]["cause"])) == (256, 32_768)
