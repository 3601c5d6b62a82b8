"""The runs that the documentation shows end as it shows them."""

import re
from pathlib import Path

import pytest

from support.running import person_at
from support.stand_ins import ensure

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What differs from run to run, and what stands for it.
_VARYING = (
    (r"_[a-z]{3}-[a-z]{3}_[0-9a-f]+_\d+ \([^)]*\)", "_WORKER"),
    (r"\b[a-z]{3}-[a-z]{3}\b", "ID"),
    (r"\b[0-9a-f]{8}\b", "HASH"),
    (r"\b\d+\.\d+s", "TIME"),
)


def comparable(text: str) -> list[str]:
    for pattern, stand_in in _VARYING:
        text = re.sub(pattern, stand_in, text)
    return text.splitlines()


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    ensure(["python:3.11-slim"])


@pytest.mark.parametrize("name", ["README.md", "docs/getting-started.md"])
def test_run_prints_what_the_page_shows(name: str, tmp_path: Path) -> None:
    blocks = _BLOCK.findall((ROOT / name).read_text())
    script = tmp_path / "pipeline.py"
    script.write_text(next(text for language, text in blocks if language == "python"))
    shown = next(text for _, text in blocks if "Execs failed" in text)

    with person_at(tmp_path) as person:
        run = person.run(script)

    printed = comparable(run.stdout)
    expected = comparable(shown)
    assert run.code == 1
    assert printed[-len(expected) :] == expected
