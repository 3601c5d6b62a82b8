"""AWS's own errors in front of a moto that only repeats what it got."""

from __future__ import annotations

import io
import json
import time
from typing import Any

from conducto_emulator.faults.latency import AwsCall, Latency, Rate, TokenBuckets, call_of
from conducto_emulator.faults.partitions import NetworkPartitions
from conducto_emulator.faults.strict import StrictAws, Strictness

SIGNED = "AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/s3/aws4_request, SignedHeaders=host"
ECS, STATES, TABLE = "AmazonEC2ContainerServiceV20141113", "AWSStepFunctions", "DynamoDB_20120810"
ONCE = Rate(1, 0.0, "this test")
KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}


class Moto:
    """Answers with what a test says."""

    def __init__(self) -> None:
        self.response: Any = {}
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        self.bodies.append(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(self.response).encode()]


class Aws:
    """A strict AWS, of which nothing happens by chance."""

    def __init__(self, **options: Any) -> None:
        chances = {"conflicts": 0.0, "duplicates": 0.0, "late": 0.0, "lag": 0.0}
        self.strictness = Strictness(**{"seed": 1, **chances, **options})
        self.moto = Moto()
        self.door = StrictAws(self.moto, self.strictness, None)

    def call(self, prefix: str, operation: str, **body: Any) -> tuple[str, Any]:
        data = json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": "POST",
            "HTTP_X_AMZ_TARGET": f"{prefix}.{operation}",
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.input": io.BytesIO(data),
        }
        began: list[str] = []
        said = b"".join(self.door(environ, lambda status, *_: began.append(status)))
        return began[0], json.loads(said)


def test_calls_are_recognised_by_their_target_or_their_signature() -> None:
    target = {"REQUEST_METHOD": "POST", "HTTP_X_AMZ_TARGET": f"{ECS}.RunTask"}
    presigned = "X-Amz-Credential=K%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=x"

    assert call_of(target) == AwsCall("ecs", "RunTask")
    assert call_of({"REQUEST_METHOD": "GET", "HTTP_AUTHORIZATION": SIGNED}) == AwsCall("s3", "GET")
    assert call_of({"REQUEST_METHOD": "GET", "QUERY_STRING": presigned}) == AwsCall("s3", "GET")
    assert call_of({"REQUEST_METHOD": "GET"}) == AwsCall("", "GET")


def test_throttled_call_does_not_reach_its_handler() -> None:
    aws = Aws()
    aws.strictness.buckets = TokenBuckets(time.monotonic, {("ecs", "RunTask"): ONCE})

    first, second = (aws.call(ECS, "RunTask", cluster="c") for _ in range(2))

    assert first == ("200 OK", {})
    assert second[0].startswith("400")
    assert second[1] == {"__type": "ThrottlingException", "message": "Rate exceeded"}
    assert aws.moto.bodies == [b'{"cluster": "c"}']


def test_item_in_another_transaction_is_a_conflict() -> None:
    aws = Aws(conflicts=1.0)

    status, said = aws.call(TABLE, "UpdateItem", Key=KEY)
    read = aws.call(TABLE, "GetItem", Key=KEY)

    assert status.startswith("400")
    assert said["__type"].endswith("#TransactionConflictException")
    assert read[0] == "200 OK"
    assert len(aws.moto.bodies) == 1


def test_transaction_names_the_item_that_was_in_conflict() -> None:
    aws = Aws(conflicts=1.0)

    status, said = aws.call(TABLE, "TransactWriteItems", TransactItems=[{}, {}, {}])

    codes = [reason["Code"] for reason in said["CancellationReasons"]]
    assert status.startswith("400")
    assert said["__type"].endswith("#TransactionCanceledException")
    assert sorted(codes) == ["None", "None", "TransactionConflict"]


