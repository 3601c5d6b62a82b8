"""CodeBuild, which builds images from recipes and pushes them to the registry."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from hashlib import sha256

from chalicelib.aws.clients import Clients, Tags, upper
from chalicelib.aws.errors import client_error, code_of, denying, ignoring, message_of, throttling
from chalicelib.images.port import BuildRequest, BuildStatus
from conducto.wire.fields import ARM
from conducto_core.api.cloud_operations import RegistryLogin
from conducto_core.errors import RefusedError
from conducto_core.images.build_plan import ARM_MACHINE, PLATFORM
from conducto_core.installation.names import BUILD_MINUTES, BUILD_PIPELINE, IMAGE_DAYS

# ----------------------------------------------------------------------------------------
# ECR, which stores the images of pipelines in one repository per organisation.
#
# Tags alone would not separate organisations: a client that may push to a repository can create any
# unused tag in it.


#: Lifetime of the credentials behind a login in seconds; the AWS maximum for role chaining.
LOGIN_SECONDS = 3600
_MISSING = frozenset({"ImageNotFoundException", "RepositoryNotFoundException"})
_PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
#: Permissions for pulling through a cache, in addition to `_PULL`.
_IMPORT = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
_PUSH = (
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
_FORGETTING = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "expire images that no launch has rebuilt recently",
            "selection": {
                "tagStatus": "any",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": IMAGE_DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
}


class EcrRegistry:
    """The registry of an installation.

    Args:
        clients: boto3 clients.
        root: Registry host and name prefix of the repositories.
        tags: Tags of this installation, for every repository.
        push_role: ARN of the role for builds, narrowed to one repository; None: builds and workers
            use the same engine, as in the emulator.
        caches: Repositories of pull-through caches, which any build may pull from.
    """

    def __init__(
        self,
        clients: Clients,
        root: str,
        tags: Tags,
        push_role: str | None = None,
        caches: Iterable[str] = (),
    ) -> None:
        self._clients = clients
        self._root = root
        self._tags = tags
        self._push_role = push_role
        self._caches = tuple(caches)
        self._made: set[str] = set()

    def reference(self, org: str, tag: str) -> str:
        return f"{self._root}/{_part(org)}:{tag}"

    def exists(self, org: str, tag: str) -> bool:
        wanted = {"repositoryName": self._name(org), "imageIds": [{"imageTag": tag}]}
        with throttling(), ignoring(*_MISSING):
            return bool(self._clients.get("ecr").describe_images(**wanted)["imageDetails"])
        return False

    def ensure(self, org: str) -> None:
        """Create an organisation's repository unless it exists."""
        name = self._name(org)
        if name in self._made:
            return
        ecr = self._clients.get("ecr")
        with throttling(), ignoring("RepositoryAlreadyExistsException"):
            ecr.create_repository(
                repositoryName=name,
                imageTagMutability="IMMUTABLE",  # a tag is the hash of its content
                imageScanningConfiguration={"scanOnPush": True},
                encryptionConfiguration={"encryptionType": "AES256"},
                tags=upper(self._tags.pairs(org)),
            )
        with throttling():  # also if it existed: its creation may have been cut off
            ecr.put_lifecycle_policy(
                repositoryName=name, lifecyclePolicyText=json.dumps(_FORGETTING)
            )
        self._made.add(name)

    def login(self, org: str, session: str) -> RegistryLogin | None:
        """Return a login for one organisation's repository; CloudTrail shows it as ``session``."""
        if self._push_role is None:
            return None
        with throttling(), denying():
            self.ensure(org)
            response = self._clients.get("sts").assume_role(
                RoleArn=self._push_role,
                RoleSessionName=_session_name(session),
                DurationSeconds=LOGIN_SECONDS,
                Policy=json.dumps(self._policy(org)),
            )
            lent = response["Credentials"]
            ecr = self._clients.lent("ecr", lent)
            said = ecr.get_authorization_token()["authorizationData"][0]
        name, _, password = base64.b64decode(said["authorizationToken"]).decode().partition(":")
        return RegistryLogin(
            registry=self._root.partition("/")[0],
            user=name,
            password=password,
            expires=lent["Expiration"].timestamp(),
        )

    def _policy(self, org: str) -> dict[str, object]:
        _, partition, _, _, account, _ = str(self._push_role).split(":", 5)
        region = self._clients.get("ecr").meta.region_name
        repositories = f"arn:{partition}:ecr:{region}:{account}:repository"
        cached = [f"{repositories}/{_path(cache)}/*" for cache in self._caches]
        statements: list[dict[str, object]] = [
            {
                "Effect": "Allow",
                "Action": [*_PULL, *_PUSH],
                "Resource": f"{repositories}/{self._name(org)}",
            },
            # No resource-level permissions; it grants no access to images.
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        ]
        if cached:
            statements.append({"Effect": "Allow", "Action": [*_PULL, *_IMPORT], "Resource": cached})
        return {"Version": "2012-10-17", "Statement": statements}

    def _name(self, org: str) -> str:
        return f"{_path(self._root)}/{_part(org)}"


