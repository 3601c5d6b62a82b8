"""A user at a machine: runs a pipeline script, then reads the result with ``conducto``.

Everything goes through the command line, in processes of its own, with a directory of its own
for Conducto's files. Only stable interfaces are read: exit codes,
``--json`` and the raw output of ``conducto logs``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from support.stand_ins import call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TIMEOUT = 240.0
# Like the console script, whether it is installed or not.
CONDUCTO = "import sys; from conducto.tools.entry import main; sys.exit(main())"
_OURS = ("CONDUCTO_", "__RUN_BY_WORKER__")


@dataclass
class Run:
    """A launch that has ended.

    Attributes:
        code: Exit code of the script.
        stdout: What the script printed, as are ``stderr``.
    """

    person: Person
    code: int
    stdout: str
    stderr: str

    @property
    def id(self) -> str:
        """The pipeline's id, from the first line."""
        word, _, pipeline_id = self.stdout.partition("\n")[0].partition(" ")
        assert word == "pipeline", f"no pipeline was launched:\n{self.stdout}{self.stderr}"
        return pipeline_id

    @cached_property
    def document(self) -> dict[str, Any]:
        """The output of ``conducto show ID --json`` after the end."""
        document: dict[str, Any] = self.person.read("show", self.id)
        return document

    @cached_property
    def nodes(self) -> dict[str, dict[str, Any]]:
        """``{path: node}`` in the order of definition."""
        return {node["path"]: node for node in self.document["nodes"]}

    @property
    def states(self) -> dict[str, str]:
        return {path: node["state"] for path, node in self.nodes.items()}

    def children(self, path: str) -> list[str]:
        """Return the names of a node's children, in the order of definition."""
        start = path.rstrip("/") + "/"
        names = [one.removeprefix(start) for one in self.nodes if one.startswith(start)]
        return [name for name in names if name and "/" not in name]

    def attempts(self, path: str) -> list[dict[str, Any]]:
        """Return a node's attempts, the oldest first."""
        attempts: list[dict[str, Any]] = self.nodes[path]["attempts"]
        return attempts

    def container(self, path: str) -> str:
        """Return the container of a node's only attempt."""
        (attempt,) = self.attempts(path)
        return str(attempt["container"])

    def output(self, path: str, stream: str = "stdout", attempt: int | None = None) -> str:
        """Return a node's output, of its newest attempt unless another is requested."""
        number = [] if attempt is None else ["--attempt", str(attempt)]
        return self.person.ask("logs", self.id, path, f"--{stream}", *number).stdout

    @property
    def data(self) -> Path:
        return self.person.base / self.person.profile / "pipelines" / self.id / "data"


class Person:
    """A user with an agent and data of their own.

    Args:
        base: The directory for them.
        interpreter: The Python with their Conducto.
    """

    profile = "examples"

    def __init__(self, base: Path, interpreter: str = sys.executable) -> None:
        self.base = base
        self.interpreter = interpreter

    def run(self, script: Path, *arguments: str, side: str = "local") -> Run:
        """Run a script with ``--local --run`` besides its own arguments, and wait for the end."""
        done = self._start([str(script), *arguments, f"--{side}", "--run"])
        return Run(self, done.returncode, done.stdout, done.stderr)

    def python(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python with arguments and environment variables, and return the result."""
        return self._start(list(words), variables=variables)

    def print_tree(self, script: Path) -> subprocess.CompletedProcess[str]:
        """Run a script without arguments."""
        return self._start([str(script)])

    def conducto(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a ``conducto`` command and return its result."""
        return self._start(["-c", CONDUCTO, *words], given)

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a ``conducto`` command, which must succeed, and return its result."""
        done = self.conducto(*words)
        assert done.returncode == 0, f"conducto {' '.join(words)}: {done.stdout}{done.stderr}"
        return done

    def read(self, *words: str) -> Any:
        """Return the JSON output of a ``conducto`` command."""
        return json.loads(self.ask(*words, "--json").stdout)

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of the user's processes."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        own = {"CONDUCTO_BASE_DIR": str(self.base), "CONDUCTO_PROFILE": self.profile}
        return {**inherited, **own, **variables}

    def _start(
        self, words: list[str], given: str = "", *, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.interpreter, *words],
            env=self.environment(**(variables or {})),
            cwd=self.base,
            input=given,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )


@contextmanager
def person_at(base: Path) -> Iterator[Person]:
    """Yield a user; at the end stop the agent and check that it left no container.

    Raises:
        AssertionError: Containers of a pipeline still exist.
    """
    person = Person(base)
    try:
        yield person
    finally:
        known = [one["id"] for one in person.read("list")]
        person.ask("agent", "stop")
        left = [name for one in known for name in _left_behind(one)]
    assert not left, f"left behind by the agent: {left}"


def _left_behind(pipeline_id: str) -> list[str]:
    """Return the names of a pipeline's containers, and remove them and its networks."""
    query = {"filters": json.dumps({"label": [f"com.conducto.pipeline={pipeline_id}"]})}
    containers = json.loads(call("GET", "/containers/json", {**query, "all": "1"})[1])
    for each in containers:
        call("DELETE", f"/containers/{each['Id']}", {"force": "1", "v": "1"})
    for each in json.loads(call("GET", "/networks", dict(query))[1]):
        call("DELETE", f"/networks/{each['Id']}")
    return [each["Names"][0] for each in containers]
