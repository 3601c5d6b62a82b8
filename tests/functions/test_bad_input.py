"""Mistakes in users' input to the cloud's API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conducto.wire.secret_names import MAX_VALUE
from conducto_core.errors import RefusedError
from conducto_core.secrets.model import PutSecrets
from support.cloud.world import World

SECRET = "very-secret-"


def put(world: World, *values: str) -> None:
    secrets: list[dict[str, Any]] = [{"key": f"A{n}", "value": v} for n, v in enumerate(values)]
    request = PutSecrets.model_validate({"secrets": secrets})
    asyncio.run(world.pipelines().put_secrets(request))


def names(world: World) -> list[str]:
    return [secret.key for secret in asyncio.run(world.pipelines().list_secrets()).secrets]


def test_a_secret_of_more_than_64_kb_is_refused_with_all_that_came_with_it() -> None:
    world = World()
    large = (SECRET * MAX_VALUE)[: MAX_VALUE + 1]

    with pytest.raises(RefusedError, match=f"A1: the value has {MAX_VALUE + 1} bytes") as told:
        put(world, "small", large)

    assert names(world) == []
    assert SECRET not in str(told.value)
