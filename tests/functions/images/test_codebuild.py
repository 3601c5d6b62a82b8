"""The adapter of CodeBuild and ECR, over moto."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.aws.clients import Tags
from chalicelib.errors import AccessDeniedError
from chalicelib.images.aws import BUILDSPEC, CodeBuild, EcrRegistry, pipeline_of
from chalicelib.images.port import BuildRequest
from conducto_core.errors import RefusedError
from support.cloud.aws import ACCOUNT, CLUSTER, REGION, aws, role
from support.iam_data import problems_of_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.clients import Clients

PROJECT = "conducto-test-images"
TAGS = Tags("test")
ROOT = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{CLUSTER}/images"
ORDER = BuildRequest("acme", "abc-def", "t" * 40, "t-1", {"RECIPE_URL": "https://x.invalid/?s=1"})


@pytest.fixture
def clients() -> Iterator[Clients]:
    with aws() as made:
        made.get("codebuild").create_project(
            name=PROJECT,
            source={"type": "NO_SOURCE", "location": "none"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "i",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole=role("builder"),
        )
        yield made


@pytest.fixture
def registry(clients: Clients) -> EcrRegistry:
    return EcrRegistry(clients, ROOT, TAGS, role("push"))


@pytest.fixture
def builder(clients: Clients, registry: EcrRegistry) -> CodeBuild:
    return CodeBuild(clients, PROJECT, registry)


def push(clients: Clients, reference: str) -> None:
    repository, _, tag = reference.removeprefix(ROOT.partition("/")[0] + "/").partition(":")
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    config = {"digest": "sha256:" + "0" * 64}
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}
    clients.get("ecr").put_image(
        repositoryName=repository, imageManifest=json.dumps(manifest), imageTag=tag
    )


def test_a_build_is_started_and_known(builder: CodeBuild) -> None:
    build_id = builder.start(ORDER)

    assert builder.status(build_id) in {"running", "queued", "succeeded"}
    assert builder.status(f"{PROJECT}:00000000-0000-0000-0000-000000000000") == "gone"


def test_an_image_is_in_the_registry_once_it_was_pushed(
    builder: CodeBuild, clients: Clients
) -> None:
    assert not builder.exists("acme", "one")  # nor is there a repository yet
    builder.start(ORDER)
    assert not builder.exists("acme", "one")

    push(clients, builder.reference("acme", "one"))

    assert builder.exists("acme", "one")
    assert not builder.exists("acme", "two")


def test_organisations_have_repositories_of_their_own(
    registry: EcrRegistry, clients: Clients
) -> None:
    for org in ("acme", "other"):
        registry.ensure(org)
    push(clients, registry.reference("acme", "one"))

    assert not registry.exists("other", "one")
    assert registry.reference("acme", "one").startswith(f"{ROOT}/")


def test_a_repository_keeps_images_for_some_time_and_no_tag_is_overwritten(
    registry: EcrRegistry, clients: Clients
) -> None:
    registry.ensure("acme")
    EcrRegistry(clients, ROOT, TAGS).ensure("acme")  # another process

    (made,) = clients.get("ecr").describe_repositories()["repositories"]
    tags = clients.get("ecr").list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    assert {"Key": "conducto:org", "Value": "acme"} in tags
    policy = clients.get("ecr").get_lifecycle_policy(repositoryName=made["repositoryName"])
    (rule,) = json.loads(policy["lifecyclePolicyText"])["rules"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert rule["selection"]["countNumber"] == 90


class Assumed:
    """boto3's clients that remember which role was taken, and with which policy."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self.asked: dict[str, Any] = {}
        self.lent_for: Any = None

    def get(self, service: str) -> Any:
        return self if service == "sts" else self._clients.get(service)

    def assume_role(self, **asked: Any) -> Any:
        self.asked = asked
        return self._clients.get("sts").assume_role(**asked)

    def lent(self, service: str, credentials: Any) -> Any:
        self.lent_for = credentials
        return self._clients.lent(service, credentials)


