"""Containers through the Engine API of Docker or of Podman's compatible service."""

import asyncio
import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conducto.wire.fields import ARCHITECTURES, ARM, architecture
from conducto_local.engine.docker import container as metadata
from conducto_local.engine.docker.container import Traits, read_traits
from conducto_local.engine.docker.http import (
    Address,
    EngineApiError,
    HttpClient,
    candidates,
    unreachable,
)
from conducto_local.engine.docker.run_args import RunArgsError
from conducto_local.engine.docker.streams import PIPES_DIRECTORY, Pipes, attach
from conducto_local.engine.docker.worker import DockerWorker
from conducto_local.engine.port import (
    EngineError,
    EngineInfo,
    ImageGoneError,
    LabelledResource,
    Mount,
    WorkerLostError,
    WorkerSpec,
    WorkerStartError,
)
from conducto_local.services.containers import Services

# ----------------------------------------------------------------------------------------
# Containers, networks and images with a label, and their sizes.


#: Number of images inspected at the same time.
_AT_ONCE = 8


async def find_labelled(http: HttpClient, label: str, value: str) -> list[LabelledResource]:
    """Return every container, network and image with this label value."""
    filters = json.dumps({"label": [f"{label}={value}"]})
    try:
        containers = await http.call(
            "GET", "/containers/json", params={"all": True, "size": True, "filters": filters}
        )
        networks = await http.call("GET", "/networks", params={"filters": filters})
        images = await http.call("GET", "/images/json", params={"filters": filters})
        found = [_container(each) for each in containers or ()]
        found += [_network(each) for each in networks or ()]
        return found + await _images(http, images or [])
    except EngineApiError as error:
        raise EngineError(f"the container engine cannot list its resources: {error}") from error


def short_name(reference: str) -> str:
    """Return the name of an image as users and `WorkerSpec` write it.

    Docker lists images by this name, Podman by the full one.

    >>> short_name("docker.io/library/python:3"), short_name("localhost/me/x:1")
    ('python:3', 'me/x:1')
    """
    for prefix in ("docker.io/library/", "docker.io/", "localhost/"):
        if reference.startswith(prefix):
            return reference.removeprefix(prefix)
    return reference


def _container(body: dict[str, Any]) -> LabelledResource:
    names = body.get("Names") or [body["Id"]]
    return LabelledResource(
        "container",
        body["Id"],
        names[0].lstrip("/"),
        body.get("Labels") or {},
        size=int(body.get("SizeRw") or 0),
        running=body.get("State") == "running",
    )


def _network(body: dict[str, Any]) -> LabelledResource:
    return LabelledResource("network", body["Id"], body["Name"], body.get("Labels") or {})


@dataclass(frozen=True, slots=True)
class _Image:
    """An image; ``size`` is the total size of its layers."""

    id: str
    layers: tuple[str, ...]
    size: int


async def _images(http: HttpClient, bodies: list[dict[str, Any]]) -> list[LabelledResource]:
    """Return each image under all its names; only the first name has its additional size."""
    if not bodies:
        return []
    everything = await http.call("GET", "/images/json")
    room = asyncio.Semaphore(_AT_ONCE)

    async def read(body: dict[str, Any]) -> _Image | None:
        async with room:
            return await _image(http, body)

    read_all = await asyncio.gather(*map(read, everything or ()))
    images = {each.id: each for each in read_all if each is not None}
    return [
        one
        for body in bodies
        if body["Id"] in images
        for one in _named(body, _added(images[body["Id"]], images.values()), images[body["Id"]])
    ]


async def _image(http: HttpClient, body: dict[str, Any]) -> _Image | None:
    try:
        details = await http.call("GET", f"/images/{quote(body['Id'])}/json")
    except EngineApiError:
        return None  # removed meanwhile
    layers = tuple((details.get("RootFS") or {}).get("Layers") or ())
    return _Image(body["Id"], layers, int(body.get("Size") or 0))


def _added(image: _Image, others: Iterable[_Image]) -> int:
    """Return the size of an image beyond the largest image that it is based on."""
    below = [
        other.size
        for other in others
        if len(other.layers) < len(image.layers)
        and image.layers[: len(other.layers)] == other.layers
    ]
    return max(0, image.size - max(below, default=0))


def _named(body: dict[str, Any], size: int, image: _Image) -> Iterator[LabelledResource]:
    tags = [name for name in body.get("RepoTags") or () if name != "<none>:<none>"]
    names = [short_name(name) for name in tags]
    for number, name in enumerate(names or [image.id]):
        labels = body.get("Labels") or {}
        added = 0 if number else size
        yield LabelledResource("image", image.id, name, labels, size=added, layers=image.layers)


