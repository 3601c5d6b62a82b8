"""Every statement of every policy: permissions on all resources, each with its reason."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from conducto_core.buckets.rules import read_buckets, role_digest
from conducto_core.events.rules.queues import read_queues
from conducto_core.installation.names import API_FUNCTION, DRIVERS, driver_role_name
from support.installation import IN_A_NETWORK, ROLES, VARIANTS, resources, statements, templates

#: ``{action that is allowed on every resource: why}``. AWS has no resource level for these.
ARGUED = {
    **dict.fromkeys(
        IN_A_NETWORK,
        "Lambda refuses a function in a network whose role lacks it on everything",
    ),
    "ecr:GetAuthorizationToken": "a log-in to the registry; it gives no right to an image",
    "ecs:DescribeTaskDefinition": "no resource level; definitions hold no secrets",
    "ecs:DeregisterTaskDefinition": "no resource level; only the daily cleanup uses it, for "
    "families with the stage's prefix",
    "ecs:ListTaskDefinitionFamilies": "no resource level; only the daily cleanup uses it",
    "ecs:ListTaskDefinitions": "no resource level; only the daily cleanup uses it",
    "ecs:ListTasks": "no resource level but the cluster, which is a condition",
    "states:ListStateMachines": "no resource level; for the machines of runs that are over",
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
    "lambda:CreateEventSourceMapping": "no resource level; its condition names the one function",
    "lambda:ListEventSourceMappings": "no resource level; only with events on",
    "xray:GetSamplingRules": "no resource level; only with tracing on",
    "xray:GetSamplingTargets": "no resource level; only with tracing on",
    "xray:PutTelemetryRecords": "no resource level; only with tracing on",
    "xray:PutTraceSegments": "no resource level; only with tracing on",
}


#: Rights to the prefixes of ``secret_stores``.
OF_STORES = {
    ("secretsmanager:GetSecretValue", "prod/*"): "a prefix that the administrator allows",
    ("ssm:GetParameter", "parameter/teams/*/*"): "a prefix that the administrator allows",
}
#: Rights of installations with events.
OF_EVENTS = {
    (
        f"lambda:{action}EventSourceMapping",
        "*",
    ): "AWS names mappings; the condition has the function"
    for action in ("Update", "Delete")
}
#: Rights to access points of EFS, whose ARNs have no file system.
OF_EFS = {
    ("elasticfilesystem:DeleteAccessPoint", "access-point/*"): "aws:ResourceTag/conducto:stage",
    # A tag is given to a new access point by its creator: only in the stage's own file system.
    ("elasticfilesystem:TagResource", "access-point/*"): "aws:RequestTag/conducto:stage",
}
#: Rights of S3 Files, with buckets or data in S3.
OF_S3_FILES = {
    (
        f"events:{action}",
        "rule/DO-NOT-DELETE-S3-Files*",
    ): "AWS names the rules with which S3 Files follows buckets; only its service has the role"
    for action in (
        *("PutRule", "DeleteRule", "EnableRule", "DisableRule", "PutTargets", "RemoveTargets"),
        *("DescribeRule", "ListTargetsByRule"),
    )
}
#: For actions on resources without a stage in their name: the condition that limits the action, or
#: the reason why it needs none.
WITHOUT_STAGE = {
    **OF_STORES,
    **OF_EVENTS,
    **OF_EFS,
    **OF_S3_FILES,
    **dict.fromkeys(
        (
            (f"events:{action}", "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule")
            for action in ("PutTargets", "PutRule", "DescribeRule")
        ),
        "Step Functions' own rule, one for all machines of an account; AWS makes and guards it",
    ),
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


def test_wildcard_permissions_are_justified(installation: dict[str, dict[str, Any]]) -> None:
    everywhere = {
        action
        for _, statement in all_statements(installation)
        if statement["Effect"] == "Allow" and "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }

    assert everywhere - set(ARGUED) == set()


def text_of(value: Any) -> str:
    """Return a resource as text; what is a resource of the installation's own is ``<own>``."""
    if isinstance(value, str):
        return value
    ((function, given),) = value.items()
    if function == "Fn::Join":
        return str(given[0]).join(map(text_of, given[1]))
    return f"<{given}>" if function == "Ref" and given.startswith("AWS::") else "<own>"


