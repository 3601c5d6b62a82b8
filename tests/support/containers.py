"""The engine's resources of a pipeline: containers, networks, and their settings."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from conducto_core.run.model.params import ListParams
from support.local import Local, Run, local_runner
from support.stand_ins import call, ensure

BUSYBOX = "busybox"


def of_pipeline(run: Run) -> list[str]:
    """Return the names of a pipeline's containers, running or not."""
    return [each["Names"][0].lstrip("/") for each in _list("containers/json", run.id)]


def networks(run: Run) -> list[str]:
    return [each["Name"] for each in _list("networks", run.id)]


def details(container: str) -> dict[str, Any]:
    """Return the engine's description of a container."""
    found: dict[str, Any] = json.loads(call("GET", f"/containers/{container}/json")[1])
    return found


def remove(container: str) -> None:
    """Remove a container, like an external tool might."""
    call("DELETE", f"/containers/{container}", {"force": "1", "v": "1"})


def remove_images(profile: str) -> None:
    """Remove the images that were made for a profile; images in use stay."""
    labels = json.dumps({"label": [f"com.conducto.profile={profile}"]})
    for each in json.loads(call("GET", "/images/json", {"filters": labels})[1]):
        for name in each.get("RepoTags") or [each["Id"]]:
            call("DELETE", f"/images/{name}")


@asynccontextmanager
async def clean_runner(
    base: Path,
    *,
    idle_seconds: float = 60.0,
    profile: str = "test",
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Local]:
    """Yield a runner on containers, and check that it leaves no resources.

    Raises:
        AssertionError: A container or a network is left.
    """
    ensure(["busybox:latest"])
    async with local_runner(base, idle_seconds=idle_seconds, profile=profile, env=env) as local:
        yield local
        known = [
            each.pipeline.id
            for each in (await local.pipelines.list_pipelines(ListParams())).pipelines
        ]
    left = [each for one in known for each in _left_behind(one)]
    assert not left, f"left behind: {left}"


def _list(what: str, pipeline: str) -> list[dict[str, Any]]:
    labels = json.dumps({"label": [f"com.conducto.pipeline={pipeline}"]})
    found: list[dict[str, Any]] = json.loads(
        call("GET", f"/{what}", {"filters": labels, "all": "1"})[1]
    )
    return found


def _left_behind(pipeline: str) -> list[str]:
    """Return the resources of a pipeline, and remove them."""
    containers, nets = _list("containers/json", pipeline), _list("networks", pipeline)
    for each in containers:
        remove(each["Id"])
    for each in nets:
        call("DELETE", f"/networks/{each['Id']}")
    return [each["Names"][0] for each in containers] + [each["Name"] for each in nets]
