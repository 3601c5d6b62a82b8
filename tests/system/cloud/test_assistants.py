"""The official client and inspector of the Model Context Protocol, at an emulated installation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.cli.assistants.test_inspector import INSPECTOR, NODE, inspect
from tests.cli.assistants.test_official_client import MODES, check, over_http, over_stdio

from conducto_core.assistants.rules.tools import TOOLS
from support.running import Person, person_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]


@pytest.fixture
def person(me: Cloud, tmp_path: Path) -> Iterator[Person]:
    with person_at(tmp_path) as someone:
        given = me.token + "\n"
        done = someone.conducto("login", "--url", me.emulator.url, "--token", "-", given=given)
        assert done.returncode == 0, done.stderr
        yield someone


def token_of(person: Person) -> str:
    words = ("tokens", "create", "sdk", "--assistant", "--allow", "author", "--json")
    return str(json.loads(person.ask(*words).stdout)["token"])


async def test_the_official_client_over_both_transports(me: Cloud, person: Person) -> None:
    token = token_of(person)
    for mode in MODES:
        async with over_http(me.emulator.url, token, mode) as client:
            await check(client)
    async with over_stdio(person, "auto", "--cloud") as client:
        await check(client)


@pytest.mark.skipif(NODE is None or not INSPECTOR.exists(), reason="the inspector is not installed")
def test_the_inspector_finds_no_problem(me: Cloud, person: Person) -> None:
    header = f"Authorization: Bearer {token_of(person)}"
    words = ("--method", "tools/list", "--strict", "--transport", "http", "--header", header)
    listed = inspect(person, f"{me.emulator.url}/mcp", *words)
    assert listed.returncode == 0, listed.stderr
    names = [tool["name"] for tool in json.loads(listed.stdout)["tools"]]
    assert names == [tool.name for tool in TOOLS]
