"""Every statement of every policy: what may be done to everything, and why nothing less will do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.installation import resources, statements, templates

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
    "ecs:DeregisterTaskDefinition": "no resource level; the daily sweep's alone",
    "ecs:ListTaskDefinitionFamilies": "no resource level; the daily sweep's alone",
    "ecs:ListTaskDefinitions": "no resource level; the daily sweep's alone",
    "ecs:ListTasks": "no resource level but the cluster, which is a condition",
    "ecs:RegisterTaskDefinition": "no resource level; what runs is bounded by RunTask and PassRole",
    "states:ListStateMachines": "no resource level; the daily sweep's alone",
    **dict.fromkeys(
        (
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ),
        "no resource level; AWS's agent in a worker for a debug shell is reached by it",
    ),
    "states:SendTaskFailure": "no resource level; a task is answered by who has its token",
    "states:SendTaskHeartbeat": "no resource level; a task is kept alive by who has its token",
    "states:SendTaskSuccess": "no resource level; a task is answered by who has its token",
    "xray:GetSamplingRules": "no resource level; only with tracing on",
    "xray:GetSamplingTargets": "no resource level; only with tracing on",
    "xray:PutTelemetryRecords": "no resource level; only with tracing on",
    "xray:PutTraceSegments": "no resource level; only with tracing on",
}


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
    everything = json.dumps([templates("default"), templates("everything set")])
    unused = [action for action in ARGUED if json.dumps(action) not in everything]

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


def test_only_a_worker_for_a_debug_shell_can_be_entered() -> None:
    reached = {
        name.partition("Role")[0]
        for name, statement in all_statements(templates("default"))
        if any(action.startswith("ssmmessages:") for action in listed(statement["Action"]))
    }

    assert reached == {"Debug"}


def test_only_the_api_lets_people_in_and_into_the_users_container_alone() -> None:
    entering = [
        (name, statement)
        for name, statement in all_statements(templates("default"))
        if "ecs:ExecuteCommand" in listed(statement["Action"])
    ]

    ((name, statement),) = entering
    assert name.startswith("ApiHandlerRole")
    assert "*" not in listed(statement["Resource"])
    assert statement["Condition"] == {"StringEquals": {"ecs:container-name": "user"}}


def test_an_installation_without_remote_debug_has_no_way_into_workers() -> None:
    everything = json.dumps(templates("everything set"))

    assert "ssmmessages" not in everything
    assert "ecs:ExecuteCommand" not in everything
    assert "DEBUG_ROLE" not in everything
    assert "CONDUCTO_DEBUG_ROLE" in json.dumps(templates("default"))


def test_what_is_shown_in_a_shell_is_kept_in_no_log() -> None:
    (cluster,) = resources(templates("default")["compute"], "AWS::ECS::Cluster")

    configured = cluster["Properties"]["Configuration"]["ExecuteCommandConfiguration"]
    assert configured == {"Logging": "NONE"}


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


def test_secrets_are_changed_by_requests_alone_and_read_where_notifications_are_made(
    installation: dict[str, dict[str, Any]],
) -> None:
    uses: dict[str, set[str]] = {}
    for name, statement in all_statements(installation):
        actions = {a for a in listed(statement["Action"]) if a.startswith("secretsmanager:")}
        if actions:
            uses.setdefault(name.partition("Role")[0], set()).update(actions)

    requests = uses.pop("ApiHandler")
    assert "secretsmanager:PutSecretValue" in requests
    # What a pipeline tells people is written down with secrets hidden, by whoever moves it on, and
    # sent with them every minute.
    drivers = {"TaskStopped", "ExecutionEnded", "BuildEnded", "EveryMinute"}
    assert uses == {driver: {"secretsmanager:GetSecretValue"} for driver in drivers}


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
