"""Every statement of every policy: what may be done to everything, and why nothing less will do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.installation import templates

pytestmark = pytest.mark.xdist_group("cdk")

#: ``{action that is allowed on every resource: why}``. AWS has no resource level for these.
ARGUED = {
    **dict.fromkeys(
        (
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:UnassignPrivateIpAddresses",
        ),
        "Lambda refuses a function in a network whose role lacks it on everything",
    ),
    "ecr:GetAuthorizationToken": "a log-in to the registry; it gives no right to an image",
    "ecs:DescribeTaskDefinition": "no resource level; definitions hold no secrets",
    "ecs:ListTasks": "no resource level but the cluster, which is a condition",
    "ecs:RegisterTaskDefinition": "no resource level; what runs is bounded by RunTask and PassRole",
    "states:SendTaskFailure": "no resource level; a task is answered by who has its token",
    "states:SendTaskHeartbeat": "no resource level; a task is kept alive by who has its token",
    "states:SendTaskSuccess": "no resource level; a task is answered by who has its token",
    "xray:PutTelemetryRecords": "no resource level; only with tracing on",
    "xray:PutTraceSegments": "no resource level; only with tracing on",
}


def statements(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(resource, statement)`` of what identities may do."""
    for name, resource in template.get("Resources", {}).items():
        properties = resource.get("Properties", {})
        documents = [properties.get("PolicyDocument")] if "IAM" in resource["Type"] else []
        documents += [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
        for document in documents:
            if document is not None:
                for statement in document["Statement"]:
                    yield name, statement


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def all_statements(installation: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [found for template in installation.values() for found in statements(template)]


def test_there_is_something_to_judge(installation: dict[str, dict[str, Any]]) -> None:
    assert len(all_statements(installation)) > 40


def test_no_statement_allows_every_action(installation: dict[str, dict[str, Any]]) -> None:
    wide = [
        (name, action)
        for name, statement in all_statements(installation)
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        if action.endswith(":*") or action == "*" or "NotAction" in statement
    ]

    assert wide == []


def test_what_is_allowed_on_everything_is_argued(installation: dict[str, dict[str, Any]]) -> None:
    everywhere = {
        action
        for _, statement in all_statements(installation)
        if statement["Effect"] == "Allow" and "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }

    assert everywhere - set(ARGUED) == set()


def test_every_argument_is_needed() -> None:
    everything = json.dumps(templates("default"))
    unused = [
        action
        for action in ARGUED
        if not action.startswith("xray:") and json.dumps(action) not in everything
    ]

    assert unused == []


def test_a_role_is_passed_to_one_service_only(installation: dict[str, dict[str, Any]]) -> None:
    passing = [
        statement
        for _, statement in all_statements(installation)
        if "iam:PassRole" in listed(statement["Action"])
    ]

    assert passing
    for statement in passing:
        assert statement["Condition"]["StringEquals"]["iam:PassedToService"]
        assert "*" not in listed(statement["Resource"])


def test_who_checks_tokens_can_do_nothing_else() -> None:
    authorizer = [
        statement
        for name, statement in statements(templates("default")["api"])
        if name.startswith("AuthorizerRole")
    ]
    actions = {action for s in authorizer for action in listed(s["Action"])}

    assert actions == {"dynamodb:GetItem", "logs:CreateLogStream", "logs:PutLogEvents"}
    (lookup,) = [s for s in authorizer if s["Action"] == "dynamodb:GetItem"]
    assert lookup["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["T#*"]}}


def test_the_users_container_may_mount_its_data_and_nothing_else() -> None:
    task = [
        statement
        for name, statement in statements(templates("default")["compute"])
        if name.startswith("TaskRole")
    ]

    assert {action for s in task for action in listed(s["Action"])} == {
        "elasticfilesystem:ClientMount",
        "elasticfilesystem:ClientRootAccess",
        "elasticfilesystem:ClientWrite",
    }


def test_only_the_function_beside_the_files_reaches_all_of_them() -> None:
    api = templates("default")["api"]
    mounting = [
        (name, statement)
        for name, statement in statements(api)
        if any(a.startswith("elasticfilesystem:Client") for a in listed(statement["Action"]))
    ]
    asking = {name for name, s in statements(api) if "lambda:InvokeFunction" in listed(s["Action"])}

    ((role, mount),) = mounting
    assert role.startswith("DataRole")
    assert "elasticfilesystem:AccessPointArn" in mount["Condition"]["StringEquals"]
    # People's files, and the daily look at those that nobody needs any more.
    assert {name.partition("Role")[0] for name in asking} <= {"ApiHandler", "EveryDay"}
    assert any(name.startswith("ApiHandlerRole") for name in asking)


def test_only_who_serves_commands_reads_secrets(installation: dict[str, dict[str, Any]]) -> None:
    readers = {
        name
        for name, statement in all_statements(installation)
        if any(a.startswith("secretsmanager:") for a in listed(statement["Action"]))
    }

    assert len(readers) == 1
    assert next(iter(readers)).startswith("ApiHandlerRole")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # parliament's own
def test_policies_name_actions_that_exist() -> None:
    import parliament

    for name, statement in all_statements(templates("default")):
        if "sts:AssumeRole" in listed(statement["Action"]) and "Principal" in statement:
            continue
        flat = {**statement, "Resource": ["*"]}
        flat.pop("Condition", None)
        text = json.dumps({"Version": "2012-10-17", "Statement": [flat]})
        found = parliament.analyze_policy_string(text).findings
        bad = [f for f in found if f.issue in {"UNKNOWN_ACTION", "UNKNOWN_PREFIX", "MALFORMED"}]

        assert bad == [], name
