"""The emulator and the worker by themselves: a scripted app replaces Conducto's."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import websockets.exceptions
import websockets.sync.client
from botocore.exceptions import ClientError

from chalicelib.aws.clients import Clients
from chalicelib.run.aws import WorkerCredentials
from conducto_core.command.task_layout import AGENT, CTL, USER, AgentVariables, user_entry
from conducto_core.workers.model import PROTOCOL
from conducto_emulator import resources
from conducto_emulator.emulator import Emulator
from conducto_emulator.resources import Options
from conducto_emulator.tasks.containers import LABEL
from conducto_emulator.tasks.tasks import Knobs
from support.stand_ins import call, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

HERE = Path(__file__).parent
STATES = "arn:aws:iam::123456789012:role/states"


class Cloud:
    """The emulator, and the shortest ways to it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.script = sys.modules["conducto_emulated_app"].script
        self.states = boto3.client("stepfunctions")
        self.ecs = boto3.client("ecs")
        self._definition = ""

    def reset(self) -> None:
        self.script.__init__()
        self.emulator.board.knobs = Knobs()
        self.emulator.bus.copies = 1
        self.emulator.gateway.away = False

    def pool(self, **instructions: Any) -> str:
        """Make a queue that the next worker waits at."""
        name = f"pool-{uuid.uuid4().hex[:8]}"
        arn: str = self.states.create_activity(name=name)["activityArn"]
        lent = WorkerCredentials(Clients(), STATES).lend_credentials(arn, "w1")
        self.script.instructions = {
            "activity": arn,
            "region": resources.REGION,
            "credentials": lent.model_dump(mode="json"),
            "idle": 60,
            "heartbeat": 0.5,
            **instructions,
        }
        return arn

    def execution(self, activity: str, *nodes: str) -> str:
        """Start an execution that hands out tasks one after the other."""
        states: dict[str, Any] = {}
        for number, node in enumerate(nodes):
            states[node] = {
                "Type": "Task",
                "Resource": activity,
                "Parameters": {"n": node, "r": "run-1"},
                "TimeoutSeconds": 300,
                "HeartbeatSeconds": 60,
                **({"End": True} if number + 1 == len(nodes) else {"Next": nodes[number + 1]}),
            }
        machine = self.states.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}",
            definition=json.dumps({"StartAt": nodes[0], "States": states}),
            roleArn=STATES,
        )["stateMachineArn"]
        arn: str = self.states.start_execution(stateMachineArn=machine)["executionArn"]
        return arn

    def worker(self, image: str = "busybox:latest", **order: Any) -> str:
        """Start a worker as our fleet does; return its task."""
        agent = {"name": AGENT, "image": _agent_image(), "stopTimeout": 20}
        user = {"name": USER, "image": image, "entryPoint": user_entry(), "stopTimeout": 20}
        for each in (agent, user):
            each["mountPoints"] = [{"sourceVolume": "ctl", "containerPath": CTL}]
        registered = self.ecs.register_task_definition(
            family=f"f-{uuid.uuid4().hex[:8]}",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            taskRoleArn="arn:aws:iam::123456789012:role/task",
            containerDefinitions=[agent, user],
            volumes=[{"name": "ctl"}],
        )["taskDefinition"]["taskDefinitionArn"]
        environment = [
            {"name": AgentVariables.API_URL, "value": self.emulator.url},
            {"name": AgentVariables.TOKEN, "value": "w0rker-token"},
        ]
        response = self.ecs.run_task(
            cluster="conducto-emulator",
            taskDefinition=registered,
            startedBy="pipe",
            group="conducto:org:w1",
            overrides={"containerOverrides": [{"name": AGENT, "environment": environment}]},
            **order,
        )
        if not response["tasks"]:
            raise LookupError(response["failures"][0]["reason"])
        arn: str = response["tasks"][0]["taskArn"]
        return arn

    def run(self, node: str, script: str, **more: Any) -> None:
        response = {"decision": "run", "path": f"/{node}", "attempt": 1, "script": script, **more}
        self.script.responses[node] = [response]

    def log(self, stream: str = "stdout") -> bytes:
        chunks = [each for each in self.script.came["log"] if each["stream"] == stream]
        return b"".join(_output(each) for each in chunks)

    def stopped(self, arn: str) -> dict[str, Any]:
        """Wait for the event that a task has stopped."""

        def is_it(task: dict[str, Any]) -> bool:
            return bool(task["taskArn"] == arn and task["lastStatus"] == "STOPPED")

        self.script.until(lambda came: any(is_it(each) for each in came["task"]))
        found: dict[str, Any] = next(each for each in self.script.came["task"] if is_it(each))
        return found


