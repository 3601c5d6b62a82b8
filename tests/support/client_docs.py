"""The examples of the page about the Python client, as scripts that tests run on both targets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from support.documentation import DOCS

if TYPE_CHECKING:
    from pathlib import Path

_PAGE = DOCS / "concepts" / "python-client.md"
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIMEOUT = 500.0

#: A pipeline of a test that fails once, for the example that reruns it.
NIGHTLY = """
import conducto as co

if __name__ == "__main__":
    root = co.Serial(image="python:3.11-slim")
    root["flaky"] = co.Exec('test "$CONDUCTO_ATTEMPT" = 2')
    assert co.launch(root, title="nightly").wait(200) == "error"
"""
#: Uses the web service of the example without a server.
REQUESTS = """
import asyncio

if __name__ == "__main__":
    async def requests():
        made = await create(Request({"type": "http", "query_string": b"month=3", "headers": []}))
        made = made.body.decode()
        of = {"type": "http", "path_params": {"id": made.split('"')[3]}, "headers": []}
        while b"done" not in (shown := (await show(Request(of))).body):
            await asyncio.sleep(0.05)
        print(made, shown.decode())

    asyncio.run(requests())
"""
#: Makes an engine the default, but not in commands, which have that of their pipeline.
_ENGINE = """
import functools
import os
import conducto

if "CONDUCTO_NODE" not in os.environ:
    conducto.launch = functools.partial(conducto.launch, engine={0!r})
    conducto.aio.launch = functools.partial(conducto.aio.launch, engine={0!r})
"""
#: Stands in for pandas.
PANDAS = "DataFrame = list\n"
#: ``{section: parts of the output}`` of the examples for both targets.
OUTPUTS = {
    "Submit and wait": ["error 1 of 2 http", "/depth 5 exit code 1", "training at depth 5"],
    "Fan out over a list": ["import eu done", "import us done"],
    "Gate a CI job": [],
    "Rerun nightly failures": [" done"],
    "Continue with a changed tree": ["/report runs ", "done long"],
    "Collect results into a data frame": [
        "{'depth': 2, 'accuracy': 0.5}",
        "'accuracy': 0.75}",
        "'value': 0.5",
    ],
    "Use from a notebook": ["done"],
    "Launch from a command": ["depth 3 done", "depth 5 done"],
    "Use from a web service": ['"page":"http', '{"state":"done"}'],
}
AGAIN = "Launch again and compare"
#: Those of the examples for this machine.
LOCAL_OUTPUTS = {**OUTPUTS, AGAIN: ["command ['/train']"]}


def scripts() -> dict[str, str]:
    """Return the examples, ``{section: text}``, each as a complete script."""
    parts = _SECTION.split(_PAGE.read_text())
    found = {}
    for section, text in zip(parts[1::2], parts[2::2], strict=True):
        for language, block in _BLOCK.findall(text):
            if language == "python":
                found[section] = block  # the last one
            else:  # a cell of a notebook
                body = "".join(f"    {line}\n" for line in block.splitlines())
                found[section] += f'\nif __name__ == "__main__":\n{body}    print(p.wait(200))\n'
    found["Use from a web service"] += REQUESTS
    return found


def _preparation(section: str) -> list[tuple[str, list[str]]]:
    """Return the scripts, with their arguments, that run before an example."""
    if section == "Rerun nightly failures":
        return [(NIGHTLY, [])]
    if section != AGAIN:
        return []
    text = _PAGE.read_text().partition(f"## {AGAIN}\n")[2]
    block = _BLOCK.search(text)
    assert block is not None
    return [(block[2], ["--local", "--run", "--title=study", "--engine=process"])]


def run(section: str, folder: Path, variables: dict[str, str], *, engine: str | None) -> str:
    """Run an example in a directory; return its output.

    Args:
        section: Its heading.
        folder: An empty directory.
        variables: Environment variables.
        engine: Engine of its pipelines; None for the default.
    """
    (folder / "pandas.py").write_text(PANDAS)
    printed = ""
    steps = [*_preparation(section), (scripts()[section], [])]
    for number, (text, arguments) in enumerate(steps):
        script = folder / f"example{number}.py"
        script.write_text(text if engine is None else _ENGINE.format(engine) + text)
        done = subprocess.run(
            [sys.executable, script.name, *arguments],
            cwd=folder,
            env={**os.environ, **variables, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{section}: {done.stdout}{done.stderr}"
        printed += done.stdout
    return printed


def check(section: str, printed: str) -> None:
    """Check the output of an example."""
    for part in LOCAL_OUTPUTS[section]:
        assert part in printed, f"{section}: {part!r} is missing in:\n{printed}"
