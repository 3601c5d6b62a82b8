"""AWS in moto or other servers (`support.cloud.other_aws`), with the resources of infra/."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import boto3

from chalicelib.aws.clients import Clients
from conducto_core.installation.names import INDEXES, PARTITION_KEY, SORT_KEY, Variables, table_name
from support.cloud.other_aws import chosen_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "us-east-1"
ACCOUNT = "123456789012"
TABLE = table_name("test")
BUCKET = "conducto-test-bucket"
CLUSTER = "conducto-test"

# Otherwise moto creates 1,300 machine images with disks for each test that uses EC2.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"


@cache
def _session() -> boto3.Session:
    """Return a shared session: it caches the descriptions of services, which are large."""
    return boto3.Session(region_name=REGION)


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


@contextmanager
def aws() -> Iterator[Clients]:
    """Yield clients of an AWS with the table, the bucket and the cluster."""
    with chosen_aws():
        boto3.DEFAULT_SESSION = _session()  # moto restores the previous one
        # ministack interprets an access key of 12 digits as the account id.
        clients = Clients(REGION, aws_access_key_id=ACCOUNT, aws_secret_access_key="test")
        make_table(clients)
        clients.get("s3").create_bucket(Bucket=BUCKET)
        clients.get("ecs").create_cluster(clusterName=CLUSTER)
        yield clients


def make_table(clients: Clients) -> None:
    """Create the table like infra/stacks/data.py."""
    names = {PARTITION_KEY, SORT_KEY}
    names |= {name for index in INDEXES for name in (index.partition_key, index.sort_key)}
    clients.get("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in sorted(names)],
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


def _schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


def file_system(clients: Clients) -> str:
    response = clients.get("efs").create_file_system(CreationToken="data", Encrypted=True)
    return str(response["FileSystemId"])


def subnet_and_group(clients: Clients) -> tuple[str, str]:
    """Return the ids of a subnet and of a security group; moto has a default network."""
    ec2 = clients.get("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    return str(subnet), str(group)


def environment(**more: str) -> dict[str, str]:
    """Return the functions' environment variables of infra/; workers cannot start."""
    return {
        "AWS_REGION": REGION,
        Variables.STAGE: "test",
        Variables.TABLE: TABLE,
        Variables.BUCKET: BUCKET,
        Variables.CLUSTER: CLUSTER,
        Variables.SUBNETS: "subnet-1,subnet-2",
        Variables.SECURITY_GROUP: "sg-1",
        Variables.FILE_SYSTEM: "fs-1",
        Variables.EXECUTION_ROLE: role("execution"),
        Variables.TASK_ROLE: role("task"),
        Variables.DEBUG_ROLE: role("debug"),
        Variables.MACHINE_ROLE: role("machine"),
        Variables.AGENT_IMAGE: "agent:1",
        Variables.WORKER_LOG_GROUP: "/conducto-test/workers",
        Variables.SECRET_PREFIX: "conducto/test/",
        Variables.BUILD_PROJECT: "conducto-test-images",
        Variables.IMAGE_REPOSITORY: f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{CLUSTER}/images",
        Variables.API_URL: "https://api.invalid/api",
        Variables.SOCKET_ENDPOINT: "https://socket.invalid/api",
        Variables.WEB_APP_URL: "https://web.invalid",
        **more,
    }
