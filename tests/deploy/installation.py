"""A deployed installation, and a person who uses it from a terminal."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from support.running import Person

if TYPE_CHECKING:
    from pathlib import Path

ORG, USER = "team", "ann"
DEPLOY_SECONDS = 900


class Installation:
    """An installation at the AWS of the sandbox.

    Attributes:
        person: Deploys it, and is logged in to it.
        folder: Keeps what CDK printed.
    """

    def __init__(self, folder: Path) -> None:
        base = folder / "home/person"
        base.mkdir()
        self.person = Person(base)
        self.folder = folder
        self._runs = 0

    def deploy(self, **settings: str) -> str:
        """Run ``conducto deploy``; return what it printed."""
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return self._conducto("deploy", "--yes", "--org", ORG, "--user", USER, *words)

    def destroy(self) -> str:
        """Run ``conducto destroy``; return what it printed."""
        return self._conducto("destroy", "--yes", "--stop-workers")

    def admin(self, *words: str) -> str:
        """Run ``conducto admin``; return what it printed."""
        return self.person.ask("admin", *words).stdout

    def script(self, name: str, text: str) -> Path:
        """Write a pipeline script; return its path."""
        path = self.person.base / name
        path.write_text(text)
        return path

    def _conducto(self, *words: str) -> str:
        self._runs += 1
        log = self.folder / f"cdk-{self._runs}-{words[0]}.log"
        environment = {
            **os.environ,
            "CONDUCTO_BASE_DIR": str(self.person.base),
            "CONDUCTO_PROFILE": self.person.profile,
        }
        with log.open("wb") as file:
            done = subprocess.run(
                ["conducto", *words],
                cwd=self.person.base,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=DEPLOY_SECONDS,
                check=False,
            )
        printed = log.read_text()
        assert done.returncode == 0, printed[-3000:]
        return printed
