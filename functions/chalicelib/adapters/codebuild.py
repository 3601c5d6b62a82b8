"""CodeBuild, which builds images from recipes and pushes them to the registry."""

import json
from collections.abc import Mapping

from chalicelib.adapters.aws_errors import denying, ignoring, throttling
from chalicelib.adapters.clients import Clients
from chalicelib.adapters.ecr import EcrRegistry
from chalicelib.ports.images import BuildRequest, BuildStatus
from conducto_core.images.build_plan import PLATFORM
from conducto_core.model.deployment import BUILD_MINUTES, BUILD_PIPELINE
from conducto_core.model.operations.cloud import RegistryLogin

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
    """Implements `Builder`; its project defines the environment and the role of builds."""

    def __init__(self, clients: Clients, project: str, registry: EcrRegistry) -> None:
        self._clients = clients
        self._project = project
        self._registry = registry

    def reference(self, org: str, tag: str) -> str:
        """Return the reference with which workers pull an image."""
        return self._registry.reference(org, tag)

    def exists(self, org: str, tag: str) -> bool:
        """Return whether the registry has an image."""
        return self._registry.exists(org, tag)

    def login(self, org: str, session: str) -> RegistryLogin | None:
        """Return a login that can push to and pull from one organisation's repository."""
        return self._registry.login(org, session)

    def start(self, request: BuildRequest) -> str:
        """Start a build, once for equal requests, and return its id."""
        with denying():
            self._registry.ensure(request.org)
        variables = {
            **request.urls,
            "IMAGE": self.reference(request.org, request.tag),
            "PUSH": "yes",
            "PLATFORM": PLATFORM,
            BUILD_PIPELINE: request.pipeline_id,
        }
        with throttling(), denying():
            response = self._clients.get("codebuild").start_build(
                projectName=self._project,
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
        """Return the status of a build."""
        builds = []
        with throttling(), ignoring(*_NO_BUILD):
            builds = self._clients.get("codebuild").batch_get_builds(ids=[build_id])["builds"]
        if not builds:
            return "gone"
        (build,) = builds
        if build["buildStatus"] == "IN_PROGRESS":
            return "queued" if build.get("currentPhase") in _WAITING else "running"
        return _STATUSES.get(build["buildStatus"], "failed")


def pipeline_of(detail: Mapping[str, object]) -> str | None:
    """Return the pipeline that started a build, given its EventBridge event, or None."""
    known = detail.get("additional-information")
    environment = known.get("environment") if isinstance(known, Mapping) else None
    variables = environment.get("environment-variables") if isinstance(environment, Mapping) else ()
    for variable in variables or ():
        if variable.get("name") == BUILD_PIPELINE:
            return str(variable.get("value"))
    return None
