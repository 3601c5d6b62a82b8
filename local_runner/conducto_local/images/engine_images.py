"""Requests to the engine about images."""

import asyncio
import base64
import binascii
import io
import json
import os
import subprocess
import tarfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conducto_core.workers.rules.start_failures import not_pulled
from conducto_local.engine.docker.container import NO_NEW_PRIVILEGES
from conducto_local.engine.docker.http import HttpClient, Response, error_message
from conducto_local.engine.port import EngineError, ImageError
from conducto_local.images.progress import BuildLogWriter, EngineProgress, plain

# ----------------------------------------------------------------------------------------
# The credentials in the user's docker configuration, for pulling private images.


#: Docker's key for the credentials of references without a registry.
_DEFAULT_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 10


def registry_of(reference: str) -> str | None:
    """Return the registry that a reference names, or None for the default one."""
    first, slash, _ = reference.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return first if is_host else None


def registry_header(reference: str, config: Path | None = None) -> dict[str, str]:
    """Return the header with credentials for pulling ``reference``; empty without credentials.

    Args:
        config: Docker's configuration file; None for its default path.
    """
    if config is None:
        folder = os.environ.get("DOCKER_CONFIG")
        config = (Path.home() / ".docker" if folder is None else Path(folder)) / "config.json"
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    registry = registry_of(reference)
    key = _DEFAULT_KEY if registry is None else registry
    login = _from_helper(settings, key)
    if login is None:
        login = _from_file(settings, key)
    if login is None:
        return {}
    text = json.dumps({**login, "serveraddress": key})
    return {"X-Registry-Auth": base64.urlsafe_b64encode(text.encode()).decode()}


def _from_file(settings: dict[str, Any], key: str) -> dict[str, str] | None:
    entry = settings.get("auths", {}).get(key, {})
    if entry.get("identitytoken"):
        return {"identitytoken": entry["identitytoken"]}
    try:
        user, colon, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return {"username": user, "password": password} if colon else None


