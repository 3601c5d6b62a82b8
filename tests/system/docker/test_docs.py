"""The runs and the debug shells that the documentation shows end as it shows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.documentation import DOCS, ROOT, Terminal, blocks, commands
from support.running import person_at
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.running import Person

pytestmark = pytest.mark.docker

#: Output that differs from run to run, and its placeholder.
_VARYING = (
    (r"_[a-z]{3}-[a-z]{3}_[0-9a-f]+_\d+ \([^)]*\)", "_WORKER"),
    (r"\b[a-z]{3}-[a-z]{3}\b", "ID"),
    (r"\b[0-9a-f]{8}\b", "HASH"),
    (r"\b\d+\.\d+s", "TIME"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
)
#: ``{page and number of the script in it: output of nodes, as the page says or implies}``.
OUTPUTS: dict[tuple[str, int], dict[str, str]] = {
    ("getting-started.md", 1): {"/world": "hello world !!!\n"},
    ("getting-started.md", 2): {"/read": r".* \d\d:\d\d:\d\d .*\n"},
    ("concepts/container-reuse.md", 0): {"/read": "42\n"},
    ("concepts/data.md", 0): {"/join": "0\n1\n2\n"},
    ("concepts/lazy.md", 0): {"/count/Execute/a": "texts/a 2\n", "/count/Execute/b": "texts/b 3\n"},
    ("concepts/native-functions.md", 0): {
        "/svm": "svm 0.5 None False\n",
        "/net": r"net 0.1 \[64, 32\] True\n",
    },
    ("concepts/time-limits-and-retries.md", 0): {"/slow": ""},
    ("concepts/time-limits-and-retries.md", 1): {"/flaky": "", "/hungry": "", "/many/7": ""},
    ("concepts/time-limits-and-retries.md", 2): {"/small": "", "/large": ""},
    ("concepts/time-limits-and-retries.md", 3): {"/upload": ""},
    ("concepts/time-limits-and-retries.md", 4): {"/safe to run again": ""},
    ("concepts/tree.md", 3): {"/a": "fast 1\n", "/b": "fast 2\n"},
}
#: For the scripts of which the docs show the tree only.
_MAIN = """
def pipeline() -> co.Node:
    return root

if __name__ == "__main__":
    co.main(default=pipeline)
"""
DEBUGGED = """
import conducto as co

def pipeline() -> co.Serial:
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir="."), snapshot_on_error=True)
    root["tests"] = co.Serial()
    root["tests/login"] = co.Exec("exit 1")
    return root

co.main(default=pipeline)
"""


def comparable(text: str) -> list[str]:
    for pattern, stand_in in _VARYING:
        text = re.sub(pattern, stand_in, text)
    return text.splitlines()


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    ensure(["python:3.11-slim"])
    with person_at(tmp_path_factory.mktemp("docs")) as someone:
        yield someone


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "getting-started.md"])
def test_run_prints_the_documented_output(page: Path, person: Person, tmp_path: Path) -> None:
    script = tmp_path / "pipeline.py"
    script.write_text(next(text for language, text in blocks(page) if language == "python"))
    shown = next(text for _, text in blocks(page) if "Execs failed" in text)

    run = person.run(script)

    printed = comparable(run.stdout)
    expected = comparable(shown)
    assert run.code == 1
    assert printed[-len(expected) :] == expected


@pytest.mark.parametrize(("page", "number"), OUTPUTS)
def test_script_of_a_page_works(page: str, number: int, person: Person, tmp_path: Path) -> None:
    scripts = [text for language, text in blocks(DOCS / page) if language == "python"]
    text = scripts[number]
    script = tmp_path / "pipeline.py"
    script.write_text(text if "co.main(" in text else text + _MAIN)

    run = person.run(script)

    assert run.code == 0, run.stdout + run.stderr
    for path, output in OUTPUTS[page, number].items():
        assert re.fullmatch(output, run.output(path)), path


def test_debug_shells_open_as_the_page_shows(person: Person, tmp_path: Path) -> None:
    script = tmp_path / "pipeline.py"
    script.write_text(DEBUGGED)
    terminal = Terminal(person, person.run(script).id, "")
    shown = [c for page, c in commands() if page.endswith("debugging.md") and "--remote" not in c]
    assert len(shown) == 6

    ended = {command: terminal.run(command) for command in shown}

    assert {command: done.stderr for command, done in ended.items() if done.returncode} == {}
    assert "pip" in (person.base / "packages.txt").read_text()
    said = "".join(done.stdout + done.stderr for done in ended.values())
    assert f"Mounting {tmp_path} at /mnt/conducto" in said
    assert "docker run" in said
