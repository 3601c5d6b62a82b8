"""The engine's requests that have to do with images."""

import asyncio
import io
import json
import tarfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from conducto_local.engine.container import NO_NEW_PRIVILEGES
from conducto_local.engine.http import HttpClient, Response, error_message
from conducto_local.images.build_log import BuildLogWriter
from conducto_local.images.credentials import registry_header
from conducto_local.images.progress import Progress, plain
from conducto_local.ports import EngineError, ImageError

#: Label of containers that exist only while an image is made; the value in images is empty,
#: because they would hand it on to every container.
LABEL_WORK = "com.conducto.image.work"
#: On every image that is made, snapshots too: the mark of the home for whose pipelines it was.
#: Containers take it over from their image, so it says nothing about a container.
LABEL_IMAGE_HOME = "com.conducto.image.home"
_TAR = {"Content-Type": "application/x-tar"}
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the engine says of an image it has.

    Attributes:
        config: The engine's own form: ``Env``, ``User``, ``WorkingDir``, …
    """

    id: str
    config: Mapping[str, Any]

    @property
    def labels(self) -> Mapping[str, str]:
        """The image's labels."""
        labels = self.config.get("Labels")
        return labels if isinstance(labels, dict) else {}

    @property
    def user(self) -> str:
        """The user that commands run as; empty is root."""
        return str(self.config.get("User") or "")

    @property
    def workdir(self) -> str:
        """The working directory of commands."""
        return str(self.config.get("WorkingDir") or "/")


