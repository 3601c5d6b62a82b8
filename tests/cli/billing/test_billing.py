"""The texts and arguments of ``conducto billing``."""

from __future__ import annotations

import argparse

import pytest

from conducto_cli.billing import command as billing
from conducto_core.billing.model import BillingStatus, DayCharge

STATUS = BillingStatus(
    plan="scale",
    max_workers=1000,
    exec_minutes=None,
    used_minutes=3.0,
    workers=7,
    status="past_due",
    paying=True,
    suspended=True,
    grace_until=1_798_761_600.0,
    period_start=1_795_824_000.0,
    period_end=1_798_416_000.0,
    accrued=12.5,
    forecast=50.0,
    limit=12.0,
    grace_minutes=15.0,
    vcpu_hour=0.06,
    gb_hour=0.0066,
    days=(DayCharge(day="2026-11-28", vcpu_seconds=7200, gb_seconds=3600, dollars=0.1266),),
)


def test_bill_shows_status_limit_and_days() -> None:
    lines = list(billing._lines(STATUS))

    assert "subscription    past due" in lines
    assert "payment failed  the plan ends on 2027-01-01" in lines
    assert "so far          $12.50, about $50.00 at its end" in lines
    assert "spend limit     $12.00 (reached: nothing starts)" in lines
    assert lines[-1].split() == ["2026-11-28", "2.00", "1.00", "0.13"]


def test_free_plan_shows_its_minutes_and_the_way_to_a_larger_one() -> None:
    free = {"plan": "free", "paying": False, "status": None, "suspended": False, "days": ()}
    lines = list(billing._lines(STATUS.model_copy(update={**free, "exec_minutes": 1000.0})))

    assert "minutes         3 of 1,000" in lines
    assert lines[-1] == "for more workers: conducto billing enable"


def test_plan_that_starts_with_the_next_hour_shows_when() -> None:
    changes = {"plan": "free", "paying": False, "status": "active", "starts": 1_798_761_600.0}
    lines = list(billing._lines(STATUS.model_copy(update={**changes, "grace_until": None})))

    assert any(line.startswith("paid plan  ") and "starts at" in line for line in lines)
    assert "conducto billing enable" not in "\n".join(lines)


@pytest.mark.parametrize(("text", "found"), [("none", None), ("0", 0.0), ("$12.5", 12.5)])
def test_spend_limit_is_a_number_of_dollars_or_none(text: str, found: float | None) -> None:
    assert billing._dollars(text) == found


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "ten", ""])
def test_invalid_spend_limit_is_rejected(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be a number of dollars from 0"):
        billing._dollars(text)
