"""Workers' images by way of a cache of their registry."""

from __future__ import annotations

import pytest

from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.data.aws import EfsAccessPoints
from chalicelib.workers.aws.task_definitions import Roles, TaskDefinitions
from chalicelib.workers.port import WorkerTask
from conducto_core.command.task_layout import AGENT, USER
from support.cloud.aws import REGION, TABLE, aws, file_system, role

CACHE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/conducto-test/docker.io"
OURS = "123456789012.dkr.ecr.us-east-1.amazonaws.com/conducto-test/images/0a:tag"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("python:3.11", f"{CACHE}/library/python:3.11"),
        ("me/tool@sha256:" + "0" * 64, f"{CACHE}/me/tool@sha256:" + "0" * 64),
        ("quay.io/a/b:1", "quay.io/a/b:1"),
        (OURS, OURS),
    ],
)
def test_a_workers_definition_names_the_cache_of_its_images_registry(
    image: str, expected: str
) -> None:
    with aws() as clients:
        files = EfsAccessPoints(clients, DynamoTable(clients, TABLE), file_system(clients), "test")
        roles = Roles(
            role("execution"),
            role("task"),
            "agent:1",
            "/workers",
            REGION,
            caches={"docker.io": CACHE},
        )
        task = WorkerTask("w1", "acme", "abc", "pool", image, 1.0, 2.0, "cdo_secret", "ann")

        arn = TaskDefinitions(clients, files, roles, "conducto-test_").ensure(task)

        described = clients.get("ecs").describe_task_definition(taskDefinition=arn)
    made = described["taskDefinition"]["containerDefinitions"]
    assert {each["name"]: each["image"] for each in made} == {AGENT: "agent:1", USER: expected}