# ----------------------------------------------------------------------------------------
# The network of a pipeline's containers.


#: Attempts: another network may take the subnet that Podman has just proposed.
_TRIES = 5


async def create(http: HttpClient, name: str, labels: Mapping[str, str], traits: Traits) -> None:
    """Create a network.

    Raises:
        ApiError: The engine cannot create it; the status is CONFLICT if the name exists.
    """
    for left in reversed(range(_TRIES)):
        await _create(http, name, labels)
        if traits.podman is None or not traits.block_metadata:
            return
        try:
            await _recreate_with_route(http, name, labels)
        except EngineApiError as error:
            if error.status == HTTPStatus.CONFLICT or not left:
                raise
        else:
            return


async def _create(http: HttpClient, name: str, labels: Mapping[str, str]) -> None:
    body = {
        "Name": name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "EnableIPv6": False,
        "Labels": dict(labels),
    }
    await http.call("POST", "/networks/create", json_body=body)


async def _recreate_with_route(http: HttpClient, name: str, labels: Mapping[str, str]) -> None:
    """Replace a network with one that has the same subnet and a static route."""
    found = await http.call("GET", f"/networks/{name}")
    subnet = str(found["IPAM"]["Config"][0]["Subnet"])
    await http.call("DELETE", f"/networks/{name}")
    body = metadata.podman_network(name, labels, subnet)
    await http.call("POST", "/libpod/networks/create", json_body=body)


_GB = 2**30
#: The newest API version that this module supports.
_API = (1, 45)
_STREAMS = {"stream": True, "stdin": True, "stdout": True, "stderr": True}
#: Exit code that the engine records if the container's first program does not exist.
_NO_PROGRAM = 127
#: Exit code of a program that was killed by SIGKILL from outside.
_KILLED = 137
#: FORBIDDEN is the response for a network that still has a container.
_GONE_OR_IN_USE = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN}
_OPEN_SECONDS = 20
#: The handlers of foreign programs on this machine.
_FORMATS = Path("/proc/sys/fs/binfmt_misc")
_READY_SECONDS = 120


