"""The adapter of CodeBuild and ECR, over moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from chalicelib.adapters.codebuild import BUILDSPEC, CodeBuild, pipeline_of
from chalicelib.ports import BuildOrder
from support.cloud.aws import ACCOUNT, CLUSTER, REGION, aws, role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.adapters.clients import Clients

PROJECT = "conducto-test-images"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{CLUSTER}/images"
ORDER = BuildOrder("acme", "abc-def", "t" * 40, "t-1", {"RECIPE_URL": "https://x.invalid/?s=1"})


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
        made.get("ecr").create_repository(repositoryName=f"{CLUSTER}/images")
        yield made


@pytest.fixture
def builder(clients: Clients) -> CodeBuild:
    return CodeBuild(clients, PROJECT, REPOSITORY)


def test_a_build_is_started_and_known(builder: CodeBuild) -> None:
    build_id = builder.start(ORDER)

    assert builder.status(build_id) in {"running", "queued", "succeeded"}
    assert builder.status(f"{PROJECT}:00000000-0000-0000-0000-000000000000") == "gone"


def test_an_image_is_in_the_registry_once_it_was_pushed(
    builder: CodeBuild, clients: Clients
) -> None:
    assert not builder.exists("one")

    kind = "application/vnd.docker.distribution.manifest.v2+json"
    config = {"digest": "sha256:" + "0" * 64}
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}
    clients.get("ecr").put_image(
        repositoryName=f"{CLUSTER}/images", imageManifest=json.dumps(manifest), imageTag="one"
    )

    assert builder.exists("one")
    assert not builder.exists("two")
    assert builder.reference("one") == f"{REPOSITORY}:one"


def test_an_order_shows_no_signed_address() -> None:
    assert "s=1" not in repr(ORDER)


def test_a_build_fetches_its_recipe_and_delivers() -> None:
    commands = json.loads(BUILDSPEC)["phases"]["build"]["commands"]

    assert commands[0].endswith('"$RECIPE_URL"')
    assert commands[-1] == "cd recipe && sh deliver.sh"


def test_news_of_a_build_say_which_pipeline_started_it() -> None:
    variables = [{"name": "X", "value": "y"}, {"name": "CONDUCTO_PIPELINE", "value": "abc-def"}]
    detail = {"additional-information": {"environment": {"environment-variables": variables}}}

    assert pipeline_of(detail) == "abc-def"
    assert pipeline_of({"project-name": "somebody else's"}) is None
    assert pipeline_of({"additional-information": {"environment": {}}}) is None
