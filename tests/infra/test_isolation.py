"""Credentials of a worker and of a build reach no other organisation.

The attacker controls the command, its container and, with root, the worker's agent: the task's
role, the lent session of the queue, and in a build the session of the registry.
"""

from __future__ import annotations

import json

import pytest

from chalicelib.aws.clients import Clients, Tags
from chalicelib.images.aws import EcrRegistry
from chalicelib.run.aws import _policy
from conducto_core.installation.names import Variables, secret_prefix
from support.cloud.aws import ACCOUNT, REGION
from support.cloud.rights import Asked, Rights
from support.installation import VARIANTS, settings_templates

MADE = {
    Variables.BUCKET: "conducto-bucket",
    Variables.CLUSTER: "conducto-main",
    Variables.EXECUTION_ROLE: f"arn:aws:iam::{ACCOUNT}:role/conducto-main-{REGION}-execution",
    Variables.FILE_SYSTEM: "fs-1",
    Variables.TABLE: "conducto-main",
}
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSH = ("ecr:PutImage", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload")
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/conducto-main/images"
CACHE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/conducto-main/docker.io"


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


OWN_QUEUE = arn("states", "activity:conducto-main_own")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/conducto-main-{REGION}"
#: ``(action, resource of another organisation)``.
OF_OTHERS = (
    ("dynamodb:GetItem", arn("dynamodb", "table/conducto-main")),
    ("dynamodb:Query", arn("dynamodb", "table/conducto-main")),
    ("dynamodb:PutItem", arn("dynamodb", "table/conducto-main")),
    ("s3:GetObject", "arn:aws:s3:::conducto-bucket/logs/their-pipeline/a"),
    ("s3:PutObject", "arn:aws:s3:::conducto-bucket/builds/other/tag/recipe.tar.gz"),
    ("s3:ListBucket", "arn:aws:s3:::conducto-bucket"),
    (
        "secretsmanager:GetSecretValue",
        arn("secretsmanager", f"secret:{secret_prefix('main')}org/other-AbCdEf"),
    ),
    ("states:GetActivityTask", arn("states", "activity:conducto-main_others")),
    ("states:StartExecution", arn("states", "stateMachine:conducto-main_others")),
    ("states:StopExecution", arn("states", "execution:conducto-main_others:1")),
    ("states:DescribeExecution", arn("states", "execution:conducto-main_others:1")),
    ("ecs:RunTask", arn("ecs", "task-definition/conducto-main_others:1")),
    ("ecs:DescribeTasks", arn("ecs", "task/conducto-main/others")),
    ("ecs:ExecuteCommand", arn("ecs", "task/conducto-main/others")),
    ("ecs:StopTask", arn("ecs", "task/conducto-main/others")),
    ("lambda:InvokeFunction", arn("lambda", "function:conducto-main-admin")),
    ("lambda:InvokeFunction", arn("lambda", "function:conducto-main-data")),
    ("ssm:GetParameter", arn("ssm", "parameter/conducto/main/identity-client")),
    ("iam:PassRole", f"{ROLE}-execution"),
    ("sts:AssumeRole", f"{ROLE}-poll"),
    ("sts:AssumeRole", f"{ROLE}-push"),
    ("logs:GetLogEvents", arn("logs", "log-group:/conducto-main/workers:*")),
    ("codebuild:BatchGetBuilds", arn("codebuild", "project/conducto-main-images")),
    ("elasticfilesystem:DescribeAccessPoints", arn("elasticfilesystem", "file-system/fs-1")),
    *(
        (action, arn("ecr", "repository/cdk-hnb659fds-container-assets"))
        for action in (*PULL, *PUSH)
    ),
)


@pytest.fixture(scope="module")
def rights() -> Rights:
    shared = {"billing": "true", "pull_through": VARIANTS["everything set"]["pull_through"]}
    return Rights(settings_templates(shared), MADE)


@pytest.fixture(scope="module")
def registry() -> EcrRegistry:
    return EcrRegistry(Clients(REGION), REGISTRY, Tags("main"), f"{ROLE}-push", (CACHE,))


def _role(rights: Rights, name: str) -> str:
    (found,) = [role for role in rights.roles if role.startswith(name)]
    return found


def _repository(registry: EcrRegistry, org: str) -> str:
    name = registry.reference(org, "t").partition("/")[2].rpartition(":")[0]
    return arn("ecr", f"repository/{name}")


def _reached(rights: Rights, role: str, policy: object = None) -> list[tuple[str, str]]:
    session = None if policy is None else json.dumps(policy)
    return [
        (action, resource)
        for action, resource in OF_OTHERS
        if rights.allow(Asked(_role(rights, role), action, resource, policy=session))
    ]


def test_role_of_commands_reaches_known_access_points_only(
    rights: Rights,
) -> None:
    assert _reached(rights, "TaskRole") == []
    # A file system policy cannot name the task; only a debug shell has this role in the container,
    # and shared installations have none (docs/concepts/security.md).
    files = arn("elasticfilesystem", "file-system/fs-1")
    point = {
        "elasticfilesystem:AccessPointArn": (arn("elasticfilesystem", "access-point/fsap-others"),)
    }
    mount = Asked(_role(rights, "TaskRole"), "elasticfilesystem:ClientMount", files, point)
    assert rights.allow(mount)
    assert not rights.allow(mount._replace(context={}))


def test_session_of_an_agent_polls_its_own_queue_only(rights: Rights) -> None:
    own = Asked(_role(rights, "PollRole"), "states:GetActivityTask", OWN_QUEUE)

    assert rights.allow(own._replace(policy=json.dumps(_policy(OWN_QUEUE))))
    assert _reached(rights, "PollRole", _policy(OWN_QUEUE)) == []


@pytest.mark.parametrize("action", [*PULL, *PUSH])
def test_session_of_a_build_reaches_its_own_repository_and_caches_only(
    rights: Rights, registry: EcrRegistry, action: str
) -> None:
    policy = registry._policy("acme")
    own = Asked(
        _role(rights, "PushRole"), action, _repository(registry, "acme"), policy=json.dumps(policy)
    )

    assert rights.allow(own)
    assert not rights.allow(own._replace(resource=_repository(registry, "other")))
    cached = own._replace(resource=arn("ecr", "repository/conducto-main/docker.io/library/python"))
    assert rights.allow(cached) == (action in PULL)  # a cache is common; nobody pushes to it
    assert _reached(rights, "PushRole", policy) == []


def test_machine_of_a_build_has_no_rights_of_its_own(rights: Rights) -> None:
    assert _reached(rights, "BuilderRole") == []
