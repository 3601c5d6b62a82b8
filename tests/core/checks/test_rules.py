"""Check runs: their states, summaries and buttons; and the schema of GitHub's API."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from conducto_core.annotations.model import NodeAnnotation
from conducto_core.checks.rules import MAX_SUMMARY, CheckFacts, open_check, requests_of
from conducto_core.command.masking import Mask
from conducto_core.diagnosis.model import Diagnosis, FailureCause
from conducto_core.run.model.states import State
from support.github_checks import SCHEMA

SHA = "a" * 40
PAGE = "https://conducto.example.com/p/abc-def"
CAUSE = FailureCause(
    signature="", cause="exit_code", count=1, paths=("/a `b`\n[c](d)",), reason="exit code 1"
)


def bodies(state: State, mask: str = "", **more: Any) -> list[dict[str, Any]]:
    facts = CheckFacts("abc-def", "conducto pipeline", SHA, state, **more)
    found = requests_of(facts, Mask([mask]))
    for body in found:
        Draft202012Validator(SCHEMA).validate(body)
    return found


@pytest.mark.parametrize(
    ("state", "status", "conclusion", "buttons"),
    [
        (State.RUNNING, "in_progress", None, []),
        (State.QUEUED, "completed", "action_required", ["approve"]),
        (State.DONE, "completed", "success", []),
        (State.ERROR, "completed", "failure", ["rerun"]),
        (State.KILLED, "completed", "cancelled", ["rerun"]),
    ],
)
def test_state_of_the_check(
    state: State, status: str, conclusion: str | None, buttons: list[str]
) -> None:
    (body,) = bodies(state)

    assert (body["status"], body.get("conclusion")) == (status, conclusion)
    assert [each["identifier"] for each in body["actions"]] == buttons


def test_text_of_commands_cannot_form_markdown() -> None:
    found = Diagnosis(
        pipeline="abc-def", state=State.ERROR, settled=True, failures=1, causes=(CAUSE,)
    )
    (body,) = bodies(State.ERROR, diagnosis=found, page=PAGE)
    summary = body["output"]["summary"]

    assert "[c](d)" not in summary
    assert r"or conducto debug abc\-def" in summary
    assert f"({PAGE}?node=%2Fa+%60b%60%0A%5Bc%5D%28d%29)" in summary


def test_only_the_last_request_ends_the_check() -> None:
    notes = [
        NodeAnnotation(file=f"a{n}", message="s3cr3t", path="/", attempt=1, source="command")
        for n in range(201)
    ]
    found = bodies(State.ERROR, "s3cr3t", annotations=notes)

    assert [each["status"] for each in found] == 3 * ["in_progress"] + ["completed"]
    assert [len(each["output"]["annotations"]) for each in found] == [50, 50, 50, 50]
    assert "s3cr3t" not in str(found)


def test_summary_is_limited() -> None:
    (body,) = bodies(State.DONE, notes=["é" * MAX_SUMMARY])

    assert len(body["output"]["summary"].encode()) <= MAX_SUMMARY


def test_open_check_is_the_newest_of_the_pipeline() -> None:
    runs = [
        {"id": 3, "external_id": "abc-def", "status": "completed"},
        {"id": 2, "external_id": "abc-def", "status": "in_progress"},
        {"id": 1, "external_id": "abc-def", "status": "queued"},
        {"id": 9, "external_id": "other", "status": "queued"},
    ]

    assert open_check(runs, "abc-def") == 2
    assert open_check(runs[:1], "abc-def") is None
