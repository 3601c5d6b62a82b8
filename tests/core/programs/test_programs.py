"""Arguments of a program that is launched again are checked, and written as a command line."""

from typing import Any

import pytest

from conducto.errors import DefinitionError
from conducto_core.programs.model import ProgramCall, ProgramParameter
from conducto_core.programs.rules.programs import (
    MAX_SHOWN,
    argument_problems,
    call_of,
    list_items,
    shortened_arguments,
    word_problem,
    words_of,
)

INT = {"type": "integer"}
BOOL = {"type": "boolean"}
TEXT = {"type": "string"}


def called(*parameters: ProgramParameter, **changes: Any) -> ProgramCall:
    given = {"function": "nightly", "script": "/p.py", "command": ("python", "/p.py", "nightly")}
    return ProgramCall(**{**given, "directory": "/", "parameters": parameters, **changes})


def parameter(name: str, schema: dict[str, Any] | None = None, **more: Any) -> ProgramParameter:
    return ProgramParameter(name=name, type=schema or {}, **more)


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        (INT, "12"),
        ({"type": "number"}, "1e-3"),
        (BOOL, "false"),
        (TEXT, ""),
        ({}, "anything"),
        ({"enum": ["staging", "production"]}, "staging"),
        ({"type": "string", "format": "date"}, "2026-11-30"),
        ({"type": "string", "format": "date-time"}, "2026-11-30T18:30Z"),
        ({"type": "string", "format": "time"}, "18:30"),
        ({"type": "string", "format": "duration"}, "1h30m"),
        ({"type": "string", "format": "duration"}, "90"),
        ({"type": "array", "items": INT}, "1,2"),
        ({"type": "array", "items": INT}, "[1, 2]"),
        ({"type": "array", "items": INT}, ""),
        ({"anyOf": [INT, {"type": "null"}]}, "None"),
    ],
)
def test_word_of_a_type_is_accepted(schema: dict[str, Any], word: str) -> None:
    assert word_problem(schema, word) is None


@pytest.mark.parametrize(
    ("schema", "word", "reason"),
    [
        (INT, "x", "must be a whole number, got 'x'"),
        (INT, "", "must be a whole number, got ''"),
        (BOOL, "maybe", "must be true or false, got 'maybe'"),
        ({"enum": ["a", "b"]}, "c", "must be one of a, b"),
        (
            {"type": "string", "format": "date"},
            "2026-11-31",
            "must be a date such as 2026-01-31, got '2026-11-31'",
        ),
        (
            {"type": "string", "format": "duration"},
            "soon",
            "must be a duration such as 1h30m, got 'soon'",
        ),
        ({"type": "array", "items": INT}, "1,x", "item 2 must be a whole number, got 'x'"),
        ({"anyOf": [INT, {"type": "null"}]}, "x", "must be a whole number, got 'x'"),
        (TEXT, "a\0b", "has a NUL character"),
    ],
)
def test_other_word_is_rejected_with_the_reason(
    schema: dict[str, Any], word: str, reason: str
) -> None:
    assert word_problem(schema, word) == reason


def test_problems_name_unknown_missing_and_secret_parameters() -> None:
    call = called(
        parameter("depth", INT),
        parameter("name", TEXT, required=True),
        parameter("token", TEXT, secret=True, default="x"),
        withheld=("token",),
    )

    found = argument_problems(call, {"depth": "2", "dept": "3"})

    assert set(found) == {"dept", "name", "token"}
    assert found["dept"] == (
        "nightly has no parameter 'dept'; its parameters are depth, name, token"
    )
    assert found["name"] == "needs a value"
    assert "launch the script in a terminal" in found["token"]


def test_secret_parameter_that_was_not_given_keeps_its_default() -> None:
    call = called(parameter("token", TEXT, secret=True, default="x"))

    assert argument_problems(call, {}) == {}
    assert "token" in argument_problems(call, {"token": "y"})


def test_command_line_has_names_and_switches() -> None:
    maybe = {"anyOf": [BOOL, {"type": "null"}]}
    call = called(parameter("fail_fast", BOOL), parameter("x", maybe), parameter("note", TEXT))

    words = words_of(call, {"fail_fast": "false", "x": "None", "note": "--a b"}, ())

    assert words == ["--no-fail-fast", "--x=None", "--note=--a b"]


def test_command_line_with_values_for_star_args_gives_all_in_order() -> None:
    call = called(parameter("depth", INT), parameter("note", TEXT, keyword_only=True))

    assert words_of(call, {"note": "n", "depth": "3"}, ("a", "b")) == ["3", "a", "b", "--note=n"]


def test_items_of_a_list_are_of_json_or_between_commas() -> None:
    assert list_items('["a,b", 2]') == ["a,b", "2"]
    assert list_items("a\\,b,c") == ["a,b", "c"]
    assert list_items("[a,b") == ["[a", "b"]


def test_recorded_arguments_have_defaults_and_a_limited_size() -> None:
    call = called(
        parameter("depth", INT, default="2"), parameter("note", TEXT), arguments={"note": "n" * 999}
    )

    found = shortened_arguments(call)

    assert found["depth"] == "2"
    assert len(found["note"]) == MAX_SHOWN


def test_damaged_record_of_a_call_is_an_error_before_anything_runs() -> None:
    with pytest.raises(DefinitionError, match="the record of the program's call: function"):
        call_of({"call": {"script": "/p.py", "command": [], "directory": "/"}})
