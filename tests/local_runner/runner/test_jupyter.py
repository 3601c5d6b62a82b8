"""The Python client in the kernel of Jupyter, with its running loop."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.running import person_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.running import Person

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

JUPYTER = ("ipykernel==7.4.0", "jupyter_client==8.10.0")
CELLS = Path(__file__).parents[2] / "support" / "kernel_cells.py"

DEFINE = """
import conducto as co
from pathlib import Path

def gated(gate):
    root = co.Serial()
    root["wait"] = co.Exec(f"until test -e {gate}; do sleep 0.05; done; echo through")
    root["<b>end"] = co.Exec("echo ended")
    return root

def launch(name):
    return co.launch(gated(Path(name).absolute()), target="local", engine="process", title=name)
"""


class Kernel:
    """Runs cells in a new kernel."""

    def __init__(self, person: Person, site: Path, work: Path) -> None:
        self._work = work
        self._env = {
            **os.environ,
            "PYTHONPATH": str(site),
            "CONDUCTO_BASE_DIR": str(person.base),
            "CONDUCTO_PROFILE": person.profile,
            "CONDUCTO_SECRET_STORE": "file",
            "IPYTHONDIR": str(work / "ipython"),
            "JUPYTER_RUNTIME_DIR": str(work / "runtime"),
        }

    def run(self, *cells: str) -> list[list[dict[str, Any]]]:
        done = subprocess.run(
            [sys.executable, str(CELLS)],
            input=json.dumps(cells),
            cwd=self._work,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        messages: list[list[dict[str, Any]]] = json.loads(done.stdout)
        return messages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jupyter")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *JUPYTER]
    subprocess.run(command, check=True, timeout=400, capture_output=True)
    return folder


@pytest.fixture
def kernel(site: Path, tmp_path: Path) -> Iterator[Kernel]:
    with person_at(tmp_path / "base") as person:
        work = tmp_path / "work"
        work.mkdir()
        yield Kernel(person, site, work)


def views(messages: list[dict[str, Any]]) -> list[str]:
    """Return the HTML of each display and update."""
    kinds = ("display_data", "update_display_data")
    return [m["content"]["data"].get("text/html", "") for m in messages if m["type"] in kinds]


def result(messages: list[dict[str, Any]]) -> str:
    failed = [m["content"] for m in messages if m["type"] == "error"]
    assert not failed, failed
    (found,) = (
        m["content"]["data"]["text/plain"] for m in messages if m["type"] == "execute_result"
    )
    return str(found)


def test_pipelines_are_used_from_a_notebook(kernel: Kernel) -> None:
    defined, shown, live, waited, asynchronous, stopped, after = kernel.run(
        DEFINE,
        "p = launch('shown')\np",
        "import threading, time\nPath('shown').touch()\n"
        "while any('_update' in t.name for t in threading.enumerate()): time.sleep(0.1)\n"
        "p.state.value, p.counts.done",
        "Path('waited').touch()\nlaunch('waited').wait(60).value",
        "q = await co.aio.launch(gated(Path('waited').absolute()), target='local', "
        "engine='process')\nstate = await q.wait(60)\nstate.value, (await q.counts()).done",
        "r = launch('stopped')\nprint('interrupt me')\nr.wait(60)",
        "Path('stopped').touch()\nr.wait(60, progress=False).value, r['/wait'].logs()",
    )

    assert not [m for m in defined if m["type"] == "error"]
    first = views(shown)[0]
    assert "shown" in first
    assert "running" in first
    assert "&lt;b&gt;end  pending" in first
    assert result(live) == "('done', 2)"
    updated = views([*shown[1:], *live])
    assert re.search(r"end  done", updated[-1]), updated
    assert result(waited) == "'done'"
    kinds = [m["type"] for m in waited if m["type"].endswith("display_data")]
    assert kinds[0] == "display_data"
    assert set(kinds[1:]) <= {"update_display_data"}
    assert "2/2 done" in views(waited)[-1]
    assert result(asynchronous) == "('done', 2)"
    (error,) = (m["content"] for m in stopped if m["type"] == "error")
    assert error["ename"] == "KeyboardInterrupt"
    text = "".join(m["content"]["text"] for m in stopped if m["type"] == "stream")
    assert "stopped waiting; pipeline" in text
    assert result(after) == "('done', 'through\\n')"
