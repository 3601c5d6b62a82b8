"""The image of the workers' agent, built by CodeBuild or by the container engine that deploys.

CodeBuild pushes it to a repository of the stage. An engine pushes it to CDK's repository, which all
CDK projects of the account and region share.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aws_cdk import CfnResource, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from conducto_core.images.build_plan import ARM_MACHINE
from conducto_core.installation import names as deployment
from infra.settings import Settings, log_group

#: Working directory, below the directory that CDK runs in: the directories of an installed package
#: may be read-only.
BUILD = Path("build")
#: The base image, from a registry without the rate limits of Docker Hub.
_BASE = "public.ecr.aws/docker/library/python:3.13-slim"
#: Images that stay for the task definitions of earlier versions.
_KEPT_IMAGES = 20
_BUILD_MINUTES = 20
#: One command: its shell reports to CloudFormation however the build ends.
_COMMAND = """
build() {
  aws ecr get-login-password | docker login --username AWS --password-stdin "${IMAGE%%/*}" &&
  { docker manifest inspect "$IMAGE" > /dev/null 2>&1 ||
    { docker build --tag "$IMAGE" --build-arg BASE="$BASE" . && docker push "$IMAGE"; }; }
}
if build; then RESPONSE=$DONE; else RESPONSE=$FAILED; fi
curl -fsS --retry 5 -X PUT -H "content-type:" --data-binary "$RESPONSE" "$RESPONSE_URL"
test "$RESPONSE" = "$DONE"
"""
#: Starts the build, which responds to CloudFormation when it has ended.
_STARTER = """
import json, urllib.request
import boto3


def handler(event, context):
    known = {n: event[n] for n in ("StackId", "RequestId", "LogicalResourceId")}
    known["PhysicalResourceId"] = event["ResourceProperties"]["Project"]

    def body(status, reason=""):
        return json.dumps({"Status": status, "Reason": reason, **known})

    failure = ""
    if event["RequestType"] != "Delete":
        variables = {
            "IMAGE": event["ResourceProperties"]["Image"],
            "RESPONSE_URL": event["ResponseURL"],
            "DONE": body("SUCCESS"),
            "FAILED": body("FAILED", "the build of the agent's image failed: see its log in "
                           "CodeBuild, project " + known["PhysicalResourceId"]),
        }
        try:
            boto3.client("codebuild").start_build(
                projectName=known["PhysicalResourceId"],
                **(
                    {"environmentTypeOverride": "ARM_CONTAINER", "imageOverride": arm}
                    if (arm := event["ResourceProperties"].get("ArmMachine")) else {}
                ),
                environmentVariablesOverride=[
                    {"name": n, "value": v, "type": "PLAINTEXT"} for n, v in variables.items()
                ],
            )
            return
        except Exception as error:
            failure = f"the build of the agent's image did not start: {error}"
    data = body("FAILED" if failure else "SUCCESS", failure).encode()
    request = urllib.request.Request(event["ResponseURL"], data, {"content-type": ""}, method="PUT")
    urllib.request.urlopen(request, timeout=20).close()