def _path(reference: str) -> str:
    host, _, name = reference.partition("/")
    return name if "." in host else reference


def _session_name(session: str) -> str:
    r"""Return a valid ``RoleSessionName``: 2 to 64 of ``[\w+=,.@-]``, ASCII only (AWS STS)."""
    return re.sub(r"[^\w+=,.@-]", "-", f"push-{session}", flags=re.ASCII)[:64]


def _part(org: str) -> str:
    return sha256(org.encode()).hexdigest()[:24]


#: JSON, which CodeBuild reads as YAML.
BUILDSPEC = json.dumps(
    {
        "version": "0.2",
        "phases": {
            "build": {
                "commands": [
                    'curl -fsS --retry 5 -o inputs.env "$INPUTS_URL"',
                    "set -a; . ./inputs.env; set +a",
                    'curl -fsS --retry 5 -o recipe.tar.gz "$RECIPE_URL"',
                    "mkdir recipe",
                    "tar -xzf recipe.tar.gz -C recipe",
                    "cd recipe && sh push.sh",
                ]
            }
        },
    }
)
_ARM_MACHINE = {"environmentTypeOverride": "ARM_CONTAINER", "imageOverride": ARM_MACHINE}
_STATUSES: Mapping[str, BuildStatus] = {
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "FAULT": "failed",
    "TIMED_OUT": "timed_out",
    "STOPPED": "stopped",
}
_WAITING = frozenset({"SUBMITTED", "QUEUED", "PROVISIONING"})
_NO_BUILD = frozenset({"InvalidInputException", "ResourceNotFoundException"})


class CodeBuild:
    """Implements `Builder`; its project defines the environment and the role of builds.

    Args:
        clients: boto3 clients.
        project: Name of the project; None: the region has no CodeBuild.
        registry: The registry.
    """

    def __init__(self, clients: Clients, project: str | None, registry: EcrRegistry) -> None:
        self._clients = clients
        self._project = project
        self._registry = registry

    def reference(self, org: str, tag: str) -> str:
        return self._registry.reference(org, tag)

    def exists(self, org: str, tag: str) -> bool:
        return self._registry.exists(org, tag)

    def login(self, org: str, session: str) -> RegistryLogin | None:
        """Return a login that can push to and pull from one organisation's repository."""
        return self._registry.login(org, session)

    def start(self, request: BuildRequest) -> str:
        """Start a build, once for equal requests, and return its id.

        Raises:
            RefusedError: The region has no CodeBuild.
        """
        if self._project is None:
            raise RefusedError(
                "this installation builds no images, because its region has no CodeBuild; launch "
                "with --build local, which builds them on your machine"
            )
        with denying():
            self._registry.ensure(request.org)
        variables = {
            **request.urls,
            "IMAGE": self.reference(request.org, request.tag),
            "PUSH": "yes",
            "PLATFORM": PLATFORM,
            BUILD_PIPELINE: request.pipeline_id,
        }
        is_arm = request.arch == ARM
        with throttling(), denying(), _refusing_arm() if is_arm else nullcontext():
            response = self._clients.get("codebuild").start_build(
                projectName=self._project,
                **(_ARM_MACHINE if is_arm else {}),
                buildspecOverride=BUILDSPEC,
                environmentVariablesOverride=[
                    {"name": name, "value": value, "type": "PLAINTEXT"}
                    for name, value in sorted(variables.items())
                ],
                timeoutInMinutesOverride=BUILD_MINUTES,
                idempotencyToken=request.again,
            )
        return str(response["build"]["id"])

    def status(self, build_id: str) -> BuildStatus:
        builds = []
        with throttling(), ignoring(*_NO_BUILD):
            builds = self._clients.get("codebuild").batch_get_builds(ids=[build_id])["builds"]
        if not builds:
            return "gone"
        (build,) = builds
        if build["buildStatus"] == "IN_PROGRESS":
            return "queued" if build.get("currentPhase") in _WAITING else "running"
        return _STATUSES.get(build["buildStatus"], "failed")


@contextmanager
def _refusing_arm() -> Iterator[None]:
    """Refuse a build for ARM if the region has no such machines."""
    try:
        yield
    except client_error() as error:
        if code_of(error) != "InvalidInputException":
            raise
        raise RefusedError(
            f"CodeBuild cannot build for ARM here: {message_of(error)}; launch with --build local, "
            "which builds it on your machine"
        ) from error


def pipeline_of(detail: Mapping[str, object]) -> str | None:
    """Return the pipeline that started a build, given its EventBridge event, or None."""
    known = detail.get("additional-information")
    environment = known.get("environment") if isinstance(known, Mapping) else None
    variables = environment.get("environment-variables") if isinstance(environment, Mapping) else ()
    for variable in variables or ():
        if variable.get("name") == BUILD_PIPELINE:
            return str(variable.get("value"))
    return None
