"""``conducto demo`` without an engine: plain processes, and a picture."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import CONDUCTO, Person, person_at

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    with person_at(tmp_path) as someone:
        yield someone


def test_demo_without_an_engine_names_the_problem_and_draws_a_picture(
    person: Person, tmp_path: Path
) -> None:
    variables = {"DOCKER_HOST": f"unix://{tmp_path}/missing.sock", "PATH": "/usr/bin:/bin"}

    done = person.python("-c", CONDUCTO, "demo", "--no-app", **variables)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "missing.sock" in done.stderr
    assert "runs as plain processes instead" in done.stderr
    (picture,) = tmp_path.rglob("plots/mandelbrot.png")
    assert picture.read_bytes().startswith(PNG)
