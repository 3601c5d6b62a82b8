"""CodeBuild: builds with their own commands, without AWS's image."""

from __future__ import annotations

import contextvars
import inspect
import io
import json
import os
import signal
import subprocess
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import boto3
from ministack.services import codebuild

from system.deploy.shims import Shim, replace
from system.deploy.shims.tasks import send_event

_request: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("request")
_PROJECT = {"name": "probe", "source": {"type": "NO_SOURCE", "buildspec": "{}"}}
_POLL_SECONDS = 0.5


def _run_builds() -> None:
    @replace(codebuild, "_start_build")
    def start(original: Any, data: dict[str, Any]) -> Any:
        _request.set(data)  # the build's thread has a copy of the context
        return original(data)

    @replace(codebuild, "_execute_build")
    def execute(_original: Any, build_id: str, project: dict[str, Any]) -> None:
        build = codebuild._builds[build_id]
        variables = _variables(project, _request.get())
        text = _request.get().get("buildspecOverride") or project["source"]["buildspec"]
        status = _execute(build_id, build, project, json.loads(text), variables)
        codebuild._finish_build(build, status)
        _send_end(build, status, variables)


def _variables(project: dict[str, Any], request: dict[str, Any]) -> list[dict[str, str]]:
    given = list((project.get("environment") or {}).get("environmentVariables") or ())
    given += request.get("environmentVariablesOverride", ())
    return [{name.lower(): value for name, value in each.items()} for each in given]


def _unpack_source(project: dict[str, Any], place: Path) -> None:
    """Unpack the source of a build from S3, as CodeBuild does."""
    source = project["source"]
    if source["type"] == "S3":
        bucket, _, key = source["location"].partition("/")
        content = io.BytesIO()
        boto3.client("s3").download_fileobj(bucket, key, content)
        with zipfile.ZipFile(content) as archive:
            archive.extractall(place)


def _execute(
    build_id: str, build: Any, project: dict[str, Any], spec: Any, variables: list[dict[str, str]]
) -> str:
    """Run the commands as local processes, as local functions run; return the build's status."""
    place = Path(os.environ["CONDUCTO_TEST_DEPLOY"], "private/builds", build_id.replace(":", "-"))
    (place / "home").mkdir(parents=True)
    _unpack_source(project, place)
    own = {each["name"]: each["value"] for each in variables}
    # The engine has this base image, and no way to AWS's public registry.
    own |= {"BASE": "python:3.13-slim"} if "BASE" in own else {}
    path = f"{Path(__file__).parent}/programs:{os.environ['PATH']}"
    environment = {**os.environ, **own, "HOME": str(place / "home"), "PATH": path}
    environment.pop("PYTHONPATH", None)
    codebuild._record_phase(build, "QUEUED", "SUCCEEDED")
    build["currentPhase"] = "BUILD"
    log = codebuild._log_sink(build)
    run = subprocess.Popen(
        ["sh", "-e", "-c", "\n".join(spec["phases"]["build"]["commands"])],  # one shell has all
        cwd=place,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    threading.Thread(target=_end_if_stopped, args=(run, build_id), daemon=True).start()
    assert run.stdout is not None
    for line in run.stdout:
        log(line.rstrip())
    if run.wait() == 0:
        return "SUCCEEDED"
    return "STOPPED" if codebuild._stop_requested(build_id) else "FAILED"


def _end_if_stopped(run: subprocess.Popen[str], build_id: str) -> None:
    while run.poll() is None:
        if codebuild._stop_requested(build_id):
            os.killpg(run.pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def _send_end(build: Any, status: str, variables: list[dict[str, str]]) -> None:
    detail = {
        "build-status": status,
        "project-name": build["projectName"],
        "build-id": build["arn"],
        "additional-information": {"environment": {"environment-variables": variables}},
    }
    send_event("aws.codebuild", "CodeBuild Build State Change", build["arn"], detail)


def _ignores_overrides() -> bool:
    codebuild._projects["probe"] = dict(_PROJECT)
    override = [{"name": "WANTED", "value": "yes"}]
    asked = {"projectName": "probe", "environmentVariablesOverride": override}
    original, codebuild.EXECUTE_BUILDS = codebuild.EXECUTE_BUILDS, False
    try:
        return b"WANTED" not in codebuild._start_build(asked)[2]
    finally:
        codebuild.EXECUTE_BUILDS = original


SHIMS = (
    Shim(
        "builds",
        "StartBuild's overrides apply to the build, EventBridge hears of its end, and AWS has the "
        "image it runs in; ministack ignores the overrides, sends no event and pulls the image.",
        _run_builds,
        lambda: _ignores_overrides() and "Build State Change" not in inspect.getsource(codebuild),
    ),
)
