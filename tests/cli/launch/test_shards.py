"""``--plan`` predicts the time of shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.running import person_at

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import conducto as co

CASE = '<testcase classname="{0}" name="x" file="{0}.py" time="125"/>'


def main() -> co.Serial:
    root = co.Serial(image="x", junit="FOLDER/*.xml")
    for part in co.shard([f"{name}.py" for name in "abcd"], 2):
        cases = "".join(CASE.format(name[0]) for name in part)
        text = f"<testsuite>{cases}</testsuite>"
        root[" ".join(part)] = co.Exec(f"echo '{text}' >FOLDER/{part[0]}.xml")
    return root


if __name__ == "__main__":
    co.main(default=main)
"""


@pytest.mark.parametrize("command", ["script", "conducto"])
def test_plan_has_the_time_of_the_longest_shard(tmp_path: Path, command: str) -> None:
    script = tmp_path / "pipeline.py"
    script.write_text(SCRIPT.replace("FOLDER", str(tmp_path)))
    with person_at(tmp_path) as person:

        def planned() -> str:
            if command == "script":
                return person.python(str(script), "--plan").stdout
            return person.ask("plan", str(script)).stdout

        before = planned()
        ran = person.python(str(script), "--local", "--run", "--engine", "process", "--no-app")
        after = planned()

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert before.endswith("2 shards of 4 files: no times known yet\n")
    assert after.endswith("2 shards, longest about 4m 10s\n")
