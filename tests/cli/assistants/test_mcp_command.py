"""``conducto mcp`` and ``conducto patch`` as processes, against an agent."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.running import CONDUCTO, Person, person_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPT = """import conducto as co


def step(root, name, command, mem=0.5):
    root[name] = co.Exec(command, mem=mem, env={"A": "1"})


def main() -> co.Serial:
    root = co.Serial(stop_on_error=False)
    step(root, "build", "make buld")
    step(root, "test", "echo ok", mem=1)
    root["plain"] = co.Exec("cat /missing")
    root["computed"] = co.Exec("echo " + "x" * 2)
    return root


co.main(default=main)
"""


class Session:
    """A session of ``conducto mcp``."""

    def __init__(self, person: Person, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CONDUCTO, "mcp", "--local", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=person.environment(),
            cwd=person.base,
        )
        self.answers: queue.Queue[Any] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._number = 0

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.answers.put(json.loads(line))

    def raw(self, data: bytes) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()
        return self.answers.get(timeout=60)

    def message(self, method: str, **params: Any) -> bytes:
        self._number += 1
        call = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        return json.dumps(call).encode()

    def call(self, tool: str, **arguments: Any) -> str:
        answer = self.raw(self.message("tools/call", name=tool, arguments=arguments))
        return str(answer["result"]["content"][0]["text"])

    def act(self, tool: str, **arguments: Any) -> str:
        token = self.call(tool, **arguments).rpartition("token: ")[2]
        return self.call(tool, **arguments, token=token)

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(60)
        self._reader.join(60)
        return code


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with person_at(tmp_path_factory.mktemp("assistants")) as someone:
        yield someone


@pytest.fixture
def session(person: Person) -> Iterator[Session]:
    made = Session(person, "--allow", "author")
    yield made
    made.end()


@pytest.fixture
def pipeline(person: Person, tmp_path: Path) -> str:
    script = tmp_path / "pipeline.py"
    script.write_text(SCRIPT)
    person.run(script, "--engine=process")
    return str(person.read("list")[0]["id"])


def test_session_has_a_token_of_its_own_that_ends_with_it(person: Person, session: Session) -> None:
    session.call("list_pipelines")
    listed = json.loads(person.ask("tokens", "list", "--local", "--json").stdout)

    found = [one for one in listed if one["name"].startswith("conducto mcp on ")]
    assert [one["scopes"] for one in found] == [["read", "control", "author"]]
    assert session.end() == 0
    assert json.loads(person.ask("tokens", "list", "--local", "--json").stdout) == []


def test_malformed_and_oversized_messages_do_not_end_the_session(session: Session) -> None:
    for data, code in (
        (b"not json", -32700),
        (b'{"x":"' + b"y" * 2_000_000 + b'"}', -32600),
        (b"[1]", -32600),
        (b"\xff\xfe", -32700),
    ):
        assert session.raw(data)["error"]["code"] == code
    assert session.raw(session.message("ping"))["result"] == {}


def test_a_slow_call_does_not_delay_others(
    person: Person, session: Session, tmp_path: Path
) -> None:
    gate, script = tmp_path / "gate", tmp_path / "waits.py"
    command = f"until test -e {gate}; do sleep 0.05; done"
    script.write_text(
        "import conducto as co\n\n\ndef main() -> co.Exec:\n"
        f"    return co.Exec({command!r})\n\n\nco.main(default=main)\n"
    )
    words = (str(script), "--local", "--run", "--detach", "--engine=process")
    assert person.python(*words).returncode == 0
    assert session.process.stdin is not None
    wait = session.message("tools/call", name="wait", arguments={"id": "@last"})
    session.process.stdin.write(wait + b"\n")

    assert session.raw(session.message("ping"))["result"] == {}

    gate.touch()
    text = session.answers.get(timeout=60)["result"]["content"][0]["text"]
    assert "done, settled" in text


def test_repair_becomes_a_diff_of_the_script(
    person: Person, session: Session, pipeline: str, tmp_path: Path
) -> None:
    script = tmp_path / "pipeline.py"
    session.act("modify", id=pipeline, path="/build", command="echo built", mem=2, rerun=False)
    session.act("modify", id=pipeline, path="/plain", command="echo plain", env={"B": "2"})
    session.call("wait", id=pipeline)
    session.act("modify", id=pipeline, path="/computed", command="echo y", rerun=False)

    done = person.conducto("patch", pipeline)

    assert done.returncode == 1
    assert '-    step(root, "build", "make buld")' in done.stdout
    assert '+    root["plain"] = co.Exec("echo plain", env={"B": "2"})' in done.stdout
    sentences = done.stderr.splitlines()
    assert sentences[0].startswith(f"{script}:5: /build: mem: it is the default of a parameter")
    assert sentences[1].startswith(f"{script}:13: /computed: command: it is computed")
    assert script.read_text() == SCRIPT
    person.conducto("patch", pipeline, "--apply")
    changed = script.read_text()
    assert 'step(root, "build", "echo built")' in changed
    assert changed.count("\n") == SCRIPT.count("\n")


DAYS = """import conducto as co


def main(days: int = 1) -> co.Parallel:
    root = co.Parallel(budget=9)
    for n in range(days):
        root[f"day{n}"] = co.Exec("echo ok")
    return root


co.main(default=main)
"""


def test_script_is_planned_and_launched_with_arguments_and_a_budget(
    person: Person, session: Session, tmp_path: Path
) -> None:
    script = tmp_path / "ci" / "days.py"
    script.parent.mkdir()
    script.write_text(DAYS)
    unknown = session.call("launch", script="ci/days.py", args={"days": "2"})
    person.run(script, "--engine=process")
    script.write_text(DAYS.replace("echo ok", "echo changed"))

    plan = session.call("plan", script="ci/days.py", args={"days": "4"})
    wrong = session.call("plan", script="ci/days.py", args={"days": "four"})
    dry = session.call("launch", script="ci/days.py", args={"days": "3"}, budget=2.5)
    before = len(person.read("list"))
    text = session.act("launch", script="ci/days.py", args={"days": "3"}, budget=2.5)

    assert "no pipeline was launched by" in unknown
    assert "would launch 4 commands" in plan
    assert wrong == "the program is invalid: days must be a whole number, got 'four'"
    assert "for at most $2.5 in the cloud" in dry
    assert before == len(person.read("list")) - 1
    id_ = text.split()[1]
    assert "done, settled, 3 done" in session.call("wait", id=id_)
    assert "budget = 2.5 " in session.call("get_node", id=id_, path="/")
    assert "0: changed" in session.call("get_logs", id=id_, path="/day2", stream="stdout")


def test_only_an_author_runs_a_script(person: Person, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(DAYS)
    person.run(script, "--engine=process")
    reader = Session(person, "--allow", "control")
    try:
        text = reader.call("plan", script=str(script), args={})
    finally:
        reader.end()

    assert "start_program needs the scope 'author'" in text