class Slow(Latency):
    """Takes as long as a test requests, and records the reason."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seed=1)
        self.seconds = seconds
        self.asked: list[tuple[str, str]] = []

    def of_call(self, service: str, operation: str) -> float:
        self.asked.append((service, operation))
        return self.seconds


def test_call_takes_the_time_of_the_model() -> None:
    aws, latency = Aws(), Slow(0.05)
    aws.door = StrictAws(aws.moto, None, latency)
    began = time.monotonic()

    status, _ = aws.call(TABLE, "Query")

    assert status == "200 OK"
    assert time.monotonic() - began >= 0.05
    assert latency.asked == [("dynamodb", "Query")]


def test_partition_that_is_too_hot_is_throttled() -> None:
    aws = Aws(partitions=NetworkPartitions(lambda: 0.0))
    large = {"Put": {"Item": {**KEY, "data": {"S": "x" * 300_000}}}}

    transactions = [aws.call(TABLE, "TransactWriteItems", TransactItems=[large]) for _ in range(3)]
    status, said = aws.call(TABLE, "PutItem", Item=KEY)

    assert [each[0][:3] for each in transactions] == ["200", "200", "400"]
    assert transactions[2][1]["CancellationReasons"] == [{"Code": "ThrottlingError"}]
    assert (status[:3], said["__type"].rpartition("#")[2]) == ("400", "ThrottlingException")


def test_reads_of_a_partition_are_limited_as_well() -> None:
    aws = Aws(partitions=NetworkPartitions(lambda: 0.0))
    aws.moto.response = {"Item": {**KEY, "data": {"S": "x" * 390_000}}}

    found = [aws.call(TABLE, "GetItem", Key=KEY, ConsistentRead=True)[0][:3] for _ in range(40)]

    assert set(found[:31]) == {"200"}
    assert found[-1] == "400"


def test_seed_repeats_conflicts() -> None:
    def statuses(seed: int) -> list[str]:
        aws = Aws(seed=seed, conflicts=0.5)
        return [aws.call(TABLE, "PutItem", Item=KEY)[0] for _ in range(40)]

    assert statuses(5) == statuses(5) != statuses(6)


def test_list_shows_new_items_only_after_a_delay() -> None:
    aws = Aws(lag=1000.0)
    aws.moto.response = {"stateMachineArn": "new"}
    aws.call(STATES, "CreateStateMachine", name="new")
    aws.moto.response = {"stateMachines": [{"stateMachineArn": "new"}, {"stateMachineArn": "old"}]}

    young = aws.call(STATES, "ListStateMachines")
    described = aws.call(STATES, "DescribeStateMachine")

    assert young == ("200 OK", {"stateMachines": [{"stateMachineArn": "old"}]})
    assert described[1] == aws.moto.response
    aws.strictness.lag = 0.0
    aws.moto.response = {"taskArns": ["t"]}
    aws.call(ECS, "RunTask")
    assert aws.call(ECS, "ListTasks") == ("200 OK", {"taskArns": ["t"]})


def test_task_that_was_just_started_is_missing_when_it_is_described() -> None:
    aws = Aws(lag=1000.0)
    aws.moto.response = {"tasks": [{"taskArn": "t"}], "failures": []}
    started = aws.call(ECS, "RunTask")

    described = aws.call(ECS, "DescribeTasks", tasks=["t"])

    assert started[1]["tasks"] == [{"taskArn": "t"}]
    assert described[1] == {"tasks": [], "failures": [{"arn": "t", "reason": "MISSING"}]}


def test_index_misses_a_new_item_and_the_table_itself_does_not() -> None:
    aws = Aws(lag=1000.0)
    changes = [{"Put": {"Item": KEY}}, {"Delete": {"Key": KEY}}]
    aws.call(TABLE, "TransactWriteItems", TransactItems=changes)
    aws.moto.response = {"Items": [KEY, {"pk": {"S": "p"}, "sk": {"S": "old"}}], "Count": 2}

    asked = {"ExpressionAttributeValues": {":p": {"S": "p"}}}
    index = aws.call(TABLE, "Query", IndexName="by-org", **asked)
    table = aws.call(TABLE, "Query", **asked)

    assert [item["sk"]["S"] for item in index[1]["Items"]] == ["old"]
    assert index[1]["Count"] == 1
    assert table[1]["Count"] == 2
