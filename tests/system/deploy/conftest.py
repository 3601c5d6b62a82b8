"""The tests here run beside an emulated AWS (ministack), by ``make test-deploy`` only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from system.deploy.installation import Installation

FOLDER = os.environ.get("CONDUCTO_TEST_DEPLOY")
if FOLDER is None:  # not in the sandbox (`system.deploy.sandbox`)
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def folder() -> Path:
    """Return the directory of the sandbox, with its programs and logs."""
    assert FOLDER is not None
    return Path(FOLDER)


@pytest.fixture(scope="session")
def installation(folder: Path) -> Iterator[Installation]:
    """Deploy Conducto; all tests share it."""
    from system.deploy.installation import ORG, Installation

    made = Installation(folder)
    made.deploy()
    made.admin("set-plan", "--org", ORG, "--max-workers", "8", "--max-pipelines", "20")
    yield made
    made.person.ask("agent", "stop")
