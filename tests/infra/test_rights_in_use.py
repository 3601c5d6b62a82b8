"""No function has a right that no code uses, and tests know what AWS would refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name

from conducto_core.installation.names import Variables
from support.cloud.rights import Asked, Rights, asked, refused
from support.installation import IN_A_NETWORK, statements, templates

FUNCTIONS = Path(__file__).parents[2] / "functions/chalicelib"
#: What a right is called where it is not what boto3 calls the call.
CALLED = {
    "dynamodb:ConditionCheckItem": "ConditionCheck",
    "execute-api:ManageConnections": "post_to_connection",
    "lambda:InvokeFunction": "invoke",
    "s3:AbortMultipartUpload": "upload_fileobj",
    "s3:ListBucket": "list_objects_v2",
}
#: ``{right: who uses it, if it is no code of ours}``.
BY_OTHERS = {
    **dict.fromkeys(
        IN_A_NETWORK,
        "Lambda, for a function in a network",
    ),
    **dict.fromkeys(
        (
            "elasticfilesystem:ClientMount",
            "elasticfilesystem:ClientRootAccess",
            "elasticfilesystem:ClientWrite",
        ),
        "whoever mounts the file system",
    ),
    "ecr:TagResource": "ECR, where a repository is created with tags",
    "ecs:TagResource": "ECS, where a task is started with tags",
    "elasticfilesystem:TagResource": "EFS, where an access point is made with tags",
    "secretsmanager:TagResource": "Secrets Manager, where a secret is created with tags",
    "states:TagResource": "Step Functions, where a state machine is created with tags",
    "iam:PassRole": "whatever a role is given to",
    "logs:CreateLogStream": "Lambda",
    "logs:PutLogEvents": "Lambda",
}


def granted() -> set[str]:
    found: set[str] = set()
    for _, statement in statements(templates("default")["api"]):
        actions = statement["Action"]
        found.update(actions if isinstance(actions, list) else [actions])
    return found


def test_every_right_of_a_function_is_used() -> None:
    source = "\n".join(file.read_text() for file in FUNCTIONS.rglob("*.py"))
    words = set(re.findall(r"\w+", source))
    unused = [
        action
        for action in sorted(granted() - set(BY_OTHERS))
        if CALLED.get(action, xform_name(action.partition(":")[2])) not in words
    ]

    assert unused == []


def test_every_exception_is_needed() -> None:
    assert {*CALLED, *BY_OTHERS} - granted() == set()


# ---- what tests of the whole cloud hold their calls against -------------------------------------

MADE = {
    Variables.BUCKET: "conducto-bucket",
    Variables.CLUSTER: "conducto-main",
    Variables.EXECUTION_ROLE: "arn:aws:iam::123456789012:role/conducto-main-us-east-1-execution",
    Variables.FILE_SYSTEM: "fs-1",
    Variables.TABLE: "conducto-main",
}
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/conducto-main"
CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/conducto-main"
WORKER = "arn:aws:ecs:us-east-1:123456789012:task-definition/conducto-main_0a1b:1"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:conducto/{}/org-AbCdEf"
TASKS = "ecs-tasks.amazonaws.com"
EXECUTION = MADE[Variables.EXECUTION_ROLE]


@pytest.fixture(scope="module")
def rights() -> Rights:
    return Rights(templates("default"), MADE)


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        (("authorize", "dynamodb:GetItem", TABLE, {"dynamodb:LeadingKeys": ("T#ab",)}), True),
        (("authorize", "dynamodb:GetItem", TABLE, {"dynamodb:LeadingKeys": ("O#org",)}), False),
        (("authorize", "dynamodb:PutItem", TABLE, {}), False),
        (("app", "dynamodb:Query", f"{TABLE}/index/any", {}), True),
        (("app", "dynamodb:Query", f"{TABLE}-of-others", {}), False),
        (("background", "ecs:RunTask", WORKER, {"ecs:cluster": (CLUSTER,)}), True),
        (("background", "ecs:RunTask", WORKER, {"ecs:cluster": (f"{CLUSTER}-2",)}), False),
        (("background", "ecs:RunTask", WORKER, {}), False),
        (("background", "iam:PassRole", EXECUTION, {"iam:PassedToService": (TASKS,)}), True),
        (("background", "iam:PassRole", EXECUTION, {"iam:PassedToService": ("ec2",)}), False),
        (("app", "secretsmanager:GetSecretValue", SECRET.format("main"), {}), True),
        (("app", "secretsmanager:GetSecretValue", SECRET.format("prod"), {}), False),
        (("every_minute", "secretsmanager:DeleteSecret", SECRET.format("main"), {}), False),
        (("app", "states:SendTaskSuccess", "any", {}), True),  # AWS knows no resource of it
        (("app", "s3:GetObject", "arn:aws:s3:::conducto-bucket/trees/x", {}), True),
        (("app", "s3:GetObject", "arn:aws:s3:::conducto-bucket/elsewhere", {}), False),
    ],
)
def test_a_call_is_allowed_as_aws_would(
    rights: Rights, call: tuple[Any, ...], allowed: bool
) -> None:
    one = Asked(*call)

    assert rights.allow(one) == allowed
    assert refused(rights, [one]) == ([] if allowed else [str(one)])


def test_a_session_may_do_no_more_than_its_policy(rights: Rights) -> None:
    (role,) = [name for name in rights.roles if name.startswith("PollRole")]
    activity = "arn:aws:states:us-east-1:123456789012:activity:conducto-main_0a1b"
    statement = {"Effect": "Allow", "Action": "states:GetActivityTask", "Resource": activity}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    one = Asked(role, "states:GetActivityTask", activity, policy=policy)
    other = one._replace(resource=f"{activity}-2")

    assert refused(rights, [one, other, other._replace(policy=None)]) == [str(other)]


def test_unlisted_call_is_not_allowed() -> None:
    call = {"function": "app", "service": "s3", "operation": "PutBucketPolicy", "params": {}}

    with pytest.raises(KeyError, match="PutBucketPolicy"):
        list(asked([json.dumps(call)]))