"""


class AgentImage(Construct):
    """The image, and the right to pull it.

    Attributes:
        uri: Reference of the image.
        arm: That for ARM; "" without workers on ARM.
    """

    arm = ""

    def __init__(self, scope: Stack, settings: Settings, puller: iam.IRole) -> None:
        super().__init__(scope, "Agent")
        self._stack = scope
        self._settings = settings
        with alone():
            context = str(_context())
            if not settings.builds_agent:
                platform = ecr_assets.Platform
                self.uri = self._asset("Image", context, platform.LINUX_AMD64, puller)
                if settings.runs_arm:
                    self.arm = self._asset("ArmImage", context, platform.LINUX_ARM64, puller)
                return
            source = s3_assets.Asset(self, "Context", path=context)
        name = deployment.agent_repository(settings.stage)
        registry = f"{scope.account}.dkr.ecr.{scope.region}.{scope.url_suffix}"
        self.uri = f"{registry}/{name}:{source.asset_hash}"
        repository = self._repository(name)
        repository.grant_pull(puller)
        project = self._project(source, repository)
        starter = self._starter(project).function_arn
        images = {"Built": {"Image": self.uri}}
        if settings.runs_arm:
            self.arm = f"{self.uri}-arm64"
            images["ArmBuilt"] = {"Image": self.arm, "ArmMachine": ARM_MACHINE}
        for name, properties in images.items():
            built = CustomResource(
                self,
                name,
                service_token=starter,
                properties={"Project": project.project_name, **properties},
            )
            plain = built.node.default_child
            assert isinstance(plain, CfnResource)  # noqa: S101  a type of the L2 construct
            # CDK would write it as text, about which CloudFormation warns.
            plain.add_property_override("ServiceTimeout", 120 * _BUILD_MINUTES)
            # The policy of the project's role, which the project does not refer to.
            built.node.add_dependency(repository, *project.node.find_child("Role").node.children)

    def _asset(
        self, name: str, context: str, platform: ecr_assets.Platform, puller: iam.IRole
    ) -> str:
        image = ecr_assets.DockerImageAsset(self, name, directory=context, platform=platform)
        image.repository.grant_pull(puller)
        return image.image_uri

    def _repository(self, name: str) -> ecr.Repository:
        return ecr.Repository(
            self,
            "Repository",
            repository_name=name,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            encryption=ecr.RepositoryEncryption.AES_256,
            removal_policy=RemovalPolicy.DESTROY,
            empty_on_delete=True,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=_KEPT_IMAGES)],
        )

    def _project(self, source: s3_assets.Asset, repository: ecr.Repository) -> codebuild.Project:
        spec = {"version": "0.2", "phases": {"build": {"commands": [_COMMAND.strip()]}}}
        project = codebuild.Project(
            self,
            "Build",
            project_name=f"{self._settings.prefix}-agent",
            description="Builds the image of the workers' agent",
            source=codebuild.Source.s3(bucket=source.bucket, path=source.s3_object_key),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=codebuild.ComputeType.SMALL,
                privileged=True,  # required for building images
            ),
            environment_variables={"BASE": codebuild.BuildEnvironmentVariable(value=_BASE)},
            build_spec=codebuild.BuildSpec.from_object(spec),
            timeout=Duration.minutes(_BUILD_MINUTES),
            queued_timeout=Duration.minutes(_BUILD_MINUTES),
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(
                    log_group=self._log_group("BuildLogs", "agent-build")
                )
            ),
            grant_report_group_permissions=False,
        )
        repository.grant_pull_push(project)
        return project

    def _starter(self, project: codebuild.Project) -> lambda_.Function:
        name = deployment.function_name(self._settings.stage, "agent_image")
        group = self._log_group("StarterLogs", "agent-image")
        role = iam.Role(
            self,
            "StarterRole",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description="Conducto: starts the build of the agent's image",
        )
        group.grant_write(role)
        role.add_to_policy(
            iam.PolicyStatement(
                sid="StartBuild", actions=["codebuild:StartBuild"], resources=[project.project_arn]
            )
        )
        function = lambda_.Function(
            self,
            "Starter",
            function_name=name,
            description="Conducto: starts the build of the agent's image",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline(_STARTER),
            timeout=Duration.seconds(60),
            role=role,
            log_group=group,
        )
        function.node.add_dependency(role)
        plain = function.node.default_child
        assert isinstance(plain, lambda_.CfnFunction)  # noqa: S101  a type of the L2 construct
        # It also depends on the role itself, to which the function refers anyway.
        plain.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3005"]}})
        return function

    def _log_group(self, name: str, suffix: str) -> logs.LogGroup:
        return log_group(self, name, self._settings, f"/{self._settings.prefix}/{suffix}")


@contextmanager
def alone() -> Iterator[None]:
    """Lock the working directory against concurrent staging and packaging."""
    BUILD.resolve().mkdir(parents=True, exist_ok=True)
    with (BUILD.resolve() / "staging.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _context() -> Path:
    from conducto_worker.image import write_context  # noqa: PLC0415  only deployments need it

    target = BUILD.resolve() / "agent-image"
    shutil.rmtree(target, ignore_errors=True)
    write_context(target)
    return target
