"""Properties of every installation, independent of its settings."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from infra.settings import SettingsError, settings_from
from infra.stacks.api import MAX_BURST, MAX_RATE

from conducto_core.installation.names import (
    FUNCTION_SECONDS,
    IMAGE_DAYS,
    SOURCE_DAYS,
    function_name,
)
from conducto_core.installation.rules import RESERVED
from support.installation import (
    EXISTING,
    ROLES,
    VARIANTS,
    ZONE,
    resources,
    settings_templates,
    statements,
    templates,
)

QUEUE = "arn:aws:sqs:us-east-1:123456789012:orders"


def _all(installation: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [r for template in installation.values() for r in resources(template, kind)]


def test_idle_installation_has_no_hourly_cost(installation: dict[str, dict[str, Any]]) -> None:
    kinds = {r["Type"] for t in installation.values() for r in t.get("Resources", {}).values()}

    assert "AWS::EC2::NatGateway" not in kinds
    assert "AWS::ECS::Service" not in kinds
    assert "AWS::EC2::EIP" not in kinds
    for endpoint in _all(installation, "AWS::EC2::VPCEndpoint"):
        assert endpoint["Properties"]["VpcEndpointType"] == "Gateway"
    for table in _all(installation, "AWS::DynamoDB::GlobalTable"):
        assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"


#: The kinds of file systems of `/conducto/data`; an installation has one.
FILES = ("AWS::EFS::FileSystem", "AWS::S3Files::FileSystem")


def test_data_stores_are_retained_and_encrypted(installation: dict[str, dict[str, Any]]) -> None:
    data = installation["data"]
    kept = ("AWS::DynamoDB::GlobalTable", "AWS::S3::Bucket", *FILES)

    for kind in kept:
        for resource in resources(data, kind):
            assert resource["DeletionPolicy"] == "Retain"
            assert resource["UpdateReplacePolicy"] == "Retain"
    buckets = resources(data, "AWS::S3::Bucket")
    for files in resources(data, FILES[0]):
        assert files["Properties"]["Encrypted"] is True
    assert sum(len(resources(data, kind)) for kind in FILES) == 1
    # Files of S3 are objects of a second bucket.
    assert len(buckets) == 1 + len(resources(data, FILES[1]))
    for bucket in buckets:
        assert bucket["Properties"]["BucketEncryption"]
        assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    (table,) = resources(data, "AWS::DynamoDB::GlobalTable")
    assert table["Properties"]["SSESpecification"]["SSEEnabled"] is True
    (replica,) = table["Properties"]["Replicas"]
    assert replica["DeletionProtectionEnabled"] is True
    assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_nothing_from_outside_reaches_a_worker(installation: dict[str, dict[str, Any]]) -> None:
    network = installation["network"]
    rules = resources(network, "AWS::EC2::SecurityGroupIngress")

    assert [rule["Properties"]["FromPort"] for rule in rules] == [2049, 2049]
    for group in resources(network, "AWS::EC2::SecurityGroup"):
        assert "SecurityGroupIngress" not in group["Properties"]
    targets = {json.dumps(rule["Properties"]["GroupId"]) for rule in rules}
    assert all("Files" in target for target in targets)


def test_bucket_and_files_reject_unencrypted_transport(
    installation: dict[str, dict[str, Any]],
) -> None:
    data = installation["data"]
    files = resources(data, FILES[0])
    policies = resources(data, "AWS::S3::BucketPolicy")

    assert len(policies) == len(resources(data, "AWS::S3::Bucket"))
    for document in (
        *(each["Properties"]["FileSystemPolicy"] for each in files),
        *(each["Properties"]["PolicyDocument"] for each in policies),
    ):
        denials = [s for s in document["Statement"] if s["Effect"] == "Deny"]
        assert any(s["Condition"]["Bool"]["aws:SecureTransport"] == "false" for s in denials)


def test_every_function_has_its_own_role_and_the_time_it_needs(
    installation: dict[str, dict[str, Any]],
) -> None:
    functions = {
        f["Properties"]["FunctionName"].split("-", 2)[2]: f["Properties"]
        for f in resources(installation["api"], "AWS::Serverless::Function")
    }
    roles = {name: f["Role"]["Fn::GetAtt"][0] for name, f in functions.items()}
    shared = [n for n, role in roles.items() if list(roles.values()).count(role) > 1]

    assert sorted(shared) == ["socket-connect", "socket-disconnect", "socket-message"]
    assert roles["authorize"].startswith("AuthorizerRole")
    assert functions["api-handler"]["Timeout"] == 29
    assert functions["every-minute"]["Timeout"] == 300


def test_one_function_has_the_files_and_a_place_beside_them(
    installation: dict[str, dict[str, Any]],
) -> None:
    functions = resources(installation["api"], "AWS::Serverless::Function")
    mounted = [f["Properties"] for f in functions if "FileSystemConfigs" in f["Properties"]]

    (data,) = mounted
    assert data["FunctionName"].endswith("-data")
    assert data["Timeout"] == 900
    (mount,) = data["FileSystemConfigs"]
    assert mount["LocalMountPath"] == "/mnt/data"
    assert data["Environment"]["Variables"]["CONDUCTO_DATA_ROOT"] == "/mnt/data"
    assert data["VpcConfig"]["SubnetIds"]
    others = [f["Properties"] for f in functions if f["Properties"] is not data]
    assert all("VpcConfig" not in other for other in others)
    assert all(
        "CONDUCTO_DATA_ROOT" not in other.get("Environment", {}).get("Variables", {})
        and other["Environment"]["Variables"]["CONDUCTO_DATA_FUNCTION"] == data["FunctionName"]
        for other in others
        if "CONDUCTO_TABLE" in other.get("Environment", {}).get("Variables", {})
    )


def test_functions_are_invoked_for_events_of_their_installation_only() -> None:
    events = {
        name: event["Properties"]["Pattern"]["detail"]
        for function in resources(templates("default")["api"], "AWS::Serverless::Function")
        for name, event in function["Properties"].get("Events", {}).items()
        if event["Type"] == "CloudWatchEvent"
    }

    assert events.keys() == {"TaskStoppedEvent", "ExecutionEndedEvent", "BuildEndedEvent"}
    assert "Cluster" in json.dumps(events["TaskStoppedEvent"]["clusterArn"])
    (machines,) = events["ExecutionEndedEvent"]["stateMachineArn"]
    assert ":stateMachine:conducto-" in json.dumps(machines["prefix"])
    assert events["BuildEndedEvent"]["project-name"] == ["conducto-main-images"]


@pytest.mark.parametrize(("room", "expected"), [(10, {}), (351, {}), (352, RESERVED)])
def test_concurrency_is_reserved_where_the_account_keeps_enough(
    room: int, expected: dict[str, int]
) -> None:
    functions = resources(
        settings_templates({"function_room": room})["api"], "AWS::Serverless::Function"
    )
    names = {function_name("main", name): name for name in FUNCTION_SECONDS}
    found = {
        names[each["Properties"]["FunctionName"]]: limit
        for each in functions
        if (limit := each["Properties"].get("ReservedConcurrentExecutions"))
    }

    assert found == expected
    assert room - sum(found.values()) >= 100 or not found


def test_stages_are_throttled() -> None:
    api = templates("default")["api"]
    limits = {"ThrottlingRateLimit": MAX_RATE, "ThrottlingBurstLimit": MAX_BURST}
    (rest,) = resources(api, "AWS::Serverless::Api")
    (socket,) = resources(api, "AWS::ApiGatewayV2::Stage")

    every, hooks, metadata = rest["Properties"]["MethodSettings"]
    assert every == {"HttpMethod": "*", "ResourcePath": "/*", **limits}
    assert hooks == {
        "HttpMethod": "POST",
        "ResourcePath": "/~1api~1v1~1hooks~1{hook}",
        "ThrottlingRateLimit": 500,
        "ThrottlingBurstLimit": 1000,
    }
    assert metadata["ResourcePath"] == "/~1.well-known~1oauth-protected-resource~1mcp"
    assert metadata["ThrottlingRateLimit"] == 20
    assert metadata["ThrottlingBurstLimit"] == 40
    assert socket["Properties"]["DefaultRouteSettings"] == limits


def test_one_zone_is_the_default_and_two_are_available() -> None:
    one = resources(templates("default")["network"], "AWS::EC2::Subnet")
    two = resources(templates("two zones")["network"], "AWS::EC2::Subnet")

    assert (len(one), len(two)) == (1, 2)
    (cheap,) = resources(templates("default")["data"], "AWS::EFS::FileSystem")
    (dear,) = resources(templates("two zones")["data"], "AWS::EFS::FileSystem")
    assert "AvailabilityZoneName" in cheap["Properties"]
    assert "AvailabilityZoneName" not in dear["Properties"]


def test_the_function_that_sends_notifications_knows_where_to() -> None:
    (sender,) = (
        function["Properties"]["Environment"]["Variables"]
        for function in resources(templates("everything set")["api"], "AWS::Serverless::Function")
        if function["Properties"]["FunctionName"].endswith("-every-minute")
    )

    assert sender["CONDUCTO_SMTP_URL"] == "smtps://ci@mail.example.org"
    assert sender["CONDUCTO_EMAIL_FROM"] == "ci@example.org"
    assert "CONDUCTO_SLACK_URL" not in sender


def test_zones_can_be_chosen() -> None:
    subnets = resources(templates("two zones")["network"], "AWS::EC2::Subnet")

    zones = [subnet["Properties"]["AvailabilityZone"] for subnet in subnets]
    assert zones == ["us-east-1b", "us-east-1c"]


@pytest.mark.parametrize(("variant", "given"), [("existing network", "off"), ("default", None)])
def test_workers_in_private_subnets_get_no_public_address(variant: str, given: str | None) -> None:
    functions = resources(templates(variant)["api"], "AWS::Serverless::Function")

    variables = [f["Properties"]["Environment"]["Variables"] for f in functions]
    assert {each.get("CONDUCTO_PUBLIC_IP") for each in variables if each} == {given}


def test_named_roles_may_mount_files_as_our_own_role_does() -> None:
    compute = templates("everything set")["compute"]
    (policy,) = (
        each["Properties"]
        for each in resources(compute, "AWS::IAM::Policy")
        if "reports" in each["Properties"].get("Roles", ())
    )
    (own,) = (s for name, s in statements(compute) if name.startswith("TaskRole"))

    assert policy["Roles"] == ["nightly", "reports"]
    assert policy["PolicyDocument"]["Statement"] == [own]
    printed = templates("everything set")["data"]["Outputs"]["TaskRolePolicy"]["Value"]
    assert "ClientMount" in json.dumps(printed)
    assert "TaskRolePolicy" not in templates("default")["data"].get("Outputs", {})


def test_an_existing_network_is_left_as_it_is() -> None:
    network = templates("existing network")["network"]

    assert not resources(network, "AWS::EC2::VPC")
    assert not resources(network, "AWS::EC2::Subnet")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stage": "Prod!"}, "stage='Prod!': expected lower-case letters"),
        ({"spot_share": "11"}, "spot_share='11': expected a whole number from 0 to 10"),
        ({"warm_workers": "-1"}, "warm_workers='-1': expected a whole number from 0 to 100"),
        ({"warm_workers": "abc"}, "warm_workers='abc': expected a whole number from 0 to 100"),
        ({"warm_workers": "2", "warm_minutes": "0"}, "warm_minutes='0': expected a whole number"),
        ({"warm_minutes": "5"}, "warm_minutes=5 requires warm_workers"),
        ({"log_days": "8"}, "log_days=8: expected one of 1, 3, 5"),
        ({"billing": "yes"}, "billing='yes': expected true or false"),
        ({"domain": "a.example.org"}, "domain requires certificate"),
        ({"domain": "nonsense", "certificate": "arn:x"}, "domain='nonsense'"),
        ({"vpc_id": EXISTING["vpc_id"]}, "vpc_id requires as many vpc_subnets"),
        ({**EXISTING, "vpc_subnets": "a,b"}, "'a' is not a subnet id"),
        ({"monthly_budget": "-3"}, "monthly_budget='-3'"),
        ({"zones": "3"}, "zones='3'"),
        ({"pull_through": ",".join(f"r{n}.io" for n in range(15))}, "name fewer roles, classes,"),
        ({"identity_providers": "Google"}, "identity_providers requires identity=cognito"),
        ({"github_url": "https://g.example/" + "x" * 4096}, "longer than 4096 characters"),
        ({"zone": ""}, "zone is required without vpc_id"),
        ({"identity": "cognito", "stage": "our-aws"}, "Cognito rejects domains with the word"),
        ({"identity": "cognito", "region": "us-gov-west-1"}, "needs the web app"),
        ({"log_bucket": "s3://acme"}, "log_bucket='s3://acme': expected the name of a bucket"),
        ({"otlp_endpoint": "collector:4317"}, "the https:// address of a collector"),
        ({"otlp_headers_secret": "otlp"}, "otlp_headers_secret requires otlp_endpoint"),
        ({"smtp_url": "smtp://mail.example.org"}, "smtp_url requires email_from"),
        ({"smtp_url": "smtp://me:secret@mail.example.org"}, "smtp_url="),
        ({"email_from": "nobody"}, "email_from='nobody'"),
        ({"pull_through": "not a host"}, "pull_through='not a host'"),
        ({"pull_through": "quay.io=arn:aws:iam::1:user/x"}, "host=ARN of a secret"),
        ({"pull_through": "docker.io"}, "docker.io requires credentials"),
        ({"pull_through": "quay.io", "stage": "a-rather-long-st"}, "exceeds the 30 characters"),
        ({"monthly_budget": "none"}, "expected a number of dollars above 0, or off"),
        ({"zone": "use1-az1"}, "the name of a zone such as us-east-1b"),
        ({"zone": "us-east-1a,us-east-1b"}, "zones=1 needs 1 different names"),
        ({"zone": "us-east-1a,us-east-1a", "zones": 2}, "zones=2 needs 2 different names"),
        ({"zone": "us-east-1a", **EXISTING}, "set vpc_subnets and vpc_zones instead"),
        ({"public_ip": "false"}, "public_ip=false requires vpc_id"),
        ({"task_roles": "a" * 1001}, "task_roles: 1001 characters; at most 1000"),
        ({"secret_stores": "vault:a/"}, "secret_stores: 'vault:a/': expected the beginning of"),
        ({"secret_stores": "aws-sm:conducto-main/"}, "it has secrets of installations"),
        ({"queues": "orders", "events": True}, "queues: 'orders' is not ORG=ARN"),
        ({"queues": f"main={QUEUE}"}, "queues requires events=true"),
        (
            {"queues": f"main={QUEUE}", "events": True, "region": "eu-west-1"},
            "is in us-east-1; Lambda reads queues of eu-west-1 only",
        ),
        ({"task_roles": "reports"}, "task_roles: 'reports': expected ORG=ARN"),
        ({"task_roles": f"a={ROLES}conducto-main-us-east-1-task"}, "a role of Conducto itself"),
        ({"slack_url": "http://slack.example.org"}, "slack_url="),
        ({"github_url": "file:///etc/passwd"}, "github_url="),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_before_anything_is_built(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError) as error:
        settings_from({**({} if "vpc_id" in values else ZONE), **values}.get)

    assert message in str(error.value)


def test_errors_of_api_gateway_itself_are_problems_too(
    installation: dict[str, dict[str, Any]],
) -> None:
    (api,) = resources(installation["api"], "AWS::Serverless::Api")
    responses = api["Properties"]["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]

    for name, status in {"ACCESS_DENIED": 401, "UNAUTHORIZED": 401, "THROTTLED": 429}.items():
        response = responses[name]
        problem = json.loads(response["responseTemplates"]["application/json"])
        assert response["statusCode"] == problem["status"] == status
        assert problem["remedy"]
        media_type = response["responseParameters"]["gatewayresponse.header.Content-Type"]
        assert media_type == "'application/problem+json'"


def test_build_contexts_outlive_their_images_and_then_expire() -> None:
    (bucket,) = resources(templates("default")["data"], "AWS::S3::Bucket")
    rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]

    days = {rule["Prefix"]: rule.get("ExpirationInDays") for rule in rules if "Prefix" in rule}
    noncurrent = {rule.get("Prefix"): rule.get("NoncurrentVersionExpiration") for rule in rules}

    assert days == {
        "uploads/": 2,
        "partitions/": 400,
        "contexts/": SOURCE_DAYS,
        "builds/": SOURCE_DAYS,
        "tests/": 90,
    }
    assert noncurrent["uploads/"] == {"NoncurrentDays": 1}
    assert SOURCE_DAYS > IMAGE_DAYS


def test_other_registries_have_caches_where_that_is_asked_for() -> None:
    assert resources(templates("default")["compute"], "AWS::ECR::PullThroughCacheRule") == []
    compute, api = (templates("everything set")[name] for name in ("compute", "api"))

    rules = resources(compute, "AWS::ECR::PullThroughCacheRule")
    made = resources(compute, "AWS::ECR::RepositoryCreationTemplate")

    prefixes = ["conducto-full/docker.io", "conducto-full/quay.io"]
    assert [rule["Properties"]["EcrRepositoryPrefix"] for rule in rules] == prefixes
    assert ["CredentialArn" in rule["Properties"] for rule in rules] == [True, False]
    assert [one["Properties"]["Prefix"] for one in made] == prefixes
    (project,) = (
        each
        for each in resources(compute, "AWS::CodeBuild::Project")
        if each["Properties"]["Name"].endswith("-images")
    )
    told = json.dumps(project["Properties"]["Environment"]["EnvironmentVariables"])
    functions = resources(api, "AWS::Serverless::Function")
    for text in (told, json.dumps(functions[0]["Properties"]["Environment"])):
        assert "PULL_THROUGH" in text
        assert "docker.io=" in text
    who = [
        name
        for name, statement in statements(compute)
        if "ecr:BatchImportUpstreamImage" in statement["Action"]
    ]
    assert len(who) == 2  # builds, and the functions that launch workers


def test_push_role_allows_pushing_and_nothing_else() -> None:
    allowed = {
        action
        for name, statement in statements(templates("default")["compute"])
        if name.startswith("PushRole")
        for action in statement["Action"]
        if statement["Resource"] != "*"
    }

    assert "ecr:PutImage" in allowed
    assert not [action for action in allowed if "Delete" in action or not action.startswith("ecr:")]


def test_environments_of_functions_are_below_the_limit_of_lambda() -> None:
    """The longest values of roles and caches, which a further cache would exceed."""
    long = VARIANTS["everything set"] | {
        "pull_through": ",".join(f"registry{n}.io" for n in range(3)),
        "task_roles": ",".join(f"main/github.com/acme/app:{n}.py={ROLES}nightly" for n in range(7)),
    }
    assert settings_from(long.get)
    refused = "fewer roles, classes, prefixes, queues, buckets or registries"
    with pytest.raises(SettingsError, match=refused):
        settings_from((long | {"pull_through": f"{long['pull_through']},registry3.io"}).get)
    functions = resources(settings_templates(long)["api"], "AWS::Serverless::Function")
    sizes = []
    for function in functions:
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        texts = (v if isinstance(v, str) else _longest(v) for v in variables.values())
        sizes.append(sum(map(len, variables)) + sum(map(len, texts)))

    assert max(sizes) < 4096


def _longest(value: Any) -> str:
    """Return a text as long as the value of a template's expression."""
    if isinstance(value, str):
        return value
    ((function, given),) = value.items()
    if function != "Fn::Join":
        attribute = "" if function == "Ref" else given[1]
        sizes = {"": 20, "FileSystemId": 43, "AccessPointId": 45}
        return "x" * sizes.get(attribute, 100)
    return str(given[0]).join(map(_longest, given[1]))


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ("Bearer cdo_Ab-_9", True),
        ("bearer eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2ln", True),
        ("Bearer ", False),
        ("Bearer guess", False),
        ("Basic YTpi", False),
    ],
)
def test_only_tokens_of_a_valid_form_invoke_the_authorizer(header: str, matches: bool) -> None:
    (api,) = resources(templates("default")["api"], "AWS::Serverless::Api")
    authorizers = api["Properties"]["DefinitionBody"]["securityDefinitions"]
    settings = authorizers["authorize"]["x-amazon-apigateway-authorizer"]

    found = re.fullmatch(settings["identityValidationExpression"], header)

    assert bool(found) is matches
    assert settings["type"] == "token"
