"""One emulator for all tests of the whole cloud; each test is an organisation of its own."""

from __future__ import annotations

import fcntl
import itertools
import os
from typing import TYPE_CHECKING

import pytest

from conducto_emulator.emulator import Emulator, Options
from support.cloud import packaged
from support.cloud.emulated import Cloud
from support.cloud.rights import Rights, asked, refused
from support.installation import templates_of_emulator
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the unpacked zip that a deployment would upload now.

    The processes of one run share it: it takes long to make, and nothing writes to it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "package"
    folder.mkdir(exist_ok=True)
    task = folder / "task"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not task.exists():
            made = tmp_path_factory.mktemp("package")
            packaged.unpack(packaged.package(made), made / "task").rename(task)
    return task


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """Return variables of the functions that a module's emulator has besides the usual ones."""
    return {}


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, package: Path, variables: dict[str, str]
) -> Iterator[Emulator]:
    """Return the emulator of a module.

    At the end what its functions asked of AWS is held against what a deployment lets them do.
    """
    ensure(["python:3.13-slim", "busybox:latest"])
    folder, calls = tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("calls") / "made"
    made = Emulator(Options(folder, minute=3.0, package=package, variables=variables, calls=calls))
    try:
        made.start()
        yield made
        rights = Rights(templates_of_emulator(), os.environ)
    finally:
        made.close()
    assert refused(rights, asked(calls)) == []


@pytest.fixture
def me(whole: Emulator) -> Iterator[Cloud]:
    """A user of an organisation whose plan allows enough."""
    made = Cloud(whole, f"org{next(_numbers)}")
    made.admin(kind="set_plan", max_workers=6, max_pipelines=50)
    yield made
    made.close()
