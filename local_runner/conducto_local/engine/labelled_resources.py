"""Containers, networks and images with a label, and their sizes."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from conducto_local.engine.http import ApiError, HttpClient
from conducto_local.ports import EngineError, LabelledResource

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
    except ApiError as error:
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
    except ApiError:
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
