"""A day with a pipeline that fails, by the command line alone: real agent, real containers."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from support.running import CONDUCTO, Person, Run, person_at
from support.stand_ins import ensure

pytestmark = pytest.mark.docker

SCRIPT = """
import conducto as co

def pipeline() -> co.Serial:
    root = co.Serial(image="busybox", env={"MODE": "strict"})
    root["build"] = co.Exec("echo built; echo 1,2 > /conducto/data/pipeline/table.csv")
    root["tests"] = co.Parallel()
    root["tests/good"] = co.Exec("echo good")
    root["tests/bad"] = co.Exec('for i in 1 2 3; do echo line $i; done; test $MODE = loose')
    root["deploy"] = co.Exec("echo deployed")
    return root

co.main(default=pipeline)
"""


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    ensure(["busybox:latest"])
    base = tmp_path_factory.mktemp("person")
    script = base / "pipeline.py"
    script.write_text(SCRIPT)
    with person_at(base) as person:
        yield person.run(script)


def paths(person: Person, *words: str) -> list[str]:
    return [node["path"] for node in person.read("tree", *words)["nodes"]]


def test_failure_is_found_explained_fixed_and_later_nodes_run(failed: Run) -> None:
    person, pipeline = failed.person, failed.id
    assert failed.code == 1

    assert paths(person, pipeline, "--state", "failed") == ["/tests/bad"]
    assert paths(person, pipeline, "--depth", "1") == ["/", "/build", "/tests", "/deploy"]
    assert person.ask("logs", pipeline, "/**/bad", "--tail", "1").stdout == "line 3\n"
    assert person.ask("logs", pipeline, "/tests/bad", "--search", "2").stdout == "stdout:2:line 2\n"

    node = person.read("show", pipeline, "/tests/bad")
    assert [(v["name"], v["source"]) for v in node["env"]] == [("MODE", "/")]

    would = person.read("modify", pipeline, "--failed", "--env", "MODE=loose", "--dry-run")
    assert (would["paths"], would["preview"]) == (["/tests/bad"], True)
    person.ask("modify", pipeline, "--failed", "--env", "MODE=loose")
    person.ask("reset", pipeline, "--failed", "--watch")

    assert paths(person, pipeline, "--state", "done") == [
        "/build", "/tests/good", "/tests/bad", "/deploy",
    ]  # fmt: skip
    difference = person.read("diff", pipeline, "/tests/bad")["differences"]
    assert difference == {"env": ["-MODE=strict", "+MODE=loose"]}
    assert [entry["id"] for entry in person.read("list", "--state", "done")] == [pipeline]


def test_data_and_images_are_within_reach(failed: Run, tmp_path: Path) -> None:
    person, pipeline = failed.person, failed.id

    listed = person.read("data", "list", pipeline)
    person.ask("data", "get", pipeline, "table.csv", str(tmp_path / "table.csv"))
    (image,) = person.read("images", pipeline)

    assert [(entry["name"], entry["size"]) for entry in listed] == [("table.csv", 4)]
    assert (tmp_path / "table.csv").read_text() == "1,2\n"
    assert image["state"] == "done"


def test_keys_of_the_live_view_run_it_again(failed: Run) -> None:
    person, pipeline = failed.person, failed.id
    before = len(person.read("show", pipeline, "/build")["node"]["attempts"])
    terminal = pexpect.spawn(
        sys.executable,
        ["-c", CONDUCTO, "show", pipeline],
        env={
            **os.environ,
            "CONDUCTO_BASE_DIR": str(person.base),
            "CONDUCTO_PROFILE": person.profile,
            "TERM": "xterm",
            "NO_COLOR": "1",
        },
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=60,
    )

    terminal.expect("q leave")
    terminal.send("jj")
    terminal.expect("→")
    terminal.send("gjr")
    terminal.expect(r"rerun /build\? y or n")
    terminal.send("y")
    terminal.expect(rf"✔ build  [0-9.]+s  attempt {before + 1}")
    terminal.send("q")
    terminal.expect(pexpect.EOF)
    terminal.close()

    attempts = person.read("show", pipeline, "/build")["node"]["attempts"]
    assert len(attempts) == before + 1
