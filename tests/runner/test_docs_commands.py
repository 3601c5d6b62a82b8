"""The commands that the documentation shows are executed on a pipeline with the nodes they name."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import Person, person_at

DOCS = Path(__file__).parents[2] / "docs" / "concepts"
#: Pages whose commands are about a pipeline or this machine's agent.
PAGES = ("attempts-and-history.md", "command-line.md", "local-runner-and-agent.md")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The agent under the test goes on; repair needs one that has stopped.
_NOT_HERE = ("conducto agent stop", "conducto agent repair")
SCRIPT = """
import conducto as co

def pipeline() -> co.Parallel:
    root = co.Parallel(title="Nightly build")
    root["tests"] = co.Parallel()
    root["tests/unit"] = co.Exec("echo ran; exit 1")
    root["lint"] = co.Exec("true")
    return root

co.main(default=pipeline)
"""


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for _, text in _BLOCK.findall((DOCS / page).read_text()):
            for line in text.splitlines():
                command = line.partition("  #")[0].partition(" | ")[0].strip()
                if command.startswith("conducto ") and command not in _NOT_HERE:
                    yield page, command


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Person, str]]:
    base = tmp_path_factory.mktemp("docs")
    (base / "pipeline.py").write_text(SCRIPT)
    with person_at(base) as person:
        first = person.run(base / "pipeline.py", "--engine", "process")
        person.conducto("reset", first.id, "/tests/unit", "--watch")
        yield person, first.id


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_command_of_a_page_works(page: str, command: str, launched: tuple[Person, str]) -> None:
    person, pipeline = launched
    words = [pipeline if word in {"ID", "abc"} else word for word in shlex.split(command)[1:]]

    done = person.conducto(*words)

    assert done.returncode == 0, f"{page}: {done.stdout}{done.stderr}"
    assert done.stderr == "" or "export" in command
