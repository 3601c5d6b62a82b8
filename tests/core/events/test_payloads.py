"""Paths into payloads, masks, the parameters of programs, and CloudEvents."""

from __future__ import annotations

from typing import Any

import pytest

from conducto.errors import DefinitionError
from conducto_core.errors import RefusedError
from conducto_core.events.model import EventRule
from conducto_core.events.rules.patterns import matches
from conducto_core.events.rules.payloads import (
    arguments_of,
    bus_event,
    check_rule,
    git_source,
    masked,
    origin_of,
    pattern_of,
    size_problem,
    steps_of,
    webhook_event,
    with_arguments,
)
from conducto_core.programs.model import ProgramCall, ProgramParameter, Repository
from conducto_core.schedules.model import GitSource, Schedule

CALL = ProgramCall(
    function="load",
    script="/home/ann/app/pipeline.py",
    command=("/usr/bin/python3", "/home/ann/app/pipeline.py", "load"),
    directory="/home/ann/app",
    repository=Repository(url="git@github.com:acme/app.git", commit="a" * 40, path="pipeline.py"),
    parameters=(
        ProgramParameter(name="country", type={"type": "string"}, required=True),
        ProgramParameter(name="count", type={"type": "integer"}, default="3"),
        ProgramParameter(name="dry_run", type={"type": "boolean"}, default="false"),
        ProgramParameter(name="api_key", secret=True),
    ),
    arguments={"country": "DE", "count": "5"},
)


def rule(**fields: Any) -> EventRule:
    return EventRule(**{"source": "webhook", "call": CALL, **fields})


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.a.b_c-d", ("a", "b_c-d")),
        ('$.a[0]["c d"]', ("a", 0, "c d")),
        ("$['it]s'].x", ("it]s", "x")),
        ('$["\\u00e9\\""]', ('é"',)),
    ],
)
def test_path_names_one_value(path: str, steps: tuple[str | int, ...]) -> None:
    assert steps_of(path) == steps


@pytest.mark.parametrize(
    ("path", "character"),
    [("a.b", 1), ("$.a[*]", 4), ("$..a", 2), ("$.a[?(@.b)]", 4), ("$.a[-1]", 4), ("$.1", 2)],
)
def test_invalid_path_is_rejected_with_the_place(path: str, character: int) -> None:
    with pytest.raises(DefinitionError, match=f"character {character}:"):
        steps_of(path)


def test_values_become_the_words_of_parameters() -> None:
    found = arguments_of(
        rule(parameters={"country": "$.land", "dry_run": "$.flags[0]", "count": "$.missing"}),
        {"land": "FR; rm -rf /", "flags": [True]},
    )

    assert found.words == {"country": "FR; rm -rf /", "dry_run": "true"}
    assert found.problems == {}


def test_payload_that_does_not_fit_names_parameter_value_and_path() -> None:
    chosen = rule(parameters={"country": "$.land", "count": "$.n"})

    _, problems = arguments_of(chosen, {"n": "many"})

    assert problems == {
        "country": "needs a value (the payload has no value at $.land)",
        "count": "must be a whole number, got 'many' (the payload has $.n)",
    }
    schedule = Schedule(name="x", on=chosen, what=git_source(CALL, None))
    with pytest.raises(RefusedError, match="the payload does not fit: country needs a value"):
        with_arguments(schedule, {"n": 1})


def test_program_of_a_repository_gets_quoted_words() -> None:
    schedule = Schedule(
        name="x", on=rule(parameters={"country": "$.land"}), what=git_source(CALL, "python:3.12")
    )

    what = with_arguments(schedule, {"land": "$(id)"}).what

    assert isinstance(what, GitSource)
    assert (what.url, what.ref, what.image) == (
        "https://github.com/acme/app.git", "a" * 40, "python:3.12",
    )  # fmt: skip
    assert what.command == "python pipeline.py load --count=5 '--country=$(id)'"


