"""Usage limits of organisations: why no command may start now."""

from chalicelib.ports.identity import InUse
from chalicelib.services.dependencies import Dependencies
from conducto_core.api.queries.usage_reports import month_of
from conducto_core.errors import RefusedError
from conducto_core.semantics.plans import suspension

__all__ = ["check_usage", "month_of", "reason_to_wait"]


def check_usage(cloud: Dependencies, org: str) -> None:
    """Reject actions that use minutes if the month's allowance is used up."""
    reason = _over_minutes(cloud, org, cloud.orgs.in_use(org))
    if reason is not None:
        raise RefusedError(reason)


def reason_to_wait(cloud: Dependencies, org: str, used: InUse) -> str | None:
    """Return why no worker and no command of an organisation may start now, or None."""
    if used.suspended:
        return suspension(used.billing.limit, cloud.remedies())
    return _over_minutes(cloud, org, used)


def _over_minutes(cloud: Dependencies, org: str, current: InUse) -> str | None:
    plan = current.plan
    if plan.exec_minutes is None:
        return None
    used = cloud.orgs.usage(org, month_of(cloud.clock())).get("exec_seconds", 0.0) / 60
    if used < plan.exec_minutes:
        return None
    return (
        f"the plan {plan.name!r} allows {plan.exec_minutes:g} worker minutes per month, "
        f"{used:.0f} are used, so commands do not start; wait for the next month, "
        f"{cloud.remedies().larger_plan()}, or run it locally"
    )
