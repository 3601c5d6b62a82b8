"""One browser and one agent for all tests of the web app."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

# `make test-web` installs it; other runs leave these tests out and need not load them.
if find_spec("playwright") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    from playwright.sync_api import expect

    from support.browser import (
        TIMEOUT_MS,
        Viewer,
        agent_api,
        launched_person,
        running_browser,
        viewer_of,
    )
    from support.stand_ins import ensure

    expect.set_options(timeout=TIMEOUT_MS)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from support.running import Person


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_browser() as one:
        yield one


@pytest.fixture(scope="session")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    ensure(["python:3.11-slim"])
    with launched_person(tmp_path_factory.mktemp("web")) as someone:
        yield someone


@pytest.fixture
def viewer(person: Person, browser: Browser) -> Iterator[Viewer]:
    """A signed-in page; what it prints to the console is an error."""
    try:
        with viewer_of(person, browser, permissions=["clipboard-read", "clipboard-write"]) as one:
            yield one
            assert one.said == []
    finally:
        _end_what_runs(person)


def _end_what_runs(person: Person) -> None:
    """Give the machine back: the next test of the same agent has to have room on it."""
    for one in agent_api(person, "/pipelines")["pipelines"]:
        if not one["settled"]:
            place = f"/pipelines/{one['pipeline']['id']}/control"
            agent_api(person, place, "POST", {"action": "sleep"})
