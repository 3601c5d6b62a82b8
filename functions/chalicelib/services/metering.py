"""Usage limits of organisations."""

from chalicelib.ports.identity import Orgs
from conducto_core.api.queries.usage_reports import month_of
from conducto_core.errors import RefusedError

__all__ = ["check_usage", "month_of"]


def check_usage(orgs: Orgs, org: str, now: float) -> None:
    """Reject actions that use minutes if the month's allowance is used up."""
    plan = orgs.plan(org)
    if plan.exec_minutes is None:
        return
    used = orgs.usage(org, month_of(now)).get("exec_seconds", 0.0) / 60
    if used >= plan.exec_minutes:
        raise RefusedError(
            f"the plan {plan.name!r} allows {plan.exec_minutes:g} worker minutes per month, "
            f"{used:.0f} are used, so commands do not start; wait for the next month, ask an "
            "administrator to change the plan (conducto admin set-plan), or run it locally"
        )