def test_script_outside_of_a_repository_does_not_run_in_the_cloud() -> None:
    with pytest.raises(RefusedError, match="was not in a Git repository"):
        git_source(CALL.model_copy(update={"repository": None}), None)


def test_redacted_values_are_masked_in_a_copy() -> None:
    payload = {"user": {"mail": "a@b.c", "id": 1}, "items": [{"card": 4}, {"card": 5}]}
    chosen = rule(redact=("$.user.mail", "$.items[1].card", "$.none.x", "$.items[7]"))

    assert masked(chosen, payload) == {
        "user": {"mail": "***", "id": 1},
        "items": [{"card": 4}, {"card": "***"}],
    }
    assert payload["user"] == {"mail": "a@b.c", "id": 1}
    assert masked(rule(redact=("$",)), payload) == "***"


@pytest.mark.parametrize(
    ("fields", "local", "message"),
    [
        ({"parameters": {"land": "$.a"}}, True, "no parameter 'land'; its parameters are country"),
        ({"parameters": {"api_key": "$.a"}}, True, "the name of a secret"),
        ({"parameters": {"country": "$.a"}, "call": None}, True, "name it with --program"),
        ({"source": "s3", "bucket": "acme-raw"}, True, "s3 is in the cloud only"),
        ({"source": "s3"}, False, "bucket is needed for s3"),
        ({"source": "watch", "directory": "/x"}, False, "on the machine of an agent only"),
        ({"source": "watch", "directory": "x"}, True, "must be an absolute path, got 'x'"),
        ({"prefix": "raw/"}, False, "prefix and suffix are for s3"),
        ({"source": "eventbridge", "pattern": "{"}, False, "it is not JSON"),
        ({"source": "eventbridge", "pattern": '{"detail": {}}'}, False, "is an empty object"),
        ({"source": "eventbridge", "pattern": '{"detail": ["x"]}'}, False, "needs whole sources"),
        (
            {"source": "eventbridge", "pattern": '{"source": [{"prefix": "aws"}]}'},
            False,
            "needs whole sources",
        ),
        (
            {"source": "eventbridge", "pattern": '{"source": ["aws.ecs"]}'},
            False,
            "about the pipelines of all organisations",
        ),
    ],
)
def test_invalid_rule_is_rejected(fields: dict[str, Any], *, local: bool, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        check_rule(rule(**fields), local=local)


def test_cloud_events_in_both_modes_are_the_same_event() -> None:
    structured = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "order", "data": [1]}
    headers = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/shop", "ce-type": "order"}

    one, other = webhook_event({}, structured, "a"), webhook_event(headers, [1], "b")

    assert origin_of(one) == origin_of(other)
    assert (one.source, one.type, one.payload) == ("/shop", "order", structured)
    assert other.payload == structured
    assert origin_of(webhook_event({}, [1], "a")) != origin_of(webhook_event({}, [1], "b"))


def test_payload_above_the_maximum_has_a_reason() -> None:
    assert size_problem("x" * (65_536 - 2)) is None
    assert "the maximum is 65,536" in str(size_problem("é" * 32_768))


def test_object_in_s3_matches_bucket_and_key() -> None:
    chosen = rule(source="s3", bucket="acme-raw", prefix="in/a*", suffix=".csv")
    pattern = pattern_of(chosen)

    def event(key: str, bucket: str = "acme-raw") -> dict[str, Any]:
        detail = {"bucket": {"name": bucket}, "object": {"key": key}}
        return {"source": "aws.s3", "detail-type": "Object Created", "detail": detail, "id": "1"}

    assert pattern is not None
    assert matches(pattern, event("in/a*b.csv"))
    assert not matches(pattern, event("in/ab.csv"))
    assert not matches(pattern, event("in/a*b.txt"))
    assert not matches(pattern, event("in/a*b.csv", "other"))
    assert bus_event(event("x")).payload["detail"]["object"]["key"] == "x"
