"""One emulator for all tests of the whole cloud; each test is an organisation of its own.

It is as strict as AWS (`conducto_emulator.faults.strict`). What happens by chance follows a seed,
which a test that fails prints; ``CONDUCTO_TEST_SEED`` repeats it.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conducto_emulator.emulator import Emulator
from conducto_emulator.faults.strict import Strictness
from conducto_emulator.lambdas.host import PRELUDE
from conducto_emulator.resources import Options
from support.cloud import packaged
from support.cloud.emulated import Cloud
from support.cloud.rights import Rights, asked, refused
from support.installation import templates_of_emulator
from support.once import made_once
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

RECORDER = Path(packaged.__file__).with_name("record_calls.py")
_SEED = "CONDUCTO_TEST_SEED"
_numbers = itertools.count(1)


def pytest_configure() -> None:
    """Choose the seed, for the processes of xdist as well."""
    os.environ.setdefault(_SEED, str(secrets.randbelow(1_000_000)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say the seed where a test failed."""
    report = yield
    if report.failed:
        report.sections.append(("Emulator", f"{_SEED}={os.environ[_SEED]}"))
    return report


@pytest.fixture(scope="module")
def strictness() -> Strictness:
    """Return how strict a module's emulator is; a test may change it for itself.

    A noisy machine of two cores takes longer than AWS: its requests may take three times as long.
    """
    return Strictness(int(os.environ[_SEED]), slowness=3.0)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the unpacked zip that a deployment would upload now.

    The processes of one run share it, and nothing writes to it.
    """
    return made_once(
        tmp_path_factory,
        "task",
        lambda folder: packaged.unpack(packaged.package(folder), folder / "task"),
    )


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the templates of the installation that the emulator stands for."""
    found: dict[str, Any] = json.loads(
        made_once(tmp_path_factory, "templates", _write_templates).read_text()
    )
    return found


def _write_templates(folder: Path) -> Path:
    file = folder / "templates"
    file.write_text(json.dumps(templates_of_emulator()))
    return file


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """Return variables of the functions that a module's emulator has besides the usual ones."""
    return {}


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory,
    package: Path,
    templates: dict[str, Any],
    variables: dict[str, str],
    strictness: Strictness,
) -> Iterator[Emulator]:
    """Return the emulator of a module.

    At the end what its functions asked of AWS is held against what a deployment lets them do.
    """
    ensure(["python:3.13-slim", "busybox:latest"])
    folder, calls = tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("calls") / "made"
    options = Options(
        folder,
        minute=3.0,
        stop=1.0,
        package=package,
        variables={**variables, PRELUDE: str(RECORDER), "CONDUCTO_TEST_CALLS": str(calls)},
        strict=strictness,
    )
    made = Emulator(options)
    try:
        made.start()
        yield made
        rights = Rights(templates, os.environ)
    finally:
        made.close()
    assert refused(rights, asked(calls.read_text().splitlines())) == []


@pytest.fixture
def me(whole: Emulator) -> Iterator[Cloud]:
    """A user of an organisation whose plan allows enough."""
    made = Cloud(whole, f"org{next(_numbers)}")
    made.admin(kind="set_plan", max_workers=6, max_pipelines=50)
    yield made
    made.close()
