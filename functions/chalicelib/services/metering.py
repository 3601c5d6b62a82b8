"""What is counted of an organisation's use."""

from chalicelib.ports import Orgs
from conducto_core.api.queries.usage_reports import month_of
from conducto_core.errors import RefusedError

__all__ = ["check_usage", "month_of"]


def check_usage(orgs: Orgs, org: str, now: float) -> None:
    """Refuse what costs minutes where a month's are used up.

    Raises:
        RefusedError: says what the plan has and what is used.
    """
    plan = orgs.plan(org)
    if plan.exec_minutes is None:
        return
    used = orgs.usage(org, month_of(now)).get("exec_seconds", 0.0) / 60
    if used >= plan.exec_minutes:
        raise RefusedError(
            f"the plan {plan.name!r} has {plan.exec_minutes:g} minutes of workers a month, "
            f"{used:.0f} are used, so no command starts; wait for the next month, have an "
            "administrator change the plan (conducto admin set-plan), or run it locally"
        )
