"""Creates the resources of the stacks of ``infra/`` in moto."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import boto3  # type: ignore[import-untyped]

from conducto_core.model.deployment import (
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
from conducto_emulator import builds
from conducto_emulator.signatures import Key

STAGE = EMULATOR_STAGE
REGION = "us-east-1"
#: Moto's account.
ACCOUNT = "123456789012"
LOG_GROUP = "/conducto/workers"


def aws_env(endpoint: str) -> dict[str, str]:
    """Return the environment for boto3 to reach moto, without a key."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }


def key_env(key: Key) -> dict[str, str]:
    """Return the environment for boto3 to sign with a key."""
    return {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}


def create(url: str, socket: str, agent_image: str) -> Mapping[str, str]:
    """Create all resources; return the environment of the functions."""
    bucket = f"conducto-{STAGE}-{ACCOUNT}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    _create_table(boto3.client("dynamodb"))
    boto3.client("ecs").create_cluster(clusterName=f"conducto-{STAGE}")
    boto3.client("logs").create_log_group(logGroupName=LOG_GROUP)
    files = boto3.client("efs").create_file_system(CreationToken=STAGE)
    subnets = boto3.client("ec2").describe_subnets()["Subnets"]
    groups = boto3.client("ec2").describe_security_groups()["SecurityGroups"]
    return {
        Variables.STAGE: STAGE,
        Variables.HOOK_FUNCTION: function_name(STAGE, "hook_event"),
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
        Variables.WORKER_LOG_GROUP: LOG_GROUP,
        Variables.BUILD_PROJECT: builds.PROJECT,
        Variables.IMAGE_REPOSITORY: builds.REPOSITORY,
        Variables.API_URL: url,
        Variables.SOCKET_ENDPOINT: socket,
        Variables.SPOT_SHARE: "0",
        Variables.SECRET_PREFIX: f"conducto/{STAGE}/",
    }


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
