"""The examples of the page about the Python client work on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import client_docs
from support.running import person_at
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with (
        person_at(tmp_path_factory.mktemp("docs")) as person,
        pytest.MonkeyPatch.context() as patched,
    ):
        # The agent inherits it: commands of native functions call `conducto`.
        patched.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
        yield {"CONDUCTO_BASE_DIR": str(person.base), "CONDUCTO_PROFILE": person.profile}


def test_every_example_is_tested() -> None:
    assert {*client_docs.scripts()} == {*client_docs.LOCAL_OUTPUTS}


@pytest.mark.parametrize("section", client_docs.LOCAL_OUTPUTS)
def test_example_of_the_page_works(section: str, variables: dict[str, str], tmp_path: Path) -> None:
    printed = client_docs.run(section, tmp_path, variables, engine="process")

    client_docs.check(section, printed)


@pytest.mark.docker
def test_example_of_the_page_works_in_containers(variables: dict[str, str], tmp_path: Path) -> None:
    ensure(["python:3.11-slim"])

    printed = client_docs.run("Submit and wait", tmp_path, variables, engine="docker")

    client_docs.check("Submit and wait", printed)