def test_registry_login_permits_one_organisations_repository(clients: Clients) -> None:
    assumed = Assumed(clients)
    registry = EcrRegistry(assumed, ROOT, TAGS, role("push"))  # type: ignore[arg-type]

    login = registry.login("acme", "ann")

    assert login is not None
    assert login.registry == ROOT.partition("/")[0]
    assert (login.user, bool(login.password)) == ("AWS", True)
    assert login.password not in repr(login)
    assert assumed.lent_for["SessionToken"]  # the role's, not the function's own
    assert (assumed.asked["RoleArn"], assumed.asked["DurationSeconds"]) == (role("push"), 3600)
    assert assumed.asked["RoleSessionName"] == "push-ann"
    images, log_in = json.loads(assumed.asked["Policy"])["Statement"]
    name = registry.reference("acme", "x").partition("/")[2].partition(":")[0]
    assert images["Resource"] == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    assert "ecr:PutImage" in images["Action"]
    assert log_in["Action"] == "ecr:GetAuthorizationToken"


def test_login_of_a_build_may_pull_through_caches(clients: Clients) -> None:
    assumed = Assumed(clients)
    cache = f"{ROOT.partition('/')[0]}/conducto-test/docker.io"
    registry = EcrRegistry(assumed, ROOT, TAGS, role("push"), [cache])  # type: ignore[arg-type]

    registry.login("acme", "Jürgen Groß")

    assert assumed.asked["RoleSessionName"] == "push-J-rgen-Gro-"
    *_, caches = json.loads(assumed.asked["Policy"])["Statement"]
    repository = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/conducto-test/docker.io/*"
    assert caches["Resource"] == [repository]
    assert "ecr:BatchImportUpstreamImage" in caches["Action"]
    assert "ecr:PutImage" not in caches["Action"]
    assert problems_of_policy(assumed.asked["Policy"]) == []


def test_without_a_role_to_assume_no_login_is_issued(clients: Clients) -> None:
    assert EcrRegistry(clients, ROOT, TAGS).login("acme", "ann") is None


def test_build_request_contains_no_signed_address() -> None:
    assert "s=1" not in repr(ORDER)


def test_a_build_fetches_its_recipe_and_delivers() -> None:
    commands = json.loads(BUILDSPEC)["phases"]["build"]["commands"]

    assert commands[0].endswith('-o inputs.env "$INPUTS_URL"')
    assert commands[2].endswith('"$RECIPE_URL"')
    assert commands[-1] == "cd recipe && sh push.sh"


def test_build_events_name_the_pipeline_that_started_the_build() -> None:
    variables = [{"name": "X", "value": "y"}, {"name": "CONDUCTO_PIPELINE", "value": "abc-def"}]
    detail = {"additional-information": {"environment": {"environment-variables": variables}}}

    assert pipeline_of(detail) == "abc-def"
    assert pipeline_of({"project-name": "somebody else's"}) is None
    assert pipeline_of({"additional-information": {"environment": {}}}) is None


def test_denied_push_role_is_known_by_awss_message(clients: Clients) -> None:
    class Denying:
        def assume_role(self, **_asked: Any) -> None:
            error = {"Code": "AccessDenied", "Message": "not authorized: sts:AssumeRole"}
            raise ClientError({"Error": error}, "AssumeRole")

    class Some:
        def get(self, service: str) -> Any:
            return Denying() if service == "sts" else clients.get(service)

    registry = EcrRegistry(Some(), ROOT, TAGS, role("push"))  # type: ignore[arg-type]
    with pytest.raises(AccessDeniedError, match="not authorized: sts:AssumeRole"):
        registry.login("acme", "ann")


def test_a_build_for_arm_is_on_a_machine_with_such_processors(
    builder: CodeBuild, clients: Clients
) -> None:
    codebuild = clients.get("codebuild")
    sent: list[dict[str, Any]] = []
    codebuild.meta.events.register(
        "provide-client-params.codebuild.StartBuild", lambda params, **_: sent.append(params)
    )

    builder.start(replace(ORDER, arch="arm64"))
    builder.start(replace(ORDER, again="t-2"))

    assert sent[0]["environmentTypeOverride"] == "ARM_CONTAINER"
    assert "aarch64" in sent[0]["imageOverride"]
    assert "environmentTypeOverride" not in sent[1]


def test_a_region_without_machines_for_arm_refuses_the_build_with_a_remedy(
    builder: CodeBuild, clients: Clients
) -> None:
    def refuse(**_: object) -> None:
        said = {"Code": "InvalidInputException", "Message": "ARM_CONTAINER is not supported"}
        raise ClientError({"Error": said}, "StartBuild")

    clients.get("codebuild").meta.events.register("before-call.codebuild.StartBuild", refuse)

    with pytest.raises(RefusedError, match=r"cannot build for ARM here.*--build local"):
        builder.start(replace(ORDER, arch="arm64"))