def _agent_image() -> str:
    import os

    from conducto_core.installation.names import Variables

    return os.environ[Variables.AGENT_IMAGE]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    ensure(["python:3.13-slim", "busybox:latest"])
    folder = tmp_path_factory.mktemp("emulator")
    made = Emulator(Options(folder, functions=HERE / "scripted", minute=0.5, stop=1.0))
    try:
        made.start()
        yield made
    finally:
        made.close()
    assert not _containers(made)
    shutil.rmtree(folder, ignore_errors=True)


def _containers(emulator: Emulator) -> list[Any]:
    filters = json.dumps({"label": [f"{LABEL}={emulator.mark}"]})
    found: list[Any] = json.loads(
        call("GET", "/containers/json", {"filters": filters, "all": "1"})[1]
    )
    return found


@pytest.fixture
def cloud(emulator: Emulator) -> Iterator[Cloud]:
    made = Cloud(emulator)
    made.reset()
    yield made
    # What they say must not come in the next test.
    emulator.board.stop_all("the test is over", seconds=30)


def test_a_worker_runs_the_commands_of_an_execution(cloud: Cloud) -> None:
    activity = cloud.pool(idle=2)
    cloud.run("a", "echo $GREETING; echo err >&2", env={"GREETING": "hello"})
    cloud.run("b", "exit 3")
    task = cloud.worker()

    cloud.execution(activity, "a")
    cloud.script.wait("report")
    cloud.execution(activity, "b")
    reports = cloud.script.wait("report", 2)
    stopped = cloud.stopped(task)

    assert [(each["path"], each["cause"], each["exit_code"]) for each in reports] == [
        ("/a", None, 0),
        ("/b", "exit_code", 3),
    ]
    assert (cloud.log(), cloud.log("stderr")) == (b"hello\n", b"err\n")
    token, body = cloud.script.came["start"][0]
    assert (token, body["task"], body["protocol"]) == ("Bearer w0rker-token", task, PROTOCOL)
    assert len(base64.urlsafe_b64decode(body["key"].removeprefix("cdo_") + "=")) == 32
    assert "x-conducto-key" in body["proof"]["authorization"]
    (end,) = cloud.script.came["end"]
    assert (end["reason"], end["broken"], end["offer"]) == ("idle", False, None)
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert {each["name"]: each["exitCode"] for each in stopped["containers"]} == {
        "agent": 0,
        "user": 0,
    }


def test_api_response_stops_a_command(cloud: Cloud) -> None:
    activity = cloud.pool()
    cloud.run("a", "echo up; sleep 300")
    cloud.worker()
    cloud.execution(activity, "a")
    cloud.script.wait("pulse")

    cloud.script.stop = True

    assert cloud.script.wait("report")[0]["exit_code"] == 143


def test_a_stopped_worker_reports_and_leaves(cloud: Cloud) -> None:
    activity = cloud.pool()
    cloud.run("a", "sleep 3; echo end")
    task = cloud.worker()
    cloud.execution(activity, "a")
    cloud.script.wait("claim")

    cloud.ecs.stop_task(cluster="conducto-emulator", task=task, reason="because")

    (report,) = cloud.script.wait("report")
    assert (report["cause"], report["last"]) == (None, True)
    assert cloud.stopped(task)["stoppedReason"] == "because"
    (end,) = cloud.script.came["end"]
    assert (end["reason"], end["broken"], end["offer"]) == ("stopping", False, None)


def _output(chunk: dict[str, Any]) -> bytes:
    data = base64.b64decode(chunk["data"])
    return gzip.decompress(data) if chunk["packed"] else data


def test_the_user_sees_neither_tokens_nor_credentials(cloud: Cloud) -> None:
    activity = cloud.pool()
    cloud.run("a", "env; cat /proc/1/environ; cat /proc/*/cmdline")
    cloud.worker()
    cloud.execution(activity, "a")
    cloud.script.wait("report")

    assert b"AWS_REGION" in cloud.log()
    for word in (b"AWS_ACCESS", b"AWS_SECRET", b"w0rker-token", b"AWS_ENDPOINT"):
        assert word not in cloud.log()


def test_api_may_be_unreachable_for_a_while(cloud: Cloud) -> None:
    activity = cloud.pool()
    cloud.run("a", "echo one; sleep 2; echo two")
    cloud.worker()
    cloud.execution(activity, "a")
    cloud.script.wait("claim")

    cloud.emulator.gateway.away = True
    import time

    time.sleep(5)
    cloud.emulator.gateway.away = False

    assert cloud.script.wait("report")[0]["cause"] is None
    assert cloud.log() == b"one\ntwo\n"


