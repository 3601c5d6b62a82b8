"""Blocks of the documentation, and a terminal that executes their commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support.running import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.running import Person

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Written by a program, about the past, or executed by hand in an AWS account.
_OTHER_PAGES = ("reference/", "decisions/", "real-account-checklist.md")
PAGES = [
    ROOT / "README.md",
    *(
        p
        for p in sorted(DOCS.rglob("*.md"))
        if not str(p.relative_to(DOCS)).startswith(_OTHER_PAGES)
    ),
]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(
    r"(\$ )?(conducto|conducto-\S+|python3?|pip|make|git|aws|source|pass|echo|mkdir|for|\. )\b"
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return ``(language, text)`` of the blocks of a page."""
    return _BLOCK.findall(page.read_text())


def commands() -> list[tuple[str, str]]:
    """Return ``(page, command)`` of all blocks other than scripts."""
    return [
        (str(page.relative_to(ROOT)), command)
        for page in PAGES
        for language, text in blocks(page)
        if language != "python"
        for command in _commands_of(text)
    ]


def _commands_of(text: str) -> Iterator[str]:
    """Yield the commands of a block, with the lines that continue them."""
    if "<<END" in text:
        yield text
        return
    for line in text.replace("\\\n", " ").splitlines():
        if _COMMAND.match(line):
            yield line.partition("  #")[0].strip()


class Terminal:
    """A shell of a user who has launched a pipeline, in a directory with the files of the docs.

    Args:
        person: The user, whose directory it is.
        pipeline: The id of the pipeline, which replaces ``ID`` in the docs.
        given: The input.
    """

    def __init__(self, person: Person, pipeline: str, given: str) -> None:
        self.person = person
        self.pipeline = pipeline
        self.given = given
        self.data = person.base / person.profile / "pipelines" / pipeline / "data"
        out = person.base / "out"
        out.mkdir()
        (out / "model.bin").write_bytes(b"model")
        (self.data / "report.html").write_text("report")
        user = person.base / person.profile / "data"
        user.mkdir(exist_ok=True)
        (user / "last.txt").write_text("summarised")
        password_store = person.base / "bin" / "pass"
        password_store.parent.mkdir()
        password_store.write_text("#!/bin/sh\necho from-the-store\n")
        password_store.chmod(0o755)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Execute a command of the docs and return its result."""
        command = re.sub(r"\b(ID|abc|qdx-ruf)\b", self.pipeline, command)
        command = command.replace("/conducto/data/pipeline", str(self.data))
        own = [str(self.person.base / "bin"), str(Path(sys.executable).parent)]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CONDUCTO_", "__RUN"))}
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            cwd=self.person.base,
            env={
                **kept,
                "PATH": os.pathsep.join([*own, os.environ["PATH"]]),
                "CONDUCTO_BASE_DIR": str(self.person.base),
                "CONDUCTO_PROFILE": self.person.profile,
                "CONDUCTO_PIPELINE_ID": self.pipeline,
                "GH": "from-the-variable",
            },
            input=self.given,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
