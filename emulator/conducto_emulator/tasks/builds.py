"""Emulates CodeBuild and ECR: builds in containers with this machine's docker client.

The registry is the local engine: an image counts as pushed once it exists there. Builds run one at
a time, because on one engine their intermediate images would have the same names.
"""

import contextlib
import json
import os
import shutil
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker  # type: ignore[import-untyped]
import requests
from docker.errors import (  # type: ignore[import-untyped]
    DockerException,
    ImageNotFound,
    NotFound,
)
from moto.codebuild.responses import CodeBuildResponse
from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

# ----------------------------------------------------------------------------------------
# The container for image builds, with this machine's programs but no other files.
#
# A build needs a docker client, curl, git and common tools. Those of this machine are mounted
# read-only, so that nothing is downloaded. The container has the engine's socket and the build's
# directory, but no home directories and neither files nor environment of the emulator.


#: Directories with the programs of a Linux system; missing ones are skipped.
_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_SETTINGS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl/certs", "/etc/pki/tls/certs")
_CLIENT_SETTINGS = "/conducto/docker"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_PROCESSES = 512


class BuildContainer:
    """Runs the commands of one build at a time.

    Args:
        image: Any image; it only provides a root file system.
        labels: Labels of the containers.
    """

    def __init__(self, image: str, labels: Mapping[str, str]) -> None:
        self._image = image
        self._labels = dict(labels)
        self._id: str | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._engine: Any = docker.from_env()

    def run(
        self, folder: Path, commands: Sequence[str], env: Mapping[str, str], seconds: float
    ) -> int | None:
        """Run commands in a directory; return the exit code, or None if they were stopped.

        They are stopped at the time limit, and by `close`.
        """
        api = self._engine.api
        made = api.create_container(
            self._image,
            entrypoint=["/bin/sh", "-ec", "\n".join(commands)],
            command=[],
            environment={**_own_env(folder), **env},
            working_dir=str(folder),
            user=f"{os.getuid()}:{os.getgid()}",
            labels=self._labels,
            host_config=self._host_config(folder),
        )
        with self._lock:
            self._id = made["Id"]
            if not self._closed:
                api.start(self._id)
        try:
            code = (
                None if self._closed else int(api.wait(made["Id"], timeout=seconds)["StatusCode"])
            )
        except (NotFound, requests.ConnectionError, requests.Timeout):
            code = None
        finally:
            self._remove()
        return None if self._closed else code

    def close(self) -> None:
        """Stop the running build and start no more."""
        with self._lock:
            self._closed = True
        self._remove()

    def _remove(self) -> None:
        name, self._id = self._id, None
        if name is not None:
            with contextlib.suppress(DockerException):
                self._engine.api.remove_container(name, force=True, v=True)

    def _host_config(self, folder: Path) -> Any:
        socket = _socket()
        return self._engine.api.create_host_config(
            binds=[*_binds(), f"{folder}:{folder}", f"{socket}:{socket}"],
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=_MAX_PROCESSES,
            group_add=[str(socket.stat().st_gid)],
        )


def _socket() -> Path:
    """Return the local engine's socket; remote engines are not supported."""
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    return Path(address.removeprefix("unix://"))


def _binds() -> Iterator[str]:
    for place in map(Path, (*_PROGRAMS, *_SETTINGS)):
        if place.exists():
            yield f"{place.resolve()}:{place}:ro"
    # The user's registry credentials, for private base images.
    settings = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    if settings.is_dir():
        yield f"{settings}:{_CLIENT_SETTINGS}:ro"


def _own_env(folder: Path) -> dict[str, str]:
    return {
        "PATH": _PATH,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "DOCKER_HOST": f"unix://{_socket()}",
        "DOCKER_CONFIG": _CLIENT_SETTINGS,
        "BUILDX_CONFIG": f"{folder}/.buildx",
    }


PROJECT = "conducto-emulator-images"
REPOSITORY = "conducto-emulator/images"
_NO_CLIENT = (
    "conducto: images are built with the docker client, which is not installed on this machine; "
    "install it (Debian: apt-get install docker.io) and reset the nodes\n"
)
Ended = Callable[[Mapping[str, Any]], None]


class Build:
    """A build of CodeBuild."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.id = f"{PROJECT}:{uuid.uuid4()}"
        self.parameters = parameters
        self.status = "IN_PROGRESS"
        self.phase = "QUEUED"
        variables = parameters["environmentVariablesOverride"] or ()
        self.env = {each["name"]: each["value"] for each in variables}

    def describe(self) -> dict[str, Any]:
        """Return the build in the format of BatchGetBuilds."""
        return {
            "id": self.id,
            "projectName": PROJECT,
            "buildStatus": self.status,
            "currentPhase": self.phase,
        }

    def event(self) -> dict[str, Any]:
        """Return the detail of EventBridge's event for the build."""
        variables = [{"name": name, "value": value} for name, value in self.env.items()]
        return {
            "build-id": self.id,
            "build-status": self.status,
            "project-name": PROJECT,
            "additional-information": {"environment": {"environment-variables": variables}},
        }