def is_bounded(resource: str, stage: str) -> bool:
    """Return whether a pattern matches only resources of its own stage.

    A wildcard follows the end of the stage's name: a character that no stage has, since
    ``conducto-dev*`` and ``conducto-dev-*`` would match resources of ``dev-2`` as well.
    """
    if resource.startswith("<own>") or re.search(r"[/:]<own>", resource):
        return True
    found = re.search(rf"conducto[-/]{stage}(?![a-z0-9])([^*]*)(\*?)", resource)
    return found is not None and (not found[2] or re.search(r"[^a-z0-9-]", found[1]) is not None)


@pytest.mark.parametrize(
    ("resource", "bounded"),
    [
        ("arn:aws:states:R:A:activity:conducto-dev_*", True),
        ("arn:aws:states:R:A:execution:conducto-dev_*:*", True),
        ("arn:aws:logs:R:A:log-group:/aws/lambda/conducto-dev-data:*", True),
        ("arn:aws:secretsmanager:R:A:secret:conducto/dev/*", True),
        ("<own>/index/*", True),
        ("arn:aws:states:R:A:activity:conducto-*", False),
        ("arn:aws:states:R:A:activity:conducto-dev*", False),
        ("arn:aws:states:R:A:activity:conducto-dev-*", False),
        ("arn:aws:states:R:A:activity:conducto-dev2_*", False),
        ("arn:aws:states:R:A:activity:conducto-prod_*", False),
        ("arn:aws:states:R:A:activity:*", False),
    ],
)
def test_a_bound_ends_the_name_of_the_stage(resource: str, bounded: bool) -> None:
    assert is_bounded(resource, "dev") is bounded


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_statement_reaches_resources_of_another_stage(variant: str) -> None:
    stage = VARIANTS[variant].get("stage", "main")
    named = re.findall(rf"{ROLES}[^,]+", VARIANTS[variant].get("task_roles", ""))
    headers = VARIANTS[variant].get("otlp_headers_secret")
    queues = {arn for _, arn in read_queues(VARIANTS[variant].get("queues", ""))}
    registered = read_buckets(VARIANTS[variant].get("buckets", ""))
    buckets = {f"arn:<AWS::Partition>:s3:::{each.url[5:]}" for each in registered}
    buckets |= {f"{arn}/*" for arn in buckets} | {arn.partition("/")[0] for arn in buckets}
    reaching, used = [], set()
    for name, statement in all_statements(templates(variant)):
        assert "NotResource" not in statement, name
        for resource in map(text_of, listed(statement["Resource"])):
            if resource == "*" or is_bounded(resource, stage):  # `ARGUED` has the unbounded ones
                continue
            if resource in named and statement["Action"] == "iam:PassRole":
                continue
            # The administrator names them.
            if resource.endswith(f":secret:{headers}-??????") or resource in queues | buckets:
                continue
            for action in listed(statement["Action"]):
                known = (action, resource.rpartition(":")[2])
                used.add(known)
                key = WITHOUT_STAGE.get(known, "")
                condition = statement.get("Condition", {}).get("StringEquals", {})
                if not key or (key.startswith("aws:") and condition.get(key) != stage):
                    reaching.append((name, action, resource))

    assert reaching == []
    stores = set() if "secret_stores" in VARIANTS[variant] else set(OF_STORES)
    events = set() if "events" in VARIANTS[variant] else set(OF_EVENTS)
    in_s3 = VARIANTS[variant].get("data") == "s3"
    files = set(OF_EFS) if in_s3 else set()
    followed = set() if in_s3 or registered else set(OF_S3_FILES)
    assert used == set(WITHOUT_STAGE) - stores - events - files - followed


