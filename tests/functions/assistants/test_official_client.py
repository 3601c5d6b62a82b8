"""The client of the official SDK against an installation: over HTTP, and over ``conducto mcp``."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.people.test_organisation_commands import Served

from conducto_core.assistants.rules.tools import TOOLS
from conducto_core.people import operations
from conducto_core.people.model import AuditParams, Role
from conducto_core.run.operations import LAUNCH
from support.running import CONDUCTO
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("mcp", reason="pip install -e '.[dev]' installs the SDK")
import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

MODES = ("legacy", "auto", "2026-07-28")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Served]:
    made = Served(folder=tmp_path)
    server = made.serve()
    yield made
    server.shutdown()
    server.server_close()


async def check(client: Client, office: Served, login: str) -> None:
    request = {"tree": form(serial(leaf("a"))), "run": True}
    id_ = (await asyncio.to_thread(office.call, LAUNCH, login, request))[1]["pipeline"]["id"]
    listed = await client.list_tools()
    assert [tool.name for tool in listed.tools] == [tool.name for tool in TOOLS]
    dry: Any = await client.call_tool("skip", {"id": id_, "paths": ["/a"]})
    token = dry.content[0].text.rpartition("token: ")[2]
    done: Any = await client.call_tool("skip", {"id": id_, "paths": ["/a"], "token": token})
    assert done.content[0].text.startswith("done: skip affects 1 commands")
    entries = office.world.audit.page("acme", AuditParams(operation="control")).entries
    assert len(entries) == 3
    assert all(one.client.startswith("mcp/") for one in entries)


@pytest.mark.parametrize("mode", MODES)
async def test_client_over_http(office: Served, mode: str) -> None:
    login = office.join("ann", Role.OWNER)
    body = {"name": "sdk", "scopes": ["author"]}
    token = (await asyncio.to_thread(office.call, operations.CREATE_TOKEN, login, body))[1]["token"]

    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(f"{office.url}/mcp", http_client=http), mode=mode) as client,
    ):
        await check(client, office, login)


@pytest.mark.parametrize("mode", MODES)
async def test_client_over_stdio(office: Served, mode: str, tmp_path: Path) -> None:
    login = office.join("ann", Role.OWNER)
    env = {
        "CONDUCTO_BASE_DIR": str(tmp_path / "conducto"),
        "CONDUCTO_URL": office.url,
        "CONDUCTO_TOKEN": login,
        "PATH": os.environ["PATH"],
    }
    words = ["-c", CONDUCTO, "mcp", "--cloud", "--allow", "author"]
    parameters = StdioServerParameters(command=sys.executable, args=words, env=env)

    async with Client(stdio_client(parameters), mode=mode) as client:
        await check(client, office, login)

    listed = (await asyncio.to_thread(office.call, operations.LIST_TOKENS, login))[1]["tokens"]
    assert [one["kind"] for one in listed] == ["login"]
