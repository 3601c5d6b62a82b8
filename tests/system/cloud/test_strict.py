"""Each limit of AWS is hit on purpose: AWS's own error is returned, and the pipeline continues."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

import conducto as co
from conducto_client.client import Client
from conducto_client.transport.cloud import CloudTransport
from conducto_client.transport.port import Endpoint
from conducto_core.api.operation import API_ROOT, SUBPROTOCOL, TOKEN_SUBPROTOCOL
from conducto_core.installation.names import Variables
from conducto_core.run.model.requests import Action
from conducto_emulator.faults.latency import (
    FARGATE_VCPUS,
    GATEWAY_PAYLOAD,
    GATEWAY_WAIT,
    LAMBDA_CONCURRENCY,
    LAMBDA_SYNC_PAYLOAD,
    RATES,
    WEBSOCKET_FRAME,
    Rate,
    TokenBuckets,
)
from conducto_emulator.gateway.gateway import strict_times
from conducto_emulator.tasks.tasks import Knobs
from support.cloud import start_failures
from support.cloud.emulated import Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.client import ClientConnection

    from conducto_emulator.emulator import Emulator
    from conducto_emulator.faults.strict import Strictness

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

ONCE = Rate(1, 0.0, "this test")


@pytest.fixture(autouse=True)
def _as_before(whole: Emulator, strictness: Strictness) -> Iterator[None]:
    conflicts, lag = strictness.conflicts, strictness.lag
    yield
    strictness.conflicts, strictness.lag = conflicts, lag
    strictness.buckets = TokenBuckets(time.monotonic)
    whole.board.knobs = Knobs()
    whole.board.max_vcpus = FARGATE_VCPUS.value
    whole.gateway.max_wait = strictness.slowness * GATEWAY_WAIT.value
    times = strict_times()
    whole.gateway.socket_times.idle, whole.gateway.socket_times.age = times.idle, times.age
    assert whole.package is not None
    whole.package.concurrency = LAMBDA_CONCURRENCY.value


def serial(image: str = "busybox:latest", **commands: str) -> Any:
    root = co.Serial(image=image, cpu=0.25, mem=0.25)
    for name, command in commands.items():
        root[name] = co.Exec(command)
    return root


def once(service: str) -> Any:
    """Return a client that does not try again."""
    return boto3.client(service, config=Config(retries={"total_max_attempts": 1}))


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def ask(me: Cloud, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    """Return status and JSON of the response to a request."""
    connection = http.client.HTTPConnection(urlsplit(me.emulator.url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {me.token}", "Content-Type": "application/json"}
    try:
        connection.request(method, API_ROOT + path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def socket(me: Cloud) -> ClientConnection:
    protocols = [Subprotocol(SUBPROTOCOL), Subprotocol(TOKEN_SUBPROTOCOL + me.token)]
    url = me.client.status().socket
    assert url
    return connect(url, subprotocols=protocols)


def closed_with(connection: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        list(iter(lambda: connection.recv(timeout=30), None))
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def test_calls_beyond_a_bucket_are_throttled(strictness: Strictness, me: Cloud) -> None:
    once_each = {("ecs", "ListTasks"): ONCE, ("states", "CreateActivity"): ONCE}
    strictness.buckets = TokenBuckets(time.monotonic, {**RATES, **once_each})
    cluster = os.environ[Variables.CLUSTER]

    once("ecs").list_tasks(cluster=cluster)
    once("stepfunctions").create_activity(name=f"conducto-test-{me.org}")
    with pytest.raises(ClientError, match="Rate exceeded") as tasks:
        once("ecs").list_tasks(cluster=cluster)
    with pytest.raises(ClientError, match="Rate exceeded") as activity:
        once("stepfunctions").create_activity(name=f"conducto-test-{me.org}-2")

    assert code_of(tasks) == code_of(activity) == "ThrottlingException"


def test_pipelines_run_while_calls_are_throttled_and_writes_conflict(
    strictness: Strictness, me: Cloud
) -> None:
    strictness.conflicts = 0.15
    calls = (
        ("states", "CreateActivity"),
        ("states", "CreateStateMachine"),
        ("ecs", "RegisterTaskDefinition"),
        ("ecs", "RunTask"),
    )
    busy = dict.fromkeys(calls, Rate(1, 0.5, "a busy account"))
    strictness.buckets = TokenBuckets(time.monotonic, {**RATES, **busy})

    runs = [me.launch(serial(a=f"echo {number}", b="true")) for number in range(3)]
    for run in runs:
        run.settled()

    assert [set(run.states().values()) for run in runs] == [{"done"}] * 3
    assert [len(run.attempts("/a")) for run in runs] == [1, 1, 1]


def test_list_omits_recently_created_items(strictness: Strictness, me: Cloud) -> None:
    strictness.lag = 600.0
    client = once("stepfunctions")
    made = [client.create_activity(name=f"conducto-lag-{me.org}-{n}") for n in range(3)]
    arns = {each["activityArn"] for each in made}

    listed = {each["activityArn"] for each in client.list_activities()["activities"]}

    assert not arns & listed
    assert all(client.describe_activity(activityArn=arn) for arn in arns)


def test_quota_of_vcpus_lets_the_queue_wait_and_says_why(whole: Emulator, me: Cloud) -> None:
    whole.board.max_vcpus = 0.0
    run = me.launch(serial(a="true"))
    run.until(lambda: "vCPUs" in (run.node("/a").waits_for or ""), "the queue said why")
    assert run.attempts("/a") == ()

    run.control(Action.KILL, "/")
    run.settled()


def test_task_that_dies_at_its_start_ends_its_node_in_the_words_of_aws(
    whole: Emulator, me: Cloud
) -> None:
    failure = start_failures.wrong_architecture()
    whole.board.knobs.fails = start_failures.next_task(failure, "busybox:latest")

    run = me.run(serial(a="true"))

    (attempt,) = run.attempts("/a")
    assert run.state("/a") == "error"
    assert "does not contain descriptor matching platform" in (attempt.message or "")
    assert "--platform linux/amd64" in (attempt.message or "")


def test_request_that_is_too_large_or_too_slow_is_answered_by_api_gateway(
    whole: Emulator, me: Cloud
) -> None:
    large = ask(me, "POST", "/pipelines", b"x" * (GATEWAY_PAYLOAD.value + 1))
    for_lambda = ask(me, "POST", "/pipelines", b"x" * (LAMBDA_SYNC_PAYLOAD.value + 1))
    whole.gateway.max_wait = 0.0
    slow = ask(me, "GET", "/pipelines")

    assert (large[0], large[1]["title"]) == (413, "too large")
    assert for_lambda[0] == 413
    assert (slow[0], slow[1]["title"]) == (504, "too slow")


def test_function_that_is_killed_or_throttled_is_a_server_error(whole: Emulator, me: Cloud) -> None:
    assert whole.package is not None
    before = whole.package.seconds["app"]
    whole.package.seconds["app"] = 0.0
    killed = ask(me, "GET", "/pipelines")
    whole.package.seconds["app"] = before
    whole.package.concurrency = 0
    throttled = ask(me, "GET", "/pipelines")
    whole.package.concurrency = None

    failed = {"message": "Internal server error"}
    assert killed == (502, failed)
    # The authorizer is throttled first: a person knows from the response that the token is good.
    assert (throttled[0], throttled[1]["title"]) == (503, "busy")
    assert "quota of concurrent functions" in throttled[1]["detail"]
    assert ask(me, "GET", "/pipelines")[0] == 200


def test_event_for_a_function_may_not_be_too_large(whole: Emulator, me: Cloud) -> None:
    assert whole.package is not None
    names = {"FunctionName": "conducto-emulator-admin", "InvocationType": "Event"}

    with pytest.raises(ClientError, match="must be smaller than 1048576 bytes") as refused:
        once("lambda").invoke(**names, Payload=json.dumps("x" * (1 << 20)))

    assert code_of(refused) == "RequestTooLargeException"


def test_socket_closes_at_a_frame_or_message_that_is_too_large(me: Cloud) -> None:
    with socket(me) as connection:
        connection.send(secrets.token_hex(WEBSOCKET_FRAME.value // 2 + 1))
        assert closed_with(connection) == 1009
    with socket(me) as connection:
        with contextlib.suppress(ConnectionClosed):  # before the last part is sent
            connection.send(secrets.token_hex(15_000) for _ in range(5))
        assert closed_with(connection) == 1009


def test_follower_loses_nothing_where_sockets_are_closed(whole: Emulator, me: Cloud) -> None:
    follower = Client(CloudTransport(Endpoint(me.emulator.url, me.token)))
    wait = "until test -e /conducto/data/pipeline/go; do sleep 0.1; done"
    run = me.launch(serial(a=f"echo a; {wait}", b="true"))
    events = follower.events(run.id)
    sequence = [change.seq for change in next(events).changes]

    with socket(me) as silent, socket(me) as old:
        whole.gateway.socket_times.idle = 0.3
        assert closed_with(silent) == 1001
        whole.gateway.socket_times.idle, whole.gateway.socket_times.age = None, 0.0
        assert closed_with(old) == 1001
    whole.gateway.socket_times.age = None
    run.until(lambda: run.state("/a") == "running")
    follower.write_data(run.id, "go", b"")
    for batch in events:
        sequence += [change.seq for change in batch.changes]
        if batch.pipeline.settled:
            break
    follower.close()

    assert sequence == list(range(1, len(sequence) + 1))
