"""Translated workflows run in containers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conducto_cli.import_github.pipeline import translate
from support.running import Person, person_at
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKFLOWS = Path(__file__).parents[2] / "cli" / "import_github" / "workflows"

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    ensure(["python:3.12-slim"])
    with person_at(tmp_path_factory.mktemp("imported")) as someone:
        yield someone


def script(name: str, folder: Path) -> Path:
    file = folder / "pipeline.py"
    text = (WORKFLOWS / f"{name}.yml").read_text()
    file.write_text(translate([(f"{name}.yml", text)], "pipeline.py").script)
    return file


def test_artifacts_reach_later_jobs(person: Person, tmp_path: Path) -> None:
    run = person.run(script("container_artifacts", tmp_path))

    assert run.code == 0, run.stdout + run.stderr
    assert run.output("/join/cat") == "one\ntwo\n"


def test_directory_is_restored_in_the_next_pipeline(person: Person, tmp_path: Path) -> None:
    pipeline = script("container_cache", tmp_path)

    runs = [person.run(pipeline) for _ in range(2)]

    assert [run.code for run in runs] == [0, 0], runs[0].stdout + runs[0].stderr
    assert [run.output("/build/Install") for run in runs] == ["fresh\n", "reused\n"]