class DockerEngine:
    """An engine with the Docker Engine API; implements `conducto_local.engine.port.Engine`.

    Args:
        env: Environment with ``DOCKER_HOST``, ``HOME``, ``PATH`` …; None for the process's own.
        grace: Seconds between TERM and KILL when a command is stopped.
        pipes: Directory for pipes to containers on this machine; None to use only the engine's
            streams.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        *,
        grace: float = 5.0,
        pipes: Path | None = None,
    ) -> None:
        self._env = os.environ if env is None else env
        self._grace = grace
        self._pipes = pipes
        self._client: HttpClient | None = None
        self._traits = Traits()
        #: Architecture of the engine; set by `open`.
        self.arch = ""

    @property
    def traits(self) -> Traits:
        """The differences of this engine from others; set by `open`."""
        return self._traits

    @property
    def http(self) -> HttpClient:
        """The HTTP client of the engine, for requests beyond containers.

        Raises:
            EngineError: The engine is not open.
        """
        if self._client is None:
            raise EngineError("the container engine is not open: call open() first")
        return self._client

    async def open(self) -> EngineInfo:
        tried: dict[Address, OSError] = {}
        for address in candidates(self._env):
            client = HttpClient(address)
            try:
                info, traits = await asyncio.wait_for(
                    _shake_hands(client, self._env), _OPEN_SECONDS
                )
            except EngineApiError as error:
                raise EngineError(f"the engine at {address} returned an error: {error}") from error
            except TimeoutError as error:
                tried[address] = TimeoutError(errno.ETIMEDOUT, "no response")
                tried[address].__cause__ = error
            except EngineError as error:
                if not isinstance(error.__cause__, OSError):
                    raise
                tried[address] = error.__cause__
            else:
                await self.close()
                self._client, self._traits, self.arch = client, traits, info.arch
                return info
        raise unreachable(tried, self._env.get("PATH"))

    async def start_worker(self, spec: WorkerSpec) -> DockerWorker:
        """Start the services, then a container that runs the command server.

        An existing container with the same name and labels is a leftover and is removed.
        """
        services = Services(self.http, self._traits, spec)
        try:
            await services.start()
            return await self._start_worker(replace(spec, hosts=services.hosts), services)
        except BaseException:
            with suppress(EngineError):  # the start's error matters
                await asyncio.shield(services.close())
            raise

    async def _start_worker(self, spec: WorkerSpec, services: Services) -> DockerWorker:
        pipes = self._new_pipes()
        try:
            identity = await self._create(spec, self._create_body(spec, pipes))
        except BaseException:
            if pipes is not None:
                pipes.close()
            raise
        has_limit = "memory" not in self._traits.unenforced
        worker = DockerWorker(
            self.http, spec, identity, self._grace, has_memory_limit=has_limit, services=services
        )
        try:
            await self._start(worker, spec, pipes)
        except BaseException:
            await _remove_quietly(worker)
            raise
        return worker

    def _new_pipes(self) -> Pipes | None:
        if self._pipes is None or self.http.address.path is None:
            return None
        try:
            return Pipes(self._pipes)
        except OSError:  # too many open files, or a file system without pipes
            return None

    def _create_body(self, spec: WorkerSpec, pipes: Pipes | None) -> dict[str, Any]:
        if pipes is not None:
            mount = Mount(str(pipes.directory), PIPES_DIRECTORY, read_only=True)
            spec = replace(spec, mounts=(*spec.mounts, mount))
        try:
            return self._traits.create_body(spec, self.http.address)
        except RunArgsError as error:
            raise WorkerStartError(str(error)) from error

    async def ensure_network(self, name: str, labels: Mapping[str, str]) -> None:
        try:
            await create(self.http, name, labels, self._traits)
        except EngineApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise EngineError(
                    f"network {name!r} cannot be created: {error.message}. Remove unused "
                    "networks: conducto gc, or docker network prune"
                ) from error

    async def remove_labelled(self, labels: Mapping[str, str]) -> int:
        filters = json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]})
        found = await self._list("/containers/json", {"all": True, "filters": filters})
        params = {"force": True, "v": True}
        gone = await asyncio.gather(
            *(self._delete(f"/containers/{each['Id']}", params) for each in found)
        )
        # A network can be removed only when no container uses it.
        networks = await self._list("/networks", {"filters": filters})
        gone += await asyncio.gather(*(self._delete(f"/networks/{n['Id']}", {}) for n in networks))
        return sum(gone)

    async def remove_image(self, reference: str) -> bool:
        return await self._delete(f"/images/{quote(reference)}", {})

    async def find(self, label: str, value: str) -> list[LabelledResource]:
        return await find_labelled(self.http, label, value)

    async def discard(self, belonging: LabelledResource) -> bool:
        params = {"force": True, "v": True} if belonging.kind == "container" else {}
        name = belonging.name if belonging.kind == "image" else belonging.id
        return await self._delete(f"/{belonging.kind}s/{quote(name)}", params)

    async def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _create(self, spec: WorkerSpec, body: dict[str, Any]) -> str:
        for _ in range(2):
            try:
                response = await self.http.call(
                    "POST", "/containers/create", params={"name": spec.name}, json_body=body
                )
                return str(response["Id"])
            except EngineApiError as error:
                if not _is_name_taken(error) or not await self._remove_leftover(spec):
                    raise _cannot_create(spec, error) from error
        raise WorkerStartError(
            f"container {spec.name!r} is repeatedly created by another process. Stop that process"
        )

    async def _remove_leftover(self, spec: WorkerSpec) -> bool:
        """Free the name; return False if another installation's container has it."""
        try:
            holder = await self.http.call("GET", f"/containers/{spec.name}/json")
        except EngineApiError as error:
            return error.status == HTTPStatus.NOT_FOUND
        # Other state directories on this engine use the same label names.
        if not spec.labels.items() <= (holder["Config"].get("Labels") or {}).items():
            return False
        await self._delete(f"/containers/{holder['Id']}", {"force": True, "v": True})
        return True

    async def _start(self, worker: DockerWorker, spec: WorkerSpec, pipes: Pipes | None) -> None:
        ready, words = worker.prepare(pipes)
        path = f"/containers/{worker.id}"
        try:
            attachment = await attach(self.http, f"{path}/attach", _STREAMS, worker)
            worker.attached(attachment)
            await self.http.call("POST", f"{path}/start")
        except EngineApiError as error:
            raise await self._cannot_start(worker, spec, error) from error
        try:
            first = await asyncio.wait_for(ready, _READY_SECONDS)
        except TimeoutError:
            first = None
        if first is None and _is_taken(await self._state(worker)):
            raise _lost(spec)
        if first is None:
            said = words.decode("utf-8", "replace").strip()
            raise WorkerStartError(
                f"image {spec.image!r}: the command server did not start in container "
                f"{spec.name}" + (f". Its output: {said}" if said else "")
            )
        worker.started()

    async def _state(self, worker: DockerWorker) -> dict[str, Any]:
        """Return the state of a container; ``removing`` if it no longer exists."""
        try:
            response = await self.http.call("GET", f"/containers/{worker.id}/json")
        except EngineApiError as error:
            return {"Status": "removing"} if error.status == HTTPStatus.NOT_FOUND else {}
        return dict(response["State"])

    async def _cannot_start(
        self, worker: DockerWorker, spec: WorkerSpec, error: EngineApiError
    ) -> WorkerStartError:
        state = await self._state(worker)
        if _is_taken(state):
            return _lost(spec)
        is_missing = state.get("ExitCode") == _NO_PROGRAM or "no such file" in error.message
        if is_missing and '"/bin/sh"' in error.message:
            return WorkerStartError(
                f"image {spec.image!r} has no /bin/sh, and commands need a shell. "
                "Use an image with a shell"
            )
        return WorkerStartError(
            f"image {spec.image!r}: container {spec.name} cannot start: {error.message}"
        )

    async def _list(self, path: str, params: Mapping[str, str | bool]) -> list[dict[str, Any]]:
        try:
            return list(await self.http.call("GET", path, params=params) or ())
        except EngineApiError as error:
            raise EngineError(f"the container engine rejects {path}: {error}") from error

    async def _delete(self, path: str, params: Mapping[str, str | bool]) -> bool:
        """Delete a resource; return False if it no longer exists or is in use."""
        try:
            await self.http.call("DELETE", path, params=params)
        except EngineApiError as error:
            if error.status in _GONE_OR_IN_USE:
                return False
            raise EngineError(f"{path} cannot be removed: {error}") from error
        return True


