"""The image of the workers' agent: its builder, and the images that workers may pull."""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest
from infra.stacks.agent import _COMMAND, _STARTER

from conducto_core.images.build_plan import ARM_MACHINE
from conducto_core.installation.rules import (
    builds_agent,
    limitations,
    opens_shells,
    runs_arm,
)
from support.installation import resources, settings_templates, statements, templates


def _pulled(compute: dict[str, Any]) -> str:
    """Return the repositories from which ECS may pull images for workers."""
    found = [
        statement["Resource"]
        for name, statement in statements(compute)
        if name.startswith("ExecutionRole") and "ecr:BatchGetImage" in statement["Action"]
    ]
    return json.dumps(found)


@pytest.mark.parametrize("setting", [{"billing": "true"}, {"identity": "cognito"}])
def test_workers_of_a_shared_installation_pull_from_its_own_repositories_only(
    setting: dict[str, str],
) -> None:
    shared = settings_templates(setting)

    assert "cdk-" not in _pulled(shared["compute"])
    (repository,) = resources(shared["compute"], "AWS::ECR::Repository")
    assert repository["Properties"]["RepositoryName"] == "conducto-main/agent"
    image = json.dumps(resources(shared["api"], "AWS::Serverless::Function")[0])
    assert "/conducto-main/agent:" in image
    assert "container-assets" not in image
    assert "cdk-" in _pulled(templates("default")["compute"])


def test_agent_can_be_built_without_a_container_engine() -> None:
    compute = settings_templates({"agent_build": "codebuild"})["compute"]

    built, on_arm = resources(compute, "AWS::CloudFormation::CustomResource")
    assert "/conducto-main/agent:" in json.dumps(built["Properties"]["Image"])
    assert int(built["Properties"]["ServiceTimeout"]) == 2400
    assert "-arm64" in json.dumps(on_arm["Properties"]["Image"])
    assert on_arm["Properties"]["ArmMachine"] == ARM_MACHINE
    names = {each["Properties"]["Name"] for each in resources(compute, "AWS::CodeBuild::Project")}
    assert names == {"conducto-main-agent", "conducto-main-images"}


@pytest.mark.parametrize(
    ("region", "settings", "expected"),
    [
        ("us-east-1", {}, False),
        ("us-east-1", {"agent_build": "codebuild"}, True),
        ("us-east-1", {"billing": "true"}, True),
        ("us-east-1", {"billing": "true", "agent_build": "docker"}, False),
        ("ca-west-1", {"billing": "true"}, False),
        ("ca-west-1", {"agent_build": "codebuild"}, False),
    ],
)
def test_codebuild_builds_the_agent_on_request_and_in_shared_installations(
    region: str, settings: dict[str, str], expected: bool
) -> None:
    assert builds_agent(region, settings) is expected


@pytest.mark.parametrize(
    ("region", "settings", "expected"),
    [
        ("us-east-1", {}, False),  # a container engine may not be able to build for ARM
        ("us-east-1", {"arm": "true"}, True),
        ("us-east-1", {"billing": "true"}, True),
        ("us-east-1", {"billing": "true", "arm": "false"}, False),
        ("eu-north-1", {"billing": "true"}, False),
    ],
)
def test_workers_run_on_arm_where_the_agents_image_can_be_built(
    region: str, settings: dict[str, str], expected: bool
) -> None:
    assert runs_arm(region, settings) is expected
    assert not [each for each in limitations(region, "main", settings) if each.name == "arm"]


def test_arm_without_machines_that_build_for_it_is_refused() -> None:
    settings = {"arm": "true", "agent_build": "codebuild"}

    (found,) = [each for each in limitations("eu-north-1", "main", settings) if each.name == "arm"]

    assert found.is_refused
    assert "agent_build=docker" in found.remedy


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"remote_debug": "false"}, False),
        ({"billing": "true"}, False),
        ({"identity": "cognito"}, False),
        ({"identity": "cognito", "remote_debug": "true"}, True),
    ],
)
def test_debug_shells_are_off_in_shared_installations_unless_requested(
    settings: dict[str, str], expected: bool
) -> None:
    assert opens_shells(settings) is expected
    api = json.dumps(settings_templates(settings)["api"])
    assert ("CONDUCTO_DEBUG_ROLE" in api) is expected