@dataclass(slots=True)
class EngineImages:
    """Images of one engine.

    Attributes:
        labels: Labels of all images that are made.
        work_labels: Labels of containers that exist only while an image is made.
    """

    http: HttpClient
    labels: Mapping[str, str] = field(default_factory=dict)
    work_labels: Mapping[str, str] = field(default_factory=dict)
    _has_buildkit: bool | None = None

    async def inspect(self, reference: str) -> ImageInfo | None:
        """Return what the engine knows of an image, or None if it has none of that name."""
        answer = await self.http.request("GET", f"/images/{quote(reference)}/json")
        body = await answer.read()
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise ImageError(f"{reference!r}: {error_message(body)}; correct the image's name")
        found = json.loads(body)
        return ImageInfo(found["Id"], found.get("Config") or {})

    async def pull(self, reference: str, log: BuildLogWriter) -> None:
        """Fetch an image from its registry.

        Raises:
            ImageError: it cannot be had; says what may be wrong.
        """
        name, tag = split_reference(reference)
        answer = await self.http.request(
            "POST",
            "/images/create",
            params={"fromImage": name, "tag": tag},
            headers=await asyncio.to_thread(registry_header, reference),  # it may ask a helper
        )
        progress = await _follow(answer, log)
        if progress.error is not None:
            raise ImageError(
                f"image {reference!r}: not on this machine and cannot be pulled. Is it spelled "
                f"right, does it need a log-in (docker login), is the machine offline? "
                f"The engine said: {progress.error}"
            )

    async def build(
        self,
        tag: str,
        context: bytes | AsyncIterator[bytes],
        log: BuildLogWriter,
        *,
        dockerfile: str = "Dockerfile",
        build_args: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> str | None:
        """Build an image; return None, or the engine's message if it did not build.

        Args:
            tag: What the image is to be known by.
            context: A tar.
            log: Receives the build's lines.
            dockerfile: Path of the Dockerfile in the tar.
            build_args: ``{ARG name: value}``.
            labels: Labels beyond those that every image gets.
        """
        params = {
            "t": tag,
            "dockerfile": dockerfile,
            "buildargs": json.dumps(dict(build_args or {})),
            "labels": json.dumps({**self.labels, **(labels or {})}),
            "rm": "1",
            "forcerm": "1",
        }
        if await self.has_buildkit():
            params["version"] = "2"
        answer = await self._send("POST", "/build", params, context)
        return (await _follow(answer, log)).error

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
            # The engine hangs up in the middle of what it refuses; is it there at all?
            await (await self.http.request("GET", "/_ping")).read()
            raise ImageError(
                "the engine stopped taking the files; is its disk full, or has the image a file "
                f"where a directory must be? ({error})"
            ) from error

    async def has_buildkit(self) -> bool:
        """Return whether the engine builds with BuildKit inside itself."""
        if self._has_buildkit is None:
            answer = await self.http.request("GET", "/_ping")
            await answer.read()
            self._has_buildkit = answer.headers.get("builder-version") == "2"
        return self._has_buildkit

    async def tag(self, image: str, reference: str) -> None:
        """Give an image one more name."""
        name, tag = split_reference(reference)
        answer = await self.http.request(
            "POST", f"/images/{quote(image)}/tag", params={"repo": name, "tag": tag}
        )
        await _expect(answer, f"image {image!r}: cannot be tagged {reference!r}")

    @asynccontextmanager
    async def container(self, image: str, command: list[str]) -> AsyncIterator[str]:
        """Make a container that never sees a network; yield its id; remove it at the end."""
        settings = {
            "Image": image,
            "Entrypoint": command[:1],
            "Cmd": command[1:],
            "User": "0",
            "Tty": True,  # its log is then plain text
            "WorkingDir": "/",
            "Labels": {**self.labels, **self.work_labels, LABEL_WORK: "1"},
            "StopTimeout": 0,
            "HostConfig": {
                "NetworkMode": "none",
                "LogConfig": {"Type": "json-file"},
                "SecurityOpt": [NO_NEW_PRIVILEGES],
            },
        }
        answer = await self.http.request(
            "POST",
            "/containers/create",
            params={"name": f"conducto_image_{uuid.uuid4().hex[:12]}"},
            headers=_JSON,
            body=json.dumps(settings).encode(),
        )
        body = await _expect(answer, f"image {image!r}: no container can be made from it")
        identity = str(json.loads(body)["Id"])
        try:
            yield identity
        finally:
            answer = await self.http.request(
                "DELETE", f"/containers/{identity}", params={"force": "1", "v": "1"}
            )
            await answer.read()

    async def run(self, container: str) -> tuple[int | None, str]:
        """Run a container to its end; return its exit code (None: did not start) and output."""
        answer = await self.http.request("POST", f"/containers/{container}/start")
        body = await answer.read()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            return None, error_message(body)
        answer = await self.http.request("POST", f"/containers/{container}/wait")
        code = int(json.loads(await answer.read())["StatusCode"])
        answer = await self.http.request(
            "GET", f"/containers/{container}/logs", params={"stdout": "1", "stderr": "1"}
        )
        return code, plain((await answer.read()).decode(errors="replace"))

    async def read_file(self, container: str, path: str) -> bytes | None:
        """Return the content of a small file of a container, or None if there is none."""
        answer = await self.http.request(
            "GET", f"/containers/{container}/archive", params={"path": path}
        )
        body = await answer.read()
        if answer.status != HTTPStatus.OK:
            return None
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            for member in tar:
                if member.isfile():
                    file = tar.extractfile(member)
                    return None if file is None else file.read()
        return None

    async def put(self, container: str, tar: AsyncIterator[bytes]) -> None:
        """Unpack a tar at the root of a container.

        Raises:
            ImageError: the engine refused it.
        """
        path = f"/containers/{container}/archive"
        answer = await self._send("PUT", path, {"path": "/"}, tar)
        await _expect(answer, "the code cannot be copied into the image")

    async def commit(self, container: str, reference: str, config: Mapping[str, Any]) -> None:
        """Make an image of a container's files with exactly these settings."""
        name, tag = split_reference(reference)
        empty = dict.fromkeys((*self.work_labels, LABEL_WORK), "")  # else it takes the container's
        labels = {**(config.get("Labels") or {}), **self.labels, **empty}
        answer = await self.http.request(
            "POST",
            "/commit",
            params={"container": container, "repo": name, "tag": tag, "pause": "0"},
            headers=_JSON,
            body=json.dumps({**config, "Labels": labels}).encode(),
        )
        await _expect(answer, f"{reference!r}: the engine did not keep the image")


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


async def _follow(answer: Response, log: BuildLogWriter) -> Progress:
    progress = Progress()
    # Letting go of the connection ends the work, if the caller is cancelled.
    async with answer:
        if answer.status != HTTPStatus.OK:
            progress.error = error_message(await answer.read())
            return progress
        async for data in answer.stream():
            _pass_on(log, progress, progress.feed(data))
    _pass_on(log, progress, progress.finish())
    return progress


def _pass_on(log: BuildLogWriter, progress: Progress, lines: list[str]) -> None:
    log.lines(lines)
    for part in progress.take_parts():
        log.part(part)


async def _expect(answer: Response, what: str) -> bytes:
    body = await answer.read()
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise ImageError(f"{what}: {error_message(body)}")
    return body