def test_exhausted_memory_ends_the_command_or_the_task(cloud: Cloud) -> None:
    activity = cloud.pool()
    cloud.run("a", "python3 -c 'x = bytearray(2 << 30)'; exit $?")
    cloud.worker("python:3.13-slim")
    cloud.execution(activity, "a")

    assert cloud.script.wait("report")[0]["cause"] == "out_of_memory"


def test_an_image_that_is_not_there_is_a_task_that_failed_to_start(cloud: Cloud) -> None:
    cloud.pool()

    stopped = cloud.stopped(cloud.worker("conducto-test/there-is-none:latest"))

    assert stopped["stopCode"] == "TaskFailedToStart"
    assert "there-is-none" in stopped["stoppedReason"]


def test_an_image_without_a_shell_is_a_task_that_failed_to_start(cloud: Cloud) -> None:
    cloud.pool()
    import io
    import tarfile

    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    where = {"fromSrc": "-", "repo": "conducto-test/shell-less", "tag": "latest"}
    call("POST", "/images/create", where, body=tar.getvalue())

    stopped = cloud.stopped(cloud.worker("conducto-test/shell-less:latest"))
    call("DELETE", "/images/conducto-test/shell-less:latest")

    assert stopped["stopCode"] == "TaskFailedToStart"
    assert "/bin/sh" in stopped["stoppedReason"]


def test_a_task_is_started_once_for_a_client_token(cloud: Cloud) -> None:
    cloud.pool(idle=1)  # a process 1 that is starting ignores TERM

    first = cloud.worker(clientToken="w1")

    assert cloud.worker(clientToken="w1") == first


def test_refusals_of_run_task_are_failures(cloud: Cloud) -> None:
    cloud.pool()
    cloud.emulator.board.knobs.refusal = "Capacity is unavailable at this time"

    with pytest.raises(LookupError, match="Capacity"):
        cloud.worker()


def test_tasks_are_listed_and_described(cloud: Cloud) -> None:
    cloud.pool(idle=1)
    task = cloud.worker()

    listed = cloud.ecs.list_tasks(cluster="conducto-emulator", startedBy="pipe")["taskArns"]
    described = cloud.ecs.describe_tasks(cluster="conducto-emulator", tasks=[task, "none"])

    assert task in listed
    assert described["tasks"][0]["group"] == "conducto:org:w1"
    assert described["failures"] == [{"arn": "none", "reason": "MISSING"}]
    with pytest.raises(ClientError, match="not found"):
        cloud.ecs.stop_task(cluster="conducto-emulator", task="none")


def test_the_end_of_an_execution_is_an_event_that_may_come_twice(cloud: Cloud) -> None:
    cloud.emulator.bus.copies = 2
    activity = cloud.pool()
    execution = cloud.execution(activity, "a")

    cloud.states.stop_execution(executionArn=execution)

    def of_this(came: Any) -> list[Any]:  # executions of earlier tests may still end
        return [event for event in came["execution"] if event["executionArn"] == execution]

    cloud.script.until(lambda came: len(of_this(came)) == 2)
    first, second = of_this(cloud.script.came)
    assert first == second
    assert first["status"] == "ABORTED"


def test_minute_rule_may_run_repeatedly(cloud: Cloud) -> None:
    cloud.script.wait("minute", 2)


def test_websocket_receives_posted_events(cloud: Cloud) -> None:
    url = cloud.emulator.url.replace("http", "ws") + "/socket"
    with websockets.sync.client.connect(
        url, additional_headers={"Authorization": "Bearer good"}
    ) as socket:
        socket.send('{"subscribe": "pipe"}')
        ((name, body),) = cloud.script.wait("message")
        poster = boto3.client(
            "apigatewaymanagementapi", endpoint_url=cloud.emulator.url + "/socket"
        )
        poster.post_to_connection(ConnectionId=name, Data=b'{"x": 1}')

        assert json.loads(socket.recv(timeout=10)) == {"x": 1}
        assert body == '{"subscribe": "pipe"}'
    cloud.script.wait("disconnect")
    with pytest.raises(ClientError, match="Gone"):
        poster.post_to_connection(ConnectionId=name, Data=b"{}")


def test_a_socket_that_the_app_refuses_is_not_opened(cloud: Cloud) -> None:
    url = cloud.emulator.url.replace("http", "ws") + "/socket"

    with pytest.raises(websockets.exceptions.InvalidStatus):
        websockets.sync.client.connect(url)


def test_answers_come_with_their_status_and_headers(cloud: Cloud) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(cloud.emulator.url + "/refuse")

    with caught.value as response:
        assert (response.status, response.headers["X-Why"]) == (409, "because")
        assert json.load(response) == {"detail": "no"}