def _from_helper(settings: dict[str, Any], key: str) -> dict[str, str] | None:
    helper = settings.get("credHelpers", {}).get(key, settings.get("credsStore"))
    if not helper:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - the helper that the user's own configuration names
            [f"docker-credential-{helper}", "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=True,
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if found.get("Username") == "<token>":
        return {"identitytoken": found["Secret"]}
    return {"username": found.get("Username", ""), "password": found.get("Secret", "")}


#: Label of containers that exist only during a build. Its value in images is empty, because
#: containers inherit the labels of their image.
LABEL_WORK = "com.conducto.image.work"
#: Label of every built image and snapshot; its value is the mark of the state directory. Containers
#: inherit it from their image, so it has no meaning on containers.
LABEL_IMAGE_HOME = "com.conducto.image.home"
_TAR = {"Content-Type": "application/x-tar"}
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The engine's description of an image.

    Attributes:
        config: In the engine's format: ``Env``, ``User``, ``WorkingDir``, …
    """

    id: str
    config: Mapping[str, Any]

    @property
    def labels(self) -> Mapping[str, str]:
        labels = self.config.get("Labels")
        return labels if isinstance(labels, dict) else {}

    @property
    def user(self) -> str:
        """The user that commands run as; empty for root."""
        return str(self.config.get("User") or "")

    @property
    def workdir(self) -> str:
        return str(self.config.get("WorkingDir") or "/")


@dataclass(slots=True)
class EngineImages:
    """Images of one engine.

    Attributes:
        labels: Labels of all built images.
        work_labels: Labels of containers that exist only during a build.
    """

    http: HttpClient
    labels: Mapping[str, str] = field(default_factory=dict)
    work_labels: Mapping[str, str] = field(default_factory=dict)
    _has_buildkit: bool | None = None

    async def inspect(self, reference: str) -> ImageInfo | None:
        """Return the engine's description of an image, or None if there is no such image."""
        response = await self.http.request("GET", f"/images/{quote(reference)}/json")
        body = await response.read()
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        if response.status != HTTPStatus.OK:
            raise ImageError(f"{reference!r}: {error_message(body)}; correct the image's name")
        found = json.loads(body)
        return ImageInfo(found["Id"], found.get("Config") or {})

    async def pull(self, reference: str, log: BuildLogWriter) -> None:
        """Pull an image from its registry.

        Raises:
            ImageError: It cannot be pulled; the message lists possible causes.
        """
        name, tag = split_reference(reference)
        response = await self.http.request(
            "POST",
            "/images/create",
            params={"fromImage": name, "tag": tag},
            headers=await asyncio.to_thread(registry_header, reference),  # may run a helper program
        )
        progress = await _follow(response, log)
        if progress.error is not None:
            raise ImageError(not_pulled(reference, progress.error))

    async def build(
        self,
        tag: str,
        context: bytes | AsyncIterator[bytes],
        log: BuildLogWriter,
        *,
        dockerfile: str = "Dockerfile",
        build_args: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        platform: str = "",
    ) -> str | None:
        """Build an image; return None, or the engine's message if the build failed.

        Args:
            dockerfile: Path of the Dockerfile in the archive.
            build_args: ``{ARG name: value}``.
            labels: Labels in addition to those of every image.
            platform: For instance ``linux/arm64``; "" for that of the engine.
        """
        params = {
            **({"platform": platform} if platform else {}),
            "t": tag,
            "dockerfile": dockerfile,
            "buildargs": json.dumps(dict(build_args or {})),
            "labels": json.dumps({**self.labels, **(labels or {})}),
            "rm": "1",
            "forcerm": "1",
        }
        if await self.has_buildkit():
            params["version"] = "2"
        response = await self._send("POST", "/build", params, context)
        return (await _follow(response, log)).error

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        tar: bytes | AsyncIterator[bytes],
    ) -> Response:
        try:
            return await self.http.request(method, path, params=params, headers=_TAR, body=tar)
        except EngineError as error:
            # The engine closes the connection when it rejects an upload; check that it is
            # reachable.
            await (await self.http.request("GET", "/_ping")).read()
            raise ImageError(
                "the engine rejected the files. Its disk may be full, or the image may have a file "
                f"in place of a directory ({error})"
            ) from error

    async def has_buildkit(self) -> bool:
        if self._has_buildkit is None:
            response = await self.http.request("GET", "/_ping")
            await response.read()
            self._has_buildkit = response.headers.get("builder-version") == "2"
        return self._has_buildkit

    async def tag(self, image: str, reference: str) -> None:
        name, tag = split_reference(reference)
        response = await self.http.request(
            "POST", f"/images/{quote(image)}/tag", params={"repo": name, "tag": tag}
        )
        await _expect(response, f"image {image!r}: cannot be tagged {reference!r}")

    @asynccontextmanager
    async def container(self, image: str, command: list[str]) -> AsyncIterator[str]:
        """Create a container without a network; yield its id; remove it afterwards."""
        settings = {
            "Image": image,
            "Entrypoint": command[:1],
            "Cmd": command[1:],
            "User": "0",
            "Tty": True,  # so that its log is plain text
            "WorkingDir": "/",
            "Labels": {**self.labels, **self.work_labels, LABEL_WORK: "1"},
            "StopTimeout": 0,
            "HostConfig": {
                "NetworkMode": "none",
                "LogConfig": {"Type": "json-file"},
                "SecurityOpt": [NO_NEW_PRIVILEGES],
            },
        }
        response = await self.http.request(
            "POST",
            "/containers/create",
            params={"name": f"conducto_image_{uuid.uuid4().hex[:12]}"},
            headers=_JSON,
            body=json.dumps(settings).encode(),
        )
        body = await _expect(response, f"image {image!r}: cannot create a container")
        identity = str(json.loads(body)["Id"])
        try:
            yield identity
        finally:
            response = await self.http.request(
                "DELETE", f"/containers/{identity}", params={"force": "1", "v": "1"}
            )
            await response.read()

    async def run(self, container: str) -> tuple[int | None, str]:
        """Run a container to its end; return its exit code (None: not started) and output."""
        response = await self.http.request("POST", f"/containers/{container}/start")
        body = await response.read()
        if response.status >= HTTPStatus.BAD_REQUEST:
            return None, error_message(body)
        response = await self.http.request("POST", f"/containers/{container}/wait")
        code = int(json.loads(await response.read())["StatusCode"])
        response = await self.http.request(
            "GET", f"/containers/{container}/logs", params={"stdout": "1", "stderr": "1"}
        )
        return code, plain((await response.read()).decode(errors="replace"))

    async def read_file(self, container: str, path: str) -> bytes | None:
        """Return the content of a small file in a container, or None if there is none."""
        response = await self.http.request(
            "GET", f"/containers/{container}/archive", params={"path": path}
        )
        body = await response.read()
        if response.status != HTTPStatus.OK:
            return None
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            for member in tar:
                if member.isfile():
                    file = tar.extractfile(member)
                    return None if file is None else file.read()
        return None

    async def put(self, container: str, tar: AsyncIterator[bytes]) -> None:
        """Unpack a tar archive at the root of a container.

        Raises:
            ImageError: The engine rejected it.
        """
        path = f"/containers/{container}/archive"
        response = await self._send("PUT", path, {"path": "/"}, tar)
        await _expect(response, "cannot copy the code into the image")

    async def commit(self, container: str, reference: str, config: Mapping[str, Any]) -> None:
        """Create an image from a container's files with exactly these settings."""
        name, tag = split_reference(reference)
        empty = dict.fromkeys((*self.work_labels, LABEL_WORK), "")  # else: the container's
        labels = {**(config.get("Labels") or {}), **self.labels, **empty}
        response = await self.http.request(
            "POST",
            "/commit",
            params={"container": container, "repo": name, "tag": tag, "pause": "0"},
            headers=_JSON,
            body=json.dumps({**config, "Labels": labels}).encode(),
        )
        await _expect(response, f"{reference!r}: the engine could not store the image")


def split_reference(reference: str) -> tuple[str, str]:
    """Return an image's name and its tag or digest; the tag defaults to ``latest``."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    folder, slash, last = reference.rpartition("/")
    base, colon, tag = last.partition(":")
    return folder + slash + base, tag if colon else "latest"


def with_env(config: Mapping[str, Any], env: Mapping[str, str]) -> list[str]:
    """Return an image's ``Env`` with variables added or replaced."""
    old = config.get("Env") or []
    kept = [line for line in old if line.partition("=")[0] not in env]
    return [*kept, *(f"{name}={value}" for name, value in env.items())]


async def _follow(response: Response, log: BuildLogWriter) -> EngineProgress:
    progress = EngineProgress()
    # If the caller is cancelled, closing the connection stops the engine's work.
    async with response:
        if response.status != HTTPStatus.OK:
            progress.error = error_message(await response.read())
            return progress
        async for data in response.stream():
            _pass_on(log, progress, progress.feed(data))
    _pass_on(log, progress, progress.finish())
    return progress


def _pass_on(log: BuildLogWriter, progress: EngineProgress, lines: list[str]) -> None:
    log.lines(lines)
    for part in progress.take_parts():
        log.part(part)


async def _expect(response: Response, what: str) -> bytes:
    body = await response.read()
    if response.status >= HTTPStatus.BAD_REQUEST:
        raise ImageError(f"{what}: {error_message(body)}")
    return body
