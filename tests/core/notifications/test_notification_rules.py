"""Rules about pipelines: their filters, the events that they report, and invalid rules."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from conducto_core.notifications.model import (
    NotificationEvent,
    NotificationRecord,
    NotificationRule,
    RuleRequest,
)
from conducto_core.notifications.rules import (
    RULE_CALLBACK,
    commands_for,
    event_of,
    names_for,
    previous_result,
    wants,
)
from conducto_core.run.model.records import PipelineRecord, PipelineStatus
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.rules.tree_state import Change
from conducto_core.schedules.model import SCHEDULE_TAG

R, D, E, K = State.RUNNING, State.DONE, State.ERROR, State.KILLED


def rule(name: str = "ops", **more: Any) -> NotificationRule:
    return NotificationRule.model_validate({"name": name, "channel": "slack", "to": "#ops", **more})


def record(number: int, state: State, shown: State = R) -> NotificationRecord:
    return NotificationRecord(
        number=number, path="/", about="/", state=state, callback=RULE_CALLBACK
    )


def change(path: str, state: State) -> Change:
    return Change(path, NodeType.SERIAL, state, False, None, False, 0)


@pytest.mark.parametrize(
    ("states", "previous", "event"),
    [
        ((R,), None, "start"),
        ((R,), E, "start"),
        ((R, D), None, "success"),
        ((R, D), D, "success"),
        ((R, E), None, "failure"),
        ((R, K), D, "failure"),
        ((R, E), E, "failed_again"),
        ((R, D), K, "fixed"),
        ((R, D, R, E), E, "failure"),  # the rerun failed, after it was fixed
        ((R, E, R, E), D, "failed_again"),
        ((R, E, R, D), D, "fixed"),
        ((R, E, E), D, None),
        ((R, R), None, None),
    ],
)
def test_event_depends_on_the_earlier_result(
    states: tuple[State, ...], previous: State | None, event: str | None
) -> None:
    records = [record(number, state) for number, state in enumerate(states)]

    assert event_of(records[-1], records[:-1], previous) == event


def test_general_events_include_special_ones() -> None:
    failed_again, fixed = NotificationEvent.FAILED_AGAIN, NotificationEvent.FIXED

    assert wants(rule(on=("failure",)), failed_again)
    assert wants(rule(on=("success",)), fixed)
    assert not wants(rule(on=("failed_again",)), NotificationEvent.FAILURE)
    assert not wants(rule(on=("failure",)), fixed)


def test_rules_apply_by_title_and_schedule() -> None:
    rules = [rule("all"), rule("nightly", title="Nightly*"), rule("due", schedule="night-*")]

    assert names_for(rules, "Nightly build") == ("all", "nightly")
    assert names_for(rules, "Build [1]", ("x", f"{SCHEDULE_TAG}night-eu")) == ("all", "due")
    assert names_for([rule("exact", title="Build [1]")], "Build [1]") == ("exact",)


def test_only_the_root_is_reported() -> None:
    below = [change("/a", R), change("/a", E)]

    plain = PipelineRecord(id="a", title="t")
    ruled = plain.model_copy(update={"notification_rules": ("ops",)})

    assert commands_for(ruled, below) == []
    assert commands_for(plain, [change("/", E)]) == []
    assert commands_for(ruled, [change("/", State.PENDING)]) == []
    (command,) = commands_for(ruled, [*below, change("/", E)])
    assert (command.path, command.state, command.callback.name) == ("/", E, RULE_CALLBACK)


def test_previous_result_is_that_of_the_same_program() -> None:
    def pipeline(id_: str, created: float, state: State, **more: Any) -> PipelineRecord:
        settled = more.pop("settled", True)
        status = PipelineStatus(state=state, settled=settled)
        return PipelineRecord(id=id_, title="t", created=created, status=status, **more)

    records = [
        pipeline("a", 1, D),
        pipeline("b", 2, E),
        pipeline("c", 3, D, program="other.py"),
        pipeline("d", 4, R, settled=False),
        pipeline("e", 6, D),
    ]

    assert previous_result(records, pipeline("now", 5, R)) is E
    assert previous_result([], pipeline("now", 5, R)) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channel": "webhook", "to": "http://example.com"}, "https://"),
        ({"channel": "webhook", "to": "https://user:pw@example.com"}, "https://"),
        ({"channel": "webhook", "to": "nowhere"}, "https://"),
        ({"channel": "slack", "to": " "}, "give a channel"),
        ({"channel": "mail", "to": "ann"}, "not a mail address"),
        ({"channel": "mail", "to": "ann@example.com\r\nBcc: x"}, "a line break"),
        ({"channel": "mail", "to": "ann @example.com"}, "not a mail address"),
        ({"channel": "webhook", "to": "https://example.com/\r\nHost: x"}, "a line break"),
        ({"channel": "webhook", "to": "https://example.com/\tx"}, "control character"),
        ({"channel": "webhook", "to": "https://example.com/ HTTP/1.1"}, "https://"),
        ({"channel": "slack", "to": "#a\n"}, "a line break"),
        ({"channel": "github", "to": "https://github.com/a/b"}, "leave it out"),
        ({"channel": "slack", "to": "#a", "secret": "S"}, "only webhooks are signed"),
        ({"channel": "slack", "to": "#a", "on": ()}, "at least one event"),
        ({"channel": "slack", "to": "#a", "on": ("ended",)}, "'start', 'success'"),
    ],
)
def test_invalid_rules_are_rejected(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RuleRequest.model_validate(fields)
