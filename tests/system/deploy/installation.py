"""A deployed installation, and a person who uses it from a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from conducto_core.installation.names import STACKS, stack_name
from support.running import CONDUCTO, Person
from system.deploy.sandbox import REGION

if TYPE_CHECKING:
    from pathlib import Path

ORG, USER = "team", "ann"
DEPLOY_SECONDS = 900


class Installation:
    """An installation at the AWS of the sandbox.

    Args:
        folder: Of the sandbox; keeps what CDK printed.
        stage: Its name.
        interpreter: The Python that has the Conducto that deploys it.

    Attributes:
        stage: Its name.
        person: Deploys it, and is logged in to it.
    """

    def __init__(
        self, folder: Path, stage: str = "main", interpreter: str = sys.executable
    ) -> None:
        base = folder / "home" / stage
        base.mkdir(exist_ok=True)
        self.person = Person(base, interpreter)
        self._folder = folder
        self.stage = stage

    def deploy(self, *more: str, **settings: str) -> str:
        """Run ``conducto deploy``; return what it printed."""
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return self._conducto("deploy", "--yes", "--org", ORG, "--user", USER, *more, *words)

    @property
    def templates(self) -> dict[str, Any]:
        """The templates of the last deployment, ``{stack: template}``."""
        folder = self.person.base / "deploy" / f"{self.stage}-{REGION}" / "cdk.out"
        return {
            stack: json.loads((folder / f"{self.stack(stack)}.template.json").read_text())
            for stack in STACKS
        }

    def stack(self, name: str) -> str:
        """Return the name of a stack at AWS."""
        return stack_name(self.stage, name)

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
        number = len(list(self._folder.glob("deploy-*.log"))) + 1
        log = self._folder / f"deploy-{number}-{self.stage}-{words[0]}.log"
        environment = {
            **os.environ,
            "CONDUCTO_BASE_DIR": str(self.person.base),
            "CONDUCTO_PROFILE": self.person.profile,
        }
        with log.open("wb") as file:
            done = subprocess.run(
                [self.person.interpreter, "-c", CONDUCTO, *words, "--stage", self.stage],
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
