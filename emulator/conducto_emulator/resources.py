"""Creates the resources of the stacks of ``infra/`` in moto."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
from moto.sts.models import sts_backends

from conducto_core.installation.names import (
    BACKGROUND_FUNCTION,
    EMULATOR_STAGE,
    INDEXES,
    PARTITION_KEY,
    SORT_KEY,
    TTL_ATTRIBUTE,
    RoleName,
    Variables,
    function_name,
    role_name,
    table_name,
)
from conducto_emulator.faults.capacity import Scarcity
from conducto_emulator.faults.latency import Latency
from conducto_emulator.faults.strict import Strictness
from conducto_emulator.gateway.access import AccessKey
from conducto_emulator.gateway.identity import IdentityProvider
from conducto_emulator.stripe.server import EmulatedBilling
from conducto_emulator.tasks import builds

STAGE = EMULATOR_STAGE
REGION = "us-east-1"
#: Moto's account.
ACCOUNT = "123456789012"
LOG_GROUP = "/conducto/workers"
_TASK_SECONDS = 86_400


def aws_env(endpoint: str) -> dict[str, str]:
    """Return the environment for boto3 to reach moto, without a key."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }


def key_env(key: AccessKey) -> dict[str, str]:
    """Return the environment for boto3 to sign with a key."""
    return {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}


def task_env(role: str, session: str) -> dict[str, str]:
    """Return the environment with a task's credentials, which permit nothing in the emulator."""
    lent = sts_backends[ACCOUNT]["aws"].assume_role(
        REGION, session, role, policy="", duration=_TASK_SECONDS, external_id=""
    )
    return {
        "AWS_ACCESS_KEY_ID": lent.access_key_id,
        "AWS_SECRET_ACCESS_KEY": lent.secret_access_key,
        "AWS_SESSION_TOKEN": lent.session_token,
    }


def is_invited(address: str) -> bool:
    """Return whether an address has an open invitation, as `infra/aws/sign_up.py`."""
    found = boto3.client("dynamodb").query(
        TableName=table_name(STAGE),
        KeyConditionExpression="pk = :mark",
        ExpressionAttributeValues={
            ":mark": {"S": f"V#{sha256(address.casefold().encode()).hexdigest()}"}
        },
    )
    return any(float(item["until"]["N"]) > time.time() for item in found["Items"])


def create(url: str, socket: str, agent_image: str) -> Mapping[str, str]:
    """Create all resources; return the environment of the functions."""
    bucket = f"conducto-{STAGE}-{ACCOUNT}"
    create_bucket(bucket)
    _create_table(boto3.client("dynamodb"))
    boto3.client("ecs").create_cluster(clusterName=f"conducto-{STAGE}")
    boto3.client("logs").create_log_group(logGroupName=LOG_GROUP)
    files = boto3.client("efs").create_file_system(CreationToken=STAGE)
    subnets = boto3.client("ec2").describe_subnets()["Subnets"]
    groups = boto3.client("ec2").describe_security_groups()["SecurityGroups"]
    return {
        Variables.STAGE: STAGE,
        Variables.HOOK_FUNCTION: function_name(STAGE, "hook_event"),
        Variables.EVENT_FUNCTION: f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
        + function_name(STAGE, "hook_event"),
        Variables.BACKGROUND_FUNCTION: function_name(STAGE, BACKGROUND_FUNCTION),
        Variables.TABLE: table_name(STAGE),
        Variables.BUCKET: bucket,
        Variables.CLUSTER: f"conducto-{STAGE}",
        Variables.SUBNETS: ",".join(each["SubnetId"] for each in subnets[:2]),
        Variables.SECURITY_GROUP: groups[0]["GroupId"],
        Variables.FILE_SYSTEM: files["FileSystemId"],
        Variables.EXECUTION_ROLE: _role("execution"),
        Variables.TASK_ROLE: _role("task"),
        Variables.DEBUG_ROLE: _role("debug"),
        Variables.POLL_ROLE: _role("poll"),
        Variables.MACHINE_ROLE: _role("machine"),
        Variables.AGENT_IMAGE: agent_image,
        Variables.ARM_AGENT_IMAGE: agent_image,  # tasks have the processors of this machine
        Variables.WORKER_LOG_GROUP: LOG_GROUP,
        Variables.BUILD_PROJECT: builds.PROJECT,
        Variables.IMAGE_REPOSITORY: builds.REPOSITORY,
        Variables.API_URL: url,
        Variables.SOCKET_ENDPOINT: socket,
        Variables.SPOT_SHARE: "0",
        Variables.SECRET_PREFIX: f"conducto/{STAGE}/",
    }


def create_bucket(name: str) -> None:
    boto3.client("s3").create_bucket(Bucket=name)


def keep_lines(group: str, stream: str, lines: Sequence[str]) -> None:
    """Write output of a container to CloudWatch Logs."""
    client = boto3.client("logs")
    client.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line or " "} for line in lines]
    client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def _role(name: RoleName) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role_name(STAGE, REGION, name)}"


def _create_table(client: Any) -> None:
    keys = {PARTITION_KEY, SORT_KEY}
    for index in INDEXES:
        keys |= {index.partition_key, index.sort_key}
    client.create_table(
        TableName=table_name(STAGE),
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in sorted(keys)],
        KeySchema=_schema(PARTITION_KEY, SORT_KEY),
        GlobalSecondaryIndexes=[
            {
                "IndexName": index.name,
                "KeySchema": _schema(index.partition_key, index.sort_key),
                "Projection": {"ProjectionType": index.projection},
            }
            for index in INDEXES
        ],
    )
    client.update_time_to_live(
        TableName=table_name(STAGE),
        TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE},
    )


def _schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


# ----------------------------------------------------------------------------------------
# The options of the emulator.


#: Directory of the functions in a checkout.
FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the emulator.

    Attributes:
        folder: Directory of the files of tasks and EFS; it is deleted with the emulator.
        port: Port of the API; 0 for a free one.
        aws_port: Port of AWS; 0 for a free one.
        base: Base image of the agent's image.
        functions: Directory of the app.
        package: Directory with the unpacked zip for Lambda: its app runs in separate processes
            instead of `functions` in this process. With ``strict``, `functions` run separately as
            well.
        variables: Variables of the functions, in addition to those of every installation.
        minute: Seconds of the emulator's minute, the interval of scheduled functions.
        poll: Seconds that a poll without a task stays open; AWS: 60.
        stop: Maximum seconds that tasks have to stop before they are removed with the emulator.
        strict: AWS's limits and random failures; None enforces only sizes.
        scarcity: Random lack of capacity; None: there is enough.
        latency: AWS's latencies; None for those of this machine.
        identity: Returns the identity provider for the origin of the web app; None: people sign in
            with tokens.
        billing: Returns the double of Stripe; None: the installation has no billing.
    """

    folder: Path
    port: int = 0
    aws_port: int = 0
    base: str | None = None
    functions: Path = FUNCTIONS
    package: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    minute: float = 60.0
    poll: float = 1.0
    stop: float = 20.0
    strict: Strictness | None = None
    scarcity: Scarcity | None = None
    latency: Latency | None = None
    identity: Callable[[str], IdentityProvider] | None = None
    billing: Callable[[], EmulatedBilling] | None = None