async def _shake_hands(client: HttpClient, env: Mapping[str, str]) -> tuple[EngineInfo, Traits]:
    version = await client.call("GET", "/version")
    client.prefix = f"/v{_agree(version.get('ApiVersion', ''))}"
    info = await client.call("GET", "/info")
    traits = await read_traits(client, version, info, env)
    return _engine_info(version, info, client.address, traits), traits


def _cannot_create(spec: WorkerSpec, error: EngineApiError) -> WorkerStartError:
    if error.status == HTTPStatus.NOT_FOUND:
        return ImageGoneError(
            f"image {spec.image!r} is not on this machine: {error.message}. Reset the node to "
            "have it pulled or built again"
        )
    if _is_name_taken(error):
        return WorkerStartError(
            f"container {spec.name!r} is not Conducto's. Remove it: docker rm -f {spec.name}"
        )
    return WorkerStartError(f"image {spec.image!r}: cannot create a container: {error.message}")


def _is_name_taken(error: EngineApiError) -> bool:
    """Return whether the name is taken; Podman reports it with another status."""
    return error.status == HTTPStatus.CONFLICT or "name is already in use" in error.message


def _lost(spec: WorkerSpec) -> WorkerLostError:
    return WorkerLostError(f"container {spec.name} was removed or killed during its start")


def _is_taken(state: Mapping[str, Any]) -> bool:
    killed = state.get("ExitCode") == _KILLED and not state.get("OOMKilled")
    return state.get("Status") in ("removing", "dead") or (killed and not state.get("Running"))


async def _remove_quietly(worker: DockerWorker) -> None:
    """Remove a container whose start failed; ignore errors, because the start's error matters."""
    try:
        await asyncio.shield(worker.close())
    except EngineError:
        return


def _agree(version: str) -> str:
    """Return the newest API version that both the engine and this module support."""
    major, _, minor = version.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise EngineError(f"not a container engine: its API version is {version!r}")
    return ".".join(str(part) for part in min(_API, (int(major), int(minor))))


def _engine_info(
    version: Mapping[str, Any], info: Mapping[str, Any], address: Address, traits: Traits
) -> EngineInfo:
    has_gpus = "nvidia" in (info.get("Runtimes") or {}) and address.path is not None
    return EngineInfo(
        name="docker" if traits.podman is None else "podman",
        version=str(version.get("Version", "")),
        cpus=float(info["NCPU"]),
        memory=info["MemTotal"] / _GB,
        gpus=len(list(Path("/dev").glob("nvidia[0-9]*"))) if has_gpus else 0,
        unenforced=traits.unenforced,
        warnings=traits.warnings,
        arch=architecture(str(info.get("Architecture", ""))),
        emulates=_emulated(info, address),
    )


def _emulated(info: Mapping[str, Any], address: Address) -> frozenset[str]:
    """Return the architectures that an engine on this machine, or Docker Desktop, can emulate."""
    if info.get("OperatingSystem") == "Docker Desktop":
        return frozenset(ARCHITECTURES)
    names = {"qemu-x86_64": "x86_64", "qemu-aarch64": ARM}
    here = address.path is not None
    return frozenset(arch for name, arch in names.items() if here and (_FORMATS / name).exists())