def trusted(role: dict[str, Any]) -> dict[str, Any]:
    """Return the only statement that says who may be a role."""
    (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    found: dict[str, Any] = statement
    return found


def test_roles_of_workers_and_builds_are_lent_to_the_functions_that_start_them(
    installation: dict[str, dict[str, Any]],
) -> None:
    api, compute = installation["api"]["Resources"], installation["compute"]["Resources"]
    names = {
        text_of(role["Properties"]["RoleName"])
        for role in api.values()
        if role["Type"] == "AWS::IAM::Role"
        and "RoleName" in role["Properties"]
        and trusted(role)["Principal"] == {"Service": "lambda.amazonaws.com"}
    }
    assert len(names) == len(DRIVERS)
    (handler,) = [n for n in names if n.endswith(API_FUNCTION.replace("_", "-"))]
    borrowers = {"Poll": {handler}, "Push": names}
    lent = {
        name: trusted(role)
        for name, role in compute.items()
        if role["Type"] == "AWS::IAM::Role" and "AWS" in trusted(role)["Principal"]
    }

    assert {name.partition("Role")[0] for name in lent} == borrowers.keys()
    for name, statement in lent.items():
        ((operator, condition),) = statement["Condition"].items()
        assert operator == "ArnEquals"
        trusted_arns = {text_of(arn) for arn in listed(condition["aws:PrincipalArn"])}
        allowed = borrowers[name.partition("Role")[0]]
        assert trusted_arns == {
            f"arn:<AWS::Partition>:iam::<AWS::AccountId>:role/{n}" for n in allowed
        }


def test_build_has_no_right_to_any_image_but_by_its_login(
    installation: dict[str, dict[str, Any]],
) -> None:
    builders = [
        action
        for name, statement in all_statements(installation)
        if name.startswith("Builder")
        for action in listed(statement["Action"])
    ]

    assert builders
    assert [action for action in builders if not action.startswith("logs:")] == []


def test_the_role_that_others_know_has_a_name_that_iam_takes_and_no_other_stage_has() -> None:
    regions = "us-east-1", "ap-southeast-99"
    stages = ("dev", "dev-2", "s" + 15 * "-")
    names = {driver_role_name(s, r, f) for s in stages for r in regions for f in DRIVERS}

    assert len(names) == 6 * len(DRIVERS)
    assert all(re.fullmatch(r"[\w+=,.@-]{1,64}", name) for name in names)


def test_machines_alone_have_the_role_of_machines_and_those_of_the_stage(
    installation: dict[str, dict[str, Any]],
) -> None:
    (trust,) = [
        trusted(role)
        for name, role in installation["compute"]["Resources"].items()
        if name.startswith("MachineRole") and role["Type"] == "AWS::IAM::Role"
    ]

    assert trust["Principal"] == {"Service": "states.amazonaws.com"}
    source = text_of(trust["Condition"]["ArnLike"]["aws:SourceArn"])
    assert re.search(r":stateMachine:conducto-[a-z]+_\*$", source)


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


def test_only_named_roles_can_be_passed_besides_our_own() -> None:
    passed = {
        text_of(resource)
        for _, statement in all_statements(templates("everything set"))
        if "iam:PassRole" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    own = {arn for arn in passed if ":role/conducto-full-" in arn}

    assert passed - own == {f"{ROLES}nightly", f"{ROLES}team/reports"}
    of_buckets = {arn for arn in own if "-buckets-" in arn}
    assert {arn.rpartition("-")[2] for arn in of_buckets} == set(map(role_digest, ("main", "team")))
    assert {arn.rpartition("-")[2] for arn in own - of_buckets} == {"execution", "machine", "task"}


def test_roles_with_buckets_mount_those_of_their_organisation_only() -> None:
    api = templates("everything set")["api"]
    rights = {
        digest: [s for name, s in statements(api) if name.startswith(f"BucketsWorker{digest}")]
        for digest in map(role_digest, ("main", "team"))
    }
    main, team = rights.values()

    for found in (main, team):
        for statement in found:
            for action in listed(statement["Action"]):
                assert action.startswith(
                    ("elasticfilesystem:Client", "s3files:Client", "s3:Get", "s3:List")
                )
            if str(statement["Action"]).count("s3files:"):
                assert list(statement["Condition"]) == ["ArnEquals"]
    points = [
        (
            s["Condition"]["ArnEquals"]["s3files:AccessPointArn"]["Fn::GetAtt"][0],
            "s3files:ClientWrite" in s["Action"],
        )
        for found in (main, team)
        for s in found
        if "s3files:ClientMount" in s["Action"]
    ]
    assert [writes for _, writes in points] == [False, True, False]
    assert points[0] == points[2]  # both mount s3://acme/raw
    assert len({point for point, _ in points}) == 2


def test_token_checking_role_has_no_other_permissions() -> None:
    authorizer = [
        statement
        for name, statement in statements(templates("default")["api"])
        if name.startswith("AuthorizerRole")
    ]
    actions = {action for s in authorizer for action in listed(s["Action"])}

    assert actions == {
        "dynamodb:GetItem",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "ssm:GetParameter",  # the audiences of ID tokens
    }
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


@pytest.mark.parametrize(
    ("variant", "shells"), [("default", {"ApiHandler"}), ("everything set", set())]
)
def test_runs_and_workers_are_started_in_the_background_alone(
    variant: str, shells: set[str]
) -> None:
    """The API also starts the workers of debug shells, if they are enabled."""
    starting: dict[str, set[str]] = {"states:CreateStateMachine": set(), "ecs:RunTask": set()}
    for name, statement in statements(templates(variant)["api"]):
        for action in starting.keys() & set(listed(statement["Action"])):
            starting[action].add(name.partition("Role")[0])

    assert starting["states:CreateStateMachine"] == {"Background"}
    assert starting["ecs:RunTask"] == {"Background", *shells}


def test_only_a_worker_for_a_debug_shell_can_be_entered() -> None:
    reached = {
        name.partition("Role")[0]
        for name, statement in all_statements(templates("default"))
        if any(action.startswith("ssmmessages:") for action in listed(statement["Action"]))
    }

    assert reached == {"Debug"}


def test_only_the_api_may_open_shells_and_only_in_the_user_container() -> None:
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


def test_shell_content_is_not_logged() -> None:
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
    asking = {
        name
        for name, s in statements(api)
        if "lambda:InvokeFunction" in listed(s["Action"]) and '-data"' in json.dumps(s["Resource"])
    }

    ((role, mount),) = mounting
    assert role.startswith("DataRole")
    assert "elasticfilesystem:AccessPointArn" in mount["Condition"]["StringEquals"]
    # Users' files; the daily archiving of inactive pipelines; and those that continue a pipeline,
    # because the files of a cached command decide whether it runs.
    continuing = {"BuildEnded", "EveryMinute", "ExecutionEnded", "HookEvent", "TaskStopped"}
    continuing |= {"ApiHandler", "Background", "EveryDay"}
    assert {name.partition("Role")[0] for name in asking} <= continuing
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
    assert {"secretsmanager:CreateSecret", "secretsmanager:DeleteSecret"} <= requests
    # Invitations are mailed with the password of the server.
    assert uses.pop("Administrator") == {"secretsmanager:GetSecretValue"}
    # Notifications of a pipeline are stored with secrets hidden, by the function that advances it,
    # and sent with them every minute.
    drivers = {"TaskStopped", "ExecutionEnded", "BuildEnded", "EveryMinute", "HookEvent"}
    drivers.add("Background")
    assert uses == {driver: {"secretsmanager:GetSecretValue"} for driver in drivers}


def test_functions_that_read_parameters_may_read_them() -> None:
    """The authorizer and the API verify ID tokens; the administrator's function makes links."""
    found: dict[str, set[str]] = {}
    for name, statement in statements(templates("everything set")["api"]):
        if "ssm:GetParameter" in listed(statement["Action"]):
            found.setdefault(name.partition("Role")[0], set()).add(statement["Sid"])
    assert found["ApiHandler"] >= {"ReadIdentityClient", "ReadWebApp", "ReadAddresses"}
    assert found["Authorizer"] == {"ReadIdentityClient", "ReadWebApp", "ReadAddresses"}
    assert found["Administrator"] == {"ReadWebApp", "ReadAddresses"}


def test_only_the_function_of_the_api_reads_secrets_by_reference() -> None:
    found = {
        (statement["Sid"], json.dumps(statement["Resource"]), json.dumps(statement["Action"]))
        for template in templates("existing network").values()
        for _, statement in statements(template)
        if str(statement.get("Sid")).startswith("ReadStore")
    }
    readers = [
        role
        for template in templates("existing network").values()
        for role, statement in statements(template)
        if str(statement.get("Sid")).startswith("ReadStore")
    ]

    assert {sid for sid, _, _ in found} == {"ReadStoreSecretsmanager", "ReadStoreSsm"}
    by_sid = {sid: (resource, action) for sid, resource, action in found}
    assert ":secret:prod/*" in by_sid["ReadStoreSecretsmanager"][0]
    assert ":parameter/teams/*/*" in by_sid["ReadStoreSsm"][0]
    assert by_sid["ReadStoreSsm"][1] == '"ssm:GetParameter"'
    assert len(set(readers)) == 1
    everywhere = json.dumps(templates("default"))
    assert "ReadStore" not in everywhere
