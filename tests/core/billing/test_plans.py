"""The truth table of effective plans, and metered intervals."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto_core.billing.rules import (
    FREE,
    FULL,
    GRACE_SECONDS,
    NO_BILLING,
    RATES,
    SCALE,
    Billing,
    BillingPlan,
    PlanPeriod,
    Remedies,
    Status,
    dollars,
    effective,
    grace_until,
    larger,
    moved,
    parts_of,
    period_before,
)
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import State
from conducto_core.run.rules import waits
from conducto_core.workers.rules.fargate import size_for

NOW = 1_000_000.0
PAYING = {Status.ACTIVE, Status.TRIALING}


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize("grace", [None, NOW + 1, NOW])
@pytest.mark.parametrize("limit", [None, 0.0, 9.99, 10.0, 10.01])
def test_effective_plan_follows_the_truth_table(
    status: Status | None, grace: float | None, limit: float | None
) -> None:
    found = effective(FREE, Billing(status, grace_until=grace, limit=limit), 10.0, NOW)

    in_grace = status is Status.PAST_DUE and (grace is None or grace > NOW)
    assert found.paying == (status in PAYING or in_grace)
    assert found.plan == (SCALE if found.paying else FREE)
    assert found.suspended == (found.paying and limit is not None and limit <= 10.0)


def test_plan_of_an_administrator_is_never_reduced() -> None:
    own = BillingPlan("own", max_workers=5000, max_pipelines=1, max_cpu=2, exec_minutes=5)

    assert effective(own, NO_BILLING, 0, NOW).plan == own
    assert larger(own, SCALE) == BillingPlan("scale", 5000, 1000, 32.0, None)
    assert larger(FREE, FREE) == FREE
    assert larger(FULL, FREE).exec_minutes is None


def test_grace_begins_once_and_ends_with_the_payment() -> None:
    first = grace_until(Status.PAST_DUE, None, NOW)

    assert first == NOW + GRACE_SECONDS
    assert grace_until(Status.PAST_DUE, first, NOW + 5) == first
    assert grace_until(Status.ACTIVE, first, NOW + 5) is None


def test_reasons_name_the_remedy_of_the_installation() -> None:
    here = Remedies(billing=True, web_app="https://app.example/")

    assert "conducto admin set-plan" in Remedies().larger_plan()
    assert here.larger_plan() == (
        "enable billing at https://app.example/organisation/plan or with 'conducto billing enable'"
    )
    assert "$5.00" in waits.spend_limit(5, here).text
    assert "conducto billing limit" in str(waits.spend_limit(5, here).remedy)


moments = st.integers(0, 30_000)
spans = st.builds(lambda a, b: PlanPeriod(min(a, b), max(a, b)), moments, moments)


@given(st.lists(spans, min_size=1, max_size=6))
def test_hours_of_a_worker_add_up_to_its_last_interval(known: list[PlanPeriod]) -> None:
    hours: dict[int, int] = {}
    old: PlanPeriod | None = None
    for new in known:
        for hour, seconds in moved(old, new).items():
            hours[hour] = hours.get(hour, 0) + seconds
        old = new

    assert sum(hours.values()) == known[-1].until - known[-1].began
    assert all(0 <= seconds <= 3600 for seconds in hours.values())
    assert moved(old, known[-1]) == {}


def test_an_hour_of_one_vcpu_and_two_gb_has_the_documented_price() -> None:
    assert dollars(3600, 7200, RATES) == pytest.approx(0.06 + 2 * 0.0066)


def test_charged_time_is_split_into_commands_idle_and_lost_workers() -> None:
    def attempt(state: State, started: float, ended: float | None) -> AttemptRecord:
        return AttemptRecord(
            path="/a",
            number=1,
            state=state,
            command="c",
            started=started,
            ended=ended,
            cpu=1,
            mem=2,
        )

    size = size_for("/a", 1, 2)
    hour = dollars(3600 * size.cpu, 3600 * size.mem, RATES)
    attempts = [
        attempt(State.DONE, 0.0, 1000.0),  # in the period before
        attempt(State.DONE, 1000.0 - 3600, 1000.0 + 3600),
        attempt(State.KILLED, 5000.0, 5000.0 + 3600),
        attempt(State.RUNNING, 10_000.0, None),
    ]

    found = parts_of(
        {"abc": 4 * hour, "gone": hour}, {"abc": attempts}, RATES, since=1000.0, now=10_000.0 + 1800
    )

    assert (found.attempts, found.lost_attempts) == (2, 1)
    assert found.commands == pytest.approx(1.5 * hour)
    assert found.lost == pytest.approx(hour)
    assert found.idle == pytest.approx(1.5 * hour)
    assert found.others == pytest.approx(hour)


def test_the_period_before_starts_on_the_same_day_of_the_month_before() -> None:
    def time_of(text: str) -> float:
        return datetime.fromisoformat(f"{text}T10:00:00+00:00").timestamp()

    assert period_before(time_of("2026-12-12")) == time_of("2026-11-12")
    assert period_before(time_of("2027-03-31")) == time_of("2027-02-28")
    assert period_before(time_of("2027-01-01")) == time_of("2026-12-01")
