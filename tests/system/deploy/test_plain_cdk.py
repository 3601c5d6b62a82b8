"""``cdk deploy --all`` from a checkout, without `conducto deploy`: the same but for the token.

The account is new: 10 functions may run at once, of which none can be reserved.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import boto3
import pytest

from conducto_core.installation.names import STACKS, agent_repository, function_name, stack_name
from support.running import Person
from system.deploy.installation import DEPLOY_SECONDS
from system.deploy.sandbox import ACCOUNT, REGION, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGE = "plain"


@pytest.fixture(autouse=True)
def new_account(folder: Path) -> Iterator[None]:
    """The account has the quotas of a new one."""
    quota = folder / "concurrency"
    quota.write_text("10")
    yield
    quota.unlink()


def test_plain_cdk_deploys_an_installation_without_a_container_engine(folder: Path) -> None:
    settings = ["-c", f"stage={STAGE}", "-c", "agent_build=codebuild"]
    for words in (
        ["bootstrap", f"aws://{ACCOUNT}/{REGION}", *settings],
        ["deploy", "--all", "--require-approval", "never", *settings],
    ):
        done = subprocess.run(
            ["cdk", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOY_SECONDS,
            check=False,
        )
        (folder / f"plain-cdk-{words[0]}.log").write_text(done.stdout + done.stderr)
        assert done.returncode == 0, done.stderr[-3000:]

    formation = boto3.client("cloudformation")
    for name in STACKS:
        (stack,) = formation.describe_stacks(StackName=stack_name(STAGE, name))["Stacks"]
        assert stack["StackStatus"].endswith("_COMPLETE"), stack
    # CodeBuild pushed the images of the agent that the functions start workers with.
    functions = boto3.client("lambda")
    name = function_name(STAGE, "background")
    function = functions.get_function_configuration(FunctionName=name)
    variables = function["Environment"]["Variables"]
    images = [variables[name] for name in ("CONDUCTO_AGENT_IMAGE", "CONDUCTO_ARM_AGENT_IMAGE")]
    found = boto3.client("ecr").describe_images(repositoryName=agent_repository(STAGE))
    tags = {tag for each in found["imageDetails"] for tag in each.get("imageTags", ())}
    assert tags == {image.rpartition(":")[2] for image in images}
    authorizer = function_name(STAGE, "authorize")
    limits = functions.get_function_concurrency(FunctionName=authorizer)
    assert "ReservedConcurrentExecutions" not in limits
    # The zone was chosen, since CDK knows none.
    (zones,) = {
        each["AvailabilityZone"]
        for each in boto3.client("ec2").describe_subnets(
            Filters=[
                {
                    "Name": "tag:aws:cloudformation:stack-name",
                    "Values": [stack_name(STAGE, "network")],
                }
            ]
        )["Subnets"]
    } or {""}
    assert zones.startswith("us-east-1")

    base = folder / "home" / STAGE
    base.mkdir(exist_ok=True)
    minted = Person(base).ask("admin", "mint-token", "--stage", STAGE, "--org", "o", "--user", "u")
    assert "cdo_" in minted.stdout
