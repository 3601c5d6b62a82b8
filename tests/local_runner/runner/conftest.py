"""One runner for all tests of a module, on each engine; modules that need more make their own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.local import Local, local_runner
from support.stand_ins import ensure


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["process", pytest.param("docker", marks=pytest.mark.docker)],
)
async def local(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Local]:
    if request.param == "docker":
        ensure(["busybox:latest"])
    base = tmp_path_factory.mktemp(request.param)
    async with local_runner(base / "home", request.param, profile="module") as runner:
        yield runner
