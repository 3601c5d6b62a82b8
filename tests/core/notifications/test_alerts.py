"""Alerts of rules about running pipelines."""

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
    AlertFacts,
    alert_command,
    alerting,
    alerts_due,
    event_of,
    with_alerts,
)
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.states import State

RECORD = PipelineRecord(id="abc-def", title="nightly", notification_rules=("ops",))


def rule(*on: str, **more: Any) -> NotificationRule:
    return NotificationRule(name="ops", channel="slack", to="#ops", on=on, **more)  # type: ignore[arg-type]


def said(found: NotificationRule, facts: AlertFacts) -> list[str]:
    return [each.message for each in alerts_due(RECORD, [found], facts)]


@pytest.mark.parametrize(
    ("on", "more", "before", "after", "message"),
    [
        (
            "late",
            {"minutes": 30},
            AlertFacts(1799.0, 0.0),
            AlertFacts(1800.0, 0.0),
            "it should have ended after 30m",
        ),
        (
            "expensive",
            {"dollars": 5},
            AlertFacts(60.0, 0.0, 4.99),
            AlertFacts(60.0, 0.0, 5.0),
            "it has cost $5.00, the limit is $5.00",
        ),
        (
            "waiting",
            {},
            AlertFacts(599.0, None, 0.0, ("/a", 0.0, "AWS has no machine")),
            AlertFacts(600.0, None, 0.0, ("/a", 0.0, "AWS has no machine")),
            "/a has waited for 10m: AWS has no machine",
        ),
        (
            "long",
            {},
            AlertFacts(150.0, 0.0, earlier=[10, 20, 30, 40, 100]),
            AlertFacts(151.0, 0.0, earlier=[10, 20, 30, 40, 100]),
            "it has run for 2m 31s; 95 % of earlier ones ended within 1m 40s",
        ),
    ],
)
def test_alert_is_due_from_its_limit_on(
    on: str, more: dict[str, Any], before: AlertFacts, after: AlertFacts, message: str
) -> None:
    assert said(rule(on, **more), before) == []
    (found,) = said(rule(on, **more), after)
    assert found.replace(" 00s", "") == message


def test_few_earlier_pipelines_say_nothing_about_the_duration() -> None:
    assert said(rule("long"), AlertFacts(1e6, 0.0, earlier=[10, 20, 30, 40])) == []
    assert said(rule("long"), AlertFacts(1e6, 0.0)) == []


def test_alert_is_reported_once_in_an_active_period() -> None:
    found = rule("late", minutes=1)
    first = alerts_due(RECORD, [found], AlertFacts(100.0, 0.0))
    reported = RECORD.model_copy(update={"alerts": with_alerts(RECORD, first)})

    assert len(first) == 1
    assert alerts_due(reported, [found], AlertFacts(200.0, 0.0)) == []
    again = alerts_due(reported, [found], AlertFacts(1100.0, 1000.0))
    assert len(again) == 1
    assert with_alerts(reported, again) == ("ops late 1000",)


def test_only_rules_of_the_pipeline_with_alerts_are_checked() -> None:
    others = [rule("failure"), rule("late", minutes=1).model_copy(update={"name": "x"})]

    assert alerting([*others, rule("waiting")], RECORD) == [rule("waiting")]


def test_alert_does_not_change_the_event_of_a_later_state() -> None:
    (alert,) = alerts_due(RECORD, [rule("late", minutes=1)], AlertFacts(100.0, 0.0))
    arguments = dict(alert_command(alert).callback.arguments)
    sent = NotificationRecord(
        number=2, path="/", about="/", state=State.RUNNING, callback="x", arguments=arguments
    )
    start = sent.model_copy(update={"number": 3, "arguments": {"rule": "ops"}})

    assert event_of(sent, [], None) is NotificationEvent.LATE
    assert event_of(start, [sent], None) is NotificationEvent.START


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"on": ("late",)}, "'late' needs the minutes"),
        ({"on": ("expensive",)}, "'expensive' needs the cost"),
        ({"on": ("late",), "minutes": 0}, "greater than 0"),
        ({"on": ("late",), "minutes": float("nan")}, "finite"),
        ({"on": ("expensive",), "dollars": -1}, "greater than 0"),
        ({"on": ("waiting",), "channel": "github", "to": ""}, "reports no alerts"),
    ],
)
def test_invalid_limits_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RuleRequest.model_validate({"channel": "slack", "to": "#ops", **fields})
