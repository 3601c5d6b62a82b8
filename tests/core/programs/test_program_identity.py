"""The program of a pipeline: its script and function, or its title and script."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from conducto_core.programs.rules.programs import is_of_program, program_key
from conducto_core.run.model.params import ProgramParams
from conducto_core.run.model.records import PipelineRecord


def record(title: str, program: str | None = "/p.py", function: str | None = None) -> Any:
    return PipelineRecord(id="abc-def", title=title, program=program, function=function)


TWO = record("p.py nightly --shards 2", function="nightly")
FOUR = record("p.py nightly --shards 4", function="nightly")
NAMED = record("My title", function="nightly")
OTHER_FUNCTION = record("p.py nightly --shards 2", function="web")
OTHER_SCRIPT = record("p.py nightly --shards 2", "/q.py", "nightly")
NO_FUNCTION = record("p.py nightly --shards 2")
NO_SCRIPT = record("My title", None, "nightly")


def test_pipelines_of_a_function_are_of_one_program() -> None:
    assert program_key(TWO) == program_key(FOUR) == program_key(NAMED)
    assert program_key(TWO) not in map(program_key, (OTHER_FUNCTION, OTHER_SCRIPT, NO_FUNCTION))


def test_title_and_script_identify_a_program_without_a_function() -> None:
    keys = [
        program_key(record(title, script)) for title in ("a", "b") for script in ("/p", "/q", None)
    ]

    assert len(set(keys)) == 6
    assert program_key(NO_SCRIPT) == ("My title", None, None)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"program": "/p.py", "function": "nightly"}, [TWO, FOUR, NAMED]),
        ({"title": "x", "program": "/p.py", "function": "nightly"}, [TWO, FOUR, NAMED]),
        ({"title": "My title"}, [NAMED, NO_SCRIPT]),
        ({"title": "My title", "program": "/p.py"}, [NAMED]),
        ({"title": TWO.title}, [TWO, OTHER_FUNCTION, OTHER_SCRIPT, NO_FUNCTION]),
    ],
)
def test_requested_program_is_found(params: dict[str, str], expected: list[PipelineRecord]) -> None:
    known = [TWO, FOUR, NAMED, OTHER_FUNCTION, OTHER_SCRIPT, NO_FUNCTION, NO_SCRIPT]

    assert [one for one in known if is_of_program(one, ProgramParams(**params))] == expected


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "name a title, or a program and its function"),
        ({"program": "/p.py"}, "name a title, or a program and its function"),
        ({"title": "a", "function": "f"}, "a function needs its script"),
    ],
)
def test_incomplete_program_is_rejected(params: dict[str, str], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ProgramParams(**params)
