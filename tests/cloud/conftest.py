"""One emulator for all tests of the whole cloud; each test is an organisation of its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from conducto_emulator.emulator import Emulator, Options
from support.cloud.emulated import Cloud
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    ensure(["python:3.13-slim", "busybox:latest"])
    made = Emulator(Options(tmp_path_factory.mktemp("cloud"), minute=3.0))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def me(whole: Emulator) -> Iterator[Cloud]:
    """A user of an organisation whose plan allows enough."""
    made = Cloud(whole, f"org{next(_numbers)}")
    made.admin(kind="set_plan", max_workers=6, max_pipelines=50)
    yield made
    made.close()
