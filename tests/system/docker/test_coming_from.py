"""The translated examples of the pages "Coming from ..." run, and do what the pages say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.documentation import blocks
from support.running import Person, person_at
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = Path(__file__).parents[3] / "docs" / "coming-from"
#: ``{page: (node, its output)}``.
OUTPUTS = {
    "airflow": ("/load", "loaded [1, 2, 3]\n"),
    "github-actions": ("/clean up", "clean up\n"),
    "make": ("/test", "test at level 1\n"),
    "prefect": ("/total", "sum 25\n"),
    "snakemake": ("/report", "2\n4\n"),
}

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    ensure(["python:3.11-slim"])
    with person_at(tmp_path_factory.mktemp("pages")) as someone:
        yield someone


def test_every_page_has_an_example() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == set(OUTPUTS)


@pytest.mark.parametrize("page", OUTPUTS)
def test_translated_example_runs(person: Person, page: str, tmp_path: Path) -> None:
    (text,) = [text for kind, text in blocks(PAGES / f"{page}.md") if kind == "python"]
    script = tmp_path / "pipeline.py"
    script.write_text(text)

    run = person.run(script)

    assert run.code == 0, run.stdout + run.stderr
    path, output = OUTPUTS[page]
    assert run.output(path) == output
