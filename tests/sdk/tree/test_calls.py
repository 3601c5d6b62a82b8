"""The calls of the user's own functions that made a node."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """import json
import conducto as co
from conducto.tree.launch_form import to_launch_form


def step(root, name):
    root[name] = co.Exec("true")


def part(root):
    step(root, "b")


root = co.Serial(image="debian")
step(root, "a")
part(root)
root["c"] = co.Exec("true")
print(json.dumps(to_launch_form(root)))
"""


def test_node_has_the_calls_of_helper_functions(tmp_path: Path) -> None:
    script = tmp_path / "pipeline.py"
    script.write_text(SCRIPT)

    done = subprocess.run([sys.executable, script], capture_output=True, check=True, text=True)

    nodes = json.loads(done.stdout)["nodes"]
    file = str(script)
    assert [node["line"] for node in nodes] == [14, 7, 7, 17]
    assert [node.get("calls") for node in nodes] == [
        None,
        [[file, 15]],
        [[file, 11], [file, 16]],
        None,
    ]