class BuildService:
    """Runs builds.

    Args:
        folder: Directory of the builds.
        container: Runs the commands.
        ended: Called at the end of each build, with the event's detail.
        minute: Seconds of the emulator's minute, for time limits.

    Attributes:
        client: Name of the docker client.
    """

    def __init__(
        self, folder: Path, container: BuildContainer, ended: Ended, *, minute: float = 60.0
    ) -> None:
        self.client = "docker"
        self._folder = folder
        self._container = container
        self._ended = ended
        self._minute = minute
        self._builds: dict[str, Build] = {}
        self._tokens: dict[str, Build] = {}
        self._lock = threading.Lock()
        self._one = ThreadPoolExecutor(max_workers=1, thread_name_prefix="build")
        self._closed = False
        self._known: set[str] = set()

    def is_there(self, reference: str) -> str | None:
        """Return the id of an image in the registry; the image is removed with the emulator."""
        engine: Any = docker.from_env()
        try:
            found = engine.images.get(reference)
        except ImageNotFound:
            return None
        self._known.add(reference)
        return str(found.id)

    def start(self, parameters: Mapping[str, Any]) -> Build:
        """Start a build; return the existing one for a known idempotency token."""
        token = parameters.get("idempotencyToken")
        with self._lock:
            known = self._tokens.get(str(token)) if token else None
            if known is not None:
                return known
            build = Build(parameters)
            self._builds[build.id] = build
            if token:
                self._tokens[str(token)] = build
        self._one.submit(self._run, build)
        return build

    def find(self, ids: Sequence[str]) -> list[Build]:
        return [self._builds[each] for each in ids if each in self._builds]

    def close(self) -> None:
        """Stop all builds and remove their images."""
        with self._lock:
            self._closed = True
        self._container.close()
        self._one.shutdown(wait=True, cancel_futures=True)
        self._forget_images()

    def _forget_images(self) -> None:
        pushed = [b.env["IMAGE"] for b in self._builds.values() if "IMAGE" in b.env]
        pushed += sorted(self._known)  # some were built by the launching client
        if not pushed:
            return
        engine: Any = docker.from_env()
        for image in dict.fromkeys(pushed):
            with contextlib.suppress(DockerException):  # it was not built
                engine.images.remove(image, force=True)

    def _run(self, build: Build) -> None:
        build.phase = "BUILD"
        folder = self._folder / build.id.rpartition(":")[2]
        try:
            build.status = self._outcome(build, folder)
        except Exception as error:
            build.status = "FAULT"
            _deliver(build, f"conducto: the emulator could not run the build: {error}\n")
            raise
        finally:
            build.phase = "COMPLETED"
            shutil.rmtree(folder, ignore_errors=True)
            if not self._closed:
                self._ended(build.event())

    def _outcome(self, build: Build, folder: Path) -> str:
        if shutil.which(self.client) is None:
            _deliver(build, _NO_CLIENT)
            return "FAILED"
        folder.mkdir(parents=True)
        commands = json.loads(build.parameters["buildspecOverride"])["phases"]["build"]["commands"]
        minutes = float(build.parameters.get("timeoutInMinutesOverride") or 60)
        # The engine is the registry, and runs the workers.
        env = {**build.env, "PUSH": "", "PLATFORM": ""}
        code = self._container.run(folder, commands, env, minutes * self._minute)
        if code is None:
            return "STOPPED" if self._closed else "TIMED_OUT"
        return "SUCCEEDED" if code == 0 else "FAILED"


def install(service: BuildService) -> None:
    """Replace the handlers of moto's server in this process."""

    def start_build(self: Any) -> ActionResult:
        names = (
            "projectName",
            "buildspecOverride",
            "environmentVariablesOverride",
            "timeoutInMinutesOverride",
            "idempotencyToken",
        )
        parameters = {name: self._get_param(name) for name in names}
        if parameters["projectName"] != PROJECT:
            raise AWSError("Project cannot be found", "ResourceNotFoundException")
        return ActionResult({"build": service.start(parameters).describe()})

    def batch_get_builds(self: Any) -> ActionResult:
        found = service.find(self._get_param("ids"))
        return ActionResult({"builds": [build.describe() for build in found]})

    def describe_images(self: Any) -> ActionResult:
        repository = self._get_param("repositoryName")
        details = []
        for image in self._get_param("imageIds"):
            found = service.is_there(f"{repository}:{image['imageTag']}")
            if found is None:
                raise AWSError(
                    f"The image {image['imageTag']} does not exist", "ImageNotFoundException"
                )
            details.append({"repositoryName": repository, "imageDigest": found})
        return ActionResult({"imageDetails": details})

    CodeBuildResponse.start_build = start_build
    CodeBuildResponse.batch_get_builds = batch_get_builds
    ECRResponse.describe_images = describe_images


def _deliver(build: Build, text: str) -> None:
    request = urllib.request.Request(build.env["LOG_URL"], text.encode(), method="PUT")  # noqa: S310  ours
    with contextlib.suppress(urllib.error.URLError):
        urllib.request.urlopen(request).close()  # noqa: S310  ours