def test_weak_isolation_of_a_shared_installation_is_explained() -> None:
    weak = {
        "billing": "true",
        "remote_debug": "true",
        "agent_build": "docker",
        "pull_through": "ghcr.io=arn:x",
    }

    texts = [each.text for each in limitations("us-east-1", "main", weak)]

    assert len(texts) == 3
    assert "mounts the files of any pipeline" in texts[0]
    assert "images of the other CDK projects" in texts[1]
    assert "any organisation can pull" in texts[2]
    assert not list(limitations("us-east-1", "main", weak | {"billing": ""}))
    assert not list(
        limitations("us-east-1", "main", {"billing": "true", "pull_through": "quay.io"})
    )


# ---- how the build reports to CloudFormation ----------------------------------------------------


class _Responses:
    """A server in the place of the address to which a custom resource responds."""

    def __init__(self) -> None:
        found = self.found = list[dict[str, str]]()

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                found.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("docker", "status", "code"),
    [
        ('case "$1" in manifest) exit 1;; esac', "SUCCESS", 0),
        ('case "$1" in manifest|build) exit 1;; esac', "FAILED", 1),
        # A rollback to an image that exists, whose tag is immutable.
        ('case "$1" in build|push) exit 1;; esac', "SUCCESS", 0),
    ],
)
def test_build_reports_its_end_to_cloudformation(
    docker: str, status: str, code: int, tmp_path: Path
) -> None:
    _program(tmp_path, "aws", "echo password")
    _program(tmp_path, "docker", docker)
    with _Responses() as responses:
        environment = {
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "IMAGE": "registry/conducto-main/agent:tag",
            "BASE": "base",
            "RESPONSE_URL": responses.url,
            "DONE": '{"Status": "SUCCESS"}',
            "FAILED": '{"Status": "FAILED"}',
        }
        done = subprocess.run(["sh", "-c", _COMMAND], env=environment, check=False)

    assert responses.found == [{"Status": status}]
    assert done.returncode == code


#: boto3 in the place of AWS's: it fails, or writes the build's variables to its output.
_BOTO3 = """
import json, os
class Client:
    def start_build(self, projectName, environmentVariablesOverride, **machine):
        assert machine == json.loads(os.environ.get("MACHINE", "{}"))
        if os.environ.get("REFUSED"):
            raise RuntimeError("Cannot have more than 0 builds in queue for the account")
        print(json.dumps({v["name"]: v["value"] for v in environmentVariablesOverride}))
def client(name):
    return Client()
"""


def _started(
    tmp_path: Path,
    url: str,
    kind: str,
    properties: dict[str, str] | None = None,
    **environment: str,
) -> str:
    event = {
        "RequestType": kind,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Built",
        "ResponseURL": url,
        "ResourceProperties": {
            "Project": "conducto-main-agent",
            "Image": "i:t",
            **(properties or {}),
        },
    }
    (tmp_path / "boto3.py").write_text(_BOTO3)
    (tmp_path / "index.py").write_text(_STARTER)
    code = f"import index; index.handler({event!r}, None)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


def test_image_for_arm_is_built_on_a_machine_with_such_processors(tmp_path: Path) -> None:
    machine = {"environmentTypeOverride": "ARM_CONTAINER", "imageOverride": "arm:1"}
    with _Responses() as responses:
        arguments = (tmp_path, responses.url, "Create", {"ArmMachine": "arm:1"})
        assert json.loads(_started(*arguments, MACHINE=json.dumps(machine)))["IMAGE"] == "i:t"


def test_build_that_starts_reports_itself(tmp_path: Path) -> None:
    with _Responses() as responses:
        variables = json.loads(_started(tmp_path, responses.url, "Update"))

    assert responses.found == []
    assert variables["IMAGE"] == "i:t"
    done, failed = (json.loads(variables[name]) for name in ("DONE", "FAILED"))
    assert (done["Status"], failed["Status"]) == ("SUCCESS", "FAILED")
    assert done["RequestId"] == failed["RequestId"] == "request"


def test_build_that_does_not_start_fails_the_deployment_with_the_reason(tmp_path: Path) -> None:
    with _Responses() as responses:
        _started(tmp_path, responses.url, "Create", REFUSED="1")

    (found,) = responses.found
    assert found["Status"] == "FAILED"
    assert "Cannot have more than 0 builds in queue" in found["Reason"]


def test_deletion_needs_no_build(tmp_path: Path) -> None:
    with _Responses() as responses:
        _started(tmp_path, responses.url, "Delete", REFUSED="1")

    assert [each["Status"] for each in responses.found] == ["SUCCESS"]
