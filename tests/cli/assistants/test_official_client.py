"""The client of the official SDK, in its three modes, over both transports of both targets."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.assistants.rules.tools import TOOLS
from support.running import CONDUCTO, Person, person_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytest.importorskip("mcp", reason="pip install -e '.[dev]' installs the SDK")
import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

MODES = ("legacy", "auto", "2026-07-28")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with person_at(tmp_path_factory.mktemp("sdk")) as someone:
        yield someone


@contextlib.asynccontextmanager
async def over_stdio(person: Person, mode: str, target: str = "--local") -> AsyncIterator[Client]:
    words = ["-c", CONDUCTO, "mcp", target, "--allow", "author"]
    parameters = StdioServerParameters(
        command=sys.executable, args=words, env=person.environment(), cwd=person.base
    )
    async with Client(stdio_client(parameters), mode=mode) as client:
        yield client


@contextlib.asynccontextmanager
async def over_http(url: str, token: str, mode: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


async def check(client: Client) -> None:
    """Check that the tools are listed, and that a call returns text and an error."""
    listed = await client.list_tools()
    assert [tool.name for tool in listed.tools] == [tool.name for tool in TOOLS]
    found: Any = await client.call_tool("list_pipelines", {})
    assert not found.is_error
    wrong: Any = await client.call_tool("explain", {"id": "nope"})
    assert wrong.is_error
    assert "no pipeline" in wrong.content[0].text


@pytest.mark.parametrize("mode", MODES)
async def test_client_over_stdio(person: Person, mode: str) -> None:
    async with over_stdio(person, mode) as client:
        await check(client)


@pytest.mark.parametrize("mode", MODES)
async def test_client_over_http_of_the_agent(person: Person, mode: str) -> None:
    words = ("tokens", "create", "sdk", "--local", "--assistant", "--allow", "author", "--json")
    token = json.loads(person.ask(*words).stdout)["token"]
    url = person.ask("agent", "status").stdout.partition("http://")[2].split()[0].strip(",;)")

    async with over_http(f"http://{url}", token, mode) as client:
        await check(client)
